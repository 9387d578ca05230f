"""The handlers that a flow in a file is checked against and drawn with: the application's own, named by `module:attribute`."""

from collections.abc import Iterable, Mapping
from typing import Any

import rich_click as click

from detent.cli.modules import attribute_at, called, kind_of
from detent.cli.terminal import one_line
from detent.errors import RegistrationInvalid
from detent.flows.book import FlowBook
from detent.flows.handler import Handlers, HandlerSpec

handlers_option = click.option(
    "--handlers",
    metavar="MODULE:ATTRIBUTE",
    help="The handlers of flows: a FlowBook, Handlers, a list of them, or a function that returns one of these.",
)
"""Says which handlers there are for flows."""


def handlers_at(source: str | None) -> Mapping[str, HandlerSpec] | None:
    """The handlers at `module:attribute`, by type; `None` where none were named. What goes wrong is told in a sentence."""
    if source is None:
        return None
    if ":" not in source:
        raise click.ClickException(one_line(f"{source} is no MODULE:ATTRIBUTE, such as shop.flows:book"))
    return _types_of(called(attribute_at(source), source), source)


def _types_of(found: Any, source: str) -> Mapping[str, HandlerSpec]:
    if isinstance(found, FlowBook):
        return found.handlers.types
    if not isinstance(found, Iterable):
        raise click.ClickException(
            one_line(f"{source} is {kind_of(found)} and no FlowBook, Handlers or list of handlers")
        )
    try:
        return (found if isinstance(found, Handlers) else Handlers(found)).types
    except RegistrationInvalid as error:
        raise click.ClickException(one_line(f"{source}: {error}")) from None
