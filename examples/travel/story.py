"""Four trips: one that meets all sorts of weather, one whose worker goes, one that is called off, one that gets stuck.

python -m examples.travel.story               # on a SQLite file that is thrown away
python -m examples.travel.story trips.db      # on that file
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from detent import SqliteStore, WorkflowHandle, WorkflowRuntime
from detent.errors import RunParked
from detent.workers import Worker
from examples.travel.agency import Agency
from examples.travel.bookings import noted
from examples.travel.partners import SoldOut, Unreachable

Say = Callable[[str], None]


class StoryBroken(Exception):
    """The agency did something else than the story says."""


@dataclass(slots=True)
class Story:
    """Tells what it does, step by step, and stops where something else comes of it than it should."""

    agency: Agency
    runtime: WorkflowRuntime
    say: Say = print
    _step: Iterator[int] = field(default_factory=lambda: count(1))

    async def tell(self) -> None:
        """The whole story, in four chapters."""
        await self.an_early_approval()
        await self.a_worker_that_goes()
        await self.a_trip_called_off()
        await self.a_trip_that_is_stuck()

    async def an_early_approval(self) -> None:
        """The approval is sent before there is anything to approve; the hotel is hard to reach."""
        trip = await self._plan("Ada Lovelace")
        await trip.send("approve", trigger_metadata={"actor": "grace"})
        await self._told("approve is sent", trip, "planned", "it waits for a state that takes it")
        self.agency.partners.hotel.meets.append(Unreachable("the line is busy"))
        await self._book(trip)
        async with self._worker("monday"):
            await self._wait(trip, "ready")
        context = (await trip.get_instance()).context
        await self._told("a worker works", trip, "ready", f"{self.agency.partners.hotel.calls} calls of the hotel")
        self.say(f"     {' · '.join(context['vouchers'])}")
        self.say(f"     the agency's own row: {' · '.join(await self._row(trip))}")

    async def a_worker_that_goes(self) -> None:
        """A worker is cancelled while it books the car; the one after it books the car, and nothing else."""
        trip = await self._plan("Grace Hopper")
        await self._book(trip)
        car = self.agency.partners.car
        flights, cars = self.agency.partners.flight.calls, car.calls
        car.meets.append(asyncio.Event())
        car.reached.clear()
        async with self._worker("tuesday") as leaving, asyncio.timeout(10):
            await car.reached.wait()
            leaving.abort()
        await self._told("the worker goes home", trip, "planned", "in the middle of booking the car")
        async with self._worker("wednesday"):
            await self._wait(trip, "booked")
        calls = f"calls: {self.agency.partners.flight.calls - flights} of the flight, {car.calls - cars} of the car"
        await self._told("another goes on", trip, "booked", calls)

    async def a_trip_called_off(self) -> None:
        """No car is left: hotel and flight are given back."""
        trip = await self._plan("Mary Somerville")
        self.agency.partners.car.meets.append(SoldOut())
        await self._book(trip)
        async with self._worker("thursday"):
            await self._wait(trip, "called_off")
        entry = (await trip.get_history(limit=1))[0]
        await self._told("a worker works", trip, "called_off", entry.reason)
        self.say(f"     {', '.join(record.name for record in entry.commands)}")

    async def a_trip_that_is_stuck(self) -> None:
        """The hotel cannot be given back: the run waits for a person, who looks, and lets it go on."""
        trip = await self._plan("Emmy Noether")
        hotel = self.agency.partners.hotel
        hotel.takes_back = False
        self.agency.partners.car.meets.append(SoldOut())
        await self._book(trip)
        async with self._worker("friday"):
            try:
                await trip.wait()
            except RunParked as parked:
                await self._told("a worker gives up", trip, "planned", parked.reason)
        for line in str(await trip.explain()).splitlines():
            self.say(f"     {line}")
        hotel.takes_back = True
        await trip.retry(trigger_metadata={"actor": "ana"})
        await self._told("ana retries", trip, "planned")
        async with self._worker("saturday"):
            await self._wait(trip, "called_off")
        await self._told("a worker goes on", trip, "called_off", "the rest was undone")
        await self.runtime.process_outbox()
        self.say("")
        for text in self.agency.mails.values():
            self.say(f"     mail: {text}")

    def _worker(self, name: str) -> Worker:
        return Worker(self.runtime, name=name, poll=timedelta(milliseconds=100))

    async def _plan(self, traveller: str) -> WorkflowHandle:
        trip = self.runtime.get_handle(await self.runtime.create_instance("trip", metadata={"traveller": traveller}))
        await self._told(f"{traveller} plans", trip, "planned")
        return trip

    async def _book(self, trip: WorkflowHandle) -> None:
        result = await trip.trigger_event("book")
        await self._told("book", trip, "planned", result.outcome)

    async def _wait(self, trip: WorkflowHandle, state: str) -> None:
        await trip.wait(state, timeout="10s")

    async def _row(self, trip: WorkflowHandle) -> tuple[str, ...]:
        return await noted(self.agency.store, trip.id) or ()

    async def _told(self, what: str, trip: WorkflowHandle, expected: str, note: str | None = None) -> None:
        found = await trip.get_instance()
        if found.state != expected:
            raise StoryBroken(f"{what} led to {found.state!r} and not to {expected!r}")
        self.say(f"{next(self._step):>3}  {what:<22} → {expected:<11} {note or ''}".rstrip())


async def main(path: Path | None = None) -> None:
    """Tell the story on the SQLite file at `path`, or on one that is thrown away."""
    with TemporaryDirectory() as folder:
        agency = Agency(SqliteStore(path or Path(folder) / "travel.db"))
        async with agency.open() as runtime:
            await Story(agency, runtime).tell()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
