"""New instances on PostgreSQL, each with the history entry of its creation."""

from benchmarks.case import Case
from benchmarks.given import Given
from benchmarks.load import closed_loop
from benchmarks.reading import Reading
from benchmarks.workflows import CONTEXT, on_postgres

TASKS = 64


async def measure(given: Given) -> Reading:
    async with on_postgres(given.url) as runtime:

        async def create() -> None:
            await runtime.create_instance("lamp", context=CONTEXT)

        load = await closed_loop([create] * TASKS, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return load.reading()


CREATION = Case("create-64", f"create, {TASKS} tasks", "instances", measure)
