"""Flows in an application: one setting, and what handlers of requests, steps and triggers get of it."""

import logging
from typing import Any

import pytest
from dishka import FromDishka, Provider, Scope, provide
from dishka.integrations.litestar import inject
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.exceptions import ImproperlyConfiguredException
from litestar.params import FromPath, FromQuery

from detent import FlowService, SqliteStore, WorkflowRuntime, WorkflowService
from detent.flows import Flow, FlowBook, HandlerContext, Step, handler, success, wait_for_event
from detent.integrations.dishka import WorkflowProvider
from detent.service.trigger_book import TriggerBook
from detent.service.triggers import TriggerService
from detent.triggers import HttpTrigger
from detent_litestar import AllowAll, Webhooks, WorkerConfig, WorkflowConfig, WorkflowPlugin

GREETING = {"id": "greeting", "initial_step_id": "greet", "steps": {"greet": {"type": "wave", "output_key": "said"}}}


class Tongue:
    """An object of the application."""

    greeting = "hello"


class App(Provider):
    @provide(scope=Scope.APP)
    def tongue(self) -> Tongue:
        return Tongue()


@handler("greet", targets=False)
async def greet(ctx: HandlerContext, tongue: FromDishka[Tongue]):
    return success(tongue.greeting)


@handler("ask", targets=False)
async def ask(ctx: HandlerContext):
    return wait_for_event("an answer")


@handler("wave", targets=False)
async def wave(ctx: HandlerContext):
    return success("hello")


ORDER = Flow("order", initial_step_id="ask", steps={"ask": Step("ask", on_resume="greet"), "greet": Step("greet")})


@post("/orders")
async def start(flows: NamedDependency[FlowService]) -> dict[str, Any]:
    started = await flows.start_flow("order")
    return {"id": str(started.id), "status": started.status}


@get("/executions/{execution:str}")
async def look(execution: FromPath[str], flows: NamedDependency[FlowService]) -> dict[str, Any]:
    seen = await flows.get(execution)
    return {"status": seen.status, "step": seen.current_step}


@get("/dishka")
@inject
async def injected(flows: FromDishka[FlowService]) -> list[str]:
    return [flow.id for flow in await flows.flows.list()]


def book() -> FlowBook:
    return FlowBook(flows=[ORDER], handlers=[greet, ask, wave])


def with_flows(store: Any, **options: Any) -> WorkflowConfig:
    defaults: dict[str, Any] = {"store": store, "flows": book(), "providers": [App()]}
    return WorkflowConfig(**defaults | options)


async def until_ended(plugin: WorkflowPlugin, execution: str) -> str:
    """How the execution has ended."""
    return (await plugin.runtime.wait(execution, timeout=10)).status


async def test_one_setting_lets_handlers_start_flows_and_a_worker_run_them(serve, store):
    plugin = WorkflowPlugin(with_flows(store, worker="asgi"))
    async with serve(Litestar([start, look], logging_config=None, plugins=[plugin])) as client:
        started = (await client.post("/orders")).json()
        await plugin.runtime.wait(started["id"], "ask.waiting", timeout=10)
        assert (await client.get(f"/executions/{started['id']}")).json() == {"status": "waiting", "step": "ask"}
        await FlowService(WorkflowService(plugin.runtime), book()).resume(started["id"], "yes")
        assert await until_ended(plugin, started["id"]) == "completed"


async def test_a_flow_that_another_process_saved_runs_after_a_restart(serve, tmp_path):
    """What one process saves and starts, an application ends that was started later and knows the handlers alone."""
    theirs = FlowBook(handlers=[wave])
    store = SqliteStore(tmp_path / "detent.db")
    async with WorkflowRuntime(store=store, definitions=[], commands=theirs.commands) as runtime:
        flows = FlowService(WorkflowService(runtime), theirs)
        await flows.flows.save(GREETING)
        started = await flows.start_flow("greeting")
    plugin = WorkflowPlugin(with_flows(SqliteStore(tmp_path / "detent.db"), worker="asgi"))
    async with serve(Litestar(logging_config=None, plugins=[plugin])):
        assert await until_ended(plugin, str(started.id)) == "completed"


