"""The runtime that a command works with: the application's own, named by `module:attribute` and started for the command."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from inspect import isawaitable
from typing import Any, TypeVar

import rich_click as click

from detent.cli.modules import attribute_at, called, failure, kind_of
from detent.cli.terminal import one_line, printable
from detent.errors import DetentError
from detent.runtime.runtime import WorkflowRuntime

T = TypeVar("T")

runtime_option = click.option(
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
    if ":" not in source:
        raise click.ClickException(one_line(f"{source} is no MODULE:ATTRIBUTE, such as shop.workflows:runtime"))
    try:
        return asyncio.run(_worked(source, work))
    except DetentError as error:
        raise click.ClickException(printable(str(error))) from error


async def _worked(source: str, work: Callable[[WorkflowRuntime], Awaitable[T]]) -> T:
    async with AsyncExitStack() as stack:
        try:
            runtime = await stack.enter_async_context(_opened(source))
        except (DetentError, click.ClickException):
            raise
        except Exception as error:  # starting runs the user's code, which may do anything
            raise click.ClickException(failure(f"{source} could not be started", error)) from error
        return await work(runtime)


@asynccontextmanager
async def _opened(source: str) -> AsyncIterator[WorkflowRuntime]:
    # A function is called in the loop that its runtime will run in.
    found = called(attribute_at(source), source)
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


def _checked(found: Any, source: str) -> WorkflowRuntime:
    if isinstance(found, WorkflowRuntime):
        return found
    raise click.ClickException(
        one_line(f"{source} is {kind_of(found)} and not a WorkflowRuntime or a function that returns or opens one")
    )
