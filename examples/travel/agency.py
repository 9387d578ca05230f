"""The travel agency, put together; `detent worker examples.travel.agency:at_work` is a process that works for it."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from detent import Clock, SqliteStore, Subscriber, SystemClock, WorkflowRuntime
from examples.travel.bookings import make_table
from examples.travel.commands import commands_with
from examples.travel.mails import mailing_to
from examples.travel.partners import Partners
from examples.travel.workflow import trip, voucher

DATABASE = "TRAVEL_DATABASE"
"""The variable that names the SQLite file of a worker process."""


@dataclass(slots=True)
class Agency:
    """What one process of the agency is made of."""

    store: SqliteStore
    partners: Partners = field(default_factory=Partners)
    mails: dict[str, str] = field(default_factory=dict)
    """Texts by the id of their delivery."""

    subscribers: Sequence[Subscriber] = ()
    """Who else hears of trips, such as a webhook of the customer's."""

    clock: Clock = field(default_factory=SystemClock)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[WorkflowRuntime]:
        """The runtime, with the agency's own table beside those of the workflows."""
        async with WorkflowRuntime(
            store=self.store,
            definitions=[trip, voucher],
            commands=commands_with(self.partners),
            subscribers=[mailing_to(self.mails), *self.subscribers],
            clock=self.clock,
        ) as runtime:
            await make_table(self.store)
            yield runtime


@asynccontextmanager
async def at_work() -> AsyncIterator[WorkflowRuntime]:
    """The runtime of a worker process, over the file that TRAVEL_DATABASE names; `travel.db` by default."""
    async with Agency(SqliteStore(os.environ.get(DATABASE, "travel.db"))).open() as runtime:
        yield runtime
