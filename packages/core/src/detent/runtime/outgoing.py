"""What goes out with a step, in its commit: deliveries to subscribers, news for the parent, and the words that wake workers."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid5

from detent.ids import new_id
from detent.json_values import JsonObject, json_value
from detent.machine.machine import Machine
from detent.registry.message import Message
from detent.runtime.child_news import leaves_branches, news_of
from detent.runtime.draft import Draft
from detent.runtime.event_names import BRANCHES, CANCEL_CHILDREN, CANCELLED, IN_PLACE
from detent.runtime.subscribers import Subscribers
from detent.store.change import AddMessage, AddRun, Change, Effect, MoveRun, Publish
from detent.store.messages import Delivery, InboxMessage
from detent.store.records import FINISHED, HistoryEntry, Outcome, ParentLink, Status, WorkflowInstance
from detent.store.run_records import RunStatus
from detent.store.signals import INBOX, OUTBOX, RUNS, TIMERS, moved, withdrawn


class Outgoing:
    """Knows who is to hear of what. One per runtime."""

    def __init__(self, subscribers: Subscribers | None = None) -> None:
        self.subscribers = subscribers or Subscribers()

    def completed(self, change: Change, draft: Draft | None = None, *, trace: JsonObject | None = None) -> Change:
        """`change` with everything that goes out with it; `trace` is its trace context where no draft has one."""
        trace = draft.attempt.trace if draft is not None else trace or {}
        effects: list[Effect] = []
        if draft is not None:
            if self.subscribers.names:
                effects += self._deliveries(change, draft)
            if draft.machine.forking:
                effects += _orders_for_branches(change, draft.machine, trace)
        if change.entries and change.instance.status in FINISHED and _ends(change):
            effects += _news_of_the_end(change, trace)
        return replace(change, effects=(*change.effects, *effects)) if effects else change

    def _deliveries(self, change: Change, draft: Draft) -> Iterator[Publish]:
        trace = draft.attempt.trace
        for message in (*_transitions(draft, change.entries), *draft.messages):
            message_id = new_id()
            for name in self.subscribers.hearing(message.topic):
                yield Publish(_delivery(change, message, message_id, name, trace))


def words_of(instance: WorkflowInstance, effects: Iterable[Effect]) -> set[str]:
    """The words that say what may be there to do because of a step with these effects, which left `instance` behind."""
    words: set[str] = set()
    if instance.due_at is not None and instance.due_at <= instance.updated_at:
        words.add(TIMERS)
    for effect in effects:
        match effect:
            case AddRun(run) if run.status is RunStatus.PENDING:
                words.add(RUNS)
            case MoveRun(status=RunStatus.PENDING):
                words.add(RUNS)
            case MoveRun(status=RunStatus.CANCELLED, run_id=run_id):
                words |= {withdrawn(run_id), moved(instance.id)}
            case MoveRun():
                words |= {moved(instance.id), INBOX}
            case AddMessage():
                words.add(INBOX)
            case Publish():
                words.add(OUTBOX)
    return words


def _transitions(draft: Draft, entries: Iterable[HistoryEntry]) -> Iterator[Message]:
    prefix = draft.machine.definition.publish
    if prefix is None:
        return
    for entry in entries:
        if entry.outcome in (Outcome.SUCCESS, Outcome.FAILURE):
            yield Message(f"{prefix}.{entry.event.removeprefix('$')}", _news(entry, draft.instance))


def _news(entry: HistoryEntry, instance: WorkflowInstance) -> JsonObject:
    return {
        "instance_id": str(instance.id),
        "workflow": instance.workflow,
        "event": entry.event,
        "from_state": entry.from_state,
        "to_state": entry.to_state,
        "outcome": entry.outcome.value,
        "status": instance.status.value,
        "sequence": entry.sequence,
        "payload": json_value(entry.payload, "payload"),
    }


def _delivery(change: Change, message: Message, message_id: UUID, subscriber: str, trace: JsonObject) -> Delivery:
    instance = change.instance
    return Delivery(
        id=new_id(),
        message_id=message_id,
        subscriber=subscriber,
        instance_id=instance.id,
        workflow=instance.workflow,
        tenant=instance.tenant,
        sequence=instance.version,
        topic=message.topic,
        key=message.key or str(instance.id),
        payload=message.payload,
        headers=dict(message.headers),
        created_at=instance.updated_at,
        available_at=instance.updated_at,
        trace=trace,
    )


def _ends(change: Change) -> bool:
    """Whether this very change ended its instance."""
    last = change.entries[-1]
    return last.event not in IN_PLACE and change.instance.finished_at == last.created_at


def _orders_for_branches(change: Change, machine: Machine, trace: JsonObject) -> Iterator[AddMessage]:
    """What has the branches cancelled of states that this step left before they had been joined."""
    for entry in change.entries:
        state = entry.from_state
        if state in machine.forking and leaves_branches(entry, machine):
            reason, until = f"its parent left {state!r} by {entry.event!r}", entry.sequence
            yield AddMessage(order_to_cancel(change.instance, reason, entry.created_at, trace=trace, branches=until))


def cancellation_id(instance: WorkflowInstance) -> UUID:
    """The id of the order to cancel children that was sent when `instance` came to this version by being cancelled."""
    return uuid5(instance.id, f"{CANCEL_CHILDREN} {instance.version}")


def order_to_cancel(
    parent: WorkflowInstance,
    reason: str | None,
    now: datetime,
    *,
    message_id: UUID | None = None,
    trace: JsonObject | None = None,
    branches: int | None = None,
) -> InboxMessage:
    """The message to a cancelled instance that has its children cancelled; with `branches`, to any that left those behind which
    began before that version of it.
    """
    return InboxMessage(
        id=message_id or new_id(),
        instance_id=parent.id,
        tenant=parent.tenant,
        event=CANCEL_CHILDREN,
        payload={"reason": reason, **({} if branches is None else {BRANCHES: branches})},
        trigger_metadata={"source": "cancel"},
        key=None,
        created_at=now,
        available_at=now,
        trace=trace or {},
    )


def _news_of_the_end(change: Change, trace: JsonObject) -> Iterator[AddMessage]:
    instance, last = change.instance, change.entries[-1]
    if instance.status is Status.CANCELLED and last.event == CANCELLED:
        own = cancellation_id(instance)
        yield AddMessage(order_to_cancel(instance, last.reason, instance.updated_at, message_id=own, trace=trace))
    link = instance.parent_link
    if link is not None and instance.parent_id is not None and not _ended_with(instance.parent_id, last):
        yield AddMessage(_news_for(instance.parent_id, instance, link, trace))


def cancelled_with(parent_id: UUID) -> JsonObject:
    """What history says of an instance that was cancelled because its parent was."""
    return {"source": "cancel", "parent": str(parent_id)}


def _ended_with(parent_id: UUID, last: HistoryEntry) -> bool:
    """Whether an instance was cancelled because its parent was, which then needs no news of it."""
    return last.event == CANCELLED and last.trigger_metadata == cancelled_with(parent_id)


def _news_for(parent_id: UUID, child: WorkflowInstance, link: ParentLink, trace: JsonObject) -> InboxMessage:
    return InboxMessage(
        id=new_id(),
        instance_id=parent_id,
        tenant=child.tenant,
        event=link.event,
        payload={**news_of(child), "wait_for": link.wait_for, "group": link.group},
        trigger_metadata={"source": "child", "child": str(child.id), "group": link.group, "since": link.since},
        # The commit that takes the message takes it out, so that it needs no key. A child may end again after `force`.
        key=None,
        created_at=child.updated_at,
        available_at=child.updated_at,
        trace=trace,
    )
