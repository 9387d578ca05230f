"""A herd of timeouts that fall due at once, over several workers: each fires once, and none is missed.

`python -m tests.chaos.herd` prints how long it took.
"""

import argparse
import asyncio
import os
import sys
import time
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from detent import WorkflowDefinition, WorkflowRuntime
from detent_pg import PgStore
from tests.chaos.chaos import nursery
from tests.chaos.cluster import Cluster
from tests.chaos.trip import POLL, URL

SLEEPER = WorkflowDefinition.from_dict(
    {
        "name": "sleeper",
        "initial_state": "asleep",
        "states": {"asleep": {"events": {"wake": {"target": "awake", "timeout": {"at": "until"}}}}, "awake": {}},
    }
)


def sleeper_runtime(url: str) -> WorkflowRuntime:
    """A runtime whose instances wake by themselves."""
    return WorkflowRuntime(store=PgStore.from_url(url, pool_size=4, max_overflow=8), definitions=[SLEEPER])


@dataclass(frozen=True)
class Herd:
    """What was found in the tables, and how long the firing took."""

    fired: int
    fired_twice: int
    missed: int
    early: int
    seconds: float

    @property
    def rate(self) -> float:
        """Timeouts per second."""
        return self.fired / self.seconds


async def herd(url: str, size: int, workers: int, *, lead: timedelta) -> Herd:
    """Let `size` timeouts fall due at the same instant, `lead` from now, while `workers` processes wait for it."""
    os.environ[POLL] = "0.5"
    async with sleeper_runtime(url) as runtime:
        until = (runtime.store.now() + lead).isoformat()
        for begun in range(0, size, 200):
            batch = range(begun, min(begun + 200, size))
            await asyncio.gather(*(runtime.create_instance("sleeper", context={"until": until}) for _ in batch))
    connection = await asyncpg.connect(url)
    try:
        async with nursery(url, "tests.chaos.herd:sleeper_runtime") as crew:
            for _ in range(workers):
                await crew.hire()
            await connection.fetchval("SELECT pg_sleep_until($1::text::timestamptz)", until)
            started = time.monotonic()
            while await connection.fetchval(_ASLEEP):
                await connection.fetchval("SELECT pg_sleep(0.05)")
            seconds = time.monotonic() - started
            crew.dismiss()
        fired, twice, missed, early = await connection.fetchrow(_COUNTS)
        return Herd(fired, twice, missed, early, seconds)
    finally:
        await connection.close()


_ASLEEP = "SELECT EXISTS (SELECT FROM detent_instances WHERE state = 'asleep')"

_COUNTS = """
SELECT
    (SELECT count(*) FROM detent_instances WHERE state = 'awake'),
    (SELECT count(*) FROM (SELECT FROM detent_history WHERE event = 'wake' GROUP BY instance_id HAVING count(*) > 1) AS twice),
    (SELECT count(*) FROM detent_instances WHERE state <> 'awake'),
    (SELECT count(*) FROM detent_history h JOIN detent_instances i ON i.id = h.instance_id
        WHERE h.event = 'wake' AND h.created_at < (i.context ->> 'until')::timestamptz)
"""


async def measured(size: int, workers: int) -> Herd:
    """Do it on a server of our own, and print what came of it."""
    with Cluster() as cluster:
        url = os.environ[URL] = cluster.url.render_as_string(hide_password=False)
        store = PgStore.from_url(url)
        await store.upgrade()
        await store.engine.dispose()
        found = await herd(url, size, workers, lead=timedelta(seconds=5 + size / 400))
    print(
        f"{found.fired} timeouts due at once over {workers} workers: {found.seconds:.1f} s, {found.rate:.0f} a second;"
    )
    print(f"fired twice {found.fired_twice}, missed {found.missed}, early {found.early}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    found = asyncio.run(measured(given.size, given.workers))
    if found.fired != given.size or found.fired_twice or found.missed or found.early:
        sys.exit("FAULTS")


if __name__ == "__main__":
    main()
