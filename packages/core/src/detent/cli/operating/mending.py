"""What `messages` and `deliveries` have in common: which are meant, the question before they are touched, and what was done."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

import rich_click as click
from click.exceptions import Exit

from detent.cli.operating.connection import Connected, connected
from detent.cli.operating.output import json_option, say, show_json, show_table
from detent.cli.progress import progress
from detent.cli.terminal import one_line
from detent.service.operator_schemas import MendedView

_AT_ONCE = 1000
"""How many are taken in one call."""

Find: TypeAlias = Callable[[Connected, int, int | None], Awaitable[tuple[Sequence[UUID], int | None]]]
"""Up to so many ids behind a number, and the number of the last one."""
Act: TypeAlias = Callable[[Connected, Sequence[UUID]], Awaitable[Collection[UUID]]]
"""Does it to these; answers those that it was done to."""

_ASKED = (
    click.argument("ids", metavar="[ID]...", nargs=-1, type=click.UUID),
    click.option(
        "--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="At most this many."
    ),
    click.option("--dry-run", is_flag=True, help="Only say which it would be."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    json_option,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What these commands take, as click hands it over."""

    verb: Literal["revive", "discard", "replay"]
    noun: str
    ids: tuple[UUID, ...]
    limit: int
    dry_run: bool
    yes: bool
    as_json: bool


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """With the options of `Asked`."""
    for option in reversed(_ASKED):
        command = option(command)
    return command


def mend(asked: Asked, find: Find | None, act: Act) -> None:
    """Do it to the ids that were given, or to what `find` finds, and say what was done.

    They are found first, so that what is confirmed is what is done. Exit code 1 when it could not be done to one of them.
    """
    if bool(asked.ids) == (find is not None):
        raise click.UsageError(
            f"{asked.verb} which {asked.noun}? Give either their ids, or --all or other options that find them."
        )
    view = connected(lambda runtime: _mended(runtime, asked, find, act))
    if asked.as_json:
        show_json(view)
    else:
        _show(view, asked)
    if view.unchanged:
        raise Exit(1)


async def _mended(runtime: Connected, asked: Asked, find: Find | None, act: Act) -> MendedView:
    meant = list(dict.fromkeys(asked.ids))
    if find is not None:
        meant = await _found(runtime, find, asked.limit)
    view = MendedView(verb=asked.verb, dry_run=asked.dry_run, changed=[], unchanged=[])
    if asked.dry_run:
        view.changed = meant
        return view
    if meant and not asked.yes:
        click.echo(one_line(f"{asked.verb} {len(meant)} {asked.noun}"), err=True)
        click.confirm("Go on?", abort=True, err=True)
    with progress(asked.verb, len(meant), quiet=asked.as_json) as advance:
        for start in range(0, len(meant), _AT_ONCE):
            part = meant[start : start + _AT_ONCE]
            done = await act(runtime, part)
            view.changed += [each for each in part if each in done]
            view.unchanged += [each for each in part if each not in done]
            advance(len(part))
    return view


async def _found(runtime: Connected, find: Find, limit: int) -> list[UUID]:
    found: list[UUID] = []
    after: int | None = None
    while len(found) < limit:
        page, after = await find(runtime, min(_AT_ONCE, limit - len(found)), after)
        if not page:
            break
        found += page
    return found


def _show(view: MendedView, asked: Asked) -> None:
    done = f"would {view.verb}" if view.dry_run else "done"
    rows: list[tuple[object, ...]] = [(each, done) for each in view.changed]
    rows += [(each, "failed: it is not there, or there is nothing to do") for each in view.unchanged]
    show_table(("ID", "WHAT"), rows, nothing=f"none of the {asked.noun} is meant")
    if len(rows) > 1:
        say(f"{view.verb}: {len(view.changed)} {done}, {len(view.unchanged)} failed")
