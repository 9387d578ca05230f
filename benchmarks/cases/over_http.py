"""A trigger over HTTP as its client sees it, beside an empty handler of the same framework that makes one commit."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path

from benchmarks import bare_rows
from benchmarks.case import Case
from benchmarks.cost import Meter
from benchmarks.given import Given
from benchmarks.keep_alive import Connection
from benchmarks.load import Load, Operation, in_turns
from benchmarks.reading import Reading
from benchmarks.workflows import CONTEXT, on_postgres, pg_store

OWN = 16
"""How many instances each caller has, and takes in turn: few, so that the server has seen all of them after the warm-up."""
TURNS = 10
"""Short ones: what is compared is a fraction of a millisecond."""


async def measure(given: Given, *, framework: str, callers: int) -> Reading:
    triggers, bare = await _paths(given.url, callers * OWN)
    async with _server(framework) as (port, pid), AsyncExitStack() as open_:

        async def side(paths: Sequence[str]) -> list[Operation]:
            return [posting(await _connected(open_, port), cycle(paths[caller::callers])) for caller in range(callers)]

        meter = Meter(given.postmaster, workers=[pid])
        sides = (await side(triggers), await side(bare))
        ours, theirs = await in_turns(sides, meter=meter, warmup=given.warmup, seconds=given.seconds, turns=TURNS)
    return _reading(ours, beside={"bare": _reading(theirs)})


def posting(connection: Connection, paths: Iterator[str]) -> Operation:
    """Posts to the next path."""

    async def post() -> None:
        await connection.post(next(paths))

    return post


async def _paths(url: str, count: int) -> tuple[list[str], list[str]]:
    """Where so many new lamps are pressed, and as many bare rows are raised."""
    async with on_postgres(url) as runtime:
        made = await asyncio.gather(*(runtime.create_instance("lamp", context=CONTEXT) for _ in range(count)))
        await bare_rows.make(pg_store(runtime).engine, count)
    triggers = [f"/workflows/instances/{instance.id}/events/press" for instance in made]
    return triggers, [f"/bare/{row}" for row in range(count)]


@asynccontextmanager
async def _server(framework: str) -> AsyncIterator[tuple[int, int]]:
    """A web server in a process of its own: its port and its process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.web",
        framework,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError("the web server did not start")
        yield int(line), process.pid
    finally:
        process.kill()
        await process.wait()


async def _connected(open_: AsyncExitStack, port: int) -> Connection:
    connection = await Connection.to(port)
    open_.push_async_callback(connection.close)
    return connection


def _reading(load: Load, beside: dict[str, Reading] | None = None) -> Reading:
    # Memory is of this process, and the server's is what one would ask about.
    return replace(load.reading(beside=beside), peak_mb=None, kept_bytes=None)


def _case(framework: str, title: str, callers: int) -> Case:
    return Case(
        name=f"http-{framework}-{callers}",
        title=f"event over HTTP, {title}, {callers} caller{'s'[: callers > 1]}",
        unit="events",
        measure=partial(measure, framework=framework, callers=callers),
        yardstick=False,
        compares="latency",
    )


CALLERS = (1, 16)
OVER_HTTP = tuple(
    _case(framework, title, callers)
    for framework, title in (("litestar", "Litestar"), ("fastapi", "FastAPI"))
    for callers in CALLERS
)
