"""How an instance's row ends: what is kept in its place, written down before it goes."""

from datetime import datetime

from detent.json_values import JsonObject
from detent.runtime.archived import archived_document
from detent.store.change import Removal
from detent.store.protocol import Store
from detent.store.records import ArchiveEntry, HistoryEntry, WorkflowInstance

PAGE = 1000
"""How many history entries are read at a time."""


async def removal_of(
    store: Store,
    record: WorkflowInstance,
    *,
    now: datetime,
    reason: str | None,
    trigger_metadata: JsonObject,
    archive: bool,
    outside: object | None = None,
) -> Removal:
    """The removal of `record` as it was read, and no newer one; with its whole history, when it shall be archived."""
    document = archived_document(record, await _whole_history(store, record, outside)) if archive else None
    entry = ArchiveEntry(
        instance_id=record.id,
        workflow=record.workflow,
        definition_version=record.definition_version,
        tenant=record.tenant,
        state=record.state,
        status=record.status,
        created_at=record.created_at,
        finished_at=record.finished_at,
        removed_at=now,
        reason=reason,
        trigger_metadata=trigger_metadata,
        document=document,
    )
    return Removal(record.version, entry)


async def _whole_history(store: Store, record: WorkflowInstance, outside: object | None) -> list[HistoryEntry]:
    entries, before = list[HistoryEntry](), record.version + 1
    while True:
        page = await store.history(record.id, limit=PAGE, before=before, outside=outside)
        entries += page
        if len(page) < PAGE:
            return entries[::-1]
        before = page[-1].sequence
