"""Between records and rows: JSON is encoded and decoded here, whatever codec the engine has."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from pydantic_core import from_json, to_json

from detent.json_values import JsonValue
from detent.store.change import Change, PutReceipt, Removal
from detent.store.records import (
    ArchiveEntry,
    CommandRecord,
    ContextChange,
    DefinitionSnapshot,
    HistoryEntry,
    Outcome,
    ParentLink,
    Receipt,
    ReceiptKey,
    Status,
    Timer,
    WorkflowInstance,
)

Row: TypeAlias = Mapping[str, Any]
"""A row as SQLAlchemy answers it (`result.mappings()`), or the values of one to write, by column."""


_EXPONENT = re.compile(r"\de\+?\d")


def encode(value: JsonValue) -> str:
    """The JSON text of `value`, such that jsonb gives back equal values."""
    text = to_json(value).decode()
    # jsonb spells 1e300 as an integer, which is another number than the float was. The search is cheap and may find a
    # text; spelling everything out by hand is neither.
    return _spelled_out(value) if _EXPONENT.search(text) else text


def _spelled_out(value: JsonValue) -> str:
    """The JSON text in which every float has a fraction and no exponent."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_spelled_out(key)}:{_spelled_out(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_spelled_out, value)) + "]"
    if isinstance(value, float):
        digits = format(Decimal(repr(value)), "f")
        return digits if "." in digits else f"{digits}.0"
    return to_json(value).decode()


def encode_optional(value: JsonValue) -> str | None:
    """The JSON text of `value`, where nothing is kept as SQL's null."""
    return None if value is None else encode(value)


decode: Callable[[str], JsonValue] = from_json
"""The value of a JSON text."""


def decode_optional(text: str | None) -> JsonValue:
    """The value of a JSON text, `None` for SQL's null."""
    return None if text is None else decode(text)


INSTANCE = (
    "id",
    "workflow",
    "definition_version",
    "state",
    "status",
    "version",
    "context",
    "metadata",
    "timers",
    "due_at",
    "entered_at",
    "created_at",
    "updated_at",
    "finished_at",
    "parked_at",
    "tenant",
    "parent_id",
    "run_id",
    "parent_link",
)
"""The columns of an instance."""


def instance_values(instance: WorkflowInstance) -> tuple[object, ...]:
    """The values of `INSTANCE`."""
    return (
        instance.id,
        instance.workflow,
        instance.definition_version,
        instance.state,
        instance.status,
        instance.version,
        encode(instance.context),
        encode(instance.metadata),
        _timers_text(instance.timers),
        instance.due_at,
        instance.entered_at,
        instance.created_at,
        instance.updated_at,
        instance.finished_at,
        instance.parked_at,
        instance.tenant,
        instance.parent_id,
        instance.run_id,
        encode_optional(_link_value(instance.parent_link)),
    )


UPDATED = (
    "state",
    "status",
    "version",
    "definition_version",
    "context",
    "timers",
    "due_at",
    "entered_at",
    "updated_at",
    "finished_at",
    "parked_at",
    "run_id",
)
"""The columns of an instance that a step may change."""


def updated_values(instance: WorkflowInstance) -> tuple[object, ...]:
    """The values of `UPDATED`."""
    return (
        instance.state,
        instance.status,
        instance.version,
        instance.definition_version,
        encode(instance.context),
        _timers_text(instance.timers),
        instance.due_at,
        instance.entered_at,
        instance.updated_at,
        instance.finished_at,
        instance.parked_at,
        instance.run_id,
    )


