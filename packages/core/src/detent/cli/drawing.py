"""How a diagram is drawn on the command line: the options, which a mark in a page takes as well, and the text they lead to."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias, TypeVar, get_args

import rich_click as click

from detent.cli.handlers import handlers_at, handlers_option
from detent.cli.sources import STANDARD_INPUT, find_source
from detent.notation.dot import to_dot
from detent.notation.mermaid import Direction, Style, to_mermaid
from detent.notation.symbols import SymbolsName

Format: TypeAlias = Literal["mermaid", "dot"]
"""Which language a diagram is written in."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Which diagram is wanted."""

    format: Format = "mermaid"
    style: Style = "state"
    direction: Direction = "LR"
    symbols: SymbolsName = "unicode"
    hide_commands: bool = False
    hide_details: bool = False
    handlers: str | None = None

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> Self:
        """The drawing that the options of a command line ask for; they are taken out of `options`."""
        return cls(**{name: options.pop(name) for name in cls.__slots__})

    def of(self, source: str) -> str:
        """The diagram of what is at `source`; what goes wrong is raised as a `ClickException` of one sentence."""
        written, handlers = find_source(source), handlers_at(self.handlers)
        if self.format == "dot":
            return to_dot(
                written,
                direction=self.direction,
                show_commands=not self.hide_commands,
                handlers=handlers,
                symbols=self.symbols,
            )
        return to_mermaid(
            written,
            style=self.style,
            direction=self.direction,
            show_commands=not self.hide_commands,
            show_details=not self.hide_details,
            handlers=handlers,
            symbols=self.symbols,
        )


_OPTIONS = (
    click.option(
        "--format", type=click.Choice(get_args(Format)), default="mermaid", show_default=True, help="The language."
    ),
    click.option(
        "--style", type=click.Choice(get_args(Style)), default="state", show_default=True, help="Which diagram."
    ),
    click.option(
        "--direction",
        type=click.Choice(get_args(Direction)),
        default="LR",
        show_default=True,
        help="Where the arrows lead.",
    ),
    click.option(
        "--symbols",
        type=click.Choice(get_args(SymbolsName)),
        default="unicode",
        show_default=True,
        help="The signs before the words of a flowchart; text leaves them out.",
    ),
    click.option("--hide-commands", is_flag=True, help="Leave commands out."),
    click.option(
        "--hide-details", is_flag=True, help="Leave out what cannot be drawn: context, payloads and the like."
    ),
    handlers_option,
)


def drawing_options(function: _Function) -> _Function:
    """The options of `Drawing`, for a click command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(add_help_option=False)
@click.argument("source")
@drawing_options
def _asked_for(source: str, **options: Any) -> str:
    if source == STANDARD_INPUT:
        raise click.UsageError("a page cannot read standard input")
    return Drawing.taken_from(options).of(source)


def drawn_as_asked(words: str) -> str:
    """The diagram that `words` ask for, such as `shop.orders:order --style flowchart`: the arguments of `detent diagram`.

    Raises `ClickException`.
    """
    try:
        arguments = shlex.split(words)
    except ValueError as error:
        raise click.UsageError(f"{words} cannot be split into words: {error}") from None
    return str(_asked_for.main(arguments, prog_name="detent diagram", standalone_mode=False))
