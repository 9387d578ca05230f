"""The stores that need no server: memory, and a SQLite file that is synchronised with the disk at every commit."""

from functools import partial
from pathlib import Path

from benchmarks.case import Case
from benchmarks.cases.events import pressing
from benchmarks.given import Given
from benchmarks.load import closed_loop
from benchmarks.reading import Reading
from benchmarks.workflows import CONTEXT, LAMP
from detent import MemoryStore, SqliteStore, WorkflowRuntime

OWN = 64
MANY = 1_000


async def memory_events(given: Given) -> Reading:
    async with WorkflowRuntime(store=MemoryStore(), definitions=[LAMP]) as runtime:
        ids = [(await runtime.create_instance("lamp", context=CONTEXT)).id for _ in range(MANY)]
        load = await closed_loop(
            [pressing(runtime, ids)], meter=given.meter, warmup=given.warmup, seconds=given.seconds
        )
    return load.reading()


async def memory_creations(given: Given) -> Reading:
    async with WorkflowRuntime(store=MemoryStore(), definitions=[LAMP]) as runtime:

        async def create() -> None:
            await runtime.create_instance("lamp", context=CONTEXT)

        load = await closed_loop([create], meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return load.reading()


async def sqlite_events(given: Given, *, tasks: int) -> Reading:
    store = SqliteStore(Path(given.folder) / "lamps.db", synchronous="FULL")
    async with WorkflowRuntime(store=store, definitions=[LAMP]) as runtime:
        ids = [(await runtime.create_instance("lamp", context=CONTEXT)).id for _ in range(tasks * 4)]
        callers = [pressing(runtime, ids[task::tasks]) for task in range(tasks)]
        load = await closed_loop(callers, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return load.reading()


MEMORY = Case("memory", "event, memory store", "events", memory_events, postgres=False)
MEMORY_CREATION = Case("memory-create", "create, memory store", "instances", memory_creations, postgres=False)
SQLITE = tuple(
    Case(
        f"sqlite-{tasks}",
        f"event, SQLite, {tasks} task{'s'[: tasks > 1]}",
        "events",
        partial(sqlite_events, tasks=tasks),
        postgres=False,
    )
    for tasks in (1, 64)
)
