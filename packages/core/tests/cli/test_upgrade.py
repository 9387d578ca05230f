"""`detent upgrade`: what it prints and does, for a runtime of the user's own."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from detent import SqliteStore, StoreUnavailable, WorkflowDefinition, WorkflowInstance, WorkflowRuntime
from detent.testing.clock import FakeClock

Detent = Callable[..., Result]
Made = list[WorkflowInstance]

CLAIMS = """
import contextlib
from detent import SqliteStore, WorkflowDefinition, WorkflowRuntime
from detent.testing.clock import FakeClock

def definition(version, checking, timeout):
    return WorkflowDefinition.from_dict({
        "name": "claim", "version": version, "initial_state": "new",
        "states": {
            "new": {"events": {"check": {"target": checking}}},
            checking: {"events": {"pay": {"target": "paid"}, "escalate": {"target": "new", "timeout": timeout}}},
            "paid": {},
        },
    })

old, new = definition(1, "checking", "1h"), definition(2, "review", "15m")

def today():
    return WorkflowRuntime(store=SqliteStore("claims.db"), definitions=[old, new], clock=FakeClock())

async def later():
    return today()

@contextlib.asynccontextmanager
async def opened():
    async with today() as runtime:
        yield runtime

@contextlib.asynccontextmanager
async def handed():
    yield today()

runtime = today()
entered = []

class Application:
    async def __call__(self, scope, receive, send): ...

served = Application()

def transform(context, instance):
    if context.get("odd"):
        raise ValueError("\\x1b[2Jodd")
    return {**context, "currency": "EUR"}

def broken():
    raise RuntimeError("no database\\x1b[2J")

@contextlib.asynccontextmanager
async def unopened():
    raise RuntimeError("no network")
    yield
