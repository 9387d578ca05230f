"""`detent show`, `history`, `events`: one instance."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from click.testing import Result

from detent import Settings, SqliteStore, WorkflowDefinition, WorkflowInstance, WorkflowRuntime

Detent: TypeAlias = Callable[..., Result]
Claims: TypeAlias = dict[str, str]
Within: TypeAlias = Callable[[Callable[[WorkflowRuntime], Awaitable[Any]]], Any]
Stored: TypeAlias = Callable[[str], WorkflowInstance]

DATABASE = ("--database", "sqlite:///claims.db")
NOBODY = "01a1fff0-04b1-73ba-9d75-0b9b2e1aae52"


def test_show_says_what_it_is_and_where_it_stands(detent: Detent, claims: Claims):
    shown = detent("show", claims["anna"]).stdout
    assert '{"customer": "anna"}' in shown
    assert "is active in state 'open'" in shown
    view = json.loads(detent("show", claims["anna"], "--json").stdout)
    assert (view["id"], view["state"], view["problems"]) == (claims["anna"], "open", [])
    assert view["explanation"][0] in shown


def test_history_tells_what_happened_and_who_did_it(detent: Detent, claims: Claims):
    detent("pause", claims["anna"], "--yes", "--actor", "ana", "--reason", "fraud check")
    newest, created = detent("history", claims["anna"]).stdout.splitlines()[1:]
    assert newest.split()[0] == "2"
    assert newest.endswith("ana: fraud check")
    assert created.split()[3:5] == ["$created", "open"]
    view = json.loads(detent("history", claims["anna"], "--limit", "1", "--json").stdout)
    assert [entry["sequence"] for entry in view["entries"]] == [2]
    assert view["entries"][0]["trigger_metadata"] == {"source": "cli", "actor": "ana"}
    assert view["before"] == 2
    assert json.loads(detent("history", claims["anna"], "--before", "2", "--json").stdout)["before"] is None


def test_history_names_the_paths_that_changed_where_that_is_recorded(detent: Detent):
    note = WorkflowDefinition.from_dict({"name": "note", "initial_state": "open", "states": {"open": {}}})

    async def patched(patch: dict[str, int], settings: Settings) -> str:
        store, definitions = SqliteStore("claims.db"), [note]
        async with WorkflowRuntime(store=store, definitions=definitions, settings=settings) as runtime:
            made = await runtime.create_instance("note", context={"a": 1, "b": 1})
            await runtime.patch_context(made.id, patch, remove=["b"])
            return str(made.id)

    recorded = asyncio.run(patched(dict.fromkeys("acdefg", 2), Settings(record_changes=True)))
    heading, newest, created = detent("history", recorded, *DATABASE).stdout.splitlines()
    assert heading.endswith("CHANGED")
    assert newest.endswith("/a -/b +/c +/d +/e and 2 more")
    assert created.endswith("success")
    unrecorded = asyncio.run(patched({"a": 2}, Settings()))
    assert "CHANGED" not in detent("history", unrecorded, *DATABASE).stdout


def test_events_are_told_with_what_their_guards_say(detent: Detent, claims: Claims):
    lines = {line.split()[0]: line for line in detent("events", claims["anna"]).stdout.splitlines()}
    assert lines["decide"].split()[1:3] == ["no", "decided"]
    assert lines["decide"].endswith("papers are missing \\x1b[2J")
    assert lines["lapse"].split()[1:] == ["yes", "lapsed", "in", "29d"]
    views = {event["name"]: event for event in json.loads(detent("events", claims["eve"], "--json").stdout)["events"]}
    assert views["decide"]["available"] is True
    assert views["decide"]["payload_schema"] == {"type": "object"}


def test_an_instance_that_takes_no_event_says_so(detent: Detent, claims: Claims):
    detent("cancel", claims["anna"], "--yes")
    assert "it takes no event" in detent("events", claims["anna"]).stdout


@pytest.mark.parametrize("command", ["show", "history", "events"])
def test_what_is_not_there_is_said_in_a_sentence(detent: Detent, claims: Claims, command: str):
    result = detent(command, NOBODY)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"there is no instance {NOBODY}" in " ".join(result.stderr.split()) or NOBODY in result.stderr
    assert detent(command, "anna").exit_code == 2
