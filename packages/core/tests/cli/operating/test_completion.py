"""What a shell is offered, asked as shells ask."""

import json
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from click.shell_completion import ShellComplete

from detent import WorkflowRuntime
from detent.cli.main import main
from detent.cli.operating import completion

Claims: TypeAlias = dict[str, str]
InOffice: TypeAlias = Callable[[Callable[[WorkflowRuntime], Awaitable[Any]]], Any]

DATABASE = ["--database", "sqlite:///claims.db"]


def offered(*arguments: str, incomplete: str = "") -> list[str]:
    """The completions of what stands behind `arguments`."""
    asked = ShellComplete(main, {}, "detent", "_DETENT_COMPLETE").get_completions(list(arguments), incomplete)
    return [item.value for item in asked]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, a shell waits."""
    monkeypatch.setattr(completion, "_PATIENCE", 60)


@pytest.fixture
def database(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that a variable names, and no application."""
    monkeypatch.delenv("DETENT_RUNTIME")
    monkeypatch.setenv("DETENT_DATABASE_URL", "sqlite:///claims.db")


@pytest.mark.usefixtures("database")
def test_commands_and_choices_are_offered():
    assert offered(incomplete="sch") == ["schedules"]
    assert offered("schedules", incomplete="re") == ["resume"]
    assert offered("list", "--status", incomplete="p") == ["paused"]


@pytest.mark.usefixtures("database")
def test_stored_names_are_offered():
    assert offered("list", "--workflow") == ["claim", "door", "gone", "news"]
    assert offered("runs", "--workflow", incomplete="d") == ["door"]
    assert offered("cancel", "--workflow", "door", "--state") == ["open", "shut"]
    assert offered("force", "--to", incomplete="pa") == ["paid"]
    assert offered("trigger", "01a1fff0-04b1-73ba-9d75-0b9b2e1aae52", incomplete="de") == ["decide"]


def test_the_database_may_stand_in_the_line_itself(claims: Claims):
    assert offered("list", *DATABASE, "--workflow", incomplete="cl") == ["claim"]


def test_no_application_is_started_for_it(claims: Claims):
    assert os.environ["DETENT_RUNTIME"] == "claims:runtime"
    assert offered("list", "--workflow") == []
    assert offered("list", *DATABASE, "--app", "claims:runtime", "--workflow") == []


def test_triggers_are_offered_by_name(in_office: InOffice):
    async def nothing(runtime: WorkflowRuntime) -> None:
        """The office registers its triggers when it is opened."""

    in_office(nothing)
    place = ("--database", "sqlite:///office.db")
    assert offered("schedules", "pause", *place, incomplete="n") == ["nightly"]


@pytest.mark.parametrize("url", ["sqlite:///nowhere.db", "postgresql://u:secret@127.0.0.1:1/x", "nonsense"])
def test_a_database_that_does_not_answer_offers_nothing(claims: Claims, url: str, capsys: pytest.CaptureFixture[str]):
    assert offered("list", "--database", url, "--workflow") == []
    assert json.dumps(capsys.readouterr()) == '["", ""]'


@pytest.mark.usefixtures("database")
def test_a_shell_does_not_wait_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(completion, "_PATIENCE", 0)
    assert offered("list", "--workflow") == []