"""


@pytest.fixture
def made(detent: Detent, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """Three claims of version 1 in `claims.db`, the last being checked, and a module that knows both versions."""
    Path("claims.py").write_text(CLAIMS)
    yield asyncio.run(_claims())
    monkeypatch.delitem(sys.modules, "claims", raising=False)


async def _claims() -> Made:
    definition = WorkflowDefinition.from_dict(
        {
            "name": "claim",
            "initial_state": "new",
            "states": {
                "new": {"events": {"check": {"target": "checking"}}},
                "checking": {
                    "events": {"pay": {"target": "paid"}, "escalate": {"target": "new", "timeout": "1h"}},
                },
                "paid": {},
            },
        }
    )
    async with WorkflowRuntime(store=SqliteStore("claims.db"), definitions=[definition], clock=FakeClock()) as runtime:
        made = [await runtime.create_instance("claim", context={"odd": number == 1}) for number in range(3)]
        await runtime.trigger_event(made[2], "check")
        return made


async def _seen(instance: WorkflowInstance) -> tuple[WorkflowInstance, Any]:
    async with WorkflowRuntime(store=SqliteStore("claims.db"), definitions=[]) as runtime:
        return await runtime.get_instance(instance), (await runtime.get_history(instance))[0]


def versions(made: Made) -> list[str]:
    return [asyncio.run(_seen(each))[0].definition_version for each in made]


RUNTIME = ("--runtime", "claims:today")
MAPPED = (*RUNTIME, "--map", "checking=review")


def test_a_plan_is_a_line_for_each_instance_and_writes_nothing(detent: Detent, made: Made):
    result = detent("upgrade", "plan", "claim", *MAPPED)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "version 1 to 2"
    assert "  states.review: state 'review' is new" in lines
    rows = [line for line in lines if line.startswith(tuple(str(each.id) for each in made))]
    assert rows == sorted(
        [
            f"{made[0].id}  upgrade  version 1 to 2, state new",
            f"{made[1].id}  upgrade  version 1 to 2, state new",
            f"{made[2].id}  upgrade  version 1 to 2, state checking to review; "
            "escalate due 2030-01-01 12:15:00+00:00, was 2030-01-01 13:00:00+00:00",
        ]
    )
    assert lines[-1] == "claim: 3 instances would be upgraded to version 2, 0 skipped, 0 would fail"
    assert versions(made) == ["1", "1", "1"]


def test_apply_upgrades_and_history_knows_who_and_why(detent: Detent, made: Made):
    result = detent("upgrade", "apply", "claim", *MAPPED, "--yes", "--actor", "ana", "--reason", "renamed")
    assert result.exit_code == 0
    assert "claim: 3 instances upgraded to version 2, 0 skipped, 0 failed" in result.output
    instance, entry = asyncio.run(_seen(made[2]))
    assert (instance.state, instance.definition_version) == ("review", "2")
    assert (entry.event, entry.reason) == ("$upgraded", "renamed")
    assert entry.trigger_metadata == {"source": "cli", "actor": "ana"}


def test_apply_asks_first_and_takes_no_for_an_answer(detent: Detent, made: Made):
    result = detent("upgrade", "apply", "claim", *MAPPED, stdin="n\n")
    assert result.exit_code == 1
    assert "3 instances would be upgraded" in result.output
    assert "Go on?" in result.output
    assert versions(made) == ["1", "1", "1"]
    assert detent("upgrade", "apply", "claim", *MAPPED, stdin="y\n").exit_code == 0
    assert versions(made) == ["2", "2", "2"]


def test_apply_does_not_ask_when_there_is_nothing_to_do(detent: Detent, made: Made):
    assert detent("upgrade", "apply", "claim", *MAPPED, "--yes").exit_code == 0
    result = detent("upgrade", "apply", "claim", *RUNTIME)
    assert result.exit_code == 0
    assert result.output == "claim: 0 instances would be upgraded to version 2, 0 skipped, 0 would fail\n"


def test_an_instance_that_fails_is_exit_code_1_and_stops_no_other(detent: Detent, made: Made):
    for command in (("plan",), ("apply", "--yes")):
        result = detent("upgrade", *command, "claim", *MAPPED, "--transform", "claims:transform")
        assert result.exit_code == 1
        assert f"{made[1].id}  fail     transform_failed: ValueError: \\x1b[2Jodd" in result.output
        assert "context: currency set" in result.output
    assert versions(made) == ["2", "1", "2"]


def test_skipped_instances_say_why_and_are_no_failure(detent: Detent, made: Made):
    result = detent("upgrade", "apply", "claim", *RUNTIME, "--yes")
    assert result.exit_code == 0
    assert f"{made[2].id}  skip     state_missing: state 'checking' is mapped to none" in result.output
    assert versions(made) == ["2", "2", "1"]


def test_json_says_the_same_as_one_document_also_where_it_asks(detent: Detent, made: Made):
    nobody = "00000000-0000-7000-8000-000000000000"
    asked = ("--json", "--id", str(made[2].id), "--id", nobody)
    result = detent("upgrade", "plan", "claim", *MAPPED, *asked)
    document = json.loads(result.output)
    differences = document.pop("differences")
    assert {"path": "states.review", "code": "state_added", "message": "state 'review' is new"} in differences["1"]
    assert document == {
        "workflow": "claim",
        "to_version": "2",
        "planned": True,
        "upgraded": [
            {
                "id": str(made[2].id),
                "from_version": "1",
                "from_state": "checking",
                "to_state": "review",
                "context": {"patch": {}, "remove": []},
                "deadlines": [
                    {
                        "event": "escalate",
                        "before": "2030-01-01T13:00:00+00:00",
                        "after": "2030-01-01T12:15:00+00:00",
                    }
                ],
            }
        ],
        "skipped": [{"id": nobody, "code": "not_found", "reason": "there is no such instance"}],
        "failed": [],
        "cursor": None,
    }
    applied = json.loads(detent("upgrade", "apply", "claim", *MAPPED, *asked, stdin="y\n").stdout)
    assert applied["planned"] is False
    assert [each["id"] for each in applied["upgraded"]] == [str(made[2].id)]


def test_a_limit_stops_with_a_cursor_to_go_on_from(detent: Detent, made: Made):
    first = detent("upgrade", "apply", "claim", *MAPPED, "--yes", "--limit", "2")
    assert "2 instances upgraded" in first.output
    said, cursor = first.output.splitlines()[-1].split(": --cursor ")
    assert said == "there are more"
    rest = detent("upgrade", "apply", "claim", *MAPPED, "--yes", "--cursor", cursor)
    assert "1 instance upgraded" in rest.output
    assert "--cursor" not in rest.output
    assert versions(made) == ["2", "2", "2"]


def test_states_narrow_what_is_looked_at(detent: Detent, made: Made):
    assert "1 instance would be" in detent("upgrade", "plan", "claim", *MAPPED, "--state", "checking").output
    assert "2 instances would be" in detent("upgrade", "plan", "claim", *MAPPED, "--exclude-state", "checking").output
    assert "3 instances would be" in detent("upgrade", "plan", "claim", *MAPPED, "--from", "1", "--to", "2").output


@pytest.mark.parametrize("name", ["runtime", "later", "opened", "handed"])
def test_a_runtime_may_be_an_object_or_what_a_function_returns_or_opens(detent: Detent, made: Made, name: str):
    result = detent("upgrade", "plan", "claim", "--runtime", f"claims:{name}", "--map", "checking=review")
    assert result.exit_code == 0
    assert "3 instances would be upgraded" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("claim", "--runtime", "claims"), "claims is no MODULE:ATTRIBUTE"),
        (("claim", "--runtime", "claims:todai"), "claims has no todai; did you mean 'today'"),
        (("claim", "--runtime", "nothing:here"), "nothing cannot be imported: ModuleNotFoundError"),
        (("claim", "--runtime", "claims:old"), "claims:old is a WorkflowDefinition and not a WorkflowRuntime"),
        (("claim", "--runtime", "claims:entered"), "claims:entered is a list and not a WorkflowRuntime"),
        (("claim", "--runtime", "claims:served"), "`litestar --app claims:served workflows`"),
        (("claim", "--runtime", "claims:served"), "`detent fastapi"),
        (
            ("claim", "--runtime", "claims:FakeClock"),
            "claims:FakeClock is the class FakeClock and not a WorkflowRuntime",
        ),
        (
            ("claim", "--runtime", "claims:broken"),
            "claims:broken could not be called without arguments: RuntimeError: no",
        ),
        (("claim", "--runtime", "claims:unopened"), "claims:unopened could not be started: RuntimeError: no network"),
        (("clam", *RUNTIME), "no workflow is called 'clam' (did you mean 'claim'?)"),
        (("claim", *RUNTIME, "--to", "3"), "known: '1', '2'"),
        (("claim", *RUNTIME, "--from", "7"), "version 7 of workflow 'claim' is neither registered nor stored"),
        (("claim", *RUNTIME, "--map", "checking=reviews"), "did you mean 'review'?"),
        (("claim", *RUNTIME, "--state", "cheking"), "did you mean 'checking'?"),
        (("claim", *RUNTIME, "--id", "5"), "ids is '5', which is not a UUID"),
        (("claim", *RUNTIME, "--transform", "claims:old"), "transform_context is a WorkflowDefinition"),
        (("claim", *RUNTIME, "--cursor", "x"), "cursor is none"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(detent: Detent, made: Made, arguments: tuple[str, ...], says: str):
    for command in (("plan",), ("apply", "--yes")):
        result = detent("upgrade", *command, *arguments)
        assert result.exit_code == 1
        assert says in " ".join(result.output.replace("│", " ").split())
        assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("claim",), "--runtime"),
        (RUNTIME, "WORKFLOW"),
        (("claim", *RUNTIME, "--map", "checking"), "not written like old=new"),
        (("claim", *RUNTIME, "--map", "a=b", "--map", "a=c"), "mapped twice"),
        (("claim", *RUNTIME, "--limit", "0"), "--limit"),
    ],
)
def test_mistakes_of_use_are_exit_code_2(detent: Detent, made: Made, arguments: tuple[str, ...], says: str):
    result = detent("upgrade", "plan", *arguments)
    assert result.exit_code == 2
    assert says in result.output


def test_what_was_done_is_printed_when_the_store_fails_in_between(
    detent: Detent, made: Made, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("detent.cli.upgrade.MOST", 2)
    find = SqliteStore.find
    pages: list[Any] = []

    async def failing(store: SqliteStore, *args: Any, **kwargs: Any) -> Any:
        if pages:
            raise StoreUnavailable("the disk is gone")
        pages.append(await find(store, *args, **kwargs))
        return pages[0]

    monkeypatch.setattr(SqliteStore, "find", failing)
    result = detent("upgrade", "apply", "claim", *MAPPED, "--yes", "--json")
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)["upgraded"]) == 2
    assert "the disk is gone" in result.stderr
    second = sorted(each.id for each in made)[1]
    assert f"go on with --cursor {second}" in " ".join(result.stderr.split())
