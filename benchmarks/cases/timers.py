"""10,000 timeouts that are due at once, fired by two worker processes."""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from benchmarks.case import Case
from benchmarks.cost import Meter
from benchmarks.given import Given
from benchmarks.load import Load
from benchmarks.reading import Reading
from benchmarks.stock import copies
from benchmarks.workflows import CONTEXT, on_postgres, pg_store
from detent import WorkflowDefinition
from detent.workers import TimeoutWorker

DUE = 10_000
WORKERS = 2
LOOK = timedelta(milliseconds=20)
"""How often a worker looks when it has nothing to do, so that both begin at the same time."""

SLEEPER = WorkflowDefinition.from_dict(
    {
        "name": "sleeper",
        "initial_state": "asleep",
        "states": {"asleep": {"events": {"wake": {"target": "awake", "timeout": "1h"}}}, "awake": {}},
    }
)

_ASLEEP = "SELECT EXISTS (SELECT FROM detent_instances WHERE due_at <= now() AND status = 'active')"
_AWAKE = "SELECT count(*), extract(epoch FROM min(created_at))::float8 FROM detent_history WHERE event = 'wake'"


async def measure(given: Given) -> Reading:
    async with on_postgres(given.url, [SLEEPER]) as runtime:
        model = await runtime.create_instance("sleeper", context=CONTEXT)
        workers = [await _hire() for _ in range(WORKERS)]
        try:
            meter = Meter(given.postmaster, workers=[worker.pid for worker in workers])
            begun = meter.read()
            due = datetime.now(UTC)
            timers = [{"event": "wake", "due": due.isoformat(), "attempts": 0, "parked": False, "reason": None}]
            await copies(pg_store(runtime), model, DUE, changed={"due_at": due, "timers": timers})
            seconds = await _until_all_are_awake(given.url)
            ended = meter.read()
        finally:
            for worker in workers:
                worker.kill()
                await worker.wait()
    load = Load()
    load.add(begun, ended)
    return Reading(
        rate=DUE / seconds,
        operations=DUE,
        seconds=seconds,
        python_us=load.python / DUE * 1e6,
    )


async def _until_all_are_awake(url: str) -> float:
    """Seconds from the first claim, which history has the time of, until nothing is due any more."""
    connection = await asyncpg.connect(url)
    try:
        while await connection.fetchval(_ASLEEP):  # noqa: ASYNC110 - what happens is in other processes
            await asyncio.sleep(0.005)
        ended = time.time()
        awake, begun = await connection.fetchrow(_AWAKE)
    finally:
        await connection.close()
    if awake != DUE:
        raise AssertionError(f"{awake} timeouts fired instead of {DUE}")
    return float(ended - begun)


async def _hire() -> asyncio.subprocess.Process:
    """A worker process that has begun to look."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.cases.timers",
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert worker.stdout is not None
    if not await worker.stdout.readline():
        raise RuntimeError("a worker did not start")
    return worker


async def work(given: Given) -> None:
    """Fire what is due until killed."""
    async with on_postgres(given.url, [SLEEPER]) as runtime, TimeoutWorker(runtime, interval=LOOK):
        print("looking", flush=True)
        await asyncio.Event().wait()


TIMERS = Case("timers", f"{DUE:,} timeouts due at once, {WORKERS} workers", "timeouts", measure)

if __name__ == "__main__":
    asyncio.run(work(Given.from_environment()))
