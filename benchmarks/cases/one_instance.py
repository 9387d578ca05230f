"""Everybody wants the same row: 64 callers press one lamp, beside the same by row-locked transactions written by hand."""

from benchmarks.case import Case
from benchmarks.given import Given
from benchmarks.load import in_turns
from benchmarks.plain import kept_connections, press_locked
from benchmarks.reading import Reading
from benchmarks.stock import lamps
from benchmarks.workflows import CONNECTIONS, on_postgres

TASKS = 64


async def measure(given: Given) -> Reading:
    async with on_postgres(given.url) as runtime, kept_connections(given.url, CONNECTIONS) as pool:
        ours, theirs = await lamps(runtime, 2)

        async def press() -> None:
            await runtime.get_handle(ours).trigger_event("press")

        async def press_by_hand() -> None:
            async with pool.acquire() as connection:
                await press_locked(connection, theirs)

        sides = ([press] * TASKS, [press_by_hand] * TASKS)
        detent, plain = await in_turns(sides, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return detent.reading(beside={"plain": plain.reading()})


ONE_INSTANCE = Case("one-instance", f"event, {TASKS} tasks on one instance", "events", measure)
