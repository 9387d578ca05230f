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
from detent import WorkflowRuntime

OWN = 64
"""How many instances each caller has, and takes in turn."""


def pressing(runtime: WorkflowRuntime, ids: list[UUID]) -> Operation:
    """Presses the next lamp through a handle made for it, as a web handler does."""
    turn = cycle(ids)

    async def press() -> None:
        await runtime.get_handle(next(turn)).trigger_event("press")

    return press


def keeping(runtime: WorkflowRuntime, ids: list[UUID]) -> Operation:
    """Presses the next lamp through a handle that it keeps."""
    turn = cycle([runtime.get_handle(identity) for identity in ids])

    async def press() -> None:
        await next(turn).trigger_event("press")

    return press


async def measure(given: Given, *, tasks: int, kept: bool) -> Reading:
    async with on_postgres(given.url) as runtime:
        ids = await lamps(runtime, tasks * OWN)
        make = keeping if kept else pressing
        callers = [make(runtime, ids[task::tasks]) for task in range(tasks)]
        load = await closed_loop(callers, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return load.reading()


def _case(tasks: int, *, kept: bool) -> Case:
    who = "1 task" if tasks == 1 else f"{tasks} tasks"
    return Case(
        name=f"{'kept' if kept else 'event'}-{tasks}",
        title=f"event, {who}, handles kept" if kept else f"event, {who}",
        unit="events",
        measure=partial(measure, tasks=tasks, kept=kept),
    )


TASKS = (1, 16, 64, 256)
FRESH = tuple(_case(tasks, kept=False) for tasks in TASKS)
KEPT = tuple(_case(tasks, kept=True) for tasks in TASKS)
