"""`detent cancel`, `pause`, `resume`, `force`, `retry`: on some, and on all that options find."""

import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import pytest
from click.testing import Result

from detent import WorkflowInstance, WorkflowRuntime

Detent: TypeAlias = Callable[..., Result]
Claims: TypeAlias = dict[str, str]
Within: TypeAlias = Callable[[Callable[[WorkflowRuntime], Awaitable[Any]]], Any]
Stored: TypeAlias = Callable[[str], WorkflowInstance]

DATABASE = ("--database", "sqlite:///claims.db")
NOBODY = "01a1fff0-04b1-73ba-9d75-0b9b2e1aae52"


def test_one_is_done_as_many_are(detent: Detent, claims: Claims, stored: Stored):
    result = detent("pause", claims["anna"], "--yes")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split() == [claims["anna"], "done"]
    again = json.loads(detent("pause", claims["anna"], claims["ben"], "--yes", "--json").stdout)
    assert (again["changed"], again["unchanged"], again["failed"]) == ([claims["ben"]], [claims["anna"]], [])
    assert stored(claims["eve"]).status == "active"
    assert json.loads(detent("resume", "--status", "paused", "--yes", "--json").stdout)["changed"] == sorted(
        [claims["anna"], claims["ben"]]
    )


def test_a_dry_run_says_which_and_does_nothing(detent: Detent, claims: Claims, stored: Stored):
    result = detent("cancel", "--workflow", "claim", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.count("would cancel") == 4
    view = json.loads(detent("cancel", "--workflow", "claim", "--dry-run", "--limit", "2", "--json").stdout)
    assert (view["dry_run"], len(view["changed"])) == (True, 2)
    rest = json.loads(detent("cancel", "--workflow", "claim", "--dry-run", "--cursor", view["cursor"], "--json").stdout)
    assert (sorted([*view["changed"], *rest["changed"]]), rest["cursor"]) == (sorted(claims.values()), None)
    assert {stored(each).status.value for each in claims.values()} == {"active"}


@pytest.mark.parametrize(("answer", "status"), [("y\n", "cancelled"), ("n\n", "active"), ("", "active")])
def test_it_asks_before_it_does_anything(detent: Detent, claims: Claims, stored: Stored, answer: str, status: str):
    result = detent("cancel", "--workflow", "claim", stdin=answer)
    assert "cancel 3 instances (3 claim in open)" in result.stderr
    assert result.exit_code == (0 if status == "cancelled" else 1)
    assert {stored(each).status.value for each in claims.values()} == {status}


def test_it_asks_by_name_where_it_is_one(detent: Detent, claims: Claims):
    assert f"force claim {claims['anna']} in open" in detent("force", claims["anna"], "--to", "paid", stdin="n").stderr


def test_force_puts_it_into_a_state_with_what_is_written(detent: Detent, claims: Claims, stored: Stored):
    arguments = ("--to", "decided", "--context", '{"papers": 9}', "--yes", "--actor", "ana", "--reason", "by phone")
    assert detent("force", claims["anna"], *arguments).exit_code == 0
    forced = stored(claims["anna"])
    assert (forced.state, forced.context) == ("decided", {"papers": 9})
    newest = json.loads(detent("history", claims["anna"], "--json").stdout)["entries"][0]
    assert (newest["reason"], newest["trigger_metadata"]["actor"]) == ("by phone", "ana")


def test_retry_takes_again_what_failed_and_its_reason_is_kept(detent: Detent, claims: Claims):
    detent("trigger", claims["anna"], "decide")
    assert detent("retry", claims["anna"], "--yes", "--reason", "papers came", "--actor", "ana").exit_code == 0
    newest = json.loads(detent("history", claims["anna"], "--json").stdout)["entries"][0]
    assert (newest["event"], newest["sequence"]) == ("decide", 3)
    assert newest["trigger_metadata"] == {"source": "cli", "actor": "ana", "reason": "papers came"}


def test_what_fails_is_told_and_stops_nothing(detent: Detent, claims: Claims, stored: Stored):
    detent("trigger", claims["anna"], "decide")
    result = detent("retry", *claims.values(), "--yes", "--json")
    assert result.exit_code == 1
    view = json.loads(result.stdout)
    assert view["changed"] == [claims["anna"]]
    assert {(failure["instance_id"], failure["code"]) for failure in view["failed"]} == {
        (claims["ben"], "nothing_to_retry"),
        (claims["eve"], "nothing_to_retry"),
    }


def test_an_id_that_is_not_there_is_told(detent: Detent, claims: Claims):
    result = detent("cancel", claims["anna"], NOBODY, "--yes", "--json")
    assert result.exit_code == 1
    view = json.loads(result.stdout)
    assert (view["changed"], [failure["code"] for failure in view["failed"]]) == (
        [claims["anna"]],
        ["instance_not_found"],
    )
    assert detent("cancel", NOBODY).exit_code == 1


def test_what_moved_on_while_it_was_asked_is_left_alone(
    detent: Detent, claims: Claims, within: Within, stored: Stored, monkeypatch: pytest.MonkeyPatch
):
    def confirm(*_: Any, **__: Any) -> bool:
        # The command is in its own loop here; another process moves one meanwhile.
        with ThreadPoolExecutor() as pool:
            pool.submit(within, lambda runtime: runtime.trigger_event(claims["eve"], "decide")).result()
        return True

    monkeypatch.setattr("detent.cli.operating.moving.click.confirm", confirm)
    view = json.loads(detent("cancel", "--state", "open", "--json").stdout)
    assert set(view["changed"]) == {claims["anna"], claims["ben"]}
    assert [(failure["instance_id"], failure["code"]) for failure in view["failed"]] == [(claims["eve"], "moved_on")]
    assert stored(claims["eve"]).status == "active"


@pytest.mark.parametrize(
    "arguments",
    [("cancel",), ("force", NOBODY), ("pause", "anna"), ("force", NOBODY, "--to", "paid", "--context", "{")],
)
def test_mistakes_of_use_are_exit_code_2(detent: Detent, claims: Claims, arguments: tuple[str, ...]):
    assert detent(*arguments).exit_code == 2
