"""Records that share no JSON with the ones they were made from, so that nobody can edit what is stored from outside."""

from dataclasses import replace

from detent.json_values import JsonObject, JsonValue
from detent.store.records import (
    ArchiveEntry,
    CommandRecord,
    DefinitionSnapshot,
    HistoryEntry,
    Receipt,
    WorkflowInstance,
)


def copy_value(value: JsonValue) -> JsonValue:
    """A JSON value with containers of its own."""
    if isinstance(value, dict):
        return {key: copy_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_value(item) for item in value]
    return value


def copy_object(value: JsonObject) -> JsonObject:
    """A JSON object with containers of its own."""
    return {key: copy_value(item) for key, item in value.items()}


def copy_instance(instance: WorkflowInstance) -> WorkflowInstance:
    """The instance as a store keeps it: `created` belongs to one call and is never stored."""
    return replace(
        instance, context=copy_object(instance.context), metadata=copy_object(instance.metadata), created=False
    )


def copy_entry(entry: HistoryEntry) -> HistoryEntry:
    """The history entry, down to what its commands answered."""
    return replace(
        entry,
        commands=tuple(_copy_command(command) for command in entry.commands),
        error=None if entry.error is None else copy_object(entry.error),
        payload=copy_value(entry.payload),
        trigger_metadata=copy_object(entry.trigger_metadata),
    )


def copy_receipt(receipt: Receipt) -> Receipt:
    """The receipt with an answer of its own."""
    return replace(receipt, answer=copy_object(receipt.answer))


def copy_archive_entry(entry: ArchiveEntry) -> ArchiveEntry:
    """The archive entry with a document of its own."""
    return replace(
        entry,
        trigger_metadata=copy_object(entry.trigger_metadata),
        document=None if entry.document is None else copy_object(entry.document),
    )


def copy_snapshot(snapshot: DefinitionSnapshot) -> DefinitionSnapshot:
    """The snapshot with a definition of its own."""
    return replace(snapshot, definition=copy_object(snapshot.definition))


def _copy_command(command: CommandRecord) -> CommandRecord:
    return replace(command, data=copy_value(command.data))
