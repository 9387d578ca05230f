"""How long an accepted event takes until its instance has completed, with an idle worker in another process.

`python -m tests.chaos.latency` prints the median with NOTIFY and without it (the worker polls).
"""

import argparse
import asyncio
import os
import random
import statistics
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from detent import WorkflowDefinition, WorkflowRuntime, command
from detent.registry import CommandContext
from detent_pg import PgStore
from tests.chaos.chaos import nursery
from tests.chaos.cluster import Cluster
from tests.chaos.trip import POLL, URL

ERRAND = WorkflowDefinition.from_dict(
    {
        "name": "errand",
        "initial_state": "new",
        "states": {"new": {"events": {"go": {"target": "done", "commands": ["run"]}}}, "done": {}},
    }
)


@command("run", durable=True)
async def run(ctx: CommandContext) -> None:
    ctx.context["attempt"] = ctx.durable_run.attempt


def errand_runtime(url: str) -> WorkflowRuntime:
    """A runtime with one event and one durable command."""
    return WorkflowRuntime(store=PgStore.from_url(url, pool_size=4), definitions=[ERRAND], commands=[run])


@dataclass(frozen=True)
class Latency:
    """Milliseconds from the call of `trigger_event` until `wait(completed=True)` answers."""

    median: float
    ninetieth: float


async def latency(url: str, rounds: int, *, notified: bool) -> Latency:
    """Measure it."""
    # Without notices only the poll finds a run, and it is short enough to be waited for.
    os.environ[POLL] = "60" if notified else "0.5"
    async with nursery(url, "tests.chaos.latency:errand_runtime") as crew:
        await crew.hire()
        async with errand_runtime(url) as runtime:
            if not notified:
                runtime.store.signals.announce = _mute  # type: ignore[method-assign,assignment]
            await _round(runtime)
            taken = []
            for _ in range(rounds):
                # A run ends just after a look of the worker; the next one shall begin at any moment between two.
                await asyncio.sleep(0 if notified else random.random() * 0.5)
                taken.append(await _round(runtime))
            taken.sort()
    return Latency(statistics.median(taken), taken[int(len(taken) * 0.9)])


def _mute(_: Collection[str]) -> None:
    """Announces nothing."""


async def _round(runtime: WorkflowRuntime) -> float:
    handle = runtime.get_handle(await runtime.create_instance("errand"))
    started = time.perf_counter()
    await handle.trigger_event("go")
    await handle.wait(completed=True, timeout=timedelta(minutes=2))
    return (time.perf_counter() - started) * 1000


async def measured(rounds: int) -> None:
    """Print both."""
    with Cluster() as cluster:
        url = os.environ[URL] = cluster.url.render_as_string(hide_password=False)
        store = PgStore.from_url(url)
        await store.upgrade()
        await store.engine.dispose()
        for name, notified in (("with NOTIFY", True), ("polling every 0.5 s", False)):
            found = await latency(url, rounds if notified else max(5, rounds // 10), notified=notified)
            print(f"{name:>24}  median {found.median:.1f} ms, 90 % within {found.ninetieth:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    asyncio.run(measured(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
