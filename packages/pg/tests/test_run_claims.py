"""How PostgreSQL finds the runs that a claim takes, whatever its strategy: by the index that keeps them in order."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from detent.store.run_records import FetchStrategy
from detent.testing.store_contract.samples import MINUTE, NOW, a_claim, accepted
from detent_pg import PgStore
from detent_pg.names import Names
from detent_pg.schema import tables
from detent_pg.statements import runs
from detent_pg.statements.arrays import arrays
from packages.pg.tests.planned import plan
from packages.pg.tests.wire import Wire

TABLES = tables(Names())
ASKED: Mapping[str, Any] = {
    "queues": None,
    "except_queues": [],
    "workflows": ["order"],
    "instances": None,
    "of_tenant": None,
    "states": ["new"],
    "claimant": "one",
    "lease": MINUTE,
    "limit": 1,
    "among": 1000,
    "now": NOW,
    **arrays("refused", [], ("workflow", "definition_version")),
}
READ = {
    FetchStrategy.OLDEST: "Index Scan using detent_runs_turn_idx",
    FetchStrategy.NEWEST: "Index Scan Backward using detent_runs_turn_idx",
    FetchStrategy.RANDOM: "Index Scan using detent_runs_turn_idx",
}


@pytest.mark.parametrize("strategy", FetchStrategy)
async def test_the_runs_that_wait_are_read_in_order_and_not_sorted(store: PgStore, strategy: FetchStrategy) -> None:
    await asyncio.gather(*(accepted(store, available_at=NOW - n * MINUTE) for n in range(300)))
    async with store.engine.connect() as connection:
        await connection.exec_driver_sql("ANALYZE detent_runs, detent_instances")
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")

        planned = await plan(connection, runs.claim(TABLES, strategy, of_states=True), ASKED)

    assert READ[strategy] in planned, planned


@pytest.mark.parametrize("of_states", [False, True])
@pytest.mark.parametrize("strategy", FetchStrategy)
def test_a_claim_spells_out_nothing_but_statuses(strategy: FetchStrategy, of_states: bool) -> None:
    sql = str(runs.claim(TABLES, strategy, of_states=of_states).compile(dialect=dialect()))

    for word in ("'pending'", "'running'", "'active'"):
        sql = sql.replace(word, "")
    assert "'" not in sql
    assert "%(" not in sql


def test_a_claim_that_asks_for_no_states_and_no_order_has_no_part_for_them() -> None:
    sql = str(runs.claim(TABLES))

    assert "detent_runs.state " not in sql
    assert (" random()" in sql, "first" in sql) == (False, False)


@pytest.mark.parametrize("strategy", FetchStrategy)
async def test_a_claim_is_one_round_trip_whatever_its_strategy(
    wire: Wire, wired: PgStore, strategy: FetchStrategy
) -> None:
    async def claimed_once() -> list[str]:
        await accepted(wired)
        with wire.recording() as trips:
            assert len(await wired.runs.claim(a_claim(strategy=strategy, states=("new",)), now=NOW)) == 1
        return trips

    await claimed_once()
    assert len(await claimed_once()) == 1
