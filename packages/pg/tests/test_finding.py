"""Looking for instances: which index serves what, and that none of them makes a step dearer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from detent.ids import new_id
from detent.store.change import Change, PutReceipt
from detent.store.query import InstanceQuery, Order, Position, Span
from detent.store.records import Status, WorkflowInstance
from detent.testing.store_contract.samples import NOW, created, creation, receipt, receipt_key, step
from detent_pg import PgStore
from detent_pg.names import Names
from detent_pg.schema import tables
from detent_pg.statements import finding, locking
from packages.pg.tests.planned import generic_plan, plan

TABLES = tables(Names())
NEWEST = Order()
PARENT = UUID(int=7)
LIVE = (Status.ACTIVE, Status.PAUSED)
HERE = Position(instance_id=UUID(int=5), instant=NOW - timedelta(minutes=500))

MANY = text("""
    INSERT INTO detent_instances
    SELECT gen_random_uuid(), 'flow' || n % 5, (n % 3)::text, 'new', (ARRAY['active', 'completed', 'paused'])[1 + n % 3], 1,
           '{}', jsonb_build_object('customer', n), '[]', CASE WHEN n % 3 = 0 THEN at END, at, at, at,
           CASE WHEN n % 3 = 1 THEN at END, CASE WHEN n % 100 = 0 THEN at END, 'tenant' || n % 20,
           CASE WHEN n % 100 = 1 THEN CAST(:parent AS uuid) END
    FROM (SELECT n, CAST(:now AS timestamptz) - n * interval '1 minute' AS at FROM generate_series(1, 3000) AS n) AS numbered""")

Asked = tuple[InstanceQuery, Order, Position | None]
SERVED: dict[str, tuple[Asked, str]] = {
    "everything": ((InstanceQuery(), NEWEST, None), "created_at"),
    "a page of everything": ((InstanceQuery(), NEWEST, HERE), "created_at"),
    "a workflow": ((InstanceQuery(workflows=("flow1",), tenant=""), NEWEST, None), "workflow"),
    "metadata": ((InstanceQuery(metadata={"customer": 7}), NEWEST, None), "metadata"),
    "the live ones of a version": (
        (InstanceQuery(workflows=("flow1",), versions=("1",), statuses=LIVE), NEWEST, None),
        "live",
    ),
    "the paused ones of a version": (
        (InstanceQuery(workflows=("flow1",), versions=("1",), statuses=(Status.PAUSED,)), NEWEST, None),
        "live",
    ),
    "parked": ((InstanceQuery(parked=True), Order("parked_at", descending=False), None), "parked_at"),
    "a page of parked": ((InstanceQuery(parked=True), Order("parked_at", descending=False), HERE), "parked_at"),
    "long finished": (
        (
            InstanceQuery(workflows=("flow1",), finished=Span(until=NOW - timedelta(days=1))),
            Order("finished_at", descending=False),
            None,
        ),
        "finished_at",
    ),
    "children": ((InstanceQuery(parent_id=PARENT), NEWEST, None), "parent_id"),
    "a tenant": ((InstanceQuery(tenant="tenant7"), NEWEST, None), "tenant"),
    "a page of a tenant": ((InstanceQuery(tenant="tenant7"), NEWEST, HERE), "tenant"),
}
WHATEVER_IS_ASKED = ("the live ones of a version", "parked", "long finished", "children", "a tenant")
"""Those whose index is partial: it must serve without the planner knowing the parameters."""


@pytest.fixture
async def many(store: PgStore) -> AsyncIterator[AsyncConnection]:
    """A transaction with three thousand instances, which the planner knows of, and prefers any index to reading all."""
    async with store.engine.connect() as connection:
        await connection.execute(MANY, {"now": NOW, "parent": PARENT})
        await connection.exec_driver_sql("ANALYZE detent_instances")
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        yield connection


@pytest.mark.parametrize("name", SERVED)
async def test_what_is_asked_for_often_is_found_by_an_index(many: AsyncConnection, name: str) -> None:
    (query, order, after), index = SERVED[name]
    asked = finding.asked(query)
    statement = finding.find(TABLES, frozenset(asked), order, paged=after is not None)

    planned = await plan(many, statement, {**asked, **finding.behind(after), "limit": 20})

    assert f"detent_instances_{index}_idx" in planned, planned
    # A page is walked to where it begins, and what is before it is not read.
    assert (after is None) or "Index Cond: " in planned


@pytest.mark.parametrize("name", WHATEVER_IS_ASKED)
async def test_a_partial_index_serves_whatever_the_parameters_are(many: AsyncConnection, name: str) -> None:
    (query, order, _), index = SERVED[name]

    planned = await generic_plan(many, finding.find(TABLES, frozenset(finding.asked(query)), order, paged=False))

    assert f"detent_instances_{index}_idx" in planned, planned


@pytest.mark.parametrize("workflows", [None, ["flow1", "flow2"]], ids=["any", "some"])
async def test_what_is_due_is_found_by_its_index(many: AsyncConnection, workflows: list[str] | None) -> None:
    asked = {"now": NOW, "workflows": workflows, "tenant": None, "limit": 50}

    planned = await plan(many, locking.claim(TABLES), asked)

    assert "Index Scan using detent_instances_due_at_idx" in planned, planned
    assert "Index Cond: (due_at <=" in planned


async def test_live_instances_are_counted_by_version_in_their_index(many: AsyncConnection) -> None:
    asked = finding.asked(InstanceQuery(workflows=("flow1",), statuses=LIVE))

    planned = await plan(many, finding.count(TABLES, frozenset(asked), ("definition_version",)), asked)

    assert "detent_instances_live_idx" in planned, planned


def test_other_values_are_the_same_statement() -> None:
    one = InstanceQuery(workflows=("a", "b"), states=("x",), created=Span(since=NOW), metadata={"a": 1}, tenant="t")
    other = InstanceQuery(
        workflows=("c", "d", "e"),
        states=("y", "z"),
        created=Span(since=NOW + timedelta(1)),
        metadata={"b": [2]},
        tenant="u",
    )

    shapes = [frozenset(finding.asked(query)) for query in (one, other)]

    assert shapes[0] == shapes[1]
    assert finding.find(TABLES, shapes[0], NEWEST, paged=True) is finding.find(TABLES, shapes[1], NEWEST, paged=True)


async def test_a_step_updates_its_row_in_its_page_and_no_index(store: PgStore) -> None:
    """PostgreSQL calls it HOT: no column that an index has, or is partial to, may have changed."""
    full = creation().instance
    record = await created(store, whole(replace(full, tenant="acme", parent_id=new_id(), metadata={"customer": 7})))

    async with counted_updates(store) as (connection, updates):
        for _ in range(5):
            async with store.join(connection, record.id) as unit:
                assert unit.record is not None
                await unit.write(step(unit.record, context={"step": unit.record.version}))

    assert updates == {"all": 5, "hot": 5}


async def test_a_step_that_only_leaves_receipts_does_not_touch_the_row(store: PgStore) -> None:
    record = await created(store)
    left = PutReceipt(receipt(receipt_key(scope=str(record.id)), record.id))

    async with counted_updates(store) as (connection, updates), store.join(connection, record.id) as unit:
        await unit.write(Change(record, record.version, new_id(), (), (left,)))

    assert updates == {"all": 0, "hot": 0}
    assert await store.load(record.id) == record


@asynccontextmanager
async def counted_updates(store: PgStore) -> AsyncIterator[tuple[AsyncConnection, dict[str, int]]]:
    """A transaction to join; after it, how many rows of instances it updated, and how many of those in their page."""
    counted = text(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relid = 'detent_instances'::regclass"
    )
    updates: dict[str, int] = {}
    async with store.engine.begin() as connection:
        # It has what this session did before and has not reported yet.
        before = (await connection.execute(counted)).one()
        yield connection, updates
        after = (await connection.execute(counted)).one()
        updates.update({"all": after[0] - before[0], "hot": after[1] - before[1]})


def whole(instance: WorkflowInstance) -> Change:
    """The creation of this very instance."""
    change = creation()
    return replace(
        change,
        instance=instance,
        entries=tuple(replace(entry, instance_id=instance.id) for entry in change.entries),
    )
