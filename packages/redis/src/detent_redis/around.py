"""A store around another one: every verb goes through unchanged. Who changes one inherits from it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any
from uuid import UUID

from detent.store.backlog import Backlog
from detent.store.change import Change, Removal
from detent.store.message_store import InboxStore, OutboxStore
from detent.store.protocol import A, Decide, Existing, Known, Store, Unit
from detent.store.query import GroupKey, InstanceQuery, Order, Position
from detent.store.records import ArchiveEntry, DefinitionSnapshot, HistoryEntry, ReceiptKey, WorkflowInstance
from detent.store.run_store import RunStore
from detent.store.signals import Signals
from detent.store.value_store import ValueStore


class StoreAround:
    """A `Store` that asks another one. What that one has beyond the protocol (`begin`, `engine`, `health` …) is here too."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        """What the store behind has beyond the protocol."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._store, name)

    @property
    def runs(self) -> RunStore:
        """Durable transitions in progress."""
        return self._store.runs

    @property
    def inbox(self) -> InboxStore:
        """Events that were sent and not yet applied."""
        return self._store.inbox

    @property
    def outbox(self) -> OutboxStore:
        """Messages on their way to subscribers."""
        return self._store.outbox

    @property
    def values(self) -> ValueStore:
        """What is kept beside instances."""
        return self._store.values

    @property
    def signals(self) -> Signals:
        """Words that say that something may be there to do."""
        return self._store.signals

    async def open(self) -> None:
        await self._store.open()

    async def close(self) -> None:
        await self._store.close()

    def now(self) -> datetime:
        return self._store.now()

    async def create(self, change: Change, *, after_commit: Callable[[], None] | None = None) -> Existing | None:
        return await self._store.create(change, after_commit=after_commit)

    async def apply(
        self,
        instance_id: UUID,
        decide: Decide[A],
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
        workflow: str | None = None,
        known: Known | None = None,
        after_commit: Callable[[A], None] | None = None,
        outside: object | None = None,
    ) -> A:
        return await self._store.apply(
            instance_id,
            decide,
            key=key,
            now=now,
            workflow=workflow,
            known=known,
            after_commit=after_commit,
            outside=outside,
        )

    def transaction(
        self,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
        wait: bool = True,
    ) -> AbstractAsyncContextManager[Unit]:
        return self._store.transaction(instance_id, key=key, now=now, wait=wait)

    def join(
        self,
        outside: object,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
    ) -> AbstractAsyncContextManager[Unit]:
        return self._store.join(outside, instance_id, key=key, now=now)

    def lend(self, outside: object) -> AbstractAsyncContextManager[None]:
        return self._store.lend(outside)

    async def load(self, instance_id: UUID, *, outside: object | None = None) -> WorkflowInstance | None:
        return await self._store.load(instance_id, outside=outside)

    async def history(
        self, instance_id: UUID, *, limit: int, before: int | None = None, outside: object | None = None
    ) -> Sequence[HistoryEntry]:
        return await self._store.history(instance_id, limit=limit, before=before, outside=outside)

    async def recall(
        self, key: ReceiptKey, *, now: datetime | None = None, outside: object | None = None
    ) -> Existing | None:
        return await self._store.recall(key, now=now, outside=outside)

    async def find(
        self,
        query: InstanceQuery,
        *,
        order: Order,
        limit: int,
        after: Position | None = None,
        outside: object | None = None,
    ) -> Sequence[WorkflowInstance]:
        return await self._store.find(query, order=order, limit=limit, after=after, outside=outside)

    async def count(
        self, query: InstanceQuery, *, group_by: Sequence[GroupKey] = (), outside: object | None = None
    ) -> Mapping[tuple[str, ...], int]:
        return await self._store.count(query, group_by=group_by, outside=outside)

    async def remove(self, removals: Sequence[Removal], *, outside: object | None = None) -> Collection[UUID]:
        return await self._store.remove(removals, outside=outside)

    async def load_archived(self, instance_id: UUID) -> ArchiveEntry | None:
        return await self._store.load_archived(instance_id)

    async def prune_history(self, instance_ids: Sequence[UUID], *, before: datetime) -> int:
        return await self._store.prune_history(instance_ids, before=before)

    async def prune_receipts(self, *, limit: int, now: datetime | None = None) -> int:
        return await self._store.prune_receipts(limit=limit, now=now)

    async def fire_due(
        self,
        decide: Decide[A],
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[tuple[UUID, A]]:
        return await self._store.fire_due(decide, limit=limit, workflows=workflows, tenant=tenant, now=now)

    async def save_definitions(self, snapshots: Sequence[DefinitionSnapshot]) -> Sequence[DefinitionSnapshot]:
        return await self._store.save_definitions(snapshots)

    async def load_definition(self, workflow: str, version: str) -> DefinitionSnapshot | None:
        return await self._store.load_definition(workflow, version)

    async def list_definitions(self, workflows: Collection[str] | None) -> Sequence[DefinitionSnapshot]:
        return await self._store.list_definitions(workflows)

    async def backlog(self, *, tenant: str | None = None, now: datetime | None = None) -> Backlog:
        return await self._store.backlog(tenant=tenant, now=now)
