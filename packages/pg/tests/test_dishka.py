"""Inside a step the application's session is the step's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from dishka import STRICT_VALIDATION, AsyncContainer, FromDishka, Provider, Scope, make_async_container, provide
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from detent import (
    CommandContext,
    Fail,
    MemoryStore,
    WorkflowDefinition,
    WorkflowObserver,
    WorkflowRuntime,
    WorkflowService,
    command,
)
from detent.integrations.dishka import DishkaInjector, bind_runtime
from detent.runtime.injection import CannotInject
from detent_pg import PgStore
from detent_pg.dishka import PgWorkflowProvider

Started = Callable[..., Awaitable[WorkflowRuntime]]


class Notes:
    """A repository of the application: it knows nothing of workflows."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def add(self, note: str) -> None:
        await self.session.execute(text("INSERT INTO notes (note) VALUES (:note)"), {"note": note})


class App(Provider):
    """The application's own provider, with its usual session."""

    scope = Scope.REQUEST

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__()
        self.engine = engine
        self.opened = 0

    @provide
    async def session(self) -> AsyncIterator[AsyncSession]:
        self.opened += 1
        async with AsyncSession(self.engine) as session:
            yield session

    notes = provide(Notes)


@command("write")
class Write:
    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    async def __call__(self, ctx: CommandContext) -> Fail | None:
        assert self.notes.session is ctx.connection
        await self.notes.add("class")
        return Fail("refused") if ctx.subject == "fail" else None


@command("add")
async def add(ctx: CommandContext, notes: FromDishka[Notes], connection: FromDishka[AsyncConnection]) -> None:
    await notes.add("function")
    await connection.execute(text("INSERT INTO notes (note) VALUES ('core')"))
    if ctx.subject == "raise":
        raise LookupError("no")


@pytest.fixture
def app(store: PgStore) -> App:
    return App(store.engine)


@pytest.fixture
async def container(app: App) -> AsyncIterator[AsyncContainer]:
    made = make_async_container(app, PgWorkflowProvider(Write), validation_settings=STRICT_VALIDATION)
    yield made
    await made.close()


@pytest.fixture
async def started(store: PgStore, container: AsyncContainer) -> AsyncIterator[Started]:
    """Starts a runtime that is bound to the container, whose workflow `order` runs `commands` when it is paid."""
    async with AsyncExitStack() as stack:

        async def start(*commands: Any, store: Any = store, observers: Iterable[Any] = ()) -> WorkflowRuntime:
            names = [found.__detent_declared__.name for found in commands]
            pay = {"target": "paid", "error": "broke", "commands": names}
            states = {"new": {"events": {"pay": pay}}, "paid": {}, "broke": {}}
            order = WorkflowDefinition.from_dict({"name": "order", "initial_state": "new", "states": states})
            runtime = await stack.enter_async_context(
                WorkflowRuntime(
                    store=store,
                    definitions=[order],
                    commands=commands,
                    observers=observers,
                    injector=DishkaInjector(container),
                )
            )
            bind_runtime(container, runtime)
            return runtime

        yield start


@pytest.fixture
def noted(store: PgStore) -> Callable[[], Awaitable[list[str]]]:
    """What others see in the table of notes."""

    async def read() -> list[str]:
        async with store.engine.connect() as connection:
            return list((await connection.execute(text("SELECT note FROM notes ORDER BY id"))).scalars())

    return read


async def test_what_commands_write_through_the_applications_session_is_committed_with_the_state(started, noted, app):
    runtime = await started(Write, add)
    instance = await runtime.create_instance("order")
    assert (await runtime.trigger_event(instance.id, "pay")).outcome == "success"
    assert await noted() == ["class", "function", "core"]
    assert app.opened == 0


async def test_what_commands_write_is_rolled_back_with_the_state(started, noted):
    runtime = await started(Write, add)
    instance = await runtime.create_instance("order")
    with pytest.raises(LookupError):
        await runtime.trigger_event(instance.id, "pay", subject="raise")
    assert (await runtime.get_instance(instance.id)).state == "new"
    assert await noted() == []


async def test_what_was_written_before_a_fail_is_kept(started, noted):
    runtime = await started(Write, add)
    instance = await runtime.create_instance("order")
    assert (await runtime.trigger_event(instance.id, "pay", subject="fail")).to_state == "broke"
    assert await noted() == ["class"]


async def test_a_best_effort_command_takes_only_its_own_writes_with_it(started, noted):
    @command("try", best_effort=True)
    async def attempt(ctx: CommandContext, notes: FromDishka[Notes]) -> None:
        await notes.add("attempt")
        raise LookupError("never mind")

    runtime = await started(Write, attempt)
    instance = await runtime.create_instance("order")
    await runtime.trigger_event(instance.id, "pay")
    assert await noted() == ["class"]


async def test_outside_of_a_step_the_session_is_the_applications(started, container, app, noted):
    await started()
    async with container() as request:
        notes = await request.get(Notes)
        await notes.add("request")
        await notes.session.commit()
    assert app.opened == 1
    assert await noted() == ["request"]


