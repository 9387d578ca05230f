"""How a command finds its runtime, and what the database alone cannot say."""

import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, TypeAlias

import click
import pytest
from click.testing import CliRunner, Result

from detent import WorkflowInstance, WorkflowRuntime
from detent.cli.operating.commands import operator_commands
from detent.cli.operating.connection import mount
from detent.errors import DetentError

Application: TypeAlias = Callable[[], WorkflowRuntime]
Detent: TypeAlias = Callable[..., Result]
Claims: TypeAlias = dict[str, str]
Within: TypeAlias = Callable[[Callable[[WorkflowRuntime], Awaitable[Any]]], Any]
Stored: TypeAlias = Callable[[str], WorkflowInstance]

DATABASE = ("--database", "sqlite:///claims.db")
NOBODY = "01a1fff0-04b1-73ba-9d75-0b9b2e1aae52"


PLACES = ("list", "doctor", "definitions", "runs", "parked")


@pytest.mark.parametrize("command", PLACES)
def test_without_a_runtime_it_says_what_to_name(detent: Detent, command: str):
    result = detent(command)
    assert result.exit_code == 2
    assert "--app MODULE:RUNTIME or --database URL" in " ".join(result.stderr.replace("│", " ").split())


def test_the_database_alone_lists_and_shows(detent: Detent, claims: Claims, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DETENT_RUNTIME")
    monkeypatch.setenv("DETENT_DATABASE_URL", "sqlite:///claims.db")
    assert claims["anna"] in detent("list").stdout
    assert "cannot run in this process" in detent("show", claims["anna"]).stdout
    assert "$created" in detent("history", claims["anna"]).stdout


def test_the_database_alone_does_what_needs_no_commands(detent: Detent, claims: Claims, within: Within, stored: Stored):
    async def make(runtime: WorkflowRuntime) -> str:
        return str((await runtime.create_instance("door")).id)

    door = within(make)
    assert detent("trigger", door, "open", *DATABASE).stdout == "open went from shut to open\n"
    assert detent("force", door, "--to", "shut", "--yes", *DATABASE).exit_code == 0
    for verb in ("pause", "resume", "cancel"):
        assert detent(verb, claims["anna"], "--yes", *DATABASE).exit_code == 0
    assert detent("send", claims["ben"], "pay", *DATABASE).exit_code == 0
    assert (stored(door).state, stored(claims["anna"]).status.value) == ("shut", "cancelled")


@pytest.mark.parametrize(
    "arguments", [("events",), ("trigger", "charge"), ("force", "--to", "paid", "--yes"), ("retry", "--yes")]
)
def test_what_needs_commands_says_so_with_the_fix(
    detent: Detent, claims: Claims, stored: Stored, arguments: tuple[str, ...]
):
    command, *rest = arguments
    result = detent(command, claims["anna"], *rest, *DATABASE)
    told = " ".join(result.stderr.replace("│", " ").split())
    assert result.exit_code == 1
    assert "workflow 'claim' v1 needs what only its application has" in told
    assert "no guard 'complete' is registered" in told
    assert "--app MODULE:RUNTIME, or the variable DETENT_RUNTIME" in told
    assert stored(claims["anna"]).version == 1


def test_a_workflow_that_publishes_takes_no_step_of_which_nobody_would_hear(
    detent: Detent, claims: Claims, within: Within, stored: Stored
):
    async def make(runtime: WorkflowRuntime) -> str:
        return str((await runtime.create_instance("news")).id)

    news = within(make)
    for arguments in (("trigger", news, "print"), ("force", news, "--to", "out", "--yes")):
        result = detent(*arguments, *DATABASE)
        assert result.exit_code == 1
        assert "publishes its steps" in result.stderr
    assert stored(news).state == "new"
    assert detent("trigger", news, "print").exit_code == 0


def test_a_parked_run_is_retried_without_its_application(
    detent: Detent, claims: Claims, within: Within, stored: Stored
):
    async def make(runtime: WorkflowRuntime) -> str:
        made = await runtime.create_instance("gone")
        await runtime.trigger_event(made, "go")
        await runtime.process_runs()
        return str(made.id)

    blocked = within(make)
    assert stored(blocked).parked_at is not None
    assert detent("retry", "--parked", "--yes", *DATABASE).exit_code == 0
    assert stored(blocked).parked_at is None


def test_what_is_said_wins_over_what_the_environment_says(detent: Detent, claims: Claims):
    by_database = json.loads(detent("definitions", *DATABASE, "--json").stdout)["definitions"]
    by_both = json.loads(detent("definitions", *DATABASE, "--app", "claims:runtime", "--json").stdout)["definitions"]
    assert {each["registered"] for each in by_database} == {False}
    assert {each["registered"] for each in by_both} == {True}


def test_a_command_line_of_the_application_has_them_with_its_runtime(claims: Claims, application: Application):
    @click.group()
    def shop() -> None:
        mount(application)

    for command in operator_commands(mounted=True):
        shop.add_command(command)
    result = CliRunner().invoke(shop, ["events", claims["anna"]])
    assert (result.exit_code, "papers are missing" in result.stdout) == (0, True)
    assert CliRunner().invoke(shop, ["list", *DATABASE]).exit_code == 2


def test_a_file_of_somebody_else_is_left_as_it_is(detent: Detent, claims: Claims):
    with closing(sqlite3.connect("other.db")) as connection:
        connection.execute("CREATE TABLE things (name TEXT)")
    Path("text.db").write_text("no database at all, but long enough to look like one" * 40)
    for name in ("other.db", "text.db"):
        before = Path(name).read_bytes()
        result = detent("list", "--database", f"sqlite:///{name}")
        assert result.exit_code == 1
        assert f"the file '{name}' holds no tables of Detent" in result.stderr
        assert Path(name).read_bytes() == before


class Remembered(EntryPoint):
    """A store's maker that says what it was called with."""

    def load(self) -> Any:
        def make(url: str, **places: str) -> Any:
            raise DetentError(f"called with {places}")

        return make


@pytest.mark.parametrize(
    ("said", "places"), [((), {}), (("--schema", "shop"), {"schema": "shop"}), (("--prefix", ""), {"prefix": ""})]
)
def test_where_the_tables_are_is_told_to_the_store_as_far_as_it_was_said(
    detent: Detent, monkeypatch: pytest.MonkeyPatch, said: tuple[str, ...], places: dict[str, str]
):
    offered = [Remembered("postgresql", "package:store", "detent.stores")]
    monkeypatch.setattr("detent.cli.stores.entry_points", lambda group: offered)
    result = detent("list", "--database", "postgresql://host/db", *said)
    assert f"called with {places}" in result.stderr


@pytest.mark.parametrize("place", ["schema", "prefix"])
def test_with_an_application_nobody_may_think_that_other_tables_are_meant(detent: Detent, claims: Claims, place: str):
    result = detent("list", "--app", "claims:runtime", f"--{place}", "other")
    assert result.exit_code == 2
    assert f"--{place} goes with --database" in " ".join(result.stderr.replace("│", " ").split())


class Offered(EntryPoint):
    """A store of a package that cannot be imported."""

    def load(self) -> Any:
        raise ImportError("No module named 'asyncpg'")


@pytest.mark.parametrize(
    ("offered", "says"),
    [
        ([Offered("postgresql", "package:store", "detent.stores")], "package:store cannot be loaded: ImportError"),
        ([], "no installed package opens postgresql:// databases (install detent-pg)"),
    ],
)
def test_a_store_that_is_not_there_is_said_in_a_sentence(
    detent: Detent, monkeypatch: pytest.MonkeyPatch, offered: list[EntryPoint], says: str
):
    monkeypatch.setattr("detent.cli.stores.entry_points", lambda group: offered)
    result = detent("list", "--database", "postgres://host/db")
    assert result.exit_code == 1
    assert says in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--database", "claims.db"), "or sqlite:///file.db"),
        (("--database", "sqlite:///other.db"), "there is no SQLite file 'other.db'"),
        (("--database", "mysql://root:secret@host/db"), "no installed package opens mysql:// databases"),
        (("--database", "postgresql://u:secret@127.0.0.1:1/x"), "the store is unavailable"),
        (("--database", "postgresql://u:secret@host:port/x"), "url is"),
        (("--database", "sqlite:///claims.db", "--schema", "a", "--prefix", "b"), "leave --schema and --prefix away"),
        (("--app", "claims"), "claims is no MODULE:ATTRIBUTE"),
        (("--app", "claims:nothing"), "claims has no nothing"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(detent: Detent, claims: Claims, arguments: tuple[str, ...], says: str):
    result = detent("list", *arguments)
    assert result.exit_code == 1
    assert says in " ".join(result.stderr.replace("│", " ").split())
    assert "secret" not in result.output
    assert "Traceback" not in result.output
