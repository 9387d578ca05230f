"""What becomes of the messages to an instance: decided from its record, in the order they arrived. Nothing here waits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from detent.machine.forks import JOINED
from detent.retry import Retry
from detent.runtime.child_news import is_news
from detent.runtime.event_names import BRANCHES, CANCEL_CHILDREN
from detent.store.messages import InboxMessage
from detent.store.records import FINISHED, Status, WorkflowInstance

JUDGED_AT_ONCE = 10_000
"""About how many judgements of messages are written in one commit; there may be more messages than fit into memory."""
BEHIND = "an earlier message of this event is tried first"
"""The reason of a message that waits for one before it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be done for an instance next."""

    chosen: InboxMessage | None = None
    """The message to take. While there is one, nothing else is judged: it may move the instance."""
    order: InboxMessage | None = None
    """The order to cancel the children of the instance."""
    dropped: tuple[InboxMessage, ...] = ()
    """Messages that mean nothing any more."""
    dead: tuple[InboxMessage, ...] = ()
    """Messages that can never be taken, as they are to be kept."""
    waiting: tuple[InboxMessage, ...] = ()
    """Messages whose event the state does not declare, marked as seen at this version."""
    behind: tuple[InboxMessage, ...] = ()
    """Messages behind one that was put off, put off as long."""
    put_off_until: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    """The events that wait for one that was put off, and until when."""
    more: bool = False
    """Whether there is more to write than this; it is judged again, when this is written."""

    @property
    def kept(self) -> tuple[InboxMessage, ...]:
        """All that are to be written."""
        return (*self.dead, *self.waiting, *self.behind)

    def followed_by(self, later: "Judgement") -> "Judgement":
        """This and what was judged over the messages behind it, unless one of those is to be taken."""
        if later.chosen is not None:
            return later
        order = self.order or later.order
        if len(self.kept) + len(self.dropped) >= JUDGED_AT_ONCE:
            more = self.more or bool(later.kept or later.dropped)
            return replace(self, order=order, put_off_until=later.put_off_until, more=more)
        return replace(
            later,
            order=order,
            dropped=self.dropped + later.dropped,
            dead=self.dead + later.dead,
            waiting=self.waiting + later.waiting,
            behind=self.behind + later.behind,
        )


def judge(
    record: WorkflowInstance,
    messages: Sequence[InboxMessage],
    declared: Collection[str],
    now: datetime,
    before: Judgement | None = None,
) -> Judgement:
    """What to do with `messages`, by rising number and none of them dead, in a state that declares these events.

    `before` is what is to be done with those of lower numbers, none of which can be taken; it is in the answer.
    """
    before = before or Judgement()
    orders = [message for message in messages if message.event == CANCEL_CHILDREN]
    others = [message for message in messages if message.event != CANCEL_CHILDREN]
    if record.status in FINISHED:
        return before.followed_by(_judge_finished(record, orders, others, now))
    return before.followed_by(_judge_live(record, orders, others, declared, now, before.put_off_until))


def put_off(message: InboxMessage, *, reason: str, now: datetime, retry: Retry) -> InboxMessage:
    """`message` after it was refused or failed once more: tried again after a back-off, or dead."""
    attempts = message.attempts + 1
    tried = replace(message, attempts=attempts, reason=reason, seen_version=0)
    if retry.exhausted(attempts):
        return replace(tried, dead_at=now)
    return replace(tried, available_at=now + retry.delay(attempts))


def died(message: InboxMessage, reason: str, now: datetime) -> InboxMessage:
    """`message` when it can never be taken."""
    return replace(message, dead_at=now, reason=reason)


def _judge_finished(
    record: WorkflowInstance, orders: list[InboxMessage], others: list[InboxMessage], now: datetime
) -> Judgement:
    reason = f"the instance is {record.status.value}"
    cancelled = record.status is Status.CANCELLED
    standing = orders if cancelled else _of_branches(orders)
    return Judgement(
        order=_ready(standing, now),
        # The end of a child is kept with the child; that its parent has ended before is no fault.
        dropped=(
            *(order for order in orders if order not in standing),
            *(message for message in others if is_news(message)),
        ),
        dead=tuple(died(message, reason, now) for message in others if not is_news(message)),
    )


def _judge_live(
    record: WorkflowInstance,
    orders: list[InboxMessage],
    others: list[InboxMessage],
    declared: Collection[str],
    now: datetime,
    put_off_before: Mapping[str, datetime],
) -> Judgement:
    put_off_until = dict(put_off_before)
    expired, waiting, behind, spent = (list[InboxMessage]() for _ in range(4))
    for message in others:
        if message.expires_at is not None and message.expires_at <= now:
            expired.append(message)
        elif message.event == JOINED and message.event not in declared:
            # The end of a branch that nobody waits for any more: it was told with the others, or left behind.
            spent.append(message)
        elif message.event not in declared:
            if message.available_at <= now and message.seen_version != record.version:
                waiting.append(replace(message, seen_version=record.version))
        elif message.event in put_off_until:
            if message.available_at <= now:
                # Left as it is, it would be found again and again until its turn comes.
                behind.append(replace(message, available_at=put_off_until[message.event], reason=BEHIND))
        elif message.available_at <= now:
            return Judgement(chosen=message)
        elif message.reason is not None:
            # Only what was tried, or stands behind that, holds up others; what its sender delayed does not.
            put_off_until[message.event] = message.available_at
    standing = _of_branches(orders)
    return Judgement(
        order=_ready(standing, now),
        # An instance that lives again after it was cancelled wants its children to live too.
        dropped=(*(order for order in orders if order not in standing), *spent),
        dead=tuple(died(message, "it expired", now) for message in expired),
        waiting=tuple(waiting),
        behind=tuple(behind),
        put_off_until=put_off_until,
    )


def _of_branches(orders: list[InboxMessage]) -> list[InboxMessage]:
    """Those about branches that were left behind: whatever became of their parent, nobody waits for them any more."""
    return [order for order in orders if BRANCHES in order.payload]


def _ready(orders: list[InboxMessage], now: datetime) -> InboxMessage | None:
    return next((order for order in orders if order.available_at <= now), None)


def put_behind_all(messages: Iterable[InboxMessage], reason: str, until: datetime) -> tuple[InboxMessage, ...]:
    """The messages that could be tried, put off without counting it as an attempt: this process cannot try them."""
    return tuple(
        replace(message, available_at=until, reason=reason) for message in messages if message.available_at < until
    )
