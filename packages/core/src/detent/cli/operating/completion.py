"""What a shell offers to complete: names of workflows, states, events and triggers, as a database that is named has them.

Only a database is asked: to start an application because somebody pressed a key would be too much. Where there is none, or it
does not answer at once, nothing is offered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias

import rich_click as click

from detent.cli.operating.connection import bare, database_of
from detent.runtime.runtime import WorkflowRuntime
from detent.store.protocol import Store
from detent.store.records import DefinitionSnapshot
from detent.triggers.definition import WORKFLOW

_PATIENCE = 3.0
"""How many seconds a shell waits for what it offers."""

Offer: TypeAlias = Callable[[click.Context, click.Parameter, str], list[str]]
"""What click asks for completions."""


def workflow_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The workflows of which a version is stored."""
    return _offered(context, incomplete, lambda runtime: _stored(runtime, lambda snapshot: [snapshot.workflow]))


def state_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The states of the workflows that the command names, or of all."""
    wanted = context.params.get("workflows")
    return _offered(context, incomplete, lambda runtime: _stored(runtime, lambda snapshot: _states(snapshot, wanted)))


def event_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The events of all workflows."""
    return _offered(context, incomplete, lambda runtime: _stored(runtime, _events))


def trigger_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of triggers that are not deleted."""
    return _offered(context, incomplete, _triggers)


def _offered(
    context: click.Context, incomplete: str, ask: Callable[[WorkflowRuntime], Awaitable[Collection[str]]]
) -> list[str]:
    try:
        store = database_of(context)
        found = [] if store is None else asyncio.run(asyncio.wait_for(_asked(store, ask), _PATIENCE))
    except Exception:
        return []
    return sorted(name for name in found if name.startswith(incomplete))


async def _asked(store: Store, ask: Callable[[WorkflowRuntime], Awaitable[Collection[str]]]) -> Collection[str]:
    async with bare(store) as runtime:
        return await ask(runtime)


async def _stored(runtime: WorkflowRuntime, names: Callable[[DefinitionSnapshot], Collection[str]]) -> set[str]:
    return {name for snapshot in await runtime.store.list_definitions(None) for name in names(snapshot)}


async def _triggers(runtime: WorkflowRuntime) -> set[str]:
    page = await runtime.find_instances(workflow=WORKFLOW, status=["active", "paused"], limit=1000)
    return {str(instance.metadata["name"]) for instance in page}


def _states(snapshot: DefinitionSnapshot, wanted: Collection[str] | None) -> Collection[str]:
    return [name for name, _ in _states_in(snapshot)] if not wanted or snapshot.workflow in wanted else []


def _events(snapshot: DefinitionSnapshot) -> Collection[str]:
    return [event for _, state in _states_in(snapshot) for event in state.get("events") or ()]


def _states_in(snapshot: DefinitionSnapshot) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from (snapshot.definition.get("states") or {}).items()
