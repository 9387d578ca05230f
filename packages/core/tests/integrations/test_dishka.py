"""Commands and guards with objects of a dishka container, over the memory store."""

import asyncio
import contextvars
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Annotated

import pytest
from dishka import (
    AsyncContainer,
    FromComponent,
    FromDishka,
    Has,
    Provider,
    Scope,
    make_async_container,
    provide,
)
from dishka.exceptions import ExitError

from detent import (
    CommandContext,
    Fail,
    GuardContext,
    MemoryStore,
    Refuse,
    WorkflowObserver,
    WorkflowRuntime,
    WorkflowService,
    command,
    guard,
)
from detent.errors import DetentError, RegistrationInvalid
from detent.integrations.dishka import DishkaInjector, WorkflowProvider, bind_runtime
from detent.runtime.injection import CannotInject, Transition
from detent.store.memory_transaction import MemoryTransaction
from detent.store.sqlite_connection import SqliteConnection


class Ledger:
    """An object of REQUEST: one per web request or step."""

    def __init__(self) -> None:
        self.booked: list[str] = []


class Receipt:
    """An object of ACTION: one per command."""


@command("charge")
class Charge:
    def __init__(self, ledger: Ledger, receipt: Receipt) -> None:
        self.ledger = ledger
        self.receipt = receipt

    async def __call__(self, ctx: CommandContext) -> None:
        self.ledger.booked.append("charge")
        seen.append((self.ledger, self.receipt))


@command("notify")
async def notify(ctx: CommandContext, ledger: FromDishka[Ledger], receipt: FromDishka[Receipt]) -> None:
    ledger.booked.append("notify")
    seen.append((ledger, receipt))


seen: list[tuple[Ledger, Receipt]] = []


class App(Provider):
    """What an application provides, and a diary of what is made and finalised."""

    scope = Scope.REQUEST

    def __init__(self) -> None:
        super().__init__()
        self.diary: list[str] = []
        self.ends_with: Exception | None = None

    @provide
    async def ledger(self) -> AsyncGenerator[Ledger, BaseException | None]:
        self.diary.append("open ledger")
        error = yield Ledger()
        await asyncio.sleep(0)
        self.diary.append(f"close ledger after {error!r}" if error else "close ledger")
        if self.ends_with:
            raise self.ends_with

    @provide(scope=Scope.ACTION)
    def receipt(self, context: CommandContext) -> Iterator[Receipt]:
        self.diary.append(f"open receipt at {context.from_state}")
        yield Receipt()
        self.diary.append("close receipt")


@pytest.fixture(autouse=True)
def nothing_seen():
    seen.clear()


@pytest.fixture
def app():
    return App()


@pytest.fixture
def container(containers, app):
    return containers(app, WorkflowProvider(Charge))


# What commands get


async def test_commands_of_one_step_share_the_objects_of_request_and_have_their_own_of_action(container, started):
    runtime = await started(container, [Charge, notify])
    instance = await runtime.create_instance("order")
    result = await runtime.trigger_event(instance.id, "pay")
    (first, own), (second, other) = seen
    assert result.outcome == "success"
    assert first is second
    assert first.booked == ["charge", "notify"]
    assert own is not other


async def test_each_step_has_objects_of_its_own(container, started):
    runtime = await started(container, [Charge])
    for _ in range(2):
        instance = await runtime.create_instance("order")
        await runtime.trigger_event(instance.id, "pay")
    assert seen[0][0] is not seen[1][0]


async def test_objects_of_a_command_are_finalised_after_it_and_those_of_the_step_at_its_end(container, started, app):
    runtime = await started(container, [Charge, notify])
    instance = await runtime.create_instance("order")
    await runtime.trigger_event(instance.id, "pay")
    assert app.diary == [
        "open ledger",
        "open receipt at new",
        "close receipt",
        "open receipt at new",
        "close receipt",
        "close ledger",
    ]


async def test_components_are_reached_by_their_name(containers, started):
    @command("book")
    async def book(ctx: CommandContext, ledger: Annotated[Ledger, FromComponent("other")]) -> None:
        ctx.context["booked"] = list(ledger.booked)

    other = Provider(scope=Scope.REQUEST, component="other")
    other.provide(lambda: _ledger_with("seed"), provides=Ledger)
    runtime = await started(containers(App(), other, WorkflowProvider()), [book])
    instance = await runtime.create_instance("order")
    result = await runtime.trigger_event(instance.id, "pay")
    assert result.instance.context == {"booked": ["seed"]}


