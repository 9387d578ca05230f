"""What `setup_workflows` adds to an application, and how it comes by its container."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

import httpx
import pytest
from dishka import AsyncContainer, FromDishka, Provider, Scope, make_async_container, provide
from dishka.integrations.fastapi import inject, setup_dishka
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse

from detent import CommandContext, MemoryStore, Ok, WorkflowDefinition, WorkflowRuntime, WorkflowService, command
from detent.errors import DetentError, InstanceNotFound, NotStarted
from detent.flows import Flow, FlowBook, Step, handler, success
from detent.ids import new_id
from detent.integrations.dishka import DishkaInjector, WorkflowProvider
from detent.service.flows import FlowService
from detent.service.http.operations import OPERATIONS
from detent.testing.clock import FakeClock
from detent_fastapi import (
    AllowAll,
    Webhooks,
    WorkerConfig,
    WorkflowConfig,
    WorkflowRoutes,
    flows,
    setup_workflows,
    workflow_router,
    workflows,
)

HELLO = WorkflowDefinition.from_dict(
    {
        "name": "hello",
        "initial_state": "new",
        "states": {
            "new": {
                "events": {
                    "greet": {"target": "done", "commands": ["greet"]},
                    "late": {"target": "done", "timeout": "1h"},
                }
            },
            "done": {},
        },
    }
)
Service = Annotated[WorkflowService, Depends(workflows)]


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


def hello(**options: Any) -> WorkflowConfig:
    defaults: dict[str, Any] = {"store": MemoryStore(), "definitions": [HELLO], "commands": [Greet]}
    return WorkflowConfig(**defaults | options)


def with_handlers(**options: Any) -> FastAPI:
    """An application whose handlers ask for the service in both ways."""
    app = FastAPI(**options)

    @app.get("/depends")
    async def depends(service: Service) -> dict[str, Any]:
        return {"workflows": service.workflows, "kind": type(service).__name__}

    @app.get("/dishka")
    @inject
    async def injected(service: FromDishka[WorkflowService]) -> list[str]:
        return service.workflows

    return app


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client,
    ):
        yield client


async def greet(runtime: WorkflowRuntime) -> Any:
    """What the command answers."""
    instance = await runtime.create_instance("hello")
    result = await runtime.trigger_event(instance.id, "greet")
    return result.commands[0].data


async def test_handlers_get_the_service_and_no_routes_are_there_unasked():
    app = with_handlers()
    setup_workflows(app, hello(providers=[App()]))
    async with serving(app) as client:
        assert (await client.get("/depends")).json()["workflows"] == ["hello"]
        assert (await client.get("/workflows/definitions")).status_code == 404
        assert set((await client.get("/openapi.json")).json()["paths"]) == {"/depends", "/dishka"}


async def test_the_private_container_serves_requests_when_asked_to_and_closes_after_the_runtime():
    provider, app = App(), with_handlers()
    ours = setup_workflows(app, hello(providers=[provider], setup_dishka=True))
    for _ in range(2):
        async with serving(app) as client:
            assert (await client.get("/dishka")).json() == ["hello"]
            assert (await client.get("/depends")).json()["workflows"] == ["hello"]
        assert not hasattr(app.state, "dishka_container"), "and the application can start again"
    async with serving(app):
        provider.made.closed = False
        assert await greet(ours.runtime) == {"closed": False}
    assert provider.made.closed
    with pytest.raises(NotStarted):
        _ = ours.runtime


async def told_by_websocket(app: FastAPI, path: str) -> list[str]:
    """The texts that a websocket sends by itself."""
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": [], "subprotocols": [], "app": app}
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    return [message["text"] for message in sent if message["type"] == "websocket.send"]


@pytest.mark.parametrize("serves_requests", [False, True])
async def test_websockets_get_the_service(serves_requests):
    app = FastAPI()

    @app.websocket("/live")
    async def live(socket: WebSocket, service: Service) -> None:
        await socket.accept()
        made = await service.create_instance("hello")
        await socket.send_text((await service.trigger_event(made.id, "greet")).to_state)
        await socket.close()

    setup_workflows(app, hello(providers=[App()], setup_dishka=serves_requests))
    assert await told_by_websocket(app, "/live") == ["done"]


async def test_the_applications_container_is_used_and_left_open():
    class Audited(WorkflowService):
        """The application's own kind of service."""

    class Own(WorkflowProvider):
        @provide(scope=Scope.REQUEST)
        def service(self, runtime: WorkflowRuntime) -> WorkflowService:
            return Audited(runtime)

    app = with_handlers()
    container = make_async_container(App(), Own(Greet))
    setup_dishka(container, app)
    ours = setup_workflows(app, hello(setup_dishka=True))
    async with serving(app) as client:
        assert (await client.get("/dishka")).json() == ["hello"]
        assert (await client.get("/depends")).json()["kind"] == "Audited"
        assert await greet(ours.runtime) == {"closed": False}
    greeter = await container.get(Greeter)
    assert (greeter.greeted, greeter.closed) == (["hello"], False)
    await container.close()


