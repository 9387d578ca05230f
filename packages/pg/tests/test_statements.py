"""What the SQL looks like: bound, never spelled out. Which indexes serve it is in `test_finding.py`."""

from dataclasses import replace

import pytest
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from detent.store.change import PutReceipt, Removal
from detent.store.query import InstanceQuery, Order, Position
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
    removal,
    step,
)
from detent_pg import PgStore
from detent_pg.names import Names
from detent_pg.schema import tables
from detent_pg.statements import archive, definitions, finding, locking, reading, values, writing
from packages.pg.tests.wire import Wire

TABLES = tables(Names())
EVERYTHING = frozenset(finding._CONDITIONS)
ALL: dict[str, Executable] = {
    "read": reading.read(TABLES, keyed=True),
    "receipt": reading.receipt(TABLES),
    "existing": reading.existing(TABLES),
    "many existing": reading.existing_many(TABLES),
    "history": reading.history(TABLES),
    "applied": reading.applied(TABLES),
    "lock": locking.lock(TABLES, keyed=True, wait=True, lent=False),
    "lock in a lent transaction": locking.lock(TABLES, keyed=True, wait=True, lent=True),
    "claim": locking.claim(TABLES),
    "write": writing.write(TABLES, writing.Rows.PASSED_OVER),
    "create": writing.create(TABLES, lent=False),
    "create in a lent transaction": writing.create(TABLES, lent=True),
    "put": writing.put(TABLES, writing.Rows.AWAITED),
    "disarm": writing.disarm(TABLES),
    "find": finding.find(TABLES, EVERYTHING, Order("due_at"), paged=True),
    "count": finding.count(TABLES, EVERYTHING, ("workflow", "state")),
    "remove": archive.remove(TABLES, lent=False),
    "remove in a lent transaction": archive.remove(TABLES, lent=True),
    "load archived": archive.load(TABLES),
    "prune history": archive.prune_history(TABLES),
    "prune receipts": archive.prune_receipts(TABLES),
    "list definitions": definitions.load_of(TABLES),
    "save definitions": definitions.save(TABLES),
    "load definitions": definitions.load_all(TABLES),
    "put a value": values.put(TABLES, overwrite=False),
    "overwrite a value": values.put(TABLES, overwrite=True),
    "load values": values.load(TABLES),
    "sizes of values": values.sizes(TABLES),
    "remove values": values.remove(TABLES),
}
EVIL = "Robert'); DROP TABLE students; --"


@pytest.mark.parametrize("name", ALL)
def test_a_statement_spells_out_nothing_but_what_indexes_are_partial_to(name: str) -> None:
    sql = str(ALL[name].compile(dialect=dialect()))  # type: ignore[attr-defined]

    for word in ("'active'", "'paused'", "''"):
        sql = sql.replace(word, "")
    assert "'" not in sql
    assert "%(" not in sql


async def test_no_value_of_a_caller_reaches_the_text_of_a_statement(wired: PgStore, wire: Wire) -> None:
    with wire.recording() as texts:
        await use_every_statement(wired)
    assert len(texts) > 5
    assert not [sql for sql in texts if "Robert" in sql]


async def use_every_statement(store: PgStore) -> None:
    key = receipt_key(EVIL, scope=EVIL, tenant=EVIL)
    record = await created(store, creation(key=key, context={EVIL: EVIL}, due=NOW - DAY))
    change = step(record, context={EVIL: EVIL}, effects=(PutReceipt(receipt(receipt_key(EVIL), record.id)),))

    await store.apply(record.id, lambda *_: (change, None), key=key, now=NOW)
    await store.fire_due(advance, limit=10, now=NOW)
    await store.save_definitions([definition(EVIL, workflow=EVIL)])
    await store.load_definition(EVIL, EVIL)
    await store.list_definitions([EVIL])
    await store.recall(key)
    query = InstanceQuery(
        workflows=(EVIL,), versions=(EVIL,), states=(EVIL,), metadata={EVIL: EVIL}, context={EVIL: [EVIL]}, tenant=EVIL
    )
    await store.find(query, order=Order(), limit=5, after=Position(record.id, NOW))
    await store.count(query, group_by=("state",))
    await store.values.put(record.id, EVIL, EVIL)
    assert await store.values.load(record.id, [EVIL]) == {EVIL: EVIL}
    assert await store.values.delete(record.id, [EVIL]) == 1
    other = await created(store)
    entry = replace(removal(other).entry, workflow=EVIL, tenant=EVIL, reason=EVIL, document={EVIL: EVIL})
    assert list(await store.remove([Removal(1, entry)])) == [other.id]
    assert await store.load_archived(other.id) == entry

    assert (await remembered(store, record.id, key)) is not None
