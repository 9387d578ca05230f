"""One event at a time on an idle store, beside the least that a read and a conditional write cost with asyncpg."""

import asyncpg

from benchmarks.case import Case
from benchmarks.cases.events import OWN, pressing
from benchmarks.given import Given
from benchmarks.load import in_turns
from benchmarks.plain import press_checked
from benchmarks.reading import Reading
from benchmarks.stock import lamps
from benchmarks.workflows import on_postgres


async def measure(given: Given) -> Reading:
    async with on_postgres(given.url) as runtime:
        ids = await lamps(runtime, 2 * OWN)
        turn = iter(range(10**9))
        connection = await asyncpg.connect(given.url)

        async def press_by_hand() -> None:
            await press_checked(connection, ids[OWN + next(turn) % OWN])

        try:
            sides = ([pressing(runtime, ids[:OWN])], [press_by_hand])
            # Short turns: what is compared is a fraction of a millisecond.
            detent, floor = await in_turns(
                sides, meter=given.meter, warmup=given.warmup, seconds=given.seconds, turns=10
            )
        finally:
            await connection.close()
    return detent.reading(beside={"floor": floor.reading()})


IDLE = Case("idle", "one event at a time, idle", "events", measure, yardstick=False, compares="p50")