def _ledger_with(entry):
    ledger = Ledger()
    ledger.booked.append(entry)
    return ledger


async def test_factories_see_the_step_and_the_command_they_are_made_for(containers, started):
    told = []

    class Telling(Provider):
        @provide(scope=Scope.ACTION)
        def receipt(self, transition: Transition, context: CommandContext, container: AsyncContainer) -> Receipt:
            told.append((transition.workflow, transition.instance_id, context.event, container.scope))
            assert transition.connection is context.connection
            return Receipt()

    runtime = await started(containers(App(), Telling(), WorkflowProvider()), [notify])
    instance = await runtime.create_instance("order")
    await runtime.trigger_event(instance.id, "pay")
    assert told == [("order", instance.id, "pay", Scope.ACTION)]


# What guards get


@guard("is_open")
class IsOpen:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def __call__(self, ctx: GuardContext) -> Refuse | bool:
        return Refuse("closed") if self.ledger.booked else True


@guard("has_ledger")
def has_ledger(ctx: GuardContext, ledger: FromDishka[Ledger]) -> bool:
    ledger.booked.append("seen by a guard")
    return True


async def test_guards_share_the_objects_of_the_step_with_commands(containers, started):
    container = containers(App(), WorkflowProvider(Charge, IsOpen))
    runtime = await started(container, [Charge], [IsOpen, has_ledger])
    instance = await runtime.create_instance("order")
    assert (await runtime.trigger_event(instance.id, "pay")).outcome == "success"
    assert seen[0][0].booked == ["seen by a guard", "charge"]


async def test_guards_asked_for_what_is_available_get_objects_outside_of_any_step(containers, started):
    @guard("outside")
    def outside(ctx: GuardContext, where: FromDishka[str]) -> Refuse:
        return Refuse(where)

    class Where(Provider):
        scope = Scope.REQUEST

        @provide
        def normally(self) -> str:
            return "outside"

        @provide(when=Has(Transition))
        def inside(self) -> str:
            return "inside"

    runtime = await started(containers(Where(), WorkflowProvider()), [], [outside])
    instance = await runtime.create_instance("order")
    [event] = await runtime.get_available_events(instance.id)
    assert event.reason == "outside"
    assert (await runtime.trigger_event(instance.id, "pay")).reason == "inside"


# What is refused at start-up


class Unknown:
    pass


async def test_a_parameter_nobody_provides_fails_the_start_and_is_named(container, started):
    @command("bad")
    async def bad(ctx: CommandContext, thing: FromDishka[Unknown]) -> None: ...

    with pytest.raises(RegistrationInvalid, match="'bad', parameter 'thing': Unknown: no provider has it"):
        await started(container, [bad])


async def test_a_parameter_that_does_not_ask_for_injection_fails_the_start(container, started):
    @command("bad")
    async def bad(ctx: CommandContext, thing: Unknown) -> None: ...

    with pytest.raises(RegistrationInvalid, match=r"'bad', parameter 'thing'.*annotate it FromDishka"):
        await started(container, [bad])


async def test_a_class_that_no_provider_has_fails_the_start(containers, started):
    with pytest.raises(RegistrationInvalid, match="'charge', parameter 'ledger': its constructor needs ledger"):
        await started(containers(App(), WorkflowProvider()), [Charge])


async def test_a_class_that_cannot_be_made_in_a_step_fails_the_start(containers, started):
    provider = Provider(scope=Scope.REQUEST)
    provider.from_context(Ledger)
    provider.from_context(Receipt)
    with pytest.raises(RegistrationInvalid, match="Charge needs Ledger: it comes from the context of REQUEST"):
        await started(containers(provider, WorkflowProvider(Charge)), [Charge])


def test_a_function_is_refused_by_the_provider():
    with pytest.raises(TypeError, match="functions need no provider"):
        WorkflowProvider(notify)  # type: ignore[arg-type]  # what is refused


# Rollback and finalisers


async def test_what_commands_write_is_committed_with_the_state_or_not_at_all(containers, started, store):
    @command("write")
    async def write(ctx: CommandContext, transaction: FromDishka[MemoryTransaction]) -> None:
        transaction.put("notes", ctx.workflow, "written")
        if ctx.payload:
            raise LookupError("no")

    runtime = await started(containers(WorkflowProvider()), [write])
    instance = await runtime.create_instance("order")
    with pytest.raises(LookupError):
        await runtime.trigger_event(instance.id, "pay", payload=True)
    assert await _noted(store) is None
    await runtime.trigger_event(instance.id, "pay")
    assert await _noted(store) == "written"


