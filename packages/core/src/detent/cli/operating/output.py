"""What commands of operators print: tables and sentences for people, or JSON as the schemas say."""

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from shutil import get_terminal_size
from textwrap import fill
from typing import Any

import rich_click as click
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from detent.cli.terminal import one_line
from detent.runtime.sentences import span_told

_COLOURS = {
    "active": "cyan",
    "paused": "yellow",
    "completed": "green",
    "success": "green",
    "accepted": "green",
    "yes": "green",
    "ok": "green",
    "failed": "red",
    "failure": "red",
    "refused": "red",
    "parked": "red",
    "error": "red",
    "no": "yellow",
    "attention": "yellow",
    "cancelled": "dim",
}
_WHOLE = frozenset(
    {
        "INSTANCE",
        "ID",
        "HASH",
        "RUN",
        "CHECK",
        "STATUS",
        "#",
        "WHEN",
        "UPDATED",
        "DUE",
        "SINCE",
        "BY ITSELF",
        "POSSIBLE",
    }
)
_LARGEST_UNIT = re.compile(r"\d+[a-z]+")
_FOLDED = 12
"""How wide a column stays that may be folded, if it was."""
_UNBOUNDED = 240
"""How wide a table may be where no terminal bounds it: programs like a line for each row."""

json_option = click.option("--json", "as_json", is_flag=True, help="Answer JSON.")


def show_json(view: BaseModel) -> None:
    """Print a view as JSON."""
    click.echo(view.model_dump_json(indent=2))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, nothing: str) -> None:
    """Print a table, in which ids and times are not folded, or what to say when there is no row.

    Where a terminal is too narrow for it, each row is told as names and values beneath each other.
    """
    listed = [[_cell(value) for value in row] for row in rows]
    if not listed:
        click.echo(nothing)
    elif _is_bounded() and _least_width(columns, listed) > _console().width:
        for number, row in enumerate(listed):
            if number:
                click.echo()
            show_fields(zip(columns, row, strict=True))
    else:
        _print(_table(columns, listed))


def _table(columns: Sequence[str], listed: Sequence[Sequence[Text]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column in _WHOLE, overflow="fold", min_width=len(column))
    for row in listed:
        table.add_row(*row)
    return table


def _least_width(columns: Sequence[str], listed: Sequence[Sequence[Text]]) -> int:
    """How wide a table has to be so that what is folded can still be read."""
    widths = 2 * (len(columns) - 1)
    for place, column in enumerate(columns):
        longest = max(len(column), *(row[place].cell_len for row in listed))
        widths += longest if column in _WHOLE else min(longest, max(len(column), _FOLDED))
    return widths


def show_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values beneath each other, without those that are empty."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields:
        cell = value if isinstance(value, Text) else _cell(value)
        if cell.plain and value not in ((), [], {}):
            table.add_row(name, cell)
    _print(table)


def say(sentence: str) -> None:
    """Print a sentence, on a terminal in lines that end between words, else on one line."""
    told = one_line(sentence)
    if sys.stdout.isatty():
        width = max(20, get_terminal_size().columns)
        told = fill(told, width, break_long_words=False, break_on_hyphens=False)
    click.echo(told)


def say_whole(sentence: str) -> None:
    """Print a sentence on one line, however long: it ends with what is to be copied."""
    click.echo(one_line(sentence))


def instant(moment: datetime | None) -> str:
    """An instant for people, in UTC."""
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago an instant was, or in how long it will be, as short as a column wants it: `2m ago`."""
    if moment is None:
        return ""
    span = now - moment
    told = _LARGEST_UNIT.match(span_told(abs(span)))
    length = told[0] if told else "0s"
    return f"{length} ago" if span >= timedelta(0) else f"in {length}"


def in_json(value: Any) -> str:
    """A JSON value on one line."""
    return json.dumps(value, ensure_ascii=False)


def _cell(value: object) -> Text:
    shown = instant(value) if isinstance(value, datetime) else "" if value is None else str(value)
    text = one_line(shown)
    return Text(text, style=_COLOURS.get(text, ""))


def _print(table: Table) -> None:
    console = _console()
    with console.capture() as captured:
        console.print(table)
    # The blanks that fill the last column would stay in whatever is copied.
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _is_bounded() -> bool:
    return sys.stdout.isatty() or "COLUMNS" in os.environ


def _console() -> Console:
    return Console(file=sys.stdout, width=None if _is_bounded() else _UNBOUNDED, highlight=False, soft_wrap=False)
