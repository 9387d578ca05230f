"""The doors under one contract: the same workflows behind each framework, asked over ASGI."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any, TypeAlias

import httpx
from fastapi import Depends, FastAPI
from fastapi import HTTPException as FastAPIHTTPException
from fastapi.requests import HTTPConnection
from fastapi.routing import iter_route_contexts
from litestar import Litestar
from litestar.exceptions import HTTPException as LitestarHTTPException
from litestar.routes import HTTPRoute

import detent_fastapi
import detent_litestar
from detent import (
    CommandContext,
    Fail,
    GuardContext,
    MemoryStore,
    Refuse,
    WorkflowDefinition,
    WorkflowRuntime,
    command,
    guard,
)
from detent.ids import new_id
from detent.integrations.hosting import Hosted
from detent.service.http.operation import Operation
from detent.service.http.operations import ACTION
from detent_fastapi import setup_workflows, workflow_action
from detent_fastapi.lifespan import setup_of
from detent_litestar import AllowAll, WorkflowPlugin

ORDER = WorkflowDefinition.from_dict(
    {
        "name": "order",
        "description": "From the cart to the parcel.",
        "initial_state": "new",
        "states": {
            "new": {
                "events": {
                    "pay": {
                        "target": "paid",
                        "payload": {
                            "type": "object",
                            "properties": {"amount": {"type": "integer"}},
                            "required": ["amount"],
                        },
                    },
                    "approve": {"target": "paid", "guard": "in_stock"},
                    "charge": {"target": "paid", "commands": ["charge"]},
                    "try": {"target": "paid", "error": "new", "commands": ["charge"]},
                    "send": {"target": "paid", "commands": ["deliver"]},
                    "ship / now": {"target": "paid"},
                    "50% ?#": {"target": "paid"},
                    "expire": {"target": "expired", "timeout": "1h"},
                }
            },
            "paid": {},
            "expired": {"outcome": "cancelled"},
        },
    }
)


@command("charge")
async def charge(ctx: CommandContext) -> Fail:
    return Fail("card_declined", "the bank said no")


@command("deliver", durable=True)
async def deliver(ctx: CommandContext) -> None: ...


@guard("in_stock")
def in_stock(ctx: GuardContext) -> Refuse | bool:
    return True if ctx.context.get("stock") else Refuse("nothing is in stock")


Keeper: TypeAlias = Callable[[Mapping[str, str], str], int | None]
"""Told the headers of a request and what it wants to do, answers the status it is turned away with."""


class Client(httpx.AsyncClient):
    """A client of an application that runs in this process, and knows it."""

    def __init__(self, app: Any, transport: httpx.ASGITransport) -> None:
        super().__init__(transport=transport, base_url="http://shop.test")
        self.app = app


@dataclass(frozen=True)
class Asked:
    """What a test wants of the routes, in the words of no framework."""

    parts: Mapping[str, Any]
    """Options of the runtime, over the defaults."""
    keeper: Keeper | None
    routes: Mapping[str, Any]
    """Options of the routes that all doors have, such as `path`."""
    webhooks: Mapping[str, Any] | None
    """Options of the webhooks; `None` mounts none."""
    tokens: Mapping[str, Any] | None
    """Options of the door of resume tokens; `None` mounts none."""
    probes: Mapping[str, Any] | None
    """Options of the probes; `None` mounts none."""

    def mounts(self, web: ModuleType, rest: type[Any], guards: Sequence[Any]) -> dict[str, Any]:
        """What is mounted, as the configs of web packages want it, by what it is called there."""
        policy: dict[str, Any] = {"guards": guards} if self.keeper else {"policy": AllowAll()}
        decided = {} if "authorize" in self.routes and not self.keeper else policy
        wanted = {"webhooks": (web.Webhooks, self.webhooks), "tokens": (web.Tokens, self.tokens)}
        wanted["probes"] = (web.Probes, self.probes)
        return {"rest": rest(**decided, **self.routes)} | {
            name: None if options is None else kind(**policy, **options) for name, (kind, options) in wanted.items()
        }

    @property
    def runtime(self) -> dict[str, Any]:
        defaults: dict[str, Any] = {
            "store": MemoryStore(lock_timeout=0.2),
            "definitions": [ORDER],
            "commands": [charge, deliver],
            "guards": [in_stock],
        }
        return defaults | dict(self.parts)


class Door(ABC):
    """One framework."""

    name: str
    documents: str
    """Where OpenAPI's document is."""

    mounts_with_a_policy: Sequence[type[Any]]
    """What is mounted, and not without a policy."""

    @abstractmethod
    def host_of(self, client: Client) -> Hosted[Any]:
        """What runs in the application of a client."""

    @abstractmethod
    def mounted(self, client: Client) -> set[tuple[str, str]]:
        """The method and the path of every route of ours."""

    def runtime_of(self, client: Client) -> WorkflowRuntime:
        """Its runtime."""
        return self.host_of(client).runtime

    @abstractmethod
    def start(self, asked: Asked) -> AbstractAsyncContextManager[Client]:
        """A client of a running application, as `asked`."""

    def serve(
        self,
        *,
        keeper: Keeper | None = None,
        routes: Mapping[str, Any] | None = None,
        webhooks: Mapping[str, Any] | None = None,
        tokens: Mapping[str, Any] | None = None,
        probes: Mapping[str, Any] | None = None,
        **parts: Any,
    ) -> AbstractAsyncContextManager[Client]:
        """A client of a running application."""
        return self.start(Asked(parts, keeper, routes or {}, webhooks, tokens, probes))


