"""`detent list`, `parked`, `runs`, `definitions`: what there is."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from click.testing import Result

from detent import WorkflowInstance, WorkflowRuntime

Detent: TypeAlias = Callable[..., Result]
Claims: TypeAlias = dict[str, str]
Within: TypeAlias = Callable[[Callable[[WorkflowRuntime], Awaitable[Any]]], Any]
Stored: TypeAlias = Callable[[str], WorkflowInstance]

DATABASE = ("--database", "sqlite:///claims.db")


def found(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [each["id"] for each in json.loads(result.stdout)["instances"]]


def test_list_is_a_line_for_each_instance_the_newest_first(detent: Detent, claims: Claims):
    lines = detent("list").stdout.splitlines()
    assert lines[0].split() == ["INSTANCE", "WORKFLOW", "STATE", "STATUS", "UPDATED", "DUE"]
    assert [line.split()[0] for line in lines[1:]] == [claims["eve"], claims["ben"], claims["anna"]]
    assert lines[1].split()[1:4] == ["claim", "open", "active"]
    assert lines[1].endswith("in 29d")


def test_a_line_fits_a_terminal_of_80_columns(detent: Detent, claims: Claims, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = detent("list").stdout.splitlines()
    assert len(lines) == 4
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)


def test_pages_follow_each_other(detent: Detent, claims: Claims):
    first = detent("list", "--limit", "2", "--json")
    cursor = json.loads(first.stdout)["cursor"]
    assert found(first) == [claims["eve"], claims["ben"]]
    last = detent("list", "--limit", "2", "--cursor", cursor, "--json")
    assert found(last) == [claims["anna"]]
    assert json.loads(last.stdout)["cursor"] is None
    assert f"there are more: --cursor {cursor}" in detent("list", "--limit", "2").stdout


@pytest.mark.parametrize(
    ("options", "customers"),
    [
        (("--metadata", "customer=ben"), {"ben"}),
        (("--state", "paid"), {"anna"}),
        (("--exclude-state", "paid"), {"ben", "eve"}),
        (("--status", "completed"), {"anna"}),
        (("--status", "paused", "--status", "completed"), {"anna", "ben"}),
        (("--workflow", "claim", "--not-parked"), {"anna", "ben", "eve"}),
        (("--parked",), set()),
        (("--workflow", "door"), set()),
        (("--version", "2"), set()),
        (("--tenant", "acme"), set()),
    ],
)
def test_options_narrow_what_is_found(
    detent: Detent, claims: Claims, within: Within, options: tuple[str, ...], customers: set[str]
):
    async def move(runtime: WorkflowRuntime) -> None:
        await runtime.force(claims["anna"], "paid")
        await runtime.pause(claims["ben"])

    within(move)
    assert set(found(detent("list", *options, "--json"))) == {claims[customer] for customer in customers}


def test_labels_are_json_where_they_read_as_such(detent: Detent, claims: Claims, within: Within):
    async def make(runtime: WorkflowRuntime) -> list[str]:
        return [str((await runtime.create_instance("door", metadata={"room": room})).id) for room in (7, "7")]

    number, text = within(make)
    assert found(detent("list", "--metadata", "room=7", "--json")) == [number]
    assert found(detent("list", "--metadata", 'room="7"', "--json")) == [text]


def test_nothing_is_said_to_be_found(detent: Detent, claims: Claims):
    assert detent("list", "--workflow", "door").stdout == "no instance was found\n"
    assert detent("parked").stdout == "nothing is parked\n"
    assert detent("runs").stdout == "no run was found\n"


@pytest.mark.parametrize(
    "options", [("--metadata", "customer"), ("--status", "odd"), ("--limit", "0"), ("--nothing",)], ids=str
)
def test_mistakes_of_use_are_exit_code_2(detent: Detent, claims: Claims, options: tuple[str, ...]):
    assert detent("list", *options).exit_code == 2


def test_a_wrong_order_is_said_in_a_sentence(detent: Detent, claims: Claims):
    result = detent("list", "--order", "created")
    assert result.exit_code == 1
    assert "created_at" in result.stderr


@pytest.fixture
def blocked(claims: Claims, within: Within) -> str:
    """An instance whose run is parked."""

    async def make(runtime: WorkflowRuntime) -> str:
        made = await runtime.create_instance("gone")
        await runtime.trigger_event(made, "go")
        await runtime.process_runs()
        return str(made.id)

    instance: str = within(make)
    return instance


def test_parked_says_why(detent: Detent, blocked: str):
    [line] = detent("parked").stdout.splitlines()[1:]
    assert line.split()[:3] == [blocked, "gone", "new"]
    assert "run of go:" in line
    assert found(detent("parked", "--json")) == [blocked]
    assert detent("list", "--parked").stdout.splitlines()[1].split()[3] == "parked"


def test_runs_say_how_far_they_came(detent: Detent, blocked: str):
    [line] = detent("runs").stdout.splitlines()[1:]
    assert line.split()[1:6] == ["gone", "go", "parked", "go", "1"]
    [run] = json.loads(detent("runs", "--instance", blocked, "--json").stdout)["runs"]
    assert (run["instance_id"], run["status"], run["attempts"]) == (blocked, "parked", 1)
    assert detent("runs", "--status", "completed").stdout == "no run was found\n"
    assert run["id"] in detent("runs", "--limit", "1").stdout.splitlines()[-1]


def test_definitions_are_those_that_are_stored(detent: Detent, claims: Claims):
    line = detent("definitions").stdout.splitlines()[1]
    assert line.split()[:5] == ["claim", "1", "3", "3", "yes"]
    [claim, *_] = json.loads(detent("definitions", *DATABASE, "--json").stdout)["definitions"]
    assert (claim["workflow"], claim["live"], claim["registered"]) == ("claim", 3, False)


def test_a_table_that_is_too_wide_for_the_terminal_is_told_row_by_row(
    detent: Detent, claims: Claims, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "60")
    lines = detent("list", "--metadata", "customer=anna").stdout.splitlines()
    assert [line.split(maxsplit=1) for line in lines[:3]] == [
        ["INSTANCE", claims["anna"]],
        ["WORKFLOW", "claim"],
        ["STATE", "open"],
    ]
    assert max(map(len, lines)) <= 60
    assert detent("list").stdout.count("\n\n") == 2
