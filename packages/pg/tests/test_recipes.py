"""The recipes of docs/operating.md do what the page says of them, beyond that they run (`tests/test_docs.py`)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection

from detent.ids import new_id
from detent.store.query import InstanceQuery, Order
from detent.testing.store_contract.samples import created, creation, creation_with, loaded, removal, step
from detent_pg import PgStore
from detent_pg.names import Names
from detent_pg.refusals import Unstorable
from detent_pg.schema import tables
from detent_pg.statements import finding
from packages.pg.tests.planned import plan
from tests.databases import database_beside
from tests.test_docs import DOCS, page_of, statements

RECIPES = [block.text for block in page_of(DOCS / "operating.md").blocks if block.language == "sql"]
MANY = text("""
    INSERT INTO detent_instances (id, workflow, definition_version, state, status, version, context, metadata, timers,
                                  entered_at, created_at, updated_at)
    SELECT gen_random_uuid(), 'claim', '1', 'open', 'active', 1, jsonb_build_object('customer', 'c' || n), '{}', '[]',
           now(), now(), now()
    FROM generate_series(1, 3000) AS n""")


@pytest.fixture
async def followed(postgres_url: URL) -> AsyncIterator[PgStore]:
    """A store on a database where every recipe was followed."""
    async with database_beside(postgres_url) as url:
        store = PgStore.from_url(url)
        await store.upgrade()
        await store.open()
        async with store.engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            for recipe in RECIPES:
                for statement in statements(recipe):
                    await driver.execute(statement)
        yield store
        await store.close()


@pytest.fixture
async def many(followed: PgStore) -> AsyncIterator[AsyncConnection]:
    """A transaction with three thousand claims, which the planner knows of."""
    async with followed.engine.connect() as connection:
        await connection.execute(MANY)
        await connection.exec_driver_sql("ANALYZE detent_instances")
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        yield connection


def first_id_of(month: datetime) -> UUID:
    return UUID(int=int(month.timestamp() * 1000) << 80)


def month_from_now(count: int) -> datetime:
    now = datetime.now(UTC)
    years, month = divmod(now.month - 1 + count, 12)
    return datetime(now.year + years, month + 1, 1, tzinfo=UTC)


async def test_the_expression_index_serves_sql_of_the_applications_own(many: AsyncConnection) -> None:
    asked = text("SELECT id FROM detent_instances WHERE workflow = 'claim' AND context ->> 'customer' = 'c7'")

    planned = await plan(many, asked, {})

    assert "claims_by_customer" in planned, planned


async def test_the_gin_index_serves_find_instances(many: AsyncConnection) -> None:
    asked = finding.asked(InstanceQuery(context={"customer": "c7"}))
    statement = finding.find(tables(Names()), frozenset(asked), Order(), paged=False)

    planned = await plan(many, statement, {**asked, "limit": 20})

    assert "instances_by_context" in planned, planned


@pytest.mark.parametrize(("months", "partition"), [(0, "until_now"), (1, "%Y_%m"), (12, "%Y_%m")])
async def test_rows_lie_in_the_partition_of_the_month_their_instance_was_created_in(
    followed: PgStore, months: int, partition: str
) -> None:
    month = month_from_now(months)
    record = await created(followed, creation_with(id=first_id_of(month)))
    await followed.apply(record.id, lambda current, *_: (step(current), None))
    await followed.remove([removal(await loaded(followed, record.id))])
    again = await created(followed, creation_with(id=first_id_of(month)))

    async with followed.engine.connect() as connection:
        for table in ("history", "archive"):
            found = await connection.execute(
                text(f"SELECT tableoid::regclass::text FROM detent_{table} WHERE instance_id = :id"), {"id": again.id}
            )
            assert found.scalars().all() == [f"detent_{table}_{month.strftime(partition)}"]


async def test_a_month_without_a_partition_takes_nothing(followed: PgStore) -> None:
    with pytest.raises(Unstorable) as told:
        await followed.create(creation_with(id=first_id_of(month_from_now(13))))
    assert "no partition of relation" in str(told.value.__cause__)


async def test_ids_of_today_lie_before_next_month(followed: PgStore) -> None:
    assert new_id() < first_id_of(datetime.now(UTC) + timedelta(minutes=1))
    record = await created(followed, creation())
    async with followed.engine.connect() as connection:
        found = await connection.execute(text("SELECT first_id_of(timestamp '2026-03-01')"))
        assert found.scalar_one() == first_id_of(datetime(2026, 3, 1, tzinfo=UTC))
        gone = await connection.execute(
            text("SELECT count(*) FROM detent_history_until_now WHERE instance_id = :id"), {"id": record.id}
        )
        assert gone.scalar_one() == 1


async def test_history_goes_with_its_instance(followed: PgStore) -> None:
    record = await created(followed)

    assert list(await followed.remove([removal(record)])) == [record.id]

    async with followed.engine.connect() as connection:
        left = await connection.execute(text("SELECT count(*) FROM detent_history"))
        assert left.scalar_one() == 0
