"""The workflows that are measured, and a runtime over an empty PostgreSQL."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from detent import Settings, WorkflowDefinition, WorkflowRuntime
from detent_pg import PgStore

CONTEXT = {"customer": "Ada", "amount": 40, "paid": False}
"""What an instance is created with: small, as most are."""

LAMP = WorkflowDefinition.from_dict(
    {
        "name": "lamp",
        "initial_state": "off",
        "states": {
            "off": {"events": {"press": {"target": "on"}}},
            "on": {"events": {"press": {"target": "off"}}},
        },
    }
)
"""Takes the same event for ever, and nothing runs on it: a plain event."""

CONNECTIONS = 16
"""How many connections the store's engine may keep: as many as pgbench has."""


@asynccontextmanager
async def on_postgres(
    url: str,
    definitions: Iterable[WorkflowDefinition] = (LAMP,),
    *,
    commands: Iterable[Any] = (),
    prefix: str = "detent_",
    command_timeout: float = 30.0,
    settings: Settings | None = None,
) -> AsyncIterator[WorkflowRuntime]:
    """A runtime over the database at `url`, with its tables made."""
    store = PgStore.from_url(url, prefix=prefix, pool_size=CONNECTIONS, command_timeout=command_timeout)
    await store.upgrade()
    async with WorkflowRuntime(store=store, definitions=definitions, commands=commands, settings=settings) as runtime:
        yield runtime


def pg_store(runtime: WorkflowRuntime) -> PgStore:
    """The store of a runtime made by `on_postgres`."""
    assert isinstance(runtime.store, PgStore)
    return runtime.store
