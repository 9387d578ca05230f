"""Several runtimes in one application: each is set up by itself, with its store, its routes, its worker and its name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from dishka import FromComponent, FromDishka, make_async_container
from dishka.integrations.fastapi import inject, setup_dishka
from fastapi import Depends, FastAPI

from detent import MemoryStore, Observation, WorkflowDefinition, WorkflowObserver, WorkflowService
from detent.flows import Flow, FlowBook, Step, handler, success
from detent.integrations.dishka import WorkflowProvider
from detent.service.flows import FlowService
from detent.service.trigger_book import TriggerBook
from detent.service.triggers import TriggerService
from detent.testing.clock import FakeClock
from detent_fastapi import (
    AllowAll,
    Webhooks,
    WorkflowConfig,
    WorkflowRoutes,
    flows_of,
    setup_workflows,
    triggers_of,
    within,
    workflow_router,
    workflows,
    workflows_of,
)


def workflow(name: str) -> WorkflowDefinition:
    events = {"go": {"target": "done"}, "late": {"target": "done", "timeout": "1h"}}
    return WorkflowDefinition.from_dict(
        {"name": name, "initial_state": "new", "states": {"new": {"events": events}, "done": {}}}
    )


def config(name: str, **options: Any) -> WorkflowConfig:
    """A runtime of its own, with open routes, that has one workflow which is called like it."""
    defaults: dict[str, Any] = {
        "store": MemoryStore(),
        "definitions": [workflow(name)],
        "routes": WorkflowRoutes(policy=AllowAll(), path=f"/{name}", operation_id_prefix=name),
    }
    return WorkflowConfig(name=name, **defaults | options)


def application(*configs: WorkflowConfig) -> FastAPI:
    app = FastAPI()
    for one in configs:
        setup_workflows(app, one)
    return app


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client,
    ):
        yield client


async def test_handlers_get_each_runtime_by_its_name():
    app = application(config("billing"), config("shipping"))

    @app.get("/names")
    async def names(
        billing: Annotated[WorkflowService, Depends(workflows_of("billing"))],
        shipping: Annotated[WorkflowService, Depends(workflows_of("shipping"))],
    ) -> list[list[str]]:
        return [billing.workflows, shipping.workflows]

    async with serving(app) as client:
        assert (await client.get("/names")).json() == [["billing"], ["shipping"]]
    assert workflows_of("billing") is workflows_of("billing"), "a test overrides it by calling it again"


async def test_without_a_name_it_is_the_only_one_or_the_one_that_needs_none():
    async def names(service: Annotated[WorkflowService, Depends(workflows)]) -> list[str]:
        return service.workflows

    for configs in ([config("billing")], [config("workflows", definitions=[workflow("billing")]), config("shipping")]):
        app = application(*configs)
        app.get("/names")(names)
        async with serving(app) as client:
            assert (await client.get("/names")).json() == ["billing"]


async def test_a_name_that_is_not_there_is_a_fault_of_the_application():
    app = application(config("billing"), config("shipping"))

    @app.get("/names")
    async def names(service: Annotated[WorkflowService, Depends(workflows_of("biling"))]) -> list[str]:
        return service.workflows

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.test") as client,
    ):
        with pytest.raises(ValueError, match=r"the application has billing, shipping.*did you mean 'billing'\?"):
            await client.get("/names")


async def test_the_routes_of_each_reach_their_own_runtime():
    async with serving(application(config("billing"), config("shipping"))) as client:
        made = await client.post("/billing/instances", json={"workflow": "billing"})
        number = made.headers["location"].rpartition("/")[2]
        assert (await client.get(f"/billing/instances/{number}")).status_code == 200
        assert (await client.get(f"/shipping/instances/{number}")).status_code == 404
        paths = (await client.get("/openapi.json")).json()["paths"]
    ids = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(ids) == len(set(ids))


async def test_two_routers_for_one_runtime_and_one_for_another_stand_side_by_side():
    app = application(config("billing", routes=None), config("shipping", routes=None))
    for prefix, runtime in (("staff", "billing"), ("public", "billing"), ("parcels", "shipping")):
        routes = WorkflowRoutes(policy=AllowAll(), path=f"/{prefix}", operation_id_prefix=prefix)
        app.include_router(workflow_router(routes, runtime=runtime))
    async with serving(app) as client:
        names = [
            (await client.get(f"/{prefix}/definitions")).json()[0]["name"] for prefix in ("staff", "public", "parcels")
        ]
        await client.get("/openapi.json")
    assert names == ["billing", "billing", "shipping"]


async def test_each_has_a_worker_of_its_own_or_none():
    class Ended(WorkflowObserver):
        def __init__(self) -> None:
            self.event = asyncio.Event()

        async def on_completed(self, seen: Observation) -> None:
            self.event.set()

    clock, ended = FakeClock(), Ended()
    app = application(config("billing", clock=clock, worker="asgi", observers=[ended]), config("shipping", clock=clock))
    async with asyncio.timeout(10), serving(app) as client:
        paths = [
            (await client.post(f"/{name}/instances", json={"workflow": name})).headers["location"]
            for name in ("billing", "shipping")
        ]
        clock.advance(hours=2)
        await ended.event.wait()
        assert [(await client.get(path)).json()["state"] for path in paths] == ["done", "new"]


async def test_flows_triggers_and_transactions_of_a_named_runtime():
    @handler("greet", targets=False)
    async def greet(ctx, input):
        return success(f"Hello, {input}!")

    store, triggers = MemoryStore(), TriggerBook()
    flow = Flow("welcome", initial_step_id="greet", steps={"greet": Step("greet", input={"key": "name"})})
    book = FlowBook(flows=[flow], handlers=[greet])
    shipping = config(
        "shipping",
        store=store,
        flows=book,
        definitions=[workflow("shipping"), *triggers.definitions],
        commands=triggers.commands,
        triggers=lambda service: TriggerService(service, book, triggers),
        webhooks=Webhooks(policy=AllowAll()),
    )
    app = application(config("billing"), shipping)

    async def transaction() -> AsyncIterator[Any]:
        async with store.begin() as lent:
            yield lent

    @app.post("/sales")
    async def sell(
        joined: Annotated[WorkflowService, within(transaction, runtime="shipping")],
        flows: Annotated[FlowService, Depends(flows_of("shipping"))],
        found: Annotated[TriggerService, Depends(triggers_of("shipping"))],
    ) -> list[str]:
        made = await joined.create_instance("shipping")
        return [made.workflow, (await flows.start_flow("welcome")).status, type(found).__name__]

    async with serving(app) as client:
        assert (await client.post("/sales")).json() == ["shipping", "pending", "TriggerService"]
        assert (await client.post("/webhooks/none", json={})).json()["code"] == "unknown_trigger"


STORE = MemoryStore()


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({}, {"name": "billing"}, r"are called 'billing': WorkflowConfig\(name="),
        ({"store": STORE}, {"store": STORE}, "have the same store"),
        ({"setup_dishka": True}, {"setup_dishka": True}, "have setup_dishka=True"),
        (
            {},
            {"routes": WorkflowRoutes(policy=AllowAll(), path="/billing", operation_id_prefix="shipping")},
            r"have routes under '/billing': WorkflowRoutes\(path=",
        ),
        (
            {},
            {"routes": WorkflowRoutes(policy=AllowAll(), path="/shipping", operation_id_prefix="billing")},
            r"have operation ids that begin with 'billing': WorkflowRoutes\(operation_id_prefix=",
        ),
    ],
)
def test_what_two_cannot_both_have_is_refused_with_what_to_write(first, second, said):
    with pytest.raises(ValueError, match=f"two runtimes of the application {said}"):
        application(config("billing", **first), config(second.pop("name", "shipping"), **second))


async def test_several_share_the_container_of_the_application_each_in_its_component():
    app = application(config("billing"), config("shipping"))

    @app.get("/dishka")
    @inject
    async def names(
        first: FromDishka[WorkflowService], second: Annotated[WorkflowService, FromComponent("shipping")]
    ) -> list[list[str]]:
        return [first.workflows, second.workflows]

    @app.get("/depends")
    async def depends(service: Annotated[WorkflowService, Depends(workflows_of("shipping"))]) -> list[str]:
        return service.workflows

    container = make_async_container(WorkflowProvider(), WorkflowProvider().to_component("shipping"))
    setup_dishka(container, app)
    async with serving(app) as client:
        assert (await client.get("/dishka")).json() == [["billing"], ["shipping"]]
        assert (await client.get("/depends")).json() == ["shipping"]
    await container.close()


async def test_the_container_that_one_lends_to_requests_is_not_that_of_the_others():
    app = application(config("billing", setup_dishka=True), config("shipping"))

    @app.get("/dishka")
    @inject
    async def names(service: FromDishka[WorkflowService]) -> list[str]:
        return service.workflows

    async with serving(app) as client:
        assert (await client.get("/dishka")).json() == ["billing"]
        assert (await client.get("/shipping/definitions")).json()[0]["name"] == "shipping"