async def _noted(store: MemoryStore):
    async with store.begin() as transaction:
        return transaction.get("notes", "order")


async def test_finalisers_run_before_the_commit(containers, started, store):
    class Writing(Provider):
        @provide(scope=Scope.REQUEST)
        async def ledger(self, transaction: MemoryTransaction) -> AsyncIterator[Ledger]:
            ledger = Ledger()
            yield ledger
            transaction.put("notes", "order", ",".join(ledger.booked))

    runtime = await started(containers(App(), Writing(), WorkflowProvider(Charge)), [Charge, notify])
    instance = await runtime.create_instance("order")
    await runtime.trigger_event(instance.id, "pay")
    assert await _noted(store) == "charge,notify"


async def test_a_finaliser_that_fails_rolls_the_step_back_with_its_own_error(container, started, app, store):
    @command("write")
    async def write(ctx: CommandContext, transaction: FromDishka[MemoryTransaction]) -> None:
        transaction.put("notes", "order", "written")

    runtime = await started(container, [write, notify])
    instance = await runtime.create_instance("order")
    app.ends_with = LookupError("no ledger")
    with pytest.raises(LookupError, match="no ledger"):
        await runtime.trigger_event(instance.id, "pay")
    assert (await runtime.get_instance(instance.id)).state == "new"
    assert await _noted(store) is None


async def test_several_finalisers_that_fail_are_all_reported(containers, started, app):
    class Failing(Provider):
        @provide(scope=Scope.REQUEST)
        def text(self, ledger: Ledger) -> Iterator[str]:
            yield "text"
            raise ValueError("text")

    @command("read")
    async def read(ctx: CommandContext, text: FromDishka[str]) -> None: ...

    runtime = await started(containers(app, Failing(), WorkflowProvider()), [read])
    instance = await runtime.create_instance("order")
    app.ends_with = LookupError("ledger")
    with pytest.raises(ExitError) as caught:
        await runtime.trigger_event(instance.id, "pay")
    assert [str(error) for error in caught.value.exceptions] == ["text", "ledger"]


async def test_finalisers_learn_of_an_error_and_do_not_hide_it(container, started, app):
    @command("raise")
    async def fall(ctx: CommandContext, ledger: FromDishka[Ledger]) -> None:
        raise LookupError("body")

    runtime = await started(container, [fall])
    instance = await runtime.create_instance("order")
    app.ends_with = ValueError("finaliser")
    with pytest.raises(LookupError, match="body") as caught:
        await runtime.trigger_event(instance.id, "pay")
    assert app.diary[-1] == "close ledger after LookupError('body')"
    assert "and then its scope could not be closed: ValueError('finaliser')" in caught.value.__notes__


async def test_a_failing_best_effort_command_leaves_the_scope_of_the_step_alone(container, started, app):
    @command("try", best_effort=True)
    async def attempt(ctx: CommandContext, ledger: FromDishka[Ledger], receipt: FromDishka[Receipt]) -> None:
        raise LookupError("never mind")

    runtime = await started(container, [attempt, notify])
    instance = await runtime.create_instance("order")
    result = await runtime.trigger_event(instance.id, "pay")
    assert [record.ok for record in result.commands] == [False, True]
    assert app.diary.count("open ledger") == 1
    assert app.diary.count("close receipt") == 2


async def test_a_command_that_answers_fail_ends_the_scope_without_an_error(container, started, app):
    @command("fail")
    async def fail(ctx: CommandContext, ledger: FromDishka[Ledger]) -> Fail:
        return Fail("broke")

    runtime = await started(container, [fail])
    instance = await runtime.create_instance("order")
    assert (await runtime.trigger_event(instance.id, "pay")).to_state == "broke"
    assert app.diary == ["open ledger", "close ledger"]


# Lent transactions


