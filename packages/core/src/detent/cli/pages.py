"""The diagrams in pages of Markdown and reStructuredText, kept as the definitions are: compared, or drawn again."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any, Literal, TypeAlias

import rich_click as click
from click.exceptions import Exit

from detent.cli.drawing import drawn_as_asked
from detent.cli.marked_blocks import MarkedBlock, with_blocks
from detent.cli.marked_directives import marked_directives
from detent.cli.marked_fences import marked_fences
from detent.cli.terminal import one_line, printable

State: TypeAlias = Literal["current", "out_of_date", "missing", "faulty"]
"""How a marked diagram was found: as drawn, different, not there at all, or one that cannot be drawn or written."""

_FINDERS: dict[str, Callable[[str], Iterator[MarkedBlock]]] = {
    ".md": marked_fences,
    ".markdown": marked_fences,
    ".rst": marked_directives,
}
"""How the marked diagrams of a page are found, by the end of its name."""
_NOT_WRITTEN = frozenset({"node_modules", "site-packages", "__pycache__"})
"""Folders whose pages are somebody else's."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A marked block, and what became of it."""

    page: Path
    block: MarkedBlock
    drawn: MarkedBlock | None
    """What it should be; `None` where that cannot be drawn."""
    fault: str = ""
    """Why not."""

    @property
    def state(self) -> State:
        """How the diagram was found."""
        if self.drawn is None:
            return "faulty"
        if not self.block.exists:
            return "missing"
        return "current" if self.drawn.text == self.block.text else "out_of_date"

    @property
    def place(self) -> str:
        """The page and the line of the mark."""
        return f"{self.page}:{self.block.mark}"

    def difference(self) -> list[str]:
        """What would change, as `diff -u` tells it; nothing where it is current, or cannot be drawn."""
        if self.drawn is None:
            return []
        kept, drawn = self.block.text.splitlines(), self.drawn.text.splitlines()
        return list(unified_diff(kept, drawn, f"{self.page} as it is", f"{self.page} as drawn", lineterm="", n=1))

    def to_dict(self) -> dict[str, Any]:
        """What was found as JSON values."""
        return {
            "page": str(self.page),
            "line": self.block.mark,
            "diagram": self.block.words,
            "state": self.state,
            "fault": self.fault or None,
            "difference": self.difference(),
        }


def is_page(path: Path) -> bool:
    """Whether this is a page of Markdown or reStructuredText."""
    return path.suffix.lower() in _FINDERS


def holds_pages(source: str) -> bool:
    """Whether this is a page or a folder of them, and not a definition."""
    return is_page(Path(source)) or Path(source).is_dir()


def keep_pages(sources: Sequence[str], mode: Literal["check", "write"], *, as_json: bool = False) -> None:
    """Compare, or draw again, each marked diagram in pages and folders, and say what was found; exit code 1 for trouble."""
    texts = {page: _read(page) for page in _pages(sources)}
    kept = [found for page, text in texts.items() for found in _found(page, text)]
    stale = [found for found in kept if found.state != "current"]
    if mode == "write":
        for page, text in texts.items():
            _write(page, text, [found for found in stale if found.page == page])
    trouble = any(found.fault or mode == "check" for found in stale)
    if as_json:
        click.echo(json.dumps({"valid": not trouble, "diagrams": [found.to_dict() for found in kept]}, indent=2))
    else:
        for found in stale:
            _tell(found, mode)
        click.echo(_summary(len(kept), stale, mode))
    if trouble:
        raise Exit(1)


def _pages(sources: Sequence[str]) -> Iterator[Path]:
    for source in dict.fromkeys(map(Path, sources)):
        if source.is_dir():
            yield from sorted(page for page in source.rglob("*") if _belongs_to(page, source))
        else:
            yield source


def _belongs_to(page: Path, folder: Path) -> bool:
    """Whether a file in the folder is a page that somebody wrote there."""
    above = page.relative_to(folder).parts
    hidden = any(part.startswith(".") or part in _NOT_WRITTEN for part in above)
    return is_page(page) and not hidden and page.is_file()


def _read(page: Path) -> str:
    try:
        return page.read_bytes().decode("utf-8")  # with its line ends
    except (OSError, UnicodeError) as error:
        raise click.ClickException(one_line(f"{page} cannot be read: {error}")) from None


def _found(page: Path, text: str) -> Iterator[Kept]:
    for block in _FINDERS[page.suffix.lower()](text.replace("\r\n", "\n")):
        if block.fault:
            yield Kept(page, block, None, block.fault)
            continue
        try:
            drawn = drawn_as_asked(block.words)
        except click.ClickException as error:
            yield Kept(page, block, None, one_line(error.format_message()))
        else:
            language = "dot" if drawn.startswith("digraph ") else "mermaid"
            yield Kept(page, block, block.holding(drawn, language))


def _write(page: Path, text: str, stale: Sequence[Kept]) -> None:
    drawn = [found.drawn for found in stale if found.drawn is not None]
    if not drawn:
        return
    ending = "\r\n" if "\r\n" in text else "\n"
    written = with_blocks(text.replace("\r\n", "\n"), drawn).replace("\n", ending)
    beside = page.with_name(f".{page.name}.detent")
    try:
        beside.write_bytes(written.encode("utf-8"))
        beside.chmod(page.stat().st_mode)
        beside.replace(page)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise click.ClickException(one_line(f"{page} cannot be written: {error.strerror or error}")) from None


def _tell(found: Kept, mode: Literal["check", "write"]) -> None:
    if found.drawn is None:
        click.echo(f"{one_line(found.place)}: {found.fault}")
    elif mode == "write":
        click.echo(one_line(f"{found.place}: drew {found.block.words}"))
    else:
        state = "is missing" if found.state == "missing" else "is out of date"
        click.echo(one_line(f"{found.place}: the diagram of {found.block.words} {state}"))
        for line in found.difference():
            click.echo(f"    {printable(line)}")


def _summary(number: int, stale: Sequence[Kept], mode: Literal["check", "write"]) -> str:
    diagrams = f"{number} {'diagram' if number == 1 else 'diagrams'}"
    if number == 0:
        marks = "<!-- detent diagram: SOURCE --> above one, or .. detent diagram: SOURCE in a page of rst"
        return f"no diagram is marked: put {marks}"
    if not stale:
        return f"{diagrams}, all as drawn"
    faults = sum(bool(found.fault) for found in stale)
    told = [f"{faults} that cannot be drawn"] if faults else []
    others = len(stale) - faults
    if others:
        told.append(f"{others} drawn again" if mode == "write" else f"{others} out of date: --write draws them again")
    return f"{diagrams}, {', '.join(told)}"
