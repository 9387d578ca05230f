"""Retention and deletion on PostgreSQL: in batches, beside steps, and in a session of the application."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from detent import Removed, RetentionPolicy, WorkflowDefinition, WorkflowObserver, WorkflowRuntime, read_archived
from detent.errors import InstanceNotFound
from detent.testing.clock import FakeClock
from detent_pg import PgStore

CASE = WorkflowDefinition.from_dict(
    {
        "name": "case",
        "initial_state": "open",
        "states": {
            "open": {"events": {"note": {"target": "open"}, "close": {"target": "closed", "timeout": "400d"}}},
            "closed": {},
        },
    }
)
POLICIES = [
    RetentionPolicy("case", after="30d", statuses=["completed"], action="archive", keep_history="60d"),
    RetentionPolicy("case", after="1d", statuses=["cancelled"]),
]


class Gone(WorkflowObserver):
    """Remembers who was removed."""

    def __init__(self) -> None:
        self.ids: list[UUID] = []

    async def on_removed(self, removed: Removed) -> None:
        self.ids.append(removed.instance.id)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def gone() -> Gone:
    return Gone()


@pytest.fixture
async def runtime(store: PgStore, clock: FakeClock, gone: Gone) -> AsyncIterator[WorkflowRuntime]:
    async with WorkflowRuntime(
        store=store, definitions=[CASE], clock=clock, observers=[gone], retention=POLICIES
    ) as runtime:
        yield runtime


async def closed(runtime: WorkflowRuntime) -> UUID:
    made = await runtime.create_instance("case", context={"size": 2**70, "names": ["ü"]})
    await runtime.trigger_event(made.id, "close", idempotency_key="close")
    return made.id


async def rows(store: PgStore, table: str) -> int:
    async with store.engine.connect() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM detent_{table}"))).scalar_one())


async def test_policies_take_out_rows_and_all_that_hangs_on_them(
    runtime: WorkflowRuntime, store: PgStore, clock: FakeClock, gone: Gone
) -> None:
    kept = [await closed(runtime) for _ in range(5)]
    records = {one: (await runtime.get_instance(one), await runtime.get_history(one)) for one in kept}
    cancelled, live = await runtime.create_instance("case"), await runtime.create_instance("case")
    await runtime.cancel(cancelled.id)
    clock.advance("30d")

    report = await runtime.apply_retention(batch=2)

    assert (report.archived, report.deleted, report.failed, report.more) == (5, 1, 0, False)
    assert [await rows(store, table) for table in ("instances", "history", "receipts", "archive")] == [1, 1, 0, 6]
    for one, (record, history) in records.items():
        back = read_archived(await runtime.get_archived(one))
        assert (back.instance, list(back.history)) == (record, list(history)[::-1])
    assert (await runtime.get_archived(cancelled.id)).document is None
    assert (await runtime.get_instance(live.id)).status == "active"
    await runtime.settled()
    assert sorted(gone.ids) == sorted([*kept, cancelled.id])


async def test_old_history_of_a_live_instance_goes(runtime: WorkflowRuntime, clock: FakeClock) -> None:
    made = await runtime.create_instance("case")
    for _ in range(3):
        clock.advance("25d")
        await runtime.trigger_event(made.id, "note")

    assert (await runtime.apply_retention()).history_entries == 1

    assert [entry.sequence for entry in await runtime.get_history(made.id)] == [4, 3, 2]


async def test_a_row_that_a_step_holds_is_left_and_the_others_go(runtime: WorkflowRuntime, clock: FakeClock) -> None:
    store = runtime.store
    assert isinstance(store, PgStore)
    kept = [await closed(runtime) for _ in range(8)]
    clock.advance("30d")
    impatient = WorkflowRuntime(
        store=PgStore.from_url(store.engine.url, lock_timeout=0.05), definitions=[CASE], clock=clock, retention=POLICIES
    )
    async with impatient, AsyncSession(store.engine) as session:
        await runtime.patch_context(kept[3], {"held": True}, connection=session)

        report = await impatient.apply_retention()

        await session.rollback()
    assert (report.archived, report.failed) == (7, 1)
    assert [found.id for found in await runtime.find_instances()] == [kept[3]]


async def test_a_deletion_in_a_session_waits_for_its_commit(
    runtime: WorkflowRuntime, store: PgStore, gone: Gone
) -> None:
    one = await closed(runtime)
    async with AsyncSession(store.engine) as session:
        await runtime.delete(one, archive=True, connection=session)
        await session.rollback()
    assert (await runtime.get_instance(one)).state == "closed"

    async with AsyncSession(store.engine) as session:
        kept = await runtime.delete(one, archive=True, connection=session)
        with pytest.raises(InstanceNotFound):
            await runtime.get_instance(one, connection=session)
        assert (await runtime.get_instance(one)).state == "closed"
        await runtime.settled()
        assert gone.ids == []
        await session.commit()

    assert await runtime.get_archived(one) == kept
    await runtime.settled()
    assert gone.ids == [one]