async def test_a_given_container_is_used_and_left_open():
    container = make_async_container(App(), WorkflowProvider(Greet))
    app = with_handlers()
    ours = setup_workflows(app, hello(container=container))
    async with serving(app) as client:
        assert (await client.get("/depends")).json()["workflows"] == ["hello"]
        assert await greet(ours.runtime) == {"closed": False}
    assert not (await container.get(Greeter)).closed
    await container.close()


async def test_a_container_without_our_provider_is_refused_with_the_line_to_add():
    container, app = make_async_container(App()), FastAPI()
    setup_workflows(app, hello(container=container))
    with pytest.raises(DetentError) as refused:
        async with serving(app):
            pass
    assert "make_async_container" in str(refused.value)
    await container.close()


async def test_the_container_may_own_the_runtime():
    class Owning(WorkflowProvider):
        @provide(scope=Scope.APP)
        async def runtime(self, container: AsyncContainer) -> AsyncIterator[WorkflowRuntime]:
            injector = DishkaInjector(container)
            async with WorkflowRuntime(
                store=MemoryStore(), definitions=[HELLO], commands=[Greet], injector=injector
            ) as runtime:
                yield runtime

    container, app = make_async_container(App(), Owning(Greet)), with_handlers()
    setup_workflows(app, WorkflowConfig(container=container))
    async with serving(app) as client:
        assert (await client.get("/depends")).json()["workflows"] == ["hello"]
    await container.close()


class Watched(MemoryStore):
    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log

    async def open(self) -> None:
        await super().open()
        self.log.append("runtime starts")

    async def close(self) -> None:
        self.log.append("runtime stops")
        await super().close()


