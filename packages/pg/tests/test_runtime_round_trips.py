"""The table of round trips in the design, for the verbs that users call: runtime, store and PostgreSQL together."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from detent import CommandContext, Fail, WorkflowDefinition, WorkflowInstance, WorkflowRuntime, command, guard
from detent.runtime.parts import Settings
from detent.testing.clock import FakeClock
from detent_pg import PgStore
from packages.pg.tests.orm import Note
from packages.pg.tests.wire import Wire

COUNTER = {
    "name": "counter",
    "initial_state": "low",
    "states": {
        "low": {
            "events": {
                "up": {"target": "high"},
                "check": {"target": "high", "guard": "always"},
                "hop": {"target": "middle"},
                "quiet": {"target": "high", "commands": ["nothing"]},
                "write": {"target": "high", "commands": ["write"]},
                "try": {"target": "high", "commands": ["try"]},
                "refuse": {"target": "high", "guard": "never"},
                "late": {"target": "high", "timeout": "1d"},
            }
        },
        "middle": {"on_enter": {"target": "high"}},
        "high": {"events": {"down": {"target": "low"}}},
    },
}
BORN = {
    "name": "born",
    "initial_state": "new",
    "states": {"new": {"on_enter": {"commands": ["nothing"], "target": "ready"}}, "ready": {"events": {}}},
}


@command("nothing")
async def nothing(ctx: CommandContext) -> None: ...


@command("write")
async def write(ctx: CommandContext) -> None:
    ctx.connection.add(Note(note=str(ctx.transition_id)))


@command("try", best_effort=True)
async def try_it(ctx: CommandContext) -> Fail:
    return Fail("no")


@guard("always")
def always(ctx: object) -> bool:
    return True


@guard("never")
def never(ctx: object) -> bool:
    return False


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def over(store: PgStore, clock: FakeClock, settings: Settings | None = None) -> WorkflowRuntime:
    return WorkflowRuntime(
        store=store,
        definitions=[WorkflowDefinition.from_dict(COUNTER), WorkflowDefinition.from_dict(BORN)],
        commands=[nothing, write, try_it],
        guards=[always, never],
        clock=clock,
        settings=settings,
    )


@pytest.fixture
async def runtime(wired: PgStore, clock: FakeClock) -> AsyncIterator[WorkflowRuntime]:
    async with over(wired, clock) as runtime:
        yield runtime


@pytest.fixture
async def forgetful(wired: PgStore, clock: FakeClock) -> AsyncIterator[WorkflowRuntime]:
    """A runtime to which every instance is as one that it has never seen."""
    async with over(wired, clock, Settings(remember=0)) as forgetful:
        yield forgetful


Work = Callable[[], Awaitable[object]]


async def trips_of(wire: Wire, work: Work, *, between: Work | None = None) -> int:
    """How many round trips `work` takes once every statement is prepared."""
    for _ in range(2):
        await work()
        if between is not None:
            await between()
    with wire.recording() as trips:
        await work()
    return len(trips)


@pytest.mark.parametrize(
    ("event", "knows_its_workflow", "limit"),
    [
        ("up", True, 2),
        ("up", False, 2),
        ("check", True, 2),
        ("hop", True, 2),
        ("refuse", True, 2),
        ("quiet", True, 4),
        ("quiet", False, 5),
        ("write", True, 5),
        ("try", True, 6),
    ],
)
async def test_an_event_takes_what_the_table_allows(
    wire: Wire, forgetful: WorkflowRuntime, event: str, knows_its_workflow: bool, limit: int
) -> None:
    assert await trips_of_event(wire, forgetful, event, knows_its_workflow=knows_its_workflow) == limit


@pytest.mark.parametrize(
    ("event", "limit"), [("up", 1), ("check", 1), ("hop", 1), ("refuse", 1), ("quiet", 4), ("write", 5), ("try", 6)]
)
async def test_an_event_on_an_instance_that_was_seen_is_not_preceded_by_a_read(
    wire: Wire, runtime: WorkflowRuntime, event: str, limit: int
) -> None:
    assert await trips_of_event(wire, runtime, event, knows_its_workflow=False) == limit


async def trips_of_event(wire: Wire, runtime: WorkflowRuntime, event: str, *, knows_its_workflow: bool) -> int:
    instance = await runtime.create_instance("counter")

    async def take() -> None:
        handle = runtime.get_handle(instance if knows_its_workflow else instance.id)
        await handle.trigger_event(event)

    async def back() -> None:
        if (await runtime.get_instance(instance.id)).state == "high":
            await runtime.trigger_event(instance.id, "down")

    return await trips_of(wire, take, between=back)


@pytest.mark.parametrize(("workflow", "limit"), [("counter", 1), ("born", 4)])
async def test_a_creation_takes_what_the_table_allows(
    wire: Wire, runtime: WorkflowRuntime, workflow: str, limit: int
) -> None:
    assert await trips_of(wire, lambda: runtime.create_instance(workflow)) == limit


@pytest.mark.parametrize(("workflow", "limit"), [("counter", 2), ("born", 5)])
async def test_a_keyed_creation_that_finds_one_takes_one_more(
    wire: Wire, runtime: WorkflowRuntime, workflow: str, limit: int
) -> None:
    async def found() -> WorkflowInstance:
        return await runtime.create_instance(workflow, idempotency_key="again")

    assert await trips_of(wire, found) <= limit


@pytest.mark.parametrize(("event", "limit"), [("up", 3), ("quiet", 4), ("write", 5), ("try", 6)])
async def test_a_lent_transaction_takes_savepoint_lock_and_write_and_the_release_of_what_commands_may_use(
    wire: Wire, forgetful: WorkflowRuntime, wired: PgStore, event: str, limit: int
) -> None:
    assert await trips_in_a_lent_one(wire, forgetful, wired, event) == limit


async def test_a_lent_transaction_takes_savepoint_and_write_where_the_instance_was_seen(
    wire: Wire, runtime: WorkflowRuntime, wired: PgStore
) -> None:
    assert await trips_in_a_lent_one(wire, runtime, wired, "up") == 2


async def trips_in_a_lent_one(wire: Wire, runtime: WorkflowRuntime, wired: PgStore, event: str) -> int:
    async def joined() -> int:
        instance = await runtime.create_instance("counter")
        async with AsyncSession(wired.engine) as session:
            await session.execute(text("SELECT 1"))
            with wire.recording() as trips:
                await runtime.trigger_event(instance.id, event, connection=session)
            await session.commit()
        return len(trips)

    await joined()
    return await joined()


async def test_due_timeouts_without_commands_are_four_for_the_whole_batch(
    wire: Wire, runtime: WorkflowRuntime, clock: FakeClock
) -> None:
    async def sweep() -> int:
        for _ in range(30):
            await runtime.create_instance("counter")
        clock.advance(timedelta(days=1))
        with wire.recording() as trips:
            report = await runtime.process_timeouts(limit=30)
        assert report.processed == 30
        return len(trips)

    await sweep()
    assert await sweep() == 4


async def test_looking_takes_one_round_trip_each(wire: Wire, runtime: WorkflowRuntime) -> None:
    instance = await runtime.create_instance("counter")
    handle = runtime.get_handle(instance.id)
    for look in (handle.get_instance, handle.get_available_events, handle.get_history):
        assert await trips_of(wire, look) == 1


async def test_an_instance_passed_for_its_id_saves_the_read_that_finds_its_workflow(
    wire: Wire, forgetful: WorkflowRuntime
) -> None:
    instance = await forgetful.create_instance("counter")

    async def back() -> None:
        await forgetful.trigger_event(instance, "down")

    assert await trips_of(wire, lambda: forgetful.trigger_event(instance, "quiet"), between=back) == 4
