"""`detent schedules`: triggers seen and switched, by the application and by the database alone."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from click.testing import Result

from detent import WorkflowRuntime

Detent: TypeAlias = Callable[..., Result]
InOffice: TypeAlias = Callable[[Callable[[WorkflowRuntime], Awaitable[Any]]], Any]

DATABASE = ("--database", "sqlite:///office.db")


@pytest.fixture
def schedules(detent: Detent, in_office: InOffice) -> Callable[..., Any]:
    """Calls `detent schedules … --json` where triggers were registered, and gives what it answers."""

    async def nothing(runtime: WorkflowRuntime) -> None:
        """The office registers its triggers when it is opened."""

    in_office(nothing)

    def call(*arguments: str) -> Any:
        result = detent("schedules", *arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


@pytest.mark.parametrize("place", [(), DATABASE])
def test_they_are_listed_with_when_they_fire(schedules: Callable[..., Any], place: tuple[str, ...]):
    found = {each["name"]: each for each in schedules("list", *place)["schedules"] if not each["tenant"]}
    nightly = found["nightly"]
    assert (nightly["kind"], nightly["expression"], nightly["timezone"]) == ("cron", "0 3 * * *", "Europe/Berlin")
    assert (nightly["state"], nightly["invocations"]) == ("enabled", 0)
    assert (nightly["failures"], nightly["turned_away"]) == (0, 0)
    assert nightly["next_at"] is not None
    assert (found["called"]["kind"], found["called"]["next_at"]) == ("http", None)
    [one] = schedules("list", "--kind", "cron", *place)["schedules"]
    assert one["name"] == "nightly"


def test_people_see_when_and_in_which_state(detent: Detent, schedules: Callable[..., Any]):
    detent("schedules", "disable", "nightly")
    lines = detent("schedules", "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "FIRES", "STATE", "LAST", "NEXT", "FAILURES", "TENANT"]
    assert [line.split()[-1] for line in lines if line.startswith("called")] == ["enabled", "acme"]
    assert [line.split() for line in lines if line.startswith("nightly")] == [
        ["nightly", "0", "3", "*", "*", "*", "Europe/Berlin", "disabled"]
    ]


@pytest.mark.parametrize("place", [(), DATABASE])
def test_one_is_switched(schedules: Callable[..., Any], place: tuple[str, ...]):
    states = [schedules(verb, "nightly", *place)["state"] for verb in ("pause", "resume", "disable", "enable")]
    assert states == ["paused", "enabled", "disabled", "enabled"]
    assert schedules("show", "nightly", *place)["next_at"] is not None


def test_who_switched_it_and_why_stands_in_its_history(detent: Detent, schedules: Callable[..., Any]):
    paused = schedules("pause", "nightly", "--actor", "ana", "--reason", "audit", *DATABASE)
    newest = json.loads(detent("history", paused["id"], "--json").stdout)["entries"][0]
    assert newest["trigger_metadata"] == {"source": "cli", "actor": "ana", "reason": "audit"}
    assert newest["payload"] == {"reason": "audit"}


def test_what_is_fired_starts_its_flow_and_stands_in_its_log(detent: Detent, schedules: Callable[..., Any]):
    fired = schedules("fire", "called", "--payload", '{"day": 3}', "--idempotency-key", "one")
    again = schedules("fire", "called", "--payload", '{"day": 3}', "--idempotency-key", "one")
    assert (fired["created"], again) == (True, {"execution_id": fired["execution_id"], "created": False})
    [_, first] = schedules("history", "called")["invocations"]
    assert (first["status"], first["source"], first["executions"]) == ("success", "manual", [fired["execution_id"]])
    shown = schedules("show", "called")
    assert (shown["by_status"], shown["executions"]) == ({"success": 1, "duplicate": 1}, 1)
    assert fired["execution_id"] in detent("schedules", "history", "called", *DATABASE).stdout


def test_a_log_is_read_in_pages(schedules: Callable[..., Any]):
    for _ in range(3):
        schedules("fire", "called", "--payload", "{}")
    page = schedules("history", "called", "--limit", "2")
    rest = schedules("history", "called", "--limit", "2", "--before", str(page["before"]))
    assert (len(page["invocations"]), len(rest["invocations"]), rest["before"]) == (2, 1, None)


def test_what_it_does_not_take_is_refused_in_a_sentence(detent: Detent, schedules: Callable[..., Any]):
    result = detent("schedules", "fire", "called", "--payload", "3")
    assert result.exit_code == 1
    assert "trigger 'called' does not take this" in result.stderr


def test_to_fire_one_needs_the_application(detent: Detent, schedules: Callable[..., Any]):
    result = detent("schedules", "fire", "nightly", *DATABASE)
    assert result.exit_code == 1
    assert "--app MODULE:RUNTIME, or the variable DETENT_RUNTIME" in " ".join(result.stderr.replace("│", " ").split())
    assert schedules("history", "nightly") == {"invocations": [], "before": None}


def test_an_application_that_binds_no_triggers_says_what_is_missing(detent: Detent, schedules: Callable[..., Any]):
    unbound = detent("schedules", "fire", "called", "--payload", "{}", "--app", "office:made")
    assert "make TriggerService(service, book, triggers)" in " ".join(unbound.stderr.replace("│", " ").split())
    without = detent("schedules", "pause", "nightly", "--app", "office:without_triggers")
    assert "the application's runtime has no triggers" in " ".join(without.stderr.replace("│", " ").split())
    assert (unbound.exit_code, without.exit_code) == (1, 1)


def test_a_name_is_looked_for_within_a_tenant(detent: Detent, schedules: Callable[..., Any]):
    assert schedules("disable", "called", "--tenant", "acme")["tenant"] == "acme"
    assert schedules("show", "called")["state"] == "enabled"
    assert detent("schedules", "show", "nightly", "--tenant", "acme").exit_code == 1


def test_a_database_without_triggers_has_none_and_gets_none(detent: Detent, claims: dict[str, str]):
    result = detent("schedules", "list", "--database", "sqlite:///claims.db")
    assert (result.exit_code, result.stdout) == (0, "no trigger was found\n")
    assert "detent.trigger" not in detent("definitions").stdout
    unknown = detent("schedules", "show", "nightly")
    assert (unknown.exit_code, "there is no trigger 'nightly'" in unknown.stderr) == (1, True)
