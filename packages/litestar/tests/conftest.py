"""Applications with the plugin, started in the loop of the test and asked over ASGI."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from detent import (
    CommandContext,
    Fail,
    GuardContext,
    MemoryStore,
    Refuse,
    SqliteStore,
    WorkflowDefinition,
    command,
    guard,
)
from detent_litestar import AllowAll, Controllers, WorkflowConfig, WorkflowPlugin

Client = httpx.AsyncClient
Serve = Callable[..., AbstractAsyncContextManager[Client]]

ORDER: dict[str, Any] = {
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
                "crash": {"target": "paid", "commands": ["crash"]},
                "ship / now": {"target": "paid"},
                "50% ?#": {"target": "paid"},
                "expire": {"target": "expired", "timeout": "1h"},
            }
        },
        "paid": {},
        "expired": {"outcome": "cancelled"},
    },
}


@command("charge")
async def charge(ctx: CommandContext) -> Fail:
    return Fail("card_declined", "the bank said no")


@command("crash")
async def crash(ctx: CommandContext) -> None:
    raise ZeroDivisionError("secret of the server")


@guard("in_stock")
def in_stock(ctx: GuardContext) -> Refuse | bool:
    return True if ctx.context.get("stock") else Refuse("nothing is in stock")


def order_config(**options: Any) -> WorkflowConfig:
    """A config of the workflow `order` in memory, with open routes."""
    defaults: dict[str, Any] = {
        "store": MemoryStore(lock_timeout=0.2),
        "definitions": [WorkflowDefinition.from_dict(ORDER)],
        "commands": [charge, crash],
        "guards": [in_stock],
        "controllers": Controllers(policy=AllowAll()),
    }
    return WorkflowConfig(**defaults | options)


@asynccontextmanager
async def serving(app: Litestar) -> AsyncIterator[Client]:
    # As a server does: what nobody answers is a 500, and not an error of the client.
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]  # typed dicts
    async with app.lifespan(), Client(transport=transport, base_url="http://shop.test") as client:
        yield client


@pytest.fixture
def configured() -> Callable[..., WorkflowConfig]:
    """Makes configs of the workflow `order`; options replace the defaults."""
    return order_config


@pytest.fixture
def serve() -> Serve:
    """Starts an application with the plugin: `async with serve(config, **litestar_options) as client`.

    In place of a config it takes an application.
    """

    def start(config: WorkflowConfig | Litestar, **options: Any) -> AbstractAsyncContextManager[Client]:
        if isinstance(config, Litestar):
            return serving(config)
        return serving(
            Litestar(logging_config=None, plugins=[*options.pop("plugins", ()), WorkflowPlugin(config)], **options)
        )

    return start


@pytest.fixture
def new_order() -> Callable[..., Awaitable[str]]:
    """Makes an instance, and gives its path: `await new_order(client, context={...})`."""

    async def create(client: Client, workflow: str = "order", **body: Any) -> str:
        answer = await client.post("/workflows/instances", json={"workflow": workflow, **body})
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    return create


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryStore | SqliteStore:
    return MemoryStore(lock_timeout=0.2) if request.param == "memory" else SqliteStore(tmp_path / "detent.db")


@pytest.fixture
def guarded() -> Callable[..., Controllers]:
    """Routes behind the given guards."""
    return lambda *guards: Controllers(guards=guards)
