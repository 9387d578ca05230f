"""Several runtimes in one application: each has its plugin, its store, its routes, its worker and its name."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from click.testing import CliRunner, Result
from dishka import FromComponent, FromDishka, Provider, Scope, make_async_container
from dishka.integrations.litestar import inject, setup_dishka
from litestar import Litestar, get
from litestar.cli._utils import LitestarEnv, LitestarGroup
from litestar.di import NamedDependency
from litestar.exceptions import ImproperlyConfiguredException

from detent import (
    CommandContext,
    MemoryStore,
    Observation,
    WorkflowDefinition,
    WorkflowObserver,
    WorkflowService,
    command,
)
from detent.errors import DetentError
from detent.integrations.dishka import WorkflowProvider
from detent.testing.clock import FakeClock
from detent_litestar import AllowAll, Controllers, Webhooks, WorkflowConfig, WorkflowPlugin


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
        "dependency_key": name,
        "controllers": Controllers(policy=AllowAll(), path=f"/{name}", operation_id_prefix=name),
    }
    return WorkflowConfig(name=name, **defaults | options)


def application(*configs: WorkflowConfig, **options: Any) -> Litestar:
    return Litestar(logging_config=None, plugins=[WorkflowPlugin(one) for one in configs], **options)


async def test_handlers_get_each_runtime_by_its_key(serve):
    @get("/names")
    async def names(
        billing: NamedDependency[WorkflowService], shipping: NamedDependency[WorkflowService]
    ) -> list[list[str]]:
        return [billing.workflows, shipping.workflows]

    app = application(config("billing"), config("shipping"), route_handlers=[names])
    async with serve(app) as client:
        assert (await client.get("/names")).json() == [["billing"], ["shipping"]]


async def test_the_routes_of_each_reach_their_own_runtime(serve):
    async with serve(application(config("billing"), config("shipping"))) as client:
        made = await client.post("/billing/instances", json={"workflow": "billing"})
        number = made.headers["location"].rpartition("/")[2]
        assert (await client.get(f"/billing/instances/{number}")).status_code == 200
        assert (await client.get(f"/shipping/instances/{number}")).status_code == 404
        assert (await client.post("/shipping/instances", json={"workflow": "billing"})).status_code == 404
        paths = (await client.get("/schema/openapi.json")).json()["paths"]
    ids = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert {found.partition("_")[0] for found in ids} == {"billing", "shipping"}


async def test_each_has_a_worker_of_its_own_or_none(serve):
    class Ended(WorkflowObserver):
        def __init__(self) -> None:
            self.event = asyncio.Event()

        async def on_completed(self, seen: Observation) -> None:
            self.event.set()

    clock, ended = FakeClock(), Ended()
    app = application(config("billing", clock=clock, worker="asgi", observers=[ended]), config("shipping", clock=clock))
    async with asyncio.timeout(10), serve(app) as client:
        paths = [
            (await client.post(f"/{name}/instances", json={"workflow": name})).headers["location"]
            for name in ("billing", "shipping")
        ]
        clock.advance(hours=2)
        await ended.event.wait()
        assert [(await client.get(path)).json()["state"] for path in paths] == ["done", "new"]


async def test_a_plugin_is_found_by_the_name_of_its_runtime():
    class Own(WorkflowPlugin):
        """The application's own kind of plugin."""

    app = Litestar(logging_config=None, plugins=[WorkflowPlugin(config("billing")), Own(config("shipping"))])
    assert WorkflowPlugin.of(app, "billing").name == "billing"
    assert isinstance(WorkflowPlugin.of(app, "shipping"), Own)
    assert Own.of(app).name == "shipping", "the only one of that class"
    with pytest.raises(ValueError, match="several runtimes; the application has billing, shipping"):
        WorkflowPlugin.of(app)
    with pytest.raises(ValueError, match=r"no runtime is called 'biling'.*did you mean 'billing'\?"):
        WorkflowPlugin.of(app, "biling")


async def test_the_only_plugin_needs_no_name():
    assert WorkflowPlugin.of(application(config("billing"))).name == "billing"


STORE = MemoryStore()


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({}, {"name": "billing"}, r"are called 'billing': WorkflowConfig\(name="),
        ({}, {"dependency_key": "billing"}, r"have the dependency 'billing': WorkflowConfig\(dependency_key="),
        ({"store": STORE}, {"store": STORE}, "have the same store: give each a store of its own"),
        ({"setup_dishka": True}, {"setup_dishka": True}, "have setup_dishka=True"),
        (
            {},
            {"controllers": Controllers(policy=AllowAll(), path="billing/", operation_id_prefix="shipping")},
            r"have routes under '/billing': Controllers\(path=",
        ),
        (
            {},
            {"controllers": Controllers(policy=AllowAll(), path="/shipping", operation_id_prefix="billing")},
            r"have operation ids that begin with 'billing': Controllers\(operation_id_prefix=",
        ),
        (
            {},
            {"triggers": lambda workflows: None, "webhooks": Webhooks(policy=AllowAll(), path="/billing")},
            r"have routes under '/billing': Webhooks\(path=",
        ),
    ],
)
def test_what_two_cannot_both_have_is_refused_with_what_to_write(first, second, said):
    configs = config("billing", **first), config(second.pop("name", "shipping"), **{"dependency_key": "o"} | second)
    with pytest.raises(ImproperlyConfiguredException, match=f"two runtimes of the application {said}"):
        application(*configs)


