"""How a command of operators finds its runtime: the application's own, or one over the database alone."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

import rich_click as click
from click import get_current_context
from click.core import ParameterSource

from detent.cli.runtimes import answered, runtime_at
from detent.cli.stores import store_at
from detent.errors import DefinitionInvalid
from detent.json_values import JsonValue
from detent.runtime.live_versions import why_not
from detent.runtime.runtime import WorkflowRuntime
from detent.service.service import WorkflowService
from detent.store.protocol import Store
from detent.workers.config import WorkerConfig

T = TypeVar("T")

Opened: TypeAlias = Callable[[], AbstractAsyncContextManager[WorkflowRuntime]]
"""Starts the application's runtime, and stops it at the end."""
Over: TypeAlias = Callable[[Store], AbstractAsyncContextManager[WorkflowRuntime]]
"""Starts a runtime over a store alone."""

_MOUNTED = "detent.cli.operating.mounted"
_PLACES = ("schema", "prefix")
"""The options that say which tables of a database are meant."""

NAME_THE_APPLICATION = "name the application: --app MODULE:RUNTIME, or the variable DETENT_RUNTIME"


@dataclass(frozen=True, slots=True)
class Connected:
    """A runtime that a command works with."""

    runtime: WorkflowRuntime
    database_alone: bool
    """Whether it knows what is stored and nothing else: no commands, guards, observers or subscribers."""

    @property
    def now(self) -> datetime:
        """The runtime's time."""
        parts = self.runtime.running().parts
        return parts.present

    def service(self, *, actor: str | None = None, reason: str | None = None) -> WorkflowService:
        """The verbs, with who acts and why, for history."""
        said: dict[str, JsonValue] = {"source": "cli"}
        said |= {} if actor is None else {"actor": actor}
        said |= {} if reason is None else {"reason": reason}
        return WorkflowService(self.runtime, trigger_metadata=said)

    def of_tenant(self, tenant: str | None) -> WorkflowService:
        """The verbs, for one tenant if one is named."""
        service = self.service()
        return service if tenant is None else service.for_tenant(tenant)


@dataclass(frozen=True, slots=True)
class Mounted:
    """What a framework's own command line says of its application."""

    opened: Opened
    working: Callable[[], WorkerConfig]
    """How its worker runs unless options say otherwise."""


def mount(opened: Opened, *, working: Callable[[], WorkerConfig] = WorkerConfig) -> None:
    """Let the commands below the current one work with the runtime that `opened` starts: a framework's own command line.

    Neither is called before a command needs it, and not at all for `--help`.
    """
    get_current_context().meta[_MOUNTED] = Mounted(opened, working)


def mounted() -> Mounted | None:
    """What the framework said, if there is one."""
    found: Mounted | None = get_current_context().meta.get(_MOUNTED)
    return found


def connection_options() -> list[click.Option]:
    """The options that say which runtime, for where no framework does."""
    return [
        click.Option(
            ["--app", "--runtime"],
            envvar="DETENT_RUNTIME",
            show_envvar=True,
            metavar="MODULE:RUNTIME",
            expose_value=False,
            callback=_noted,
            help="The application's WorkflowRuntime, or a function that returns or opens one.",
        ),
        click.Option(
            ["--database"],
            envvar="DETENT_DATABASE_URL",
            show_envvar=True,
            metavar="URL",
            expose_value=False,
            callback=_noted,
            help="Without an application: postgresql://… or sqlite:///FILE, and what is stored there.",
        ),
        click.Option(
            ["--schema"],
            envvar="DETENT_DATABASE_SCHEMA",
            show_envvar=True,
            metavar="NAME",
            expose_value=False,
            callback=_noted,
            help="With --database: the schema of the tables, if they have one of their own.",
        ),
        click.Option(
            ["--prefix"],
            envvar="DETENT_DATABASE_PREFIX",
            show_envvar=True,
            metavar="TEXT",
            expose_value=False,
            callback=_noted,
            help="With --database: what the names of the tables begin with, if not detent_.",
        ),
    ]


@asynccontextmanager
async def bare(store: Store) -> AsyncIterator[WorkflowRuntime]:
    """A runtime that has nothing registered: versions come from what is stored."""
    async with WorkflowRuntime(store=store) as runtime:
        yield runtime


def connected(work: Callable[[Connected], Awaitable[T]], *, over: Over = bare) -> T:
    """What `work` answers, given a started runtime; `over` makes the one over a database alone.

    What goes wrong is told in a sentence.
    """
    context, framework = get_current_context(), mounted()
    if framework is not None:
        return answered("the application", framework.opened, lambda runtime: work(Connected(runtime, False)))
    app = _app(context)
    if app is not None:
        _refuse_places(context)
        return answered(app, lambda: runtime_at(app), lambda runtime: work(Connected(runtime, False)))
    if not _noted_in(context, "database"):
        raise click.UsageError("which runtime? --app MODULE:RUNTIME or --database URL says so")
    return answered(
        "the database", lambda: over(_store(context)), lambda runtime: _alone(Connected(runtime, True), work)
    )


def database_of(context: click.Context) -> Store | None:
    """The store that a command of this context works with, not yet opened, where that is a database alone."""
    return _store(context) if _app(context) is None and _noted_in(context, "database") else None


async def _alone(connected: Connected, work: Callable[[Connected], Awaitable[T]]) -> T:
    try:
        return await work(connected)
    except DefinitionInvalid as error:
        raise click.ClickException(not_here(error)) from error


def not_here(error: DefinitionInvalid) -> str:
    """Why a stored version cannot run without its application, and what to do."""
    named = f"workflow {error.workflow!r}" + (f" v{error.version}" if error.version else "")
    return f"{named} needs what only its application has: {why_not(error)} ({NAME_THE_APPLICATION})"


def _app(context: click.Context) -> str | None:
    """The application that is named, unless the command itself names a database and only a variable the application."""
    app = _noted_in(context, "app")
    return None if _noted_in(context, "database") and _said(context, "database") and not _said(context, "app") else app


def _refuse_places(context: click.Context) -> None:
    """Raise `UsageError` where the command says which tables, and works with those of an application."""
    for name in _PLACES:
        if _said(context, name):
            raise click.UsageError(f"--{name} goes with --database: an application says itself where its tables are")


def _store(context: click.Context) -> Store:
    places = {name: _noted_in(context, name) for name in _PLACES}
    return store_at(_noted_in(context, "database") or "", **places)


def _noted(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    context.meta[_key(str(parameter.name))] = value


def _noted_in(context: click.Context, name: str) -> str | None:
    found: str | None = context.meta.get(_key(name))
    return found


def _key(name: str) -> str:
    return f"{__name__}.{name}"


def _said(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE
