"""Processes that share nothing but the database."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process

from detent.ids import new_id
from detent.testing.store_contract.samples import advance, assert_whole, created
from detent_pg import PgStore

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


async def test_the_health_of_a_store(store: PgStore) -> None:
    health = await store.health()

    assert health.ok
    assert health.detail == f"PostgreSQL {health.server_version}"
    assert health.schema_version == 1
    assert health.latency is not None
    assert 0 < health.latency < 5
    assert store.pool_stats().size == 10