async def test_a_lent_transaction_has_a_scope_of_its_own_that_holds_it(containers, bound, store, app):
    held = []

    @command("hold")
    async def hold(ctx: CommandContext, lent: FromDishka[MemoryTransaction], ledger: FromDishka[Ledger]) -> None:
        held.append((lent, ledger))

    container = containers(app, WorkflowProvider())
    runtime = await bound(container, [hold])
    instance = await runtime.create_instance("order")
    async with container() as request, store.begin() as transaction:
        service, ledger = await request.get(WorkflowService), await request.get(Ledger)
        await service.within(transaction).trigger_event(instance.id, "pay")
        assert held[0][0] is transaction
        assert held[0][1] is not ledger
        assert app.diary == ["open ledger", "open ledger", "close ledger"]
        assert (await runtime.get_instance(instance.id)).state == "new"
    assert (await runtime.get_instance(instance.id)).state == "paid"


# Cancellation


class Slow(Provider):
    """Three objects one on the other, whose finalisers wait."""

    scope = Scope.REQUEST

    def __init__(self) -> None:
        super().__init__()
        self.closing = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()
        self.closed: list[str] = []

    @provide
    async def first(self) -> AsyncIterator[int]:
        yield 1
        await self._close("first")
        self.ended.set()

    @provide
    async def second(self, first: int) -> AsyncIterator[str]:
        yield "second"
        await self._close("second")

    @provide
    async def third(self, second: str) -> AsyncIterator[bytes]:
        yield b"third"
        await self._close("third")

    async def _close(self, name: str) -> None:
        self.closing.set()
        await self.go_on.wait()
        self.closed.append(name)


@command("slow")
async def slow(ctx: CommandContext, third: FromDishka[bytes]) -> None:
    if ctx.subject:
        ctx.subject.set()
        await asyncio.Event().wait()


async def _joined(runtime: WorkflowRuntime, store: MemoryStore, running: asyncio.Event | None) -> None:
    """A step in a lent transaction runs in the caller's task. `running` is set by a command that then never ends."""
    instance = await runtime.create_instance("order")
    async with store.begin() as transaction:
        await runtime.trigger_event(instance.id, "pay", subject=running, connection=transaction)


async def test_cancelling_the_caller_of_a_step_of_its_own_lets_it_finish(containers, started):
    provider = Slow()
    runtime = await started(containers(provider, WorkflowProvider()), [slow])
    instance = await runtime.create_instance("order")
    task = asyncio.create_task(runtime.trigger_event(instance.id, "pay"))
    await provider.closing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    provider.go_on.set()
    await provider.ended.wait()
    assert provider.closed == ["third", "second", "first"]


async def test_a_cancelled_command_has_all_its_finalisers_run_however_often_it_is_cancelled(containers, started, store):
    provider = Slow()
    runtime = await started(containers(provider, WorkflowProvider()), [slow])
    running = asyncio.Event()
    task = asyncio.create_task(_joined(runtime, store, running))
    await running.wait()
    task.cancel()
    await provider.closing.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    provider.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.closed == ["third", "second", "first"]


async def test_a_cancelled_finaliser_does_not_take_the_others_with_it(containers, started, store):
    provider = Slow()
    runtime = await started(containers(provider, WorkflowProvider()), [slow])
    task = asyncio.create_task(_joined(runtime, store, None))
    await provider.closing.wait()
    task.cancel()
    provider.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.closed == ["second", "first"]


async def test_a_finaliser_cancelled_after_an_error_does_not_take_the_others_with_it(containers, started, store):
    @command("fall")
    async def fall(ctx: CommandContext, third: FromDishka[bytes]) -> None:
        raise LookupError("body")

    provider = Slow()
    runtime = await started(containers(provider, WorkflowProvider()), [fall])
    task = asyncio.create_task(_joined(runtime, store, None))
    await provider.closing.wait()
    task.cancel()
    provider.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.closed == ["second", "first"]


async def test_a_finaliser_that_fails_does_not_swallow_a_cancellation(container, started, store, app):
    @command("wait")
    async def wait(ctx: CommandContext, ledger: FromDishka[Ledger]) -> None:
        ctx.subject.set()
        await asyncio.Event().wait()

    app.ends_with = ValueError("finaliser")
    runtime = await started(container, [wait])
    running = asyncio.Event()
    task = asyncio.create_task(_joined(runtime, store, running))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_finalisers_can_reset_context_variables(containers, started):
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")

    class Tenancy(Provider):
        @provide(scope=Scope.REQUEST)
        def tenant(self, transition: Transition) -> Iterator[str]:
            token = tenant.set(transition.workflow)
            yield tenant.get()
            tenant.reset(token)

    @command("act")
    async def act(ctx: CommandContext, name: FromDishka[str]) -> None:
        ctx.context["tenant"] = name

    runtime = await started(containers(Tenancy(), WorkflowProvider()), [act])
    instance = await runtime.create_instance("order")
    result = await runtime.trigger_event(instance.id, "pay")
    assert result.instance.context == {"tenant": "order"}