async def test_the_applications_own_lifespan_is_around_the_runtime_and_its_state_remains():
    log: list[str] = []

    @asynccontextmanager
    async def engine(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        log.append("engine opens")
        yield {"region": "north"}
        log.append("engine closes")

    app = FastAPI(lifespan=engine)
    setup_workflows(app, hello(store=Watched(log), providers=[App()], worker="asgi"))
    async with app.router.lifespan_context(app) as state:
        assert dict(state or {}) == {"region": "north"}
    assert log == ["engine opens", "runtime starts", "runtime stops", "engine closes"]


async def test_a_worker_runs_where_it_is_asked_for_and_ends_with_the_application():
    app, clock = FastAPI(), FakeClock()
    worker = WorkerConfig(poll=timedelta(milliseconds=5), name="web-1")
    ours = setup_workflows(app, hello(providers=[App()], clock=clock, worker=worker))
    async with serving(app):
        found = ours.worker
        assert found is not None
        assert found.name == "web-1"
        instance = await ours.runtime.create_instance("hello")
        clock.advance("2h")
        assert (await ours.runtime.wait(instance.id, completed=True)).state == "done"
    assert ours.worker is None


async def test_handlers_get_the_service_of_flows():
    @handler("greet", targets=False)
    async def greeting(ctx, input):
        return success(f"Hello, {input}!")

    welcome = Flow(
        "welcome", initial_step_id="greet", steps={"greet": Step("greet", input={"key": "name"}, output_key="said")}
    )
    app = FastAPI()

    @app.post("/welcomes/{name}")
    async def begin(name: str, service: Annotated[FlowService, Depends(flows)]) -> str:
        started = await service.start_flow("welcome", {"name": name})
        said: str = (await service.run(started.id)).context["said"]
        return said

    setup_workflows(app, WorkflowConfig(store=MemoryStore(), flows=FlowBook(flows=[welcome], handlers=[greeting])))
    async with serving(app) as client:
        assert (await client.post("/welcomes/Ada")).json() == "Hello, Ada!"


async def test_errors_of_detent_are_problems_in_the_applications_handlers_too():
    app = FastAPI()

    @app.get("/orders/{number}")
    async def look(number: str, service: Service) -> None:
        await service.get_instance(new_id())

    setup_workflows(app, hello(providers=[App()]))
    async with serving(app) as client:
        answer = await client.get("/orders/1")
    assert (answer.status_code, answer.json()["code"]) == (404, "instance_not_found")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_handler_of_the_applications_for_our_errors_wins():
    app = FastAPI()

    @app.exception_handler(DetentError)
    async def gone(request: Request, error: DetentError) -> JSONResponse:
        return JSONResponse({"gone": isinstance(error, InstanceNotFound)}, 410)

    setup_workflows(app, hello(providers=[App()], routes=WorkflowRoutes(policy=AllowAll())))
    async with serving(app) as client:
        answer = await client.get(f"/workflows/instances/{new_id()}")
    assert (answer.status_code, answer.json()) == (410, {"gone": True})


async def test_elsewhere_in_the_application_fastapi_answers_as_it_does():
    app = FastAPI()

    @app.get("/numbers/{number}")
    async def number(number: int) -> int:
        return number

    setup_workflows(app, hello(providers=[App()], routes=WorkflowRoutes(policy=AllowAll())))
    async with serving(app) as client:
        assert (await client.get("/numbers/one")).status_code == 422
        assert (await client.get("/workflows/instances/one")).status_code == 400


async def test_the_routes_can_be_included_by_hand_in_a_router_of_the_applications(caplog):
    app, api = FastAPI(), APIRouter(prefix="/api")
    api.include_router(workflow_router(WorkflowRoutes(policy=AllowAll(), path="/flows")))
    setup_workflows(app, hello(providers=[App()]))
    app.include_router(api)
    with caplog.at_level(logging.WARNING):
        async with serving(app) as client:
            made = await client.post("/api/flows/instances", json={"workflow": "hello"})
            found = await client.get(made.headers["location"])
    assert (made.status_code, found.status_code) == (201, 200)
    assert made.headers["location"].startswith("/api/flows/instances/")
    assert "open to everybody" in caplog.text


async def test_two_sets_of_routes_do_not_clash():
    app = FastAPI()
    setup_workflows(app, hello(providers=[App()], routes=WorkflowRoutes(policy=AllowAll(), websockets=True)))
    second = WorkflowRoutes(policy=AllowAll(), path="/shop", operation_id_prefix="shop", websockets=True)
    app.include_router(workflow_router(second, [HELLO]))
    async with serving(app) as client:
        made = await client.post("/workflows/instances", json={"workflow": "hello"})
        found = await client.get(f"/shop/instances/{made.json()['id']}")
        document = (await client.get("/openapi.json")).json()
    ids = [told["operationId"] for item in document["paths"].values() for told in item.values()]
    assert found.status_code == 200
    assert len(set(ids)) == len(ids) == 2 * len(OPERATIONS)
    assert app.url_path_for("shop:list_definitions") == "/shop/definitions"


def test_routes_and_webhooks_without_a_policy_are_refused():
    for kind in (WorkflowRoutes, Webhooks):
        with pytest.raises(ValueError, match=r"need a policy.*AllowAll"):
            kind()
        with pytest.raises(ValueError, match="not both"):
            kind(guards=[Depends(lambda: None)], policy=AllowAll())


def test_a_guard_that_is_no_dependency_is_told_what_to_write():
    def staff_only() -> None: ...

    for kind in (WorkflowRoutes, Webhooks):
        with pytest.raises(ValueError, match=r"guards=\[Depends\(staff_only\)\]"):
            kind(guards=[staff_only])  # type: ignore[list-item]  # the mistake


def test_what_is_switched_on_by_true_is_told_how_it_is_described():
    for option, kind in (("routes", "WorkflowRoutes"), ("tokens", "Tokens"), ("probes", "Probes")):
        with pytest.raises(ValueError, match=rf"`{option}` are described by {kind}\(guards"):
            WorkflowConfig(store=MemoryStore(), **{option: True})  # type: ignore[arg-type]  # the mistake


def test_configs_that_contradict_themselves_are_refused():
    with pytest.raises(ValueError, match="pass `store`"):
        WorkflowConfig(definitions=[HELLO])
    with pytest.raises(ValueError, match="private container"):
        hello(container=make_async_container(WorkflowProvider()), providers=[App()])
    with pytest.raises(ValueError, match="TriggerService"):
        hello(webhooks=Webhooks(policy=AllowAll()))


def test_an_application_is_set_up_once_for_each_name():
    app = FastAPI()
    setup_workflows(app, hello())
    with pytest.raises(ValueError, match="are called 'workflows'"):
        setup_workflows(app, hello())


async def test_an_application_that_was_not_set_up_says_that_nothing_runs():
    app = with_handlers()
    app.include_router(workflow_router(WorkflowRoutes(policy=AllowAll())))
    async with serving(app) as client:
        assert (await client.get("/workflows/definitions")).status_code == 500
