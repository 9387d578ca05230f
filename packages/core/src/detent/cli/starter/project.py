"""The files of a starter project: templates in which `$name`, `$package` and `$version` are filled in."""

import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from string import Template

_SUFFIX = ".tmpl"
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_TAKEN = frozenset({"detent", "detent_fastapi", "detent_litestar", "detent_pg", "fastapi", "litestar", "test", "tests"})
_COMMON = "common"
"""The folder of what projects of all frameworks hold."""


def fault_of(name: str) -> str | None:
    """What is wrong with the name of a project, if anything is."""
    package = package_of(name)
    if not _NAME.fullmatch(name):
        return "write it in lower case, such as shop or corner-shop"
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or package in _TAKEN:
        return f"a package {package!r} is there already, or cannot be imported by that name"
    return None


def package_of(name: str) -> str:
    """The Python package of a project of that name."""
    return name.replace("-", "_")


def project_files(framework: str, name: str) -> Mapping[PurePosixPath, str]:
    """What the project holds, by path: what all have, and what `framework` has, one of the folders beside this module."""
    values = {"name": name, "package": package_of(name), "version": version("detent")}
    root = files("detent.cli.starter")
    made = {
        _place(path, values["package"]): Template(found.read_text("utf-8")).substitute(values)
        for folder in (_COMMON, framework)
        for path, found in _templates(root.joinpath(folder), PurePosixPath())
    }
    return dict(sorted(made.items()))


def write_project(folder: Path, contents: Mapping[PurePosixPath, str]) -> None:
    """Write the files into a new folder. Raises `FileExistsError` where there is something of that name."""
    folder.mkdir()
    for path, text in contents.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")


def _templates(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for found in sorted(folder.iterdir(), key=lambda each: each.name):
        if found.is_dir():
            yield from _templates(found, path / found.name)
        elif found.name.endswith(_SUFFIX):
            yield path / found.name.removesuffix(_SUFFIX), found


def _place(path: PurePosixPath, package: str) -> PurePosixPath:
    parts = [package if part == "package" else part for part in path.parts]
    # A file of that very name would be taken for one of ours.
    return PurePosixPath(*parts[:-1], ".gitignore" if parts[-1] == "gitignore" else parts[-1])
