"""Diagrams made into modules for a test, and imported."""

import importlib
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from detent.notation.python_class import generate

Drawn = Callable[..., Any]

CONDITIONS = """\
---
title: ConditionsWorkflow
---

stateDiagram-v2
    state choice <<choice>>

    direction LR
    [*] --> decide
    decide --> choice
    choice --> left: chooseLeft
    choice --> right: chooseRight
    left --> [*]
    right --> [*]
"""
CONDITIONS_PAYLOADS = """\
from typing import TypedDict


class DecidePayload(TypedDict):
    number: int


class LeftPayload(TypedDict):
    left: int


class RightPayload(TypedDict):
    right: str
"""
CHAIN = """\
---
title: chain
---
stateDiagram-v2
    [*] --> one
    one --> two
    two --> three
    three --> [*]
"""

_numbers = count()


def written(folder: Path, text: str, *, name: str = "drawn", payloads: str | None = None, package: str = "") -> str:
    """Writes the two modules of a diagram into a folder; answers the name of the one with the class."""
    made = generate(text, name=name)
    (folder / f"{made.base_name}.py").write_text(made.base(source=f"{name}.mmd", package=package), "utf-8")
    (folder / f"{made.payloads_name}.py").write_text(payloads or made.payloads("typed-dict"), "utf-8")
    return made.base_name


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drawn]:
    """Makes a diagram into a package of its own, and imports the module with the class."""
    monkeypatch.syspath_prepend(tmp_path)
    packages: list[str] = []

    def make(text: str, **options: Any) -> ModuleType:
        packages.append(f"drawn_{next(_numbers)}")
        folder = tmp_path / packages[-1]
        folder.mkdir()
        (folder / "__init__.py").touch()
        name = written(folder, text, package=".", **options)
        importlib.invalidate_caches()
        return importlib.import_module(f"{packages[-1]}.{name}")

    yield make
    for module in [known for known in sys.modules if known.split(".")[0] in packages]:
        del sys.modules[module]
