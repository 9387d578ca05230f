"""The group: its version, its help, and commands of other packages."""

from collections.abc import Callable
from importlib.metadata import EntryPoint, version
from typing import Any

import click
import pytest
from click.testing import Result

Detent = Callable[..., Result]
LOADED: list[str] = []


@click.command()
def greet() -> None:
    """Say hello."""
    click.echo("hello")


class Offered(EntryPoint):
    """An entry point that remembers that it was loaded."""

    def load(self) -> Any:
        LOADED.append(self.name)
        if self.name == "broken":
            raise ImportError("No module named 'gone'\nand more")
        return {"greet": greet, "odd": 42, "validate": greet}[self.name]


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    LOADED.clear()
    points = [Offered(name, "package:thing", "detent.commands") for name in ("greet", "broken", "odd", "validate")]
    monkeypatch.setattr("detent.cli.plugins.entry_points", lambda group: points)


def test_it_says_its_version(detent: Detent) -> None:
    assert detent("--version").output == f"detent {version('detent')}\n"


def test_a_command_of_another_package_runs(detent: Detent) -> None:
    assert detent("greet").output == "hello\n"
    assert LOADED == ["greet"]


def test_own_commands_load_nothing_and_cannot_be_replaced(detent: Detent) -> None:
    assert "sound" in detent("validate", "order.json").output
    assert LOADED == []


@pytest.mark.parametrize("arguments", [["broken"], ["broken", "--help"], ["broken", "sub", "--option"]])
def test_a_broken_command_says_so_in_one_sentence(detent: Detent, arguments: list[str]) -> None:
    result = detent(*arguments)
    assert result.exit_code == 1
    assert "the command 'broken' cannot be loaded: ImportError: No module named 'gone' and more" in result.output
    assert "Traceback" not in result.output


def test_what_is_no_command_is_a_broken_one(detent: Detent) -> None:
    assert "package:thing is a int and no click command" in detent("odd").output


def test_help_lists_all_and_survives_broken_ones(detent: Detent) -> None:
    output = detent("--help").output
    assert all(name in output for name in ("broken", "diagram", "greet", "odd", "validate"))
    assert "cannot be loaded: ImportError" in output


def test_an_unknown_command_is_a_mistake_of_use(detent: Detent) -> None:
    result = detent("nope")
    assert result.exit_code == 2
    assert "No such command 'nope'" in result.output
