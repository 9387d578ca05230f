"""Processes that share nothing but the database."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process

from sqlalchemy import text

from detent.ids import new_id
from detent.testing.store_contract.samples import DAY, NOW, advance, assert_whole, created, creation
from detent_pg import PgStore, schema_version

STEPS = """
import asyncio, sys
from uuid import UUID
from detent.testing.store_contract.samples import advance
from detent_pg import PgStore

async def main(url, instance_id, count):
    store = PgStore.from_url(url, pool_size=4)
    await store.open()
    print("ready", flush=True)
    sys.stdin.readline()
    await asyncio.gather(*(store.apply(UUID(instance_id), advance) for _ in range(int(count))))
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""

HOLD = """
import asyncio, sys
from uuid import UUID
from detent.testing.store_contract.samples import step
from detent_pg import PgStore

async def main(url, instance_id):
    store = PgStore.from_url(url)
    await store.open()
    async with store.transaction(UUID(instance_id)) as unit:
        await unit.write(step(unit.record))
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


SWEEP = """
import asyncio, signal, sys
from detent.testing.store_contract.samples import NOW, advance
from detent_pg import PgStore

decided = 0

def decide(record, receipt, now):
    global decided
    decided += 1
    if decided == freeze_at:
        print("frozen", flush=True)
        signal.pause()
    return advance(record, receipt, now)

async def main(url):
    store = PgStore.from_url(url)
    await store.open()
    print("ready", flush=True)
    sys.stdin.readline()
    fired = 0
    while True:
        fired += len(batch := await store.fire_due(decide, limit=100, now=NOW))
        if not batch:
            await asyncio.sleep(0.02)
        print(fired, flush=True)

freeze_at = int(sys.argv[2])
asyncio.run(main(sys.argv[1]))
"""
"""Fires what is due in batches of 100 and says how many so far; freezes in the middle of one, rows in hand, if it is told to."""


async def started(program: str, store: PgStore, *arguments: object) -> Process:
    url = store.engine.url.render_as_string(hide_password=False)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, url, *map(str, arguments), stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def test_two_processes_on_one_instance_lose_nothing(store: PgStore) -> None:
    record = await created(store)

    async with asyncio.timeout(60):
        processes = [await started(STEPS, store, record.id, 25) for _ in range(2)]
        await asyncio.gather(*(process.communicate(b"go\n") for process in processes))

    assert [process.returncode for process in processes] == [0, 0]
    assert await assert_whole(store, record.id) == 51


async def test_a_process_that_is_killed_leaves_nothing_and_lets_go(store: PgStore) -> None:
    record = await created(store)

    async with asyncio.timeout(60):
        process = await started(HOLD, store, record.id)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert await store.apply(record.id, advance) == 2

    assert await assert_whole(store, record.id) == 2
    assert await store.load(new_id()) is None


async def test_a_sweeper_that_is_killed_costs_no_firing_and_holds_nobody_up(store: PgStore) -> None:
    await many_due(store, 1_000)

    async with asyncio.timeout(60):
        # The first has fired 200 and holds 100 more, half of them decided, when it freezes and then is killed.
        first, second = await started(SWEEP, store, 250), await started(SWEEP, store, 0)
        go(first)
        await heard(first, "frozen")
        go(second)
        await heard(second, "700")
        assert first.returncode is None
        assert await versions(store) == {1: 100, 2: 900}
        first.send_signal(signal.SIGKILL)
        await first.wait()
        await heard(second, "800")

    second.kill()
    await second.wait()
    assert await versions(store) == {2: 1_000}
    assert await entries(store) == {2: 1_000}


async def test_sweepers_at_full_speed_fire_each_row_once_though_one_is_killed(store: PgStore) -> None:
    await many_due(store, 1_000)

    async with asyncio.timeout(60):
        first, second = await started(SWEEP, store, 0), await started(SWEEP, store, 0)
        go(first)
        go(second)
        assert first.stdout is not None
        await first.stdout.readline()
        first.send_signal(signal.SIGKILL)
        await first.wait()
        while await versions(store) != {2: 1_000}:
            assert second.stdout is not None
            await second.stdout.readline()

    second.kill()
    await second.wait()
    assert await entries(store) == {2: 1_000}


async def many_due(store: PgStore, number: int) -> None:
    """So many instances that are due, with the history that they were created."""
    copies = text("""
        WITH made AS (
            INSERT INTO detent_instances
            SELECT (copy).* FROM (
                SELECT jsonb_populate_record(sample, jsonb_build_object('id', gen_random_uuid())) AS copy
                FROM detent_instances AS sample, generate_series(2, :number)
            ) AS copies RETURNING id)
        INSERT INTO detent_history
        SELECT (jsonb_populate_record(entry, jsonb_build_object('instance_id', made.id))).* FROM detent_history AS entry, made""")
    await created(store, creation(due=NOW - DAY))
    async with store.engine.begin() as connection:
        await connection.execute(copies, {"number": number})


async def versions(store: PgStore) -> dict[int, int]:
    """How many instances have which version."""
    return await tally(store, "SELECT version, count(*) FROM detent_instances GROUP BY 1")


async def entries(store: PgStore) -> dict[int, int]:
    """How many instances have a history of which length."""
    lengths = "SELECT count(*) AS length FROM detent_history GROUP BY instance_id"
    return await tally(store, f"SELECT length, count(*) FROM ({lengths}) AS histories GROUP BY 1")


async def tally(store: PgStore, query: str) -> dict[int, int]:
    async with store.engine.connect() as connection:
        return {row[0]: row[1] for row in await connection.execute(text(query))}


def go(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")


async def heard(process: Process, line: str) -> None:
    """Return once the process says this line."""
    assert process.stdout is not None
    while said := await process.stdout.readline():
        if said.decode().strip() == line:
            return
    raise AssertionError(f"the process ended before it said {line!r}")


async def test_the_health_of_a_store(store: PgStore) -> None:
    health = await store.health()

    assert health.ok
    assert health.detail == f"PostgreSQL {health.server_version}"
    assert health.schema_version == schema_version
    assert health.latency is not None
    assert 0 < health.latency < 5
    assert store.pool_stats().size == 10
