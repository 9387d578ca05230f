"""What the plugin adds to an application, and how it comes by its container."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from dishka import AsyncContainer, FromDishka, Provider, Scope, make_async_container, provide
from dishka.exception_base import DishkaError
from dishka.integrations.litestar import inject, setup_dishka
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.exceptions import ImproperlyConfiguredException
from litestar.params import FromQuery

from detent import CommandContext, MemoryStore, Ok, WorkflowDefinition, WorkflowRuntime, WorkflowService, command
from detent.errors import DetentError, NotStarted
from detent.integrations.dishka import DishkaInjector, WorkflowProvider
from detent_litestar import WorkflowConfig, WorkflowPlugin

HELLO = WorkflowDefinition.from_dict(
    {
        "name": "hello",
        "initial_state": "new",
        "states": {"new": {"events": {"greet": {"target": "done", "commands": ["greet"]}}}, "done": {}},
    }
)


class Greeter:
    """An object of the application."""

    def __init__(self) -> None:
        self.greeted: list[str] = []
        self.closed = False


class App(Provider):
    """The application's provider; closing its container closes the greeter."""

    def __init__(self) -> None:
        super().__init__()
        self.made = Greeter()

    @provide(scope=Scope.APP)
    async def greeter(self) -> AsyncIterator[Greeter]:
        yield self.made
        self.made.closed = True


@command("greet")
class Greet:
    """A command that the container makes."""

    def __init__(self, greeter: Greeter) -> None:
        self.greeter = greeter

    async def __call__(self, ctx: CommandContext) -> Ok:
        self.greeter.greeted.append(ctx.workflow)
        return Ok(data={"closed": self.greeter.closed})


@get("/named")
async def named(workflows: NamedDependency[WorkflowService]) -> list[str]:
    return workflows.workflows


@get("/dishka")
@inject
async def injected(workflows: FromDishka[WorkflowService]) -> list[str]:
    return workflows.workflows


def hello(**options: Any) -> WorkflowConfig:
    defaults: dict[str, Any] = {"store": MemoryStore(), "definitions": [HELLO], "commands": [Greet]}
    return WorkflowConfig(**defaults | options)


async def greet(runtime: WorkflowRuntime) -> Any:
    """What the command answers."""
    instance = await runtime.create_instance("hello")
    result = await runtime.trigger_event(instance.id, "greet")
    return result.commands[0].data


async def test_handlers_get_the_service_by_name(serve):
    async with serve(hello(providers=[App()]), route_handlers=[named]) as client:
        answer = await client.get("/named")
    assert answer.json() == ["hello"]


async def test_handlers_get_the_service_from_the_private_container_when_asked_to(serve):
    config = hello(providers=[App()], setup_dishka=True)
    async with serve(config, route_handlers=[named, injected]) as client:
        assert (await client.get("/dishka")).json() == ["hello"]
        assert (await client.get("/named")).json() == ["hello"]


async def test_handlers_get_the_service_from_the_applications_container(serve):
    plugin = WorkflowPlugin(hello())
    app = Litestar(logging_config=None, plugins=[plugin], route_handlers=[named, injected])
    container = make_async_container(App(), WorkflowProvider(Greet))
    setup_dishka(container, app)
    async with serve(app) as client:
        assert (await client.get("/dishka")).json() == ["hello"]
        assert (await client.get("/named")).json() == ["hello"]
        assert await greet(plugin.runtime) == {"closed": False}
        greeter = await container.get(Greeter)
    assert greeter.greeted == ["hello"]
    assert not greeter.closed, "who made the container closes it"
    await container.close()


async def test_requests_that_dishka_serves_already_are_not_wrapped_again(serve):
    app = Litestar(logging_config=None, plugins=[WorkflowPlugin(hello(setup_dishka=True))], route_handlers=[injected])
    container = make_async_container(App(), WorkflowProvider(Greet))
    setup_dishka(container, app)
    handler = app.asgi_handler
    async with serve(app) as client:
        assert (await client.get("/dishka")).json() == ["hello"]
        assert app.asgi_handler is handler
    await container.close()


async def test_the_named_service_is_the_one_the_applications_container_gives(serve):
    class Audited(WorkflowService):
        """The application's own kind of service."""

    class Own(WorkflowProvider):
        @provide(scope=Scope.REQUEST)
        def service(self, runtime: WorkflowRuntime) -> WorkflowService:
            return Audited(runtime)

    @get("/kind")
    async def kind(workflows: NamedDependency[WorkflowService]) -> str:
        return type(workflows).__name__

    app = Litestar(logging_config=None, plugins=[WorkflowPlugin(hello())], route_handlers=[kind])
    container = make_async_container(App(), Own(Greet))
    setup_dishka(container, app)
    async with serve(app) as client:
        assert (await client.get("/kind")).text == "Audited"
    await container.close()


async def test_a_given_container_is_used_and_left_open(serve):
    container = make_async_container(App(), WorkflowProvider(Greet))
    plugin = WorkflowPlugin(hello(container=container))
    async with serve(Litestar(logging_config=None, plugins=[plugin], route_handlers=[named])) as client:
        assert (await client.get("/named")).json() == ["hello"]
        assert await greet(plugin.runtime) == {"closed": False}
    assert not (await container.get(Greeter)).closed
    await container.close()


