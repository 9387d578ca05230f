"""`detent doctor`: what is wrong, and what to do."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import Result

from detent import WorkflowInstance, WorkflowRuntime
from detent.cli.operating.findings import of_backlog, of_clocks, of_health
from detent.store.backlog import Backlog
from detent.store.health import Health

Detent: TypeAlias = Callable[..., Result]
Claims: TypeAlias = dict[str, str]
Within: TypeAlias = Callable[[Callable[[WorkflowRuntime], Awaitable[Any]]], Any]
Stored: TypeAlias = Callable[[str], WorkflowInstance]

DATABASE = ("--database", "sqlite:///claims.db")
NEWER = """
claim2 = WorkflowDefinition.from_dict({"name": "claim", "version": 2, "initial_state": "open", "states": {"open": {}}})
def runtime():
    return WorkflowRuntime(store=SqliteStore("claims.db"), definitions=[claim2])
"""


def findings(result: Result) -> dict[str, dict[str, Any]]:
    return {each["check"]: each for each in json.loads(result.stdout)["findings"]}


def test_all_is_well(detent: Detent, claims: Claims):
    result = detent("doctor")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "all is well"
    view = json.loads(detent("doctor", "--json").stdout)
    assert view["ok"] is True
    assert {each["status"] for each in view["findings"]} == {"ok"}
    assert "schema version" in findings(detent("doctor", "--json"))["database"]["detail"]


def test_parked_and_overdue_work_and_dead_letters_are_told_with_what_to_do(
    detent: Detent, claims: Claims, within: Within, monkeypatch: pytest.MonkeyPatch
):
    async def make(runtime: WorkflowRuntime) -> None:
        made = await runtime.create_instance("gone")
        await runtime.trigger_event(made, "go")
        await runtime.process_runs()
        await runtime.rearm(claims["anna"], "lapse", due=datetime(2020, 1, 1, tzinfo=UTC))
        await runtime.send(claims["ben"], "pay")
        await runtime.cancel(claims["ben"])
        await runtime.process_inbox()

    within(make)
    result = detent("doctor")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "not all is well"
    assert "→ detent parked, then detent retry ID" in result.stdout
    found = findings(detent("doctor", "--json"))
    assert {check for check, each in found.items() if each["status"] == "attention"} == {
        "parked",
        "timeouts",
        "dead messages",
    }
    assert "1 timeout waiting, the oldest for" in found["timeouts"]["detail"]
    assert "detent worker" in found["timeouts"]["fix"]


def test_versions_that_cannot_run_here_are_errors(detent: Detent, claims: Claims):
    Path("claims.py").write_text(Path("claims.py").read_text() + NEWER)
    found = findings(result := detent("doctor", "--json"))
    assert result.exit_code == 1
    assert found["versions"]["status"] == "error"
    assert "version 1 has 3 live instances and cannot run: no command 'charge'" in found["versions"]["detail"]
    assert "detent upgrade plan claim" in found["versions"]["fix"]


def test_what_cannot_be_asked_is_a_finding_too(detent: Detent, claims: Claims):
    result = detent("doctor", "--database", "sqlite:///other.db", "--json")
    assert result.exit_code == 1
    assert "there is no SQLite file" in findings(result)["connection"]["detail"]


def test_the_database_alone_leaves_versions_to_the_application(detent: Detent, claims: Claims):
    assert "name it by --app" in findings(detent("doctor", *DATABASE, "--json"))["versions"]["detail"]


def test_records_of_the_future_tell_of_a_wrong_clock():
    finding = of_clocks(timedelta(0), timedelta(minutes=-3))
    assert (finding.status, finding.detail) == ("attention", "the newest instance was created 3m in the future")


@pytest.mark.parametrize(
    ("skew", "where"), [(timedelta(minutes=5), "5m ahead of"), (timedelta(minutes=-5), "5m behind")]
)
def test_clocks_that_differ_are_told(skew: timedelta, where: str):
    assert where in of_clocks(skew, None).detail


def test_a_database_that_does_not_answer_is_an_error():
    finding = of_health(Health(ok=False, detail="no connection"))
    assert (finding.status, finding.detail) == ("error", "no connection")


def test_work_that_nobody_takes_is_told_and_fresh_work_is_not():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    late = Backlog(outbox=2, oldest_outbox=now - timedelta(hours=2), outbox_dead=1)
    found = {each.check: each for each in of_backlog(late, now, "detent")}
    assert found["deliveries"].detail == "2 deliveries waiting, the oldest for 2h"
    assert found["dead deliveries"].detail == "1 delivery was given up"
    fresh = {each.check: each for each in of_backlog(Backlog(outbox=1, oldest_outbox=now), now, "detent")}
    assert (fresh["deliveries"].status, fresh["deliveries"].detail) == ("ok", "1 delivery waiting, none for long")
