"""The runtime that a command works with: the application's own, named by `module:attribute` and started for the command."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from inspect import isawaitable, isclass, signature
from typing import Any, TypeVar

import rich_click as click

from detent.cli.modules import attribute_at, called, failure, kind_of
from detent.cli.terminal import one_line, printable
from detent.errors import DetentError
from detent.runtime.runtime import WorkflowRuntime

T = TypeVar("T")

runtime_option = click.option(
    "--app",
    "--runtime",
    "source",
    required=True,
    envvar="DETENT_RUNTIME",
    show_envvar=True,
    metavar="MODULE:ATTRIBUTE",
    help="A WorkflowRuntime, or a function that returns one or, as an async context manager, opens one.",
)
"""Says which runtime a command works with."""


def with_runtime(source: str, work: Callable[[WorkflowRuntime], Awaitable[T]]) -> T:
    """What `work` answers, given the runtime, started. What goes wrong is told in a sentence."""
    return answered(source, lambda: runtime_at(source), work)


def answered(
    told: str,
    opened: Callable[[], AbstractAsyncContextManager[WorkflowRuntime]],
    work: Callable[[WorkflowRuntime], Awaitable[T]],
) -> T:
    """What `work` answers, given the runtime that `opened` opens and `told` names. What goes wrong is told in a sentence."""
    try:
        return asyncio.run(_worked(told, opened, work))
    except (DetentError, ExceptionGroup) as error:
        raise _for_people(error) from error


async def _worked(
    told: str,
    opened: Callable[[], AbstractAsyncContextManager[WorkflowRuntime]],
    work: Callable[[WorkflowRuntime], Awaitable[T]],
) -> T:
    async with AsyncExitStack() as stack:
        try:
            runtime = await stack.enter_async_context(opened())
        except (DetentError, click.ClickException, ExceptionGroup):
            raise
        except Exception as error:  # starting runs the user's code, which may do anything
            raise click.ClickException(failure(f"{told} could not be started", error)) from error
        return await work(runtime)


def _for_people(error: Exception) -> Exception:
    """An error of ours as one sentence, and any other as it is; the lifespan of an application wraps both in groups."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return click.ClickException(printable(str(error))) if isinstance(error, DetentError) else error


@asynccontextmanager
async def runtime_at(source: str) -> AsyncIterator[WorkflowRuntime]:
    """The runtime at `MODULE:ATTRIBUTE`, started. Raises `ClickException` for what is there and is none."""
    if ":" not in source:
        raise click.ClickException(one_line(f"{source} is no MODULE:ATTRIBUTE, such as shop.workflows:runtime"))
    async with _opened(source) as runtime:
        yield runtime


@asynccontextmanager
async def _opened(source: str) -> AsyncIterator[WorkflowRuntime]:
    named = attribute_at(source)
    if _is_application(named):
        raise click.ClickException(one_line(_of_an_application(source, type(named).__name__)))
    # A function is called in the loop that its runtime will run in.
    found = called(named, source)
    if isawaitable(found):
        found = await found
    if isinstance(found, WorkflowRuntime):
        async with _running(found) as runtime:
            yield runtime
    elif isinstance(found, AbstractAsyncContextManager):
        async with found as inner, _running(_checked(inner, source)) as runtime:
            yield runtime
    else:
        _checked(found, source)


@asynccontextmanager
async def _running(runtime: WorkflowRuntime) -> AsyncIterator[WorkflowRuntime]:
    """The runtime, started unless it is already."""
    if runtime.is_running:
        yield runtime
    else:
        async with runtime:
            yield runtime


def _is_application(found: Any) -> bool:
    """Whether it is an ASGI application, as Litestar and FastAPI make."""
    if not callable(found) or isclass(found):
        return False
    try:
        return list(signature(found).parameters) == ["scope", "receive", "send"]
    except ValueError:  # some that are written in C have none to tell
        return False


def _of_an_application(source: str, kind: str) -> str:
    return (
        f"{source} is an application ({kind}) and not a WorkflowRuntime: Litestar's have these commands in "
        f"`litestar --app {source} workflows`, FastAPI's in `detent fastapi --entrypoint {source}`"
    )


def _checked(found: Any, source: str) -> WorkflowRuntime:
    if isinstance(found, WorkflowRuntime):
        return found
    raise click.ClickException(
        one_line(f"{source} is {kind_of(found)} and not a WorkflowRuntime or a function that returns or opens one")
    )
