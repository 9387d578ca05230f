"""What a worker would do, done on the spot: runs, messages to instances and deliveries, until nothing is left for now."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from detent.runtime.message_reports import InboxReport, OutboxReport
from detent.runtime.run_report import RunReport
from detent.runtime.runtime import WorkflowRuntime
from detent.store.messages import Delivery, DeliveryQuery, DeliveryStatus, InboxMessage, InboxQuery
from detent.store.run_records import Run, RunQuery, RunStatus

AT_MOST = 10_000
"""How many timeouts may fire, and runs and messages be worked on, in one go."""
_SWEEP = 100
_PAGE = 500

Counts = TypeVar("Counts", RunReport, InboxReport, OutboxReport)
Found = TypeVar("Found", Run, InboxMessage, Delivery)


@dataclass(frozen=True, slots=True)
class WorkReport:
    """What became of the runs and messages that were worked on."""

    runs: RunReport = field(default_factory=RunReport)
    """Attempts that ended a run or put it off: `completed`, `retrying`, `parked`."""
    inbox: InboxReport = field(default_factory=lambda: InboxReport(0, 0, 0, 0, 0))
    """Messages to instances: `applied`, `waiting`, `postponed`, `dead`."""
    outbox: OutboxReport = field(default_factory=lambda: OutboxReport(0, 0, 0, 0))
    """Deliveries to the `subscribers` of the harness: `delivered`, `retrying`, `dead`."""

    @property
    def pieces(self) -> int:
        """All of them; none says that there was nothing to do."""
        inbox, outbox = self.inbox, self.outbox
        moved = inbox.applied + inbox.waiting + inbox.postponed + inbox.dead
        return self.runs.worked_on + moved + outbox.delivered + outbox.retrying + outbox.dead

    def __add__(self, other: "WorkReport") -> "WorkReport":
        return WorkReport(_sum(self.runs, other.runs), _sum(self.inbox, other.inbox), _sum(self.outbox, other.outbox))


class Effort:
    """How much may be done in one go, and how much of that was."""

    def __init__(self, at_most: int = AT_MOST) -> None:
        self.at_most = at_most
        self._spent = 0

    def spend(self, pieces: int) -> None:
        """Note that this much was done."""
        self._spent += pieces

    @property
    def is_exceeded(self) -> bool:
        """Whether more was done than may be."""
        return self._spent > self.at_most


async def work_off(runtime: WorkflowRuntime, effort: Effort) -> WorkReport:
    """Do what there is to do now, and what that leads to, until nothing is left or `effort` is exceeded."""
    done = WorkReport()
    while not effort.is_exceeded:
        swept = WorkReport(
            await runtime.process_runs(limit=_SWEEP),
            await runtime.process_inbox(limit=_SWEEP),
            await runtime.process_outbox(limit=_SWEEP),
        )
        if not swept.pieces:
            break
        done += swept
        effort.spend(swept.pieces)
    return done


async def next_instant(runtime: WorkflowRuntime) -> datetime | None:
    """When there will be work that is none yet: the first instant after now at which a run, a message to an instance or a
    delivery is due, a message expires, or a lease ends.
    """
    now = runtime.running().parts.present
    return min([instant async for instant in _instants(runtime) if instant is not None and instant > now], default=None)


async def _instants(runtime: WorkflowRuntime) -> AsyncIterator[datetime | None]:
    store = runtime.store
    workflows = tuple(runtime.running().parts.machines.workflows)
    runs = RunQuery(statuses=(RunStatus.PENDING, RunStatus.RUNNING), workflows=workflows)
    async for run in _each(store.runs.find, runs, lambda run: run.id):
        yield run.available_at if run.status is RunStatus.PENDING else run.lease_until
    async for message in _each(store.inbox.find, InboxQuery(dead=False), lambda message: message.number):
        yield message.available_at
        yield message.expires_at
    deliveries = DeliveryQuery(statuses=(DeliveryStatus.PENDING,), subscribers=runtime.subscribers.names)
    async for delivery in _each(store.outbox.find, deliveries, lambda delivery: delivery.number):
        yield delivery.available_at
        yield delivery.lease_until


async def _each(
    find: Callable[..., Awaitable[Iterable[Found]]], query: object, place: Callable[[Found], object]
) -> AsyncIterator[Found]:
    """Everything that `query` asks for, page by page."""
    after: object = None
    while True:
        page = list(await find(query, limit=_PAGE, after=after))
        for found in page:
            yield found
        if len(page) < _PAGE:
            return
        after = place(page[-1])


def _sum(one: Counts, other: Counts) -> Counts:
    sums: dict[str, Any] = {each.name: getattr(one, each.name) + getattr(other, each.name) for each in fields(one)}
    return type(one)(**sums)
