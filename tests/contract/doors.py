"""The doors under one contract: the same workflows behind each framework, asked over ASGI."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import httpx
from fastapi import Depends, FastAPI, Request
from fastapi import HTTPException as FastAPIHTTPException
from litestar import Litestar
from litestar.exceptions import HTTPException as LitestarHTTPException

import detent_fastapi
import detent_litestar
from detent import CommandContext, Fail, GuardContext, MemoryStore, Refuse, WorkflowDefinition, command, guard
from detent.service.http.operations import ACTION
from detent_fastapi import setup_workflows, workflow_action
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

    @abstractmethod
    def start(self, asked: Asked) -> AbstractAsyncContextManager[Client]:
        """A client of a running application, as `asked`."""

    def serve(
        self,
        *,
        keeper: Keeper | None = None,
        routes: Mapping[str, Any] | None = None,
        webhooks: Mapping[str, Any] | None = None,
        **parts: Any,
    ) -> AbstractAsyncContextManager[Client]:
        """A client of a running application."""
        return self.start(Asked(parts, keeper, routes or {}, webhooks))


class LitestarDoor(Door):
    name = "litestar"
    documents = "/schema/openapi.json"

    @asynccontextmanager
    async def start(self, asked: Asked) -> AsyncIterator[Client]:
        def turn_away(connection: Any, handler: Any) -> None:
            if asked.keeper and (status := asked.keeper(connection.headers, handler.opt[ACTION])):
                raise LitestarHTTPException(status_code=status, detail="not you")

        policy: dict[str, Any] = {"guards": [turn_away]} if asked.keeper else {"policy": AllowAll()}
        door = asked.webhooks
        config = detent_litestar.WorkflowConfig(
            controllers=detent_litestar.Controllers(**policy, **asked.routes),
            webhooks=None if door is None else detent_litestar.Webhooks(**policy, **door),
            **asked.runtime,
        )
        app = Litestar(logging_config=None, plugins=[WorkflowPlugin(config)])
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Litestar's scopes are typed dicts
        async with app.lifespan(), Client(app, transport) as client:
            yield client


class FastAPIDoor(Door):
    name = "fastapi"
    documents = "/openapi.json"

    @asynccontextmanager
    async def start(self, asked: Asked) -> AsyncIterator[Client]:
        def turn_away(request: Request, action: Annotated[str, Depends(workflow_action)]) -> None:
            if asked.keeper and (status := asked.keeper(request.headers, action)):
                raise FastAPIHTTPException(status, "not you")

        policy: dict[str, Any] = {"guards": [Depends(turn_away)]} if asked.keeper else {"policy": AllowAll()}
        door = asked.webhooks
        config = detent_fastapi.WorkflowConfig(
            routes=detent_fastapi.WorkflowRoutes(**policy, **asked.routes),
            webhooks=None if door is None else detent_fastapi.Webhooks(**policy, **door),
            **asked.runtime,
        )
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


async def create(client: httpx.AsyncClient, **body: Any) -> str:
    """The path of a new instance."""
    answer = await client.post(INSTANCES, json={"workflow": "order", **body})
    assert answer.status_code == 201, answer.text
    path: str = answer.headers["location"]
    return path