async def test_a_request_that_lends_its_session_commits_all_of_it(started, container, noted):
    runtime = await started(Write, add)
    instance = await runtime.create_instance("order")
    async with container() as request:
        notes, service = await request.get(Notes), await request.get(WorkflowService)
        await notes.add("request")
        await service.within(notes.session).trigger_event(instance.id, "pay")
        assert await noted() == []
        await notes.session.commit()
    assert await noted() == ["request", "class", "function", "core"]
    assert (await runtime.get_instance(instance.id)).state == "paid"


async def test_a_request_that_lends_its_session_and_rolls_back_leaves_nothing(started, container, noted):
    runtime = await started(Write)
    instance = await runtime.create_instance("order")
    async with container() as request:
        session, service = await request.get(AsyncSession), await request.get(WorkflowService)
        await service.within(session).trigger_event(instance.id, "pay")
        await session.rollback()
    assert await noted() == []
    assert (await runtime.get_instance(instance.id)).state == "new"


async def test_a_lent_connection_is_under_the_session_of_the_step(started, store, noted):
    runtime = await started(Write)
    instance = await runtime.create_instance("order")
    async with store.engine.connect() as connection, runtime.transaction(connection):
        await runtime.trigger_event(instance.id, "pay", connection=connection)
        assert await noted() == []
    assert await noted() == ["class"]


async def test_a_finaliser_that_writes_is_part_of_the_step(store, noted):
    class Writing(App):
        @provide
        async def journal(self, notes: Notes) -> AsyncIterator[list[str]]:
            journal: list[str] = []
            yield journal
            for note in journal:
                await notes.add(note)

    @command("journal")
    async def write_journal(ctx: CommandContext, journal: FromDishka[list[str]]) -> None:
        journal += ["twice", "twice"] if ctx.subject == "raise" else ["once"]

    container = make_async_container(Writing(store.engine), PgWorkflowProvider())
    pay = {"target": "paid", "commands": ["journal"]}
    order = {"name": "order", "initial_state": "new", "states": {"new": {"events": {"pay": pay}}, "paid": {}}}
    async with WorkflowRuntime(
        store=store,
        definitions=[WorkflowDefinition.from_dict(order)],
        commands=[write_journal],
        injector=DishkaInjector(container),
    ) as runtime:
        instance = await runtime.create_instance("order")
        with pytest.raises(IntegrityError):
            await runtime.trigger_event(instance.id, "pay", subject="raise")
        assert (await runtime.get_instance(instance.id)).state == "new"
        assert await noted() == []
        await runtime.trigger_event(instance.id, "pay")
        assert await noted() == ["once"]
    await container.close()


async def test_a_service_in_a_command_is_part_of_the_step(started, recorder):
    @command("spawn")
    async def spawn(ctx: CommandContext, service: FromDishka[WorkflowService]) -> None:
        ctx.context["made"] = str((await service.create_instance("order")).id)
        if ctx.subject == "raise":
            raise LookupError("no")

    runtime = await started(spawn, observers=[recorder])
    instance = await runtime.create_instance("order")
    with pytest.raises(LookupError):
        await runtime.trigger_event(instance.id, "pay", subject="raise")
    result = await runtime.trigger_event(instance.id, "pay")
    await runtime.settled()
    made = await runtime.get_instance(result.instance.context["made"])
    assert made.state == "new"
    assert recorder.created == [instance.id, made.id]


class Recorder(WorkflowObserver):
    def __init__(self) -> None:
        self.created: list[Any] = []

    async def on_created(self, seen):
        self.created.append(seen.instance.id)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def test_an_observer_that_opens_a_scope_gets_the_applications_session(started, container, noted):
    class Watching(WorkflowObserver):
        async def on_transition(self, seen):
            async with container() as request:
                notes = await request.get(Notes)
                await notes.add("observer")
                await notes.session.commit()

    runtime = await started(Write, observers=[Watching()])
    instance = await runtime.create_instance("order")
    await runtime.trigger_event(instance.id, "pay")
    await runtime.settled()
    assert await noted() == ["class", "observer"]


async def test_cancelled_callers_leave_no_connection_behind(started, container, store):
    @command("wait")
    async def wait(ctx: CommandContext, notes: FromDishka[Notes]) -> None:
        await notes.add("waiting")
        ctx.subject.set()
        await asyncio.Event().wait()

    async def lend(instance_id: Any, running: asyncio.Event) -> None:
        async with container() as request:
            service = (await request.get(WorkflowService)).within(await request.get(AsyncSession))
            await service.trigger_event(instance_id, "pay", subject=running)

    runtime = await started(wait)
    for _ in range(3):
        instance, running = await runtime.create_instance("order"), asyncio.Event()
        task = asyncio.create_task(lend(instance.id, running))
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await runtime.get_instance(instance.id)).state == "new"
    assert store.pool_stats().in_use == 0


async def test_a_runtime_over_another_store_is_told_that_it_has_no_session(started):
    runtime = await started(Write, store=MemoryStore())
    instance = await runtime.create_instance("order")
    with pytest.raises(CannotInject, match="asks for AsyncSession, and the runtime's store lends MemoryTransaction"):
        await runtime.trigger_event(instance.id, "pay")