async def test_a_container_without_our_provider_is_refused_with_the_line_to_add(serve):
    container = make_async_container(App())
    with pytest.RaisesGroup(
        pytest.RaisesExc(DetentError, match="make_async_container.*WorkflowProvider"), flatten_subgroups=True
    ):
        async with serve(hello(container=container)):
            pass
    await container.close()


async def test_the_private_container_closes_after_the_runtime(serve):
    app = App()
    plugin = WorkflowPlugin(hello(providers=[app]))
    async with serve(Litestar(logging_config=None, plugins=[plugin])):
        assert await greet(plugin.runtime) == {"closed": False}
    assert app.made.closed
    assert app.made.greeted == ["hello"]
    with pytest.raises(NotStarted):
        _ = plugin.runtime


async def test_a_command_class_that_the_application_provides_is_not_provided_again(serve):
    class Louder(Provider):
        @provide(scope=Scope.ACTION)
        def greet(self, greeter: Greeter) -> Greet:
            made = Greet(greeter)
            greeter.greeted.append("louder")
            return made

    app = App()
    plugin = WorkflowPlugin(hello(providers=[app, Louder()]))
    async with serve(Litestar(logging_config=None, plugins=[plugin])):
        await greet(plugin.runtime)
    assert app.made.greeted == ["louder", "hello"]


async def test_command_classes_need_not_be_named_twice_where_our_provider_is_given(serve):
    plugin = WorkflowPlugin(hello(providers=[App(), WorkflowProvider()]))
    async with serve(Litestar(logging_config=None, plugins=[plugin])):
        assert await greet(plugin.runtime) == {"closed": False}


async def test_a_command_that_cannot_be_made_stops_the_start(serve):
    with pytest.RaisesGroup(pytest.RaisesExc(DishkaError, match="Greeter"), flatten_subgroups=True):
        async with serve(hello()):
            pass


async def test_the_container_may_own_the_runtime(serve):
    class Workflows(WorkflowProvider):
        @provide(scope=Scope.APP)
        async def runtime(self, container: AsyncContainer) -> AsyncIterator[WorkflowRuntime]:
            injector = DishkaInjector(container)
            async with WorkflowRuntime(
                store=MemoryStore(), definitions=[HELLO], commands=[Greet], injector=injector
            ) as r:
                yield r

    container = make_async_container(App(), Workflows(Greet))
    plugin = WorkflowPlugin(WorkflowConfig(container=container))
    async with serve(Litestar(logging_config=None, plugins=[plugin], route_handlers=[named])) as client:
        assert (await client.get("/named")).json() == ["hello"]
        assert await greet(plugin.runtime) == {"closed": False}
    await container.close()


def test_a_config_without_store_describes_no_runtime():
    with pytest.raises(ImproperlyConfiguredException, match="pass `store`"):
        WorkflowConfig(definitions=[HELLO])


def test_providers_beside_a_given_container_are_refused():
    with pytest.raises(ImproperlyConfiguredException, match="private container"):
        hello(container=make_async_container(WorkflowProvider()), providers=[App()])


async def test_an_application_starts_again_and_requests_are_no_longer_wrapped_in_between(serve):
    plugin = WorkflowPlugin(hello(providers=[App()], setup_dishka=True))
    app = Litestar(logging_config=None, plugins=[plugin], route_handlers=[injected])
    handler = app.asgi_handler
    for _ in range(2):
        async with serve(app) as client:
            assert (await client.get("/dishka")).json() == ["hello"]
        assert app.asgi_handler is handler
        assert "dishka_container" not in app.state


async def test_what_a_handler_does_within_its_transaction_is_committed_by_the_handler(serve):
    store = MemoryStore()

    @post("/orders")
    async def order(workflows: NamedDependency[WorkflowService], fails: FromQuery[bool] = False) -> str:
        async with store.begin() as transaction:
            transaction.put("orders", "1", {"sold": True})
            instance = await workflows.within(transaction).create_instance("hello", idempotency_key="1")
            if fails:
                raise ValueError("the handler changed its mind")
        return str(instance.id)

    config = hello(store=store, providers=[App()])
    async with serve(config, route_handlers=[order]) as client:
        assert (await client.post("/orders", params={"fails": True})).status_code == 500
        async with store.begin() as transaction:
            assert transaction.get("orders", "1") is None
        made = await client.post("/orders")
        async with store.begin() as transaction:
            assert transaction.get("orders", "1") == {"sold": True}
    assert made.status_code == 201, made.text


def test_a_dependency_of_the_same_name_is_refused_not_replaced():
    async def provide_workflows() -> int:
        return 5

    with pytest.raises(ImproperlyConfiguredException, match="dependency_key"):
        Litestar(logging_config=None, plugins=[WorkflowPlugin(hello())], dependencies={"workflows": provide_workflows})


async def test_the_dependency_can_have_another_name(serve):
    @get("/n")
    async def handler(flows: NamedDependency[WorkflowService]) -> list[str]:
        return flows.workflows

    async with serve(hello(providers=[App()], dependency_key="flows"), route_handlers=[handler]) as client:
        assert (await client.get("/n")).json() == ["hello"]


def test_controllers_that_are_not_described_are_refused():
    with pytest.raises(ImproperlyConfiguredException, match=r"Controllers\(guards="):
        WorkflowConfig(store=MemoryStore(), controllers=cast("Any", True))
