"""The diagrams that `detent generate` was given: found, read, and set beside each other."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import rich_click as click

from detent.cli.pages import is_page
from detent.cli.sources import is_drawn, text_in
from detent.cli.terminal import one_line
from detent.errors import DefinitionInvalid
from detent.notation.python_class import Generated, generate, titled_blocks
from detent.problems import Problem, did_you_mean


@dataclass(frozen=True, slots=True)
class Diagram:
    """One file, and what becomes of it."""

    source: Path
    folder: Path
    """Where its modules go."""
    generated: Generated | None
    problems: tuple[Problem, ...] = ()
    """Why nothing becomes of it."""
    line: int | None = None
    """The line of a page that it begins in; `None` where the file is nothing but the diagram."""

    @property
    def name(self) -> str:
        """What it is called when it is told of."""
        return str(self.source) if self.line is None else f"{self.source}, line {self.line}"

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is worth knowing."""
        return () if self.generated is None else self.generated.warnings

    def to_dict(self) -> dict[str, Any]:
        """What is known of it, as JSON values."""
        made = self.generated
        return {
            "file": str(self.source),
            "line": self.line,
            "workflow": made.outline.definition.name if made else None,
            "version": made.outline.definition.version if made else None,
            "class": made.outline.base if made else None,
            "problems": [asdict(problem) for problem in (*self.problems, *self.warnings)],
        }


def found_files(said: Iterable[str]) -> list[Path]:
    """The files that were named, and those that the patterns among the names find, each once and in order.

    Raises `ClickException` for a name or a pattern behind which there is nothing.
    """
    found: dict[Path, None] = {}
    for each in said:
        found.update(dict.fromkeys(_found(each)))
    return list(found)


def read_diagrams(path: Path, output: Path | None) -> list[Diagram]:
    """What is in a file, or everything that is wrong with it; of a page each diagram that has a title."""
    folder = output or path.parent
    try:
        text = text_in(path)
    except DefinitionInvalid as error:
        return [Diagram(path, folder, None, error.problems)]
    except OSError as error:
        return [Diagram(path, folder, None, (Problem("", "unreadable", f"cannot be read: {error.strerror or error}"),))]
    if not is_page(path):
        return [_read(Diagram(path, folder, None), text, path.stem)]
    return [
        _read(Diagram(path, folder, None, line=block.first_line), block.text, title.removesuffix("Workflow") or title)
        for title, block in titled_blocks(text, "rst" if path.suffix.lower() == ".rst" else "markdown")
    ]


def _read(diagram: Diagram, text: str, name: str) -> Diagram:
    try:
        return replace(diagram, generated=generate(text, name=name, first_line=diagram.line or 1))
    except DefinitionInvalid as error:
        return replace(diagram, problems=error.problems)


def with_clashes(diagrams: Sequence[Diagram]) -> list[Diagram]:
    """The same, with a problem for each that would be written over another, or has the class of another in its folder."""
    firsts: dict[tuple[Path, str, str], str] = {}
    return [replace(each, problems=(*each.problems, *_clashes(each, firsts))) for each in diagrams]


def _clashes(diagram: Diagram, firsts: dict[tuple[Path, str, str], str]) -> Iterator[Problem]:
    if diagram.generated is None:
        return
    for what, name in (("module", diagram.generated.base_name), ("class", diagram.generated.outline.base)):
        first = firsts.setdefault((diagram.folder.resolve(), what, name.casefold()), diagram.name)
        if first != diagram.name:
            message = f"the {what} {name} comes from {first} already"
            hint = f'name it in the front matter: `detent: {{"python": {{"{what}": "…"}}}}`'
            yield Problem("", f"{what}_twice", message, hint)


def _is_read(path: Path) -> bool:
    return is_drawn(path) or is_page(path)


def _not_found(path: Path) -> str:
    if has_magic(str(path)):
        return "no .mmd or .mermaid file and no page of Markdown is like this"
    there = [str(each) for each in path.parent.iterdir() if _is_read(each)] if path.parent.is_dir() else []
    hint = did_you_mean(str(path), there)
    return "there is no such file" + (f"; {hint}" if hint else "")


def _found(said: str) -> list[Path]:
    path = Path(said)
    if path.is_file():
        if not _is_read(path):
            raise click.ClickException(one_line(f"{said} is no .mmd or .mermaid file, and no page of Markdown"))
        return [path]
    if path.is_dir():
        raise click.ClickException(one_line(f'{said} is a folder; name what is in it: "{said.rstrip("/")}/*.mmd"'))
    like_it = map(Path, glob(said, recursive=True))  # noqa: PTH207 - a pattern may begin at the root, where `Path.glob` gives up
    found = sorted(each for each in like_it if each.is_file() and _is_read(each))
    if not found:
        raise click.ClickException(one_line(f"{said}: {_not_found(path)}"))
    return found
