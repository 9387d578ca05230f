"""What the SQL looks like: bound, never spelled out, and served by the indexes."""

import pytest
from sqlalchemy import Executable, text
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from detent.store.change import PutReceipt
from detent.testing.store_contract.samples import (
    DAY,
    NOW,
    advance,
    created,
    creation,
    definition,
    receipt,
    receipt_key,
    remembered,
    step,
)
from detent_pg import PgStore
from detent_pg.names import Names
from detent_pg.schema import tables
from detent_pg.statements import definitions, locking, reading, writing

TABLES = tables(Names())
ALL: dict[str, Executable] = {
    "read": reading.read(TABLES, keyed=True),
    "receipt": reading.receipt(TABLES),
    "existing": reading.existing(TABLES),
    "history": reading.history(TABLES),
    "applied": reading.applied(TABLES),
    "lock": locking.lock(TABLES, keyed=True, wait=True, lent=False),
    "lock in a lent transaction": locking.lock(TABLES, keyed=True, wait=True, lent=True),
    "claim": locking.claim(TABLES),
    "write": writing.write(TABLES, limited=True),
    "create": writing.create(TABLES, lent=False),
    "create in a lent transaction": writing.create(TABLES, lent=True),
    "disarm": writing.disarm(TABLES),
    "save definitions": definitions.save(TABLES),
    "load definitions": definitions.load_all(TABLES),
}
EVIL = "Robert'); DROP TABLE students; --"


@pytest.mark.parametrize("name", ALL)
def test_a_statement_spells_out_nothing_but_the_status_that_can_be_due(name: str) -> None:
    sql = str(ALL[name].compile(dialect=dialect()))  # type: ignore[attr-defined]

    assert sql.replace("'active'", "").count("'") == 0
    assert "%(" not in sql


async def test_no_value_of_a_caller_reaches_the_text_of_a_statement(store: PgStore, record_sql: list[str]) -> None:
    key = receipt_key(EVIL, scope=EVIL, tenant=EVIL)
    record = await created(store, creation(key=key, context={EVIL: EVIL}, due=NOW - DAY))
    change = step(record, context={EVIL: EVIL}, effects=(PutReceipt(receipt(receipt_key(EVIL), record.id)),))

    await store.apply(record.id, lambda *_: (change, None), key=key, now=NOW)
    await store.fire_due(advance, limit=10, now=NOW)
    await store.save_definitions([definition(EVIL, workflow=EVIL)])
    await store.load_definition(EVIL, EVIL)

    assert (await remembered(store, record.id, key)) is not None
    assert len(record_sql) > 5
    assert not [sql for sql in record_sql if "Robert" in sql]


async def test_what_is_due_is_found_by_its_index(store: PgStore) -> None:
    sql = str(locking.claim(TABLES).compile(dialect=dialect()))
    asked = {
        "$1::TIMESTAMP WITH TIME ZONE": "NULL::timestamptz",
        "$2::TEXT[]": "'{order}'::text[]",
        "$3::INTEGER": "500",
    }
    literal = sql
    for parameter, value in asked.items():
        literal = literal.replace(parameter, value)

    async with store.engine.begin() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join((await connection.exec_driver_sql(f"EXPLAIN {literal}")).scalars())

    assert "Index Scan using detent_instances_due_at_idx" in plan
    assert "Index Cond: (due_at <=" in plan
