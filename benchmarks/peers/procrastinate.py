"""procrastinate: 16 callers defer a job (`defer_async`) and wait until it has run, by one worker that runs up to 16 at once.

A flag in this process tells of the job's end, right before procrastinate writes that it has succeeded. LISTEN/NOTIFY is on,
which is the default, and jobs are kept. With 64 callers it does fewer. It is a queue, so that a job has no state, no history
and no further steps; ours, a durable run of one command, is created, accepted, run by a worker, and moves its instance.
"""

import asyncio
import sys
from itertools import count

from procrastinate import App, PsycopgConnector

from benchmarks.given import Given
from benchmarks.load import closed_loop

CALLERS = 16
CONNECTIONS = 16

ended: dict[int, asyncio.Event] = {}
numbers = count()


async def measure(given: Given) -> None:
    app = App(connector=PsycopgConnector(conninfo=given.url, min_size=CONNECTIONS, max_size=CONNECTIONS))

    @app.task(name="errand")
    async def errand(number: int) -> None:
        ended.pop(number).set()

    async def run() -> None:
        number = next(numbers)
        end = ended[number] = asyncio.Event()
        await errand.defer_async(number=number)
        await end.wait()

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(app.run_worker_async(concurrency=CALLERS, install_signal_handlers=False))
        load = await closed_loop([run] * CALLERS, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
        print(load.reading().to_json(), flush=True)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


if __name__ == "__main__":
    assert sys.argv[1] == "jobs"
    asyncio.run(measure(Given.from_environment()))
