"""The modules that come of a diagram, beside those that are there."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path
from typing import Any, Literal, TypeAlias

import rich_click as click

from detent.cli.diagram_files import Diagram
from detent.cli.terminal import one_line
from detent.notation.python_class import Generated, PayloadStyle

State: TypeAlias = Literal["current", "absent", "stale", "lacking"]
"""How a module is before anything is written; `lacking` is one of the user's that has not all payloads."""

_MARK = "# Made by `detent generate`"


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """One module: as it should be, and as it is."""

    path: Path
    text: str
    """What it should be; of one that is lacking, what to add."""
    kept: str
    """What it is; empty where it is absent."""
    state: State
    missing: tuple[str, ...] = ()
    """The names it lacks."""

    def is_left(self, *, check: bool) -> bool:
        """Whether there is still something to do for it."""
        return self.state == "lacking" or (check and self.state != "current")

    def told(self, *, check: bool) -> str:
        """What there is to say of it."""
        match self.state:
            case "current":
                return "current"
            case "lacking":
                return f"lacks {', '.join(self.missing)}; it is yours and not written again, so add"
            case "absent" | "stale" if not check:
                return "written"
            case "absent":
                return "is missing: generate without --check"
        return "is out of date: generate without --check"

    def difference(self, *, check: bool) -> Iterator[str]:
        """What to change in it, or to add."""
        if self.state == "lacking":
            yield from self.text.rstrip("\n").split("\n")
        elif self.state == "stale" and check:
            kept, made = self.kept.splitlines(), self.text.splitlines()
            yield from unified_diff(kept, made, f"{self.path} as it is", f"{self.path} as drawn", lineterm="", n=1)

    def to_dict(self, *, check: bool) -> dict[str, Any]:
        """The same as JSON values."""
        written = not check and self.state in ("absent", "stale")
        return {"path": str(self.path), "state": "written" if written else self.state, "missing": list(self.missing)}


def files_of(diagram: Diagram, style: PayloadStyle, root: Path | None) -> Sequence[GeneratedFile]:
    """The modules of a diagram that is sound. Raises `ClickException` where one of them cannot be read, or is not ours."""
    made = diagram.generated
    if made is None:
        return ()
    source = Path(os.path.relpath(diagram.source, diagram.folder)).as_posix()
    text = made.base(source=source, package=_package(diagram.folder, root))
    return _base(diagram.folder / f"{made.base_name}.py", text), _payloads(diagram.folder, made, style)


def write(one: GeneratedFile) -> None:
    """Write the module where it is not as it should be and not the user's."""
    if one.state not in ("absent", "stale"):
        return
    beside = one.path.with_name(f".{one.path.name}.detent")
    try:
        one.path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(one.text.encode("utf-8"))
        if one.path.exists():
            beside.chmod(one.path.stat().st_mode)
        beside.replace(one.path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise click.ClickException(one_line(f"{one.path} cannot be written: {error.strerror or error}")) from None


def _base(path: Path, text: str) -> GeneratedFile:
    kept = _kept(path)
    if kept is None:
        return GeneratedFile(path, text, "", "absent")
    if not kept.startswith(_MARK):
        raise click.ClickException(
            one_line(f"{path} was not made by `detent generate`, and is not written over: move it away")
        )
    return GeneratedFile(path, text, kept, "current" if kept == text else "stale")


def _payloads(folder: Path, made: Generated, style: PayloadStyle) -> GeneratedFile:
    path = folder / f"{made.payloads_name}.py"
    kept = _kept(path)
    if kept is None:
        return GeneratedFile(path, made.payloads(style), "", "absent")
    found = GeneratedFile(path, kept, kept, "current")
    try:
        missing = made.missing(kept)
    except (SyntaxError, ValueError) as error:
        raise click.ClickException(one_line(f"{path} is no Python: {error}")) from None
    if not missing:
        return found
    return replace(found, text=made.stubs(missing, kept), state="lacking", missing=tuple(one.type for one in missing))


def _kept(path: Path) -> str | None:
    try:
        # Line ends are those of whoever checked it out.
        return path.read_text(encoding="utf-8-sig") if path.exists() else None
    except (OSError, UnicodeError) as error:
        raise click.ClickException(one_line(f"{path} cannot be read: {error}")) from None


def _package(folder: Path, root: Path | None) -> str:
    """What stands before the name of an imported module: in a package a dot, in a folder nothing, or all from `root` on."""
    if root is None:
        return "." if (folder / "__init__.py").is_file() else ""
    try:
        parts = folder.resolve().relative_to(root.resolve()).parts
    except ValueError:
        raise click.ClickException(
            one_line(f"{folder} is not inside of {root}, from where it is to be imported")
        ) from None
    bad = next((part for part in parts if not part.isidentifier()), None)
    if bad is not None:
        raise click.ClickException(
            one_line(f"{folder} cannot be imported from {root}: {bad!r} is no name of a package")
        )
    return "".join(f"{part}." for part in parts)