class Greeter:
    """An object of the application."""


async def test_several_share_the_container_of_the_application_each_in_its_component(serve):
    @get("/dishka")
    @inject
    async def names(
        first: FromDishka[WorkflowService], second: Annotated[WorkflowService, FromComponent("shipping")]
    ) -> list[list[str]]:
        return [first.workflows, second.workflows]

    @get("/named")
    async def named(shipping: NamedDependency[WorkflowService]) -> list[str]:
        return shipping.workflows

    @command("pack")
    async def pack(ctx: CommandContext, greeter: FromDishka[Greeter]) -> None:
        ctx.context["packed"] = True

    packing = {"target": "done", "commands": ["pack"]}
    parcel = {"name": "parcel", "initial_state": "new", "states": {"new": {"events": {"go": packing}}, "done": {}}}
    own = Provider(scope=Scope.APP)
    own.provide(Greeter)
    container = make_async_container(own, WorkflowProvider(), WorkflowProvider().to_component("shipping"))
    shipping = config("shipping", definitions=[WorkflowDefinition.from_dict(parcel)], commands=[pack])
    app = application(config("billing"), shipping, route_handlers=[names, named])
    setup_dishka(container, app)
    async with serve(app) as client:
        assert (await client.get("/dishka")).json() == [["billing"], ["parcel"]]
        assert (await client.get("/named")).json() == ["parcel"]
        made = await client.post("/shipping/instances", json={"workflow": "parcel"})
        done = await client.post(f"{made.headers['location']}/events/go", json={})
        assert done.json()["instance"]["context"] == {"packed": True}
    await container.close()


async def test_a_container_of_the_application_without_components_serves_one(serve):
    container = make_async_container(WorkflowProvider())
    app = application(config("billing"), config("shipping"))
    setup_dishka(container, app)
    with pytest.RaisesGroup(pytest.RaisesExc(DetentError, match=r"to_component\("), flatten_subgroups=True):
        async with serve(app):
            pass
    await container.close()


async def test_the_container_that_one_lends_to_requests_is_not_that_of_the_others(serve):
    @get("/dishka")
    @inject
    async def handler(workflows: FromDishka[WorkflowService]) -> list[str]:
        return workflows.workflows

    app = application(config("billing", setup_dishka=True), config("shipping"), route_handlers=[handler])
    async with serve(app) as client:
        assert (await client.get("/dishka")).json() == ["billing"]
        assert (await client.get("/shipping/definitions")).json()[0]["name"] == "shipping"


@pytest.fixture
def run() -> Callable[..., Result]:
    """Runs `litestar workflows …` on an application of two runtimes, whose workers must not run meanwhile."""

    def invoke(*arguments: str) -> Result:
        app = application(config("billing", worker="asgi"), config("shipping", worker="asgi"))
        cli = LitestarGroup("litestar")
        for plugin in app.plugins.cli:
            plugin.on_cli_init(cli)
        env = LitestarEnv(app_path="shop:app", app=app, cwd=Path())
        result = CliRunner().invoke(cli, ["workflows", *arguments], obj=env)
        for name in ("billing", "shipping"):
            assert WorkflowPlugin.of(app, name).config.worker == ("asgi" if result.exit_code else "external")
        return result

    return invoke


def test_the_command_line_works_with_the_runtime_that_is_named(run):
    answer = run("--runtime", "shipping", "definitions", "--json")
    assert [found["workflow"] for found in json.loads(answer.stdout)["definitions"]] == ["shipping"]
    assert "stateDiagram-v2" in run("--runtime", "billing", "diagram", "billing").stdout


@pytest.mark.parametrize("arguments", [("definitions",), ("sweep",), ("--runtime", "biling", "worker")])
def test_the_command_line_lists_the_runtimes_where_it_cannot_know_which(run, arguments):
    answer = run(*arguments)
    assert answer.exit_code == 2
    assert "the application has billing, shipping" in " ".join(answer.stderr.split())


def test_help_asks_for_no_runtime(run):
    app = application(config("billing"), config("shipping"))
    cli = LitestarGroup("litestar")
    WorkflowPlugin.of(app, "billing").on_cli_init(cli)
    env = LitestarEnv(app_path="shop:app", app=app, cwd=Path())
    assert CliRunner().invoke(cli, ["workflows", "worker", "--help"], obj=env).exit_code == 0