# The runtime and the service in the container


async def test_the_container_gives_the_bound_runtime_and_services_over_it(containers, bound):
    container = containers(WorkflowProvider())
    runtime = await bound(container)
    assert await container.get(WorkflowRuntime) is runtime
    async with container() as request:
        service = await request.get(WorkflowService)
        instance = await service.create_instance("order")
    assert (await runtime.get_instance(instance.id)).state == "new"


async def test_binding_works_from_any_scope(containers, started):
    container = containers(WorkflowProvider())
    runtime = await started(container)
    async with container() as request:
        bind_runtime(request, runtime)
    assert await container.get(WorkflowRuntime) is runtime


async def test_a_container_gives_one_running_runtime(containers, started):
    container = containers(WorkflowProvider())
    first, second = await started(container), await started(container)
    bind_runtime(container, first)
    with pytest.raises(DetentError, match="gives another runtime already"):
        bind_runtime(container, second)
    assert await container.get(WorkflowRuntime) is first


async def test_one_provider_serves_several_containers(containers, started):
    provider = WorkflowProvider()
    one, other = containers(provider), containers(provider)
    bind_runtime(one, await started(one))
    with pytest.raises(DetentError, match="the container has no runtime yet"):
        await other.get(WorkflowRuntime)


async def test_a_container_without_our_provider_is_told_what_is_missing(containers, started):
    container = containers(Provider())
    with pytest.raises(DetentError, match=r"the container has no WorkflowProvider.*with ours last"):
        bind_runtime(container, await started(container))


async def test_a_container_can_own_the_runtime_and_ends_it_when_it_is_closed(store):
    class Workflows(WorkflowProvider):
        @provide(scope=Scope.APP)
        async def runtime(self, container: AsyncContainer) -> AsyncIterator[WorkflowRuntime]:
            async with WorkflowRuntime(
                store=store, definitions=[], commands=[Charge], injector=DishkaInjector(container)
            ) as runtime:
                yield runtime

    container = make_async_container(App(), Workflows(Charge))
    runtime = await container.get(WorkflowRuntime)
    assert runtime.workflows == []
    await container.close()
    with pytest.raises(DetentError, match="not running"):
        runtime.workflows  # noqa: B018


async def test_a_service_in_a_command_is_part_of_the_step(containers, bound):
    made = []

    @command("spawn")
    async def spawn(ctx: CommandContext, service: FromDishka[WorkflowService]) -> None:
        made.append(await service.create_instance("order"))
        if ctx.payload:
            raise LookupError("no")

    runtime = await bound(containers(WorkflowProvider()), [spawn])
    instance = await runtime.create_instance("order")
    with pytest.raises(LookupError):
        await runtime.trigger_event(instance.id, "pay", payload=True)
    with pytest.raises(DetentError, match="no instance"):
        await runtime.get_instance(made[0].id)
    await runtime.trigger_event(instance.id, "pay")
    assert (await runtime.get_instance(made[1].id)).state == "new"


async def test_a_connection_of_another_store_is_refused_by_name(containers, started):
    @command("write")
    async def write(ctx: CommandContext, connection: FromDishka[SqliteConnection]) -> None: ...

    runtime = await started(containers(WorkflowProvider()), [write])
    instance = await runtime.create_instance("order")
    with pytest.raises(
        CannotInject, match="asks for SqliteConnection, and the runtime's store lends MemoryTransaction"
    ):
        await runtime.trigger_event(instance.id, "pay")


async def test_an_observer_that_opens_a_scope_is_outside_of_any_step(containers, started):
    class Where(Provider):
        scope = Scope.REQUEST

        @provide
        def normally(self) -> str:
            return "the application's"

        @provide(when=Has(Transition))
        def inside(self) -> str:
            return "the step's"

    class Watching(WorkflowObserver):
        async def on_transition(self, seen):
            async with container() as request:
                heard.append(await request.get(str))

    heard: list[str] = []
    container = containers(Where(), WorkflowProvider())
    runtime = await started(container, observers=[Watching()])
    instance = await runtime.create_instance("order")
    await runtime.trigger_event(instance.id, "pay")
    await runtime.settled()
    assert heard == ["the application's"]
