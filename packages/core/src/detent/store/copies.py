"""Records that share no JSON with the ones they were made from, so that nobody can edit what is stored from outside."""

from dataclasses import replace

from detent.json_values import JsonObject, copy_object, copy_value
from detent.store.messages import Delivery, InboxMessage
from detent.store.records import (
    ArchiveEntry,
    CommandRecord,
    ContextChange,
    DefinitionSnapshot,
    HistoryEntry,
    Receipt,
    WorkflowInstance,
)
from detent.store.run_records import Run


def copy_instance(instance: WorkflowInstance) -> WorkflowInstance:
    """The instance as a store keeps it: `created` belongs to one call and is never stored."""
    # By hand, here and below: `replace` looks at every field's declaration, and each step copies a few of these.
    return WorkflowInstance(
        instance.id,
        instance.workflow,
        instance.state,
        instance.status,
        instance.version,
        instance.definition_version,
        copy_object(instance.context),
        copy_object(instance.metadata),
        instance.timers,
        instance.due_at,
        instance.entered_at,
        instance.created_at,
        instance.updated_at,
        instance.finished_at,
        instance.parked_at,
        instance.tenant,
        instance.parent_id,
        instance.parent_link,
        instance.run_id,
    )


def copy_entry(entry: HistoryEntry) -> HistoryEntry:
    """The history entry, down to what its commands answered."""
    return HistoryEntry(
        entry.instance_id,
        entry.sequence,
        entry.event,
        entry.from_state,
        entry.to_state,
        entry.outcome,
        tuple([_copy_command(command) for command in entry.commands]) if entry.commands else (),
        entry.reason,
        _copy_optional(entry.error),
        copy_value(entry.payload),
        copy_object(entry.trigger_metadata),
        entry.transition_id,
        entry.definition_version,
        entry.created_at,
        None if entry.changes is None else tuple([_copy_context_change(change) for change in entry.changes]),
    )


def copy_receipt(receipt: Receipt) -> Receipt:
    """The receipt with an answer of its own."""
    return replace(receipt, answer=copy_object(receipt.answer))


def copy_run(run: Run) -> Run:
    """The run, down to every entry of its journal."""
    return replace(
        run,
        payload=copy_value(run.payload),
        subject=copy_value(run.subject),
        trigger_metadata=copy_object(run.trigger_metadata),
        journal=tuple(copy_object(entry) for entry in run.journal),
        kept=copy_object(run.kept),
        progress=_copy_optional(run.progress),
        error=_copy_optional(run.error),
        trace=copy_object(run.trace),
    )


def copy_message(message: InboxMessage) -> InboxMessage:
    """The message with a payload of its own."""
    return replace(
        message,
        payload=copy_value(message.payload),
        trigger_metadata=copy_object(message.trigger_metadata),
        trace=copy_object(message.trace),
    )


def copy_delivery(delivery: Delivery) -> Delivery:
    """The delivery with a payload and headers of its own."""
    return replace(
        delivery,
        payload=copy_value(delivery.payload),
        headers=copy_object(delivery.headers),
        error=_copy_optional(delivery.error),
        trace=copy_object(delivery.trace),
    )


def copy_archive_entry(entry: ArchiveEntry) -> ArchiveEntry:
    """The archive entry with a document of its own."""
    return replace(
        entry,
        trigger_metadata=copy_object(entry.trigger_metadata),
        document=_copy_optional(entry.document),
    )


def copy_snapshot(snapshot: DefinitionSnapshot) -> DefinitionSnapshot:
    """The snapshot with a definition of its own."""
    return replace(snapshot, definition=copy_object(snapshot.definition))


def _copy_command(command: CommandRecord) -> CommandRecord:
    return replace(command, data=copy_value(command.data))


def _copy_context_change(change: ContextChange) -> ContextChange:
    return ContextChange(change.op, change.path, copy_value(change.value), copy_value(change.was), change.omitted)


def _copy_optional(value: JsonObject | None) -> JsonObject | None:
    return None if value is None else copy_object(value)
