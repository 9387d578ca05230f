"""What goes between an instance and others, told in sentences: messages to it, its children, and deliveries from it."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from detent.runtime.event_names import CANCEL_CHILDREN
from detent.runtime.history import facts_told
from detent.runtime.sentences import attempts_told, in_line, in_time, instant_told, span_told
from detent.store.messages import Delivery, DeliveryStatus, InboxMessage
from detent.store.records import FINISHED, Status, WorkflowInstance

LIMIT = 20
"""How many messages, children and deliveries an explanation looks at, of each."""
SHOWN = 5
"""How many of one kind it tells of."""

_HEARD = {"each": "the end of each", "all": "the last one's end", "any": "the first one's end"}


@dataclass(frozen=True, slots=True)
class Correspondence:
    """What an instance has to do with others; of each kind the oldest `LIMIT`."""

    messages: tuple[InboxMessage, ...] = ()
    """Those that wait, and the dead ones."""
    children: tuple[WorkflowInstance, ...] = ()
    """Those that have not ended."""
    deliveries: tuple[Delivery, ...] = ()
    """Those that are pending, and the dead ones."""

    def told(self, record: WorkflowInstance, declared: Collection[str] | None, now: datetime) -> Iterator[str]:
        """What is as it should be. `declared` are the events of the record's state; `None` where that is not known here."""
        waiting = [message for message in self.messages if message.dead_at is None]
        lines = [f"{_sent(message, now)} {_waits(message, record, declared, now)}." for message in waiting]
        yield from _first(lines, "messages", "inbox.list")
        yield from _children(self.children)
        yield from _pending(self.deliveries, now)

    def problems(
        self, declared: Collection[str] | None, now: datetime, *, held: bool, since: datetime, grace: timedelta
    ) -> Iterator[str]:
        """What holds something up. Nobody takes messages where one waits longer than `grace`, at the earliest `since`."""
        dead = [message for message in self.messages if message.dead_at is not None]
        yield from _first([_dead_letter(message) for message in dead], "dead letters", "inbox.list")
        lost = [delivery for delivery in self.deliveries if delivery.status is DeliveryStatus.DEAD]
        yield from _first([_dead_delivery(delivery) for delivery in lost], "dead deliveries", "outbox.list")
        for message in self.messages:
            ready = message.dead_at is None and declared is not None and message.event in declared
            late = now - max(message.available_at, since)
            if ready and not held and late > grace:
                yield (
                    f"Message {message.event!r} could have been taken for {span_told(late)}: it seems that nobody takes "
                    "messages (run a worker, or call process_inbox)."
                )
                return

    def tells_of(self, event: str) -> bool:
        """Whether a message of this event waits, or a live child will send one."""
        waits = any(message.event == event and message.dead_at is None for message in self.messages)
        return waits or any(
            child.parent_link is not None and child.parent_link.event == event for child in self.children
        )


NOTHING = Correspondence()
"""An instance that has nothing to do with others."""


def _first(lines: Sequence[str], kind: str, verb: str) -> Iterator[str]:
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield f"There are more {kind} than these {SHOWN} ({verb})."


def _sent(message: InboxMessage, now: datetime) -> str:
    if message.event == CANCEL_CHILDREN:
        return "The order to cancel its children"
    age = now - message.created_at
    when = "just now" if age < timedelta(seconds=1) else f"{span_told(age)} ago"
    return f"Message {message.event!r}, sent {when},"


def _waits(message: InboxMessage, record: WorkflowInstance, declared: Collection[str] | None, now: datetime) -> str:
    """Why a message was not taken yet, and until when that is so."""
    if message.expires_at is not None and message.expires_at <= now:
        return f"expired at {instant_told(message.expires_at)}"
    if message.event == CANCEL_CHILDREN:
        return _turn(message, record, now)
    if record.status in FINISHED:
        return "comes too late"
    if declared is not None and message.event in declared:
        return _turn(message, record, now) + _until(message)
    if declared is None:
        return "waits for a process that can run its version" + _until(message)
    return "waits for a state that declares it" + _until(message)


def _turn(message: InboxMessage, record: WorkflowInstance, now: datetime) -> str:
    if record.run_id is not None:
        return "waits for the end of the run"
    if record.status is Status.PAUSED:
        return "waits until the instance is resumed"
    if message.available_at <= now:
        return "is taken with the next sweep"
    verb = "may be taken" if message.reason is None else "is tried again"
    tried = f", after {attempts_told(message.attempts)} in vain" if message.attempts else ""
    return f"{verb} {in_time(message.available_at - now)}{tried}{_reason(message)}"


def _until(message: InboxMessage) -> str:
    return "" if message.expires_at is None else f", until {instant_told(message.expires_at)}"


def _reason(message: InboxMessage) -> str:
    return f": {in_line(message.reason)}" if message.reason else ""


def _dead_letter(message: InboxMessage) -> str:
    since = "" if message.dead_at is None else f" since {instant_told(message.dead_at)}"
    return f"Message {message.event!r} is a dead letter{since}{_reason(message)} (inbox.revive, inbox.discard)."


def _children(children: Sequence[WorkflowInstance]) -> Iterator[str]:
    kinds = Counter((child.workflow, _heard(child)) for child in children)
    at_least = "at least " if len(children) == LIMIT else ""
    for (workflow, heard), count in kinds.items():
        noun = "child" if count == 1 else "children"
        yield f"It has {at_least}{count} live {noun} of workflow {workflow!r}: {heard}."


def _heard(child: WorkflowInstance) -> str:
    link = child.parent_link
    if link is None:
        return "nobody is told of the end"
    group = f" in group {link.group!r}" if link.group else ""
    return f"{_HEARD[link.wait_for]}{group} sends it event {link.event!r}"


def _pending(deliveries: Sequence[Delivery], now: datetime) -> Iterator[str]:
    pending = [delivery for delivery in deliveries if delivery.status is DeliveryStatus.PENDING]
    at_least = "at least " if len(deliveries) == LIMIT else ""
    for subscriber in dict.fromkeys(delivery.subscriber for delivery in pending):
        own = [delivery for delivery in pending if delivery.subscriber == subscriber]
        noun = "delivery" if len(own) == 1 else "deliveries"
        yield f"It has {at_least}{len(own)} {noun} to {subscriber!r} to make: {_next(own[0], now)}."


def _next(delivery: Delivery, now: datetime) -> str:
    what = f"that of {delivery.topic!r}"
    if delivery.lease_until is not None and delivery.lease_until > now:
        return f"{what} is under way"
    if delivery.available_at <= now:
        return f"{what} waits for a worker"
    return f"{what} is made again {in_time(delivery.available_at - now)}{_tried(delivery)}"


def _dead_delivery(delivery: Delivery) -> str:
    since = "" if delivery.finished_at is None else f" since {instant_told(delivery.finished_at)}"
    return f"The delivery of {delivery.topic!r} to {delivery.subscriber!r} is dead{since}{_tried(delivery)} (outbox.replay)."


def _tried(delivery: Delivery) -> str:
    error = f": {in_line(facts_told(delivery.error))}" if delivery.error else ""
    return f", after {attempts_told(delivery.attempts)} in vain{error}" if delivery.attempts else error