def instance_of(row: Row) -> WorkflowInstance:
    """The instance in a row."""
    return WorkflowInstance(
        id=row["id"],
        workflow=row["workflow"],
        definition_version=row["definition_version"],
        state=row["state"],
        status=_STATUS[row["status"]],
        version=row["version"],
        context=decode(row["context"]),
        metadata=decode(row["metadata"]),
        timers=_timers_of(row["timers"]),
        due_at=row["due_at"],
        entered_at=row["entered_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        finished_at=row["finished_at"],
        parked_at=row["parked_at"],
        tenant=row["tenant"],
        parent_id=row["parent_id"],
        parent_link=_link_of(decode_optional(row["parent_link"])),
        run_id=row["run_id"],
    )


def _link_value(link: ParentLink | None) -> JsonValue:
    if link is None:
        return None
    return {"event": link.event, "wait_for": link.wait_for, "group": link.group, "since": link.since}


def _link_of(value: JsonValue) -> ParentLink | None:
    return None if value is None else ParentLink(**value)


_STATUS: Mapping[str, Status] = {status.value: status for status in Status}
_OUTCOME: Mapping[str, Outcome] = {outcome.value: outcome for outcome in Outcome}
"""Members by value; calling the class finds them too, at four times the cost."""


def _timers_text(timers: tuple[Timer, ...]) -> str:
    return encode([_timer_value(timer) for timer in timers]) if timers else "[]"


def _timers_of(text: str) -> tuple[Timer, ...]:
    return () if text == "[]" else tuple(map(_timer_of, decode(text)))


def _timer_value(timer: Timer) -> JsonValue:
    return {
        "event": timer.event,
        "due": timer.due.isoformat(),
        "attempts": timer.attempts,
        "parked": timer.parked,
        "reason": timer.reason,
        **({"interrupts": True} if timer.interrupts else {}),
    }


def _timer_of(value: Mapping[str, JsonValue]) -> Timer:
    return Timer(
        event=value["event"],
        due=datetime.fromisoformat(value["due"]),
        attempts=value["attempts"],
        parked=value["parked"],
        reason=value["reason"],
        interrupts=value.get("interrupts", False),
    )


ENTRY = (
    "instance_id",
    "sequence",
    "event",
    "from_state",
    "to_state",
    "outcome",
    "commands",
    "reason",
    "error",
    "payload",
    "trigger_metadata",
    "transition_id",
    "definition_version",
    "created_at",
    "changes",
)
"""The columns of a history entry."""


def entry_values(entry: HistoryEntry) -> tuple[object, ...]:
    """The values of `ENTRY`."""
    return (
        entry.instance_id,
        entry.sequence,
        entry.event,
        entry.from_state,
        entry.to_state,
        entry.outcome,
        encode([_command_value(command) for command in entry.commands]) if entry.commands else "[]",
        entry.reason,
        encode_optional(entry.error),
        encode_optional(entry.payload),
        encode(entry.trigger_metadata),
        entry.transition_id,
        entry.definition_version,
        entry.created_at,
        None if entry.changes is None else encode([change.to_json() for change in entry.changes]),
    )


def entry_of(row: Row) -> HistoryEntry:
    """The history entry in a row."""
    return HistoryEntry(
        instance_id=row["instance_id"],
        sequence=row["sequence"],
        event=row["event"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        outcome=_OUTCOME[row["outcome"]],
        commands=_commands_of(row["commands"]),
        reason=row["reason"],
        error=decode_optional(row["error"]),
        payload=decode_optional(row["payload"]),
        trigger_metadata=decode(row["trigger_metadata"]),
        transition_id=row["transition_id"],
        definition_version=row["definition_version"],
        created_at=row["created_at"],
        changes=_changes_of(row["changes"]),
    )


def _changes_of(text: str | None) -> tuple[ContextChange, ...] | None:
    return None if text is None else tuple(ContextChange(**value) for value in decode(text))


def _commands_of(text: str) -> tuple[CommandRecord, ...]:
    return () if text == "[]" else tuple(CommandRecord(**value) for value in decode(text))


def _command_value(command: CommandRecord) -> JsonValue:
    value = {
        "name": command.name,
        "ok": command.ok,
        "code": command.code,
        "message": command.message,
        "data": command.data,
        "best_effort": command.best_effort,
    }
    # Left out where it is nothing, so that processes of the version before can read on while they are being replaced.
    return value if command.compensates is None else value | {"compensates": command.compensates}


RECEIPT = ("tenant", "scope", "key", "instance_id", "fingerprint", "answer", "created_at", "expires_at")
"""The columns of a receipt."""


def receipt_row(receipt: Receipt) -> Row:
    """The columns of a receipt."""
    return {
        **key_row(receipt.key),
        "instance_id": receipt.instance_id,
        "fingerprint": receipt.fingerprint,
        "answer": encode(receipt.answer),
        "created_at": receipt.created_at,
        "expires_at": receipt.expires_at,
    }


def receipt_of(row: Row | None) -> Receipt | None:
    """The receipt in a row that may have been joined to one, and may be missing."""
    if row is None or row["receipt_key"] is None:
        return None
    return Receipt(
        key=ReceiptKey(scope=row["receipt_scope"], key=row["receipt_key"], tenant=row["receipt_tenant"]),
        instance_id=row["receipt_instance_id"],
        fingerprint=row["receipt_fingerprint"],
        answer=decode(row["receipt_answer"]),
        created_at=row["receipt_created_at"],
        expires_at=row["receipt_expires_at"],
    )


def key_row(key: ReceiptKey) -> Row:
    """The columns that a receipt is found by."""
    return {"tenant": key.tenant, "scope": key.scope, "key": key.key}


def receipts_of(changes: Sequence[Change]) -> list[Receipt]:
    """The receipts that `changes` put."""
    return [effect.receipt for change in changes for effect in change.effects_of(PutReceipt)]


def definition_row(snapshot: DefinitionSnapshot) -> Row:
    """The columns of a definition snapshot."""
    return {
        "workflow": snapshot.workflow,
        "version": snapshot.version,
        "fingerprint": snapshot.fingerprint,
        "definition": encode(snapshot.definition),
        "created_at": snapshot.created_at,
    }


def definition_of(row: Row) -> DefinitionSnapshot:
    """The definition snapshot in a row."""
    return DefinitionSnapshot(
        workflow=row["workflow"],
        version=row["version"],
        fingerprint=row["fingerprint"],
        definition=decode(row["definition"]),
        created_at=row["created_at"],
    )


def removal_row(removal: Removal) -> Row:
    """The columns of an archive entry, and the version from which its instance is removed."""
    entry = removal.entry
    return {
        "expected": removal.expected_version,
        "instance_id": entry.instance_id,
        "workflow": entry.workflow,
        "definition_version": entry.definition_version,
        "tenant": entry.tenant,
        "state": entry.state,
        "status": entry.status.value,
        "created_at": entry.created_at,
        "finished_at": entry.finished_at,
        "removed_at": entry.removed_at,
        "reason": entry.reason,
        "trigger_metadata": encode(entry.trigger_metadata),
        "document": encode_optional(entry.document),
    }


def archived_of(row: Row) -> ArchiveEntry:
    """The archive entry in a row."""
    return ArchiveEntry(
        instance_id=row["instance_id"],
        workflow=row["workflow"],
        definition_version=row["definition_version"],
        tenant=row["tenant"],
        state=row["state"],
        status=Status(row["status"]),
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        removed_at=row["removed_at"],
        reason=row["reason"],
        trigger_metadata=decode(row["trigger_metadata"]),
        document=decode_optional(row["document"]),
    )
