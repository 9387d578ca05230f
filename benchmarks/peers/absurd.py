"""Absurd: its async SDK over the schema that `absurdctl init` installs, with 16 workers, since a client has one connection.

* `events`: 64 callers, each spawns a task that awaits five events, each under a name of its own: the first emission of a name
  wins, and a task replays its checkpoints when it wakes, so that long-lived tasks would only get slower. The caller emits the
  five one after the other and waits for the end of the task; a flag in this process tells. The events are counted, the
  spawning is not. The caller does not wait for each event to be taken, which is kinder to Absurd than our case is to us:
  several may be taken by one claim.
* `tasks`: 64 callers spawn a task of one step and wait for its end, told by a flag. Ours is a durable run of one command.
* `steps`: the same with five steps, each counted.

Workers poll every 0.25 s when there is nothing to do, which is the default, and claim up to four tasks at once.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from absurd_sdk import AsyncAbsurd
from absurdctl import BUNDLED_SCHEMA_SQL
from psycopg import AsyncConnection

from benchmarks.given import Given
from benchmarks.load import closed_loop

CALLERS = 64
WORKERS = 16
EVENTS = 5

ended: dict[int, asyncio.Event] = {}
numbers = count()


async def nothing() -> None:
    """Answers at once."""


async def lamp(params: dict[str, Any], ctx: Any) -> None:
    for turn in range(EVENTS):
        await ctx.await_event(f"press:{params['number']}:{turn}")
    ended.pop(params["number"]).set()


async def errand(params: dict[str, Any], ctx: Any) -> None:
    for turn in range(params["steps"]):
        await ctx.step(f"step-{turn}", nothing)
    ended.pop(params["number"]).set()


def client(url: str) -> AsyncAbsurd:
    app = AsyncAbsurd(url)
    app.register_task("lamp")(lamp)
    app.register_task("errand")(errand)
    return app


def presser(app: AsyncAbsurd) -> Callable[[], Awaitable[None]]:
    async def press() -> None:
        number = next(numbers)
        end = ended[number] = asyncio.Event()
        await app.spawn("lamp", {"number": number})
        for turn in range(EVENTS):
            await app.emit_event(f"press:{number}:{turn}", {"pressed": True})
        await end.wait()

    return press


def runner(app: AsyncAbsurd, steps: int) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        number = next(numbers)
        end = ended[number] = asyncio.Event()
        await app.spawn("errand", {"number": number, "steps": steps})
        await end.wait()

    return run


async def measure(given: Given, work: str) -> None:
    async with await AsyncConnection.connect(given.url, autocommit=True) as connection:
        await connection.execute(BUNDLED_SCHEMA_SQL)
    await client(given.url).create_queue("default")
    workers = [client(given.url) for _ in range(WORKERS)]
    each = 1 if work == "tasks" else EVENTS
    senders = [client(given.url) for _ in range(WORKERS)]
    make = presser if work == "events" else lambda app: runner(app, each)
    callers = [make(senders[number % WORKERS]) for number in range(CALLERS)]
    working = [asyncio.create_task(worker.start_worker(concurrency=4)) for worker in workers]
    load = await closed_loop(callers, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    print(load.reading(each=each).to_json(), flush=True)
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(measure(Given.from_environment(), sys.argv[1]))