async def test_adopts_alone_is_enough_where_the_parts_are_given_one_by_one(serve, store):
    ours = book()
    config = WorkflowConfig(
        store=store, definitions=ours.definitions, commands=ours.commands, adopts=ours.adopts, providers=[App()]
    )
    plugin = WorkflowPlugin(config)
    async with serve(Litestar(logging_config=None, plugins=[plugin])):
        assert plugin.runtime.adopts


async def test_what_either_of_flows_and_adopts_takes_is_taken(store):
    config = with_flows(store, adopts=lambda definition: definition["name"] == "lamp")
    assert config.adopting
    assert config.adopting({"name": "lamp"})
    assert config.adopting(book().lowered(Flow.from_dict(GREETING)).to_dict())
    assert not config.adopting({"name": "door"})
    assert WorkflowConfig(store=store).adopting is None


async def test_the_service_comes_from_dishka_too(serve, store):
    async with serve(with_flows(store, setup_dishka=True), route_handlers=[injected]) as client:
        assert (await client.get("/dishka")).json() == ["order"]


async def test_the_applications_own_service_of_flows_wins(serve, store):
    class Audited(FlowService):
        """The application's own kind of service."""

    class Own(Provider):
        @provide(scope=Scope.REQUEST)
        def flows(self, service: WorkflowService) -> FlowService:
            return Audited(service, book())

    @get("/kind")
    @inject
    async def kind(flows: FromDishka[FlowService]) -> str:
        return type(flows).__name__

    config = with_flows(store, setup_dishka=True, providers=[App(), Own()])
    async with serve(config, route_handlers=[kind]) as client:
        assert (await client.get("/kind")).text == "Audited"


async def test_the_named_service_is_over_the_service_that_the_request_has(serve, store):
    class Bound(WorkflowProvider):
        @provide(scope=Scope.REQUEST)
        def service(self, runtime: WorkflowRuntime) -> WorkflowService:
            return WorkflowService(runtime).for_tenant("acme")

    config = with_flows(store, setup_dishka=True, providers=[App(), Bound()])
    plugin = WorkflowPlugin(config)
    async with serve(Litestar([start], logging_config=None, plugins=[plugin])) as client:
        started = (await client.post("/orders")).json()
        assert (await plugin.runtime.get_instance(started["id"])).tenant == "acme"


async def test_without_flows_the_name_is_free(serve, store):
    @get("/mine")
    async def mine(flows: FromQuery[str]) -> str:
        return flows

    async with serve(WorkflowConfig(store=store), route_handlers=[mine]) as client:
        assert (await client.get("/mine", params={"flows": "tides"})).text == "tides"


async def test_another_name_can_be_given_where_the_application_has_it(store):
    async def ours() -> str:
        return "tides"

    with pytest.raises(ImproperlyConfiguredException, match="flows_dependency_key"):
        Litestar(dependencies={"flows": ours}, plugins=[WorkflowPlugin(with_flows(store))])
    Litestar(dependencies={"flows": ours}, plugins=[WorkflowPlugin(with_flows(store, flows_dependency_key="steps"))])


@pytest.mark.parametrize("options", [{"flows": book()}, {"adopts": lambda definition: True}])
def test_a_runtime_from_the_container_has_its_own_flows(options):
    with pytest.raises(ImproperlyConfiguredException, match="flows"):
        WorkflowConfig(**options)


async def test_triggers_are_registered_at_startup_over_the_same_book(serve, store, caplog):
    ours, triggers = book(), TriggerBook()
    plugin = WorkflowPlugin(
        with_flows(
            store,
            flows=ours,
            definitions=triggers.definitions,
            commands=triggers.commands,
            subscribers=triggers.subscribers,
            triggers=lambda workflows: TriggerService(workflows, ours, triggers),
            webhooks=Webhooks(policy=AllowAll()),
            worker=WorkerConfig(),
        )
    )

    async def register() -> None:
        await plugin.triggers.register(HttpTrigger(name="new-order", flow="order"))

    with caplog.at_level(logging.ERROR):
        async with serve(Litestar(on_startup=[register], logging_config=None, plugins=[plugin])) as client:
            assert (await client.post("/webhooks/new-order", json={})).status_code == 201
    assert caplog.text == ""