class LitestarDoor(Door):
    name = "litestar"
    documents = "/schema/openapi.json"
    mounts_with_a_policy = (
        detent_litestar.Controllers,
        detent_litestar.Webhooks,
        detent_litestar.Tokens,
        detent_litestar.Probes,
    )

    def host_of(self, client: Client) -> Hosted[Any]:
        plugin: WorkflowPlugin = client.app.plugins.get(WorkflowPlugin)
        return plugin

    def mounted(self, client: Client) -> set[tuple[str, str]]:
        ours = [
            (method, route.path_format)
            for route in client.app.routes
            for handler in (route.route_handlers if isinstance(route, HTTPRoute) else [route.route_handler])
            if ACTION in handler.opt
            for method in getattr(handler, "http_methods", ["WEBSOCKET"])
        ]
        return {(str(method), path) for method, path in ours if method != "OPTIONS"}

    @asynccontextmanager
    async def start(self, asked: Asked) -> AsyncIterator[Client]:
        def turn_away(connection: Any, handler: Any) -> None:
            if asked.keeper and (status := asked.keeper(connection.headers, handler.opt[ACTION])):
                raise LitestarHTTPException(status_code=status, detail="not you")

        mounts = asked.mounts(detent_litestar, detent_litestar.Controllers, [turn_away])
        config = detent_litestar.WorkflowConfig(controllers=mounts.pop("rest"), **mounts, **asked.runtime)
        app = Litestar(logging_config=None, plugins=[WorkflowPlugin(config)])
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Litestar's scopes are typed dicts
        async with app.lifespan(), Client(app, transport) as client:
            yield client


class FastAPIDoor(Door):
    name = "fastapi"
    documents = "/openapi.json"
    mounts_with_a_policy = (
        detent_fastapi.WorkflowRoutes,
        detent_fastapi.Webhooks,
        detent_fastapi.Tokens,
        detent_fastapi.Probes,
    )

    def host_of(self, client: Client) -> Hosted[Any]:
        return setup_of(client.app)

    def mounted(self, client: Client) -> set[tuple[str, str]]:
        routes = [route for route in iter_route_contexts(client.app.routes) if ":" in (route.name or "")]
        found = [(method, str(route.path)) for route in routes for method in route.methods or ["WEBSOCKET"]]
        return {(method, path.replace(":path}", "}")) for method, path in found}

    @asynccontextmanager
    async def start(self, asked: Asked) -> AsyncIterator[Client]:
        def turn_away(connection: HTTPConnection, action: Annotated[str, Depends(workflow_action)]) -> None:
            if asked.keeper and (status := asked.keeper(connection.headers, action)):
                raise FastAPIHTTPException(status, "not you")

        mounts = asked.mounts(detent_fastapi, detent_fastapi.WorkflowRoutes, [Depends(turn_away)])
        config = detent_fastapi.WorkflowConfig(routes=mounts.pop("rest"), **mounts, **asked.runtime)
        # Where it redirects a path that ends with a slash, Starlette fails at bytes in the query, before any route is asked.
        app = FastAPI(redirect_slashes=False)
        setup_workflows(app, config)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            Client(app, transport) as client,
        ):
            yield client


DOORS = (LitestarDoor(), FastAPIDoor())
INSTANCES = "/workflows/instances"
JSON = {"Content-Type": "application/json"}


def url_of(operation: Operation, **named: Any) -> str:
    """Where an operation is; what is not `named` is something that is not there, or is in `ORDER`."""
    named = {"workflow": "order", "event": "try", "trigger": "nightly"} | named
    return f"/workflows{operation.path}".format_map(defaultdict(new_id, named))


async def create(client: httpx.AsyncClient, **body: Any) -> str:
    """The path of a new instance."""
    answer = await client.post(INSTANCES, json={"workflow": "order", **body})
    assert answer.status_code == 201, answer.text
    path: str = answer.headers["location"]
    return path
