"""What an event costs when the tables are full, beside what it costs when they are empty."""

from uuid import UUID, uuid4

from benchmarks.case import Case
from benchmarks.cases.events import OWN, pressing
from benchmarks.given import Given
from benchmarks.load import Operation, in_turns
from benchmarks.reading import Reading
from benchmarks.stock import BIG, ENTRIES, lamps, some_of
from benchmarks.workflows import on_postgres
from detent import Settings, WorkflowRuntime

TASKS = 64
SMALL = 1_000
FORGETFUL = Settings(remember=0)
"""What is compared is the tables: of a million instances a process has seen next to none before."""


def _callers(runtime: WorkflowRuntime, ids: list[UUID]) -> list[Operation]:
    return [pressing(runtime, ids[task::TASKS]) for task in range(TASKS)]


async def small(given: Given) -> Reading:
    async with on_postgres(given.url, settings=FORGETFUL) as runtime:
        return await _beside_empty(given, given.url, runtime, await lamps(runtime, SMALL, entries=ENTRIES))


async def large(given: Given) -> Reading:
    async with on_postgres(given.big, settings=FORGETFUL) as runtime:
        return await _beside_empty(given, given.big, runtime, await some_of(runtime, TASKS * OWN))


async def _beside_empty(given: Given, url: str, full: WorkflowRuntime, ids: list[UUID]) -> Reading:
    """In turns with tables of another prefix that hold one instance for each caller."""
    async with on_postgres(url, prefix=f"e{uuid4().hex[:8]}_", settings=FORGETFUL) as empty:
        sides = (_callers(full, ids), _callers(empty, await lamps(empty, TASKS)))
        filled, bare = await in_turns(sides, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return filled.reading(beside={"empty": bare.reading()})


SIZES = (
    Case(
        "size-small",
        f"event, {TASKS} tasks, {SMALL:,} instances, {SMALL * ENTRIES:,} history entries",
        "events",
        small,
        yardstick=False,
        compares="time",
    ),
    Case(
        "size-large",
        f"event, {TASKS} tasks, {BIG:,} instances, {BIG * ENTRIES:,} history entries",
        "events",
        large,
        yardstick=False,
        big=True,
        compares="time",
    ),
)
