"""Plain events on PostgreSQL, each its own durable commit with its history entry, by callers that share nothing."""

from functools import partial
from itertools import cycle
from uuid import UUID

from benchmarks.case import Case
from benchmarks.given import Given
from benchmarks.load import Operation, closed_loop
from benchmarks.reading import Reading
from benchmarks.stock import lamps
from benchmarks.workflows import on_postgres
from detent import Settings, WorkflowRuntime

OWN = 64
"""How many instances each caller has, and takes in turn."""


def pressing(runtime: WorkflowRuntime, ids: list[UUID]) -> Operation:
    """Presses the next lamp through a handle made for it, as a web handler does."""
    turn = cycle(ids)

    async def press() -> None:
        await runtime.get_handle(next(turn)).trigger_event("press")

    return press


async def measure(given: Given, *, tasks: int, seen: bool) -> Reading:
    settings = None if seen else Settings(remember=0)
    async with on_postgres(given.url, settings=settings) as runtime:
        ids = await lamps(runtime, tasks * OWN)
        callers = [pressing(runtime, ids[task::tasks]) for task in range(tasks)]
        load = await closed_loop(callers, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return load.reading()


def _case(tasks: int, *, seen: bool) -> Case:
    who = "1 task" if tasks == 1 else f"{tasks} tasks"
    return Case(
        name=f"{'event' if seen else 'unseen'}-{tasks}",
        title=f"event, {who}" if seen else f"event, {who}, instances never seen",
        unit="events",
        measure=partial(measure, tasks=tasks, seen=seen),
    )


TASKS = (1, 16, 64, 256)
SEEN = tuple(_case(tasks, seen=True) for tasks in TASKS)
UNSEEN = tuple(_case(tasks, seen=False) for tasks in TASKS)
