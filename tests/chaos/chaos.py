"""Chaos: workers killed without notice, the server crashed, connections cut; and afterwards everything is as it should be.

`python -m tests.chaos.chaos` (`make chaos`) prints what was done and what was found, and fails where anything is wrong.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import asyncpg

from detent import WorkflowRuntime
from detent.errors import DetentError
from tests.chaos.cluster import Cluster
from tests.chaos.findings import Findings, find, unfinished
from tests.chaos.lines import Lines
from tests.chaos.trip import COMMANDS, TABLES, URL, trip_runtime, trip_store


@dataclass(frozen=True)
class Plan:
    """How much of it."""

    instances: int = 500
    workers: int = 4
    kills: int = 200
    restarts: int = 5
    cuts: int = 40
    seed: int = 0
    patience: float = 600
    """How many seconds the rest of the work may take once nothing is broken any more."""


@dataclass(frozen=True)
class Story:
    """What was done, what was found, and how long it took."""

    kills: int
    restarts: int
    connections_cut: int
    seconds: float
    findings: Findings


class Crew:
    """The worker processes, by their ids."""

    def __init__(self, nursery: asyncio.subprocess.Process) -> None:
        self._nursery = nursery
        self.pids: list[int] = []

    async def hire(self) -> None:
        """One more worker."""
        if self._nursery.stdin is None or self._nursery.stdout is None:
            raise RuntimeError("the nursery was started without pipes")
        self._nursery.stdin.write(b"one more\n")
        await self._nursery.stdin.drain()
        self.pids.append(int(await self._nursery.stdout.readline()))

    async def kill_one(self, chance: random.Random) -> None:
        """Kill one of them, and hire another."""
        pid = self.pids.pop(chance.randrange(len(self.pids)))
        os.kill(pid, signal.SIGKILL)
        await self.hire()

    def dismiss(self) -> None:
        """Kill all of them. Raises `ProcessLookupError` when one has gone by itself: workers live through everything else."""
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)


async def chaos(plan: Plan) -> Story:
    """Do it, and look."""
    chance, started = random.Random(plan.seed), time.monotonic()
    with Cluster() as cluster:
        direct = cluster.url.render_as_string(hide_password=False)
        await _prepare(direct)
        async with Lines(cluster.address) as lines, nursery(lines.url(cluster.url)) as crew:
            for _ in range(plan.workers):
                await crew.hire()
            await _break_things(plan, cluster, lines, crew, chance)
            await _wait(direct, lines, plan.patience)
            crew.dismiss()
        findings = await find(direct, COMMANDS)
    return Story(plan.kills, plan.restarts, lines.cuts, time.monotonic() - started, findings)


async def _prepare(url: str) -> None:
    """Make the tables: Detent's, and those of the commands."""
    os.environ[URL] = url
    store = trip_store(url)
    await store.upgrade()
    await store.engine.dispose()
    connection = await asyncpg.connect(url)
    await connection.execute(TABLES)
    await connection.close()


@asynccontextmanager
async def nursery(url: str, runtime: str = "tests.chaos.trip:trip_runtime") -> AsyncIterator[Crew]:
    """A crew whose workers make their `runtime` over the database at `url`; all of it is gone at the end."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.nursery", url, runtime, stdin=pipe, stdout=pipe
    )
    crew = Crew(process)
    try:
        yield crew
    finally:
        for pid in crew.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.kill()
        await process.wait()


async def _break_things(plan: Plan, cluster: Cluster, lines: Lines, crew: Crew, chance: random.Random) -> None:
    """Kill, crash and cut, while new instances come in, each between two pieces of work."""
    blows = ["kill"] * plan.kills + ["restart"] * plan.restarts + ["cut"] * plan.cuts
    chance.shuffle(blows)
    created = 0
    async with trip_runtime(lines.url(cluster.url)) as runtime:
        for number, blow in enumerate(blows, start=1):
            due = plan.instances * number // len(blows)
            await asyncio.gather(*(_begin(runtime, plan.seed, index) for index in range(created, due)))
            created = due
            await lines.after(chance.randint(20, 400), at_most=2)
            match blow:
                case "kill":
                    await crew.kill_one(chance)
                case "restart":
                    await asyncio.to_thread(cluster.crash_and_recover)
                case _:
                    lines.cut(0.3, chance)


async def _begin(runtime: WorkflowRuntime, seed: int, index: int) -> None:
    """Create one instance and let it go, as often as it takes: the keys make sure that it happens once."""
    for _ in range(200):
        try:
            instance = await runtime.create_instance("trip", idempotency_key=f"{seed}:{index}")
            await runtime.trigger_event(instance.id, "go", idempotency_key="go")
        except (DetentError, OSError):
            await asyncio.sleep(0.05)
        else:
            return
    raise RuntimeError(f"instance {index} could not be begun")


async def _wait(url: str, lines: Lines, patience: float) -> None:
    until = time.monotonic() + patience
    while await unfinished(url) and time.monotonic() < until:
        await lines.after(500, at_most=0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in asdict(Plan()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    plan = Plan(**vars(parser.parse_args()))
    story = asyncio.run(chaos(plan))
    told = {**asdict(plan), "connections_cut": story.connections_cut, "seconds": round(story.seconds, 1)}
    for name, value in {**told, **asdict(story.findings)}.items():
        print(f"{name:>24}  {value}")
    if story.findings.faults or story.findings.finished != plan.instances:
        sys.exit(f"FAULTS: {story.findings.faults}")
    print("                          nothing lost, nothing doubled, nothing stuck")


if __name__ == "__main__":
    main()
