"""`detent trigger` and `send`."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
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


def test_trigger_lets_it_take_the_event(detent: Detent, claims: Claims, stored: Stored):
    result = detent(
        "trigger", claims["eve"], "decide", "--payload", '{"sum": 4}', "--actor", "ana", "--reason", "asked"
    )
    assert (result.exit_code, result.stdout) == (0, "decide went from open to decided\n")
    assert stored(claims["eve"]).state == "decided"
    [newest, *_] = json.loads(detent("history", claims["eve"], "--json").stdout)["entries"]
    assert newest["payload"] == {"sum": 4}
    assert newest["trigger_metadata"] == {"source": "cli", "actor": "ana", "reason": "asked"}


def test_payloads_come_from_files_and_from_standard_input(detent: Detent, claims: Claims):
    Path("sum.json").write_text('{"sum": 5}')
    taken = [("@sum.json", claims["eve"], None), ("-", claims["ben"], '{"sum": 6}')]
    for said, instance, stdin in taken:
        detent("trigger", instance, "decide", "--payload", said, stdin=stdin)
    payloads = [
        json.loads(detent("history", instance, "--json").stdout)["entries"][0]["payload"] for _, instance, _ in taken
    ]
    assert payloads == [{"sum": 5}, {"sum": 6}]


def test_a_refusal_is_exit_code_1_and_its_reason_cannot_drive_the_terminal(detent: Detent, claims: Claims):
    result = detent("trigger", claims["anna"], "decide")
    assert result.exit_code == 1
    assert result.stdout == "decide was refused in open: papers are missing \\x1b[2J\n"
    view = json.loads(detent("trigger", claims["anna"], "decide", "--json").stdout)
    assert (view["outcome"], view["instance"]["state"]) == ("refused", "open")


def test_a_failure_is_exit_code_1(detent: Detent, claims: Claims, stored: Stored):
    routed = detent("trigger", claims["anna"], "route")
    assert routed.exit_code == 1
    assert "failed, and went from open to lapsed" in routed.stdout
    raised = detent("trigger", claims["ben"], "charge")
    assert raised.exit_code == 1
    assert "the bank said no" in " ".join(raised.stderr.split())
    assert stored(claims["ben"]).state == "open"


def test_what_a_worker_finishes_is_accepted(detent: Detent, claims: Claims, within: Within):
    async def make(runtime: WorkflowRuntime) -> str:
        return str((await runtime.create_instance("gone")).id)

    result = detent("trigger", within(make), "go")
    assert result.exit_code == 0
    assert "go was accepted in new; a worker finishes it in run" in result.stdout


def test_a_key_is_answered_once(detent: Detent, claims: Claims):
    first, second = (detent("trigger", claims["eve"], "decide", "--idempotency-key", "k") for _ in range(2))
    assert second.stdout == first.stdout.rstrip() + " (as answered before)\n"


def test_nothing_happens_at_another_version(detent: Detent, claims: Claims, stored: Stored):
    result = detent("trigger", claims["eve"], "decide", "--expected-version", "7")
    assert result.exit_code == 1
    assert stored(claims["eve"]).state == "open"


def test_an_event_that_is_not_there_is_said_with_those_that_are(detent: Detent, claims: Claims):
    result = detent("trigger", claims["eve"], "decyde")
    assert result.exit_code == 1
    assert "decide" in result.stderr


@pytest.mark.parametrize("payload", ["{", "@nothing.json"])
def test_a_payload_that_cannot_be_read_is_a_mistake_of_use(detent: Detent, claims: Claims, payload: str):
    assert detent("trigger", claims["eve"], "decide", "--payload", payload).exit_code == 2


def test_send_keeps_it_until_a_worker_lets_it_be_taken(detent: Detent, claims: Claims, within: Within, stored: Stored):
    message = json.loads(detent("send", claims["eve"], "pay", "--json").stdout)
    assert (message["event"], message["instance_id"]) == ("pay", claims["eve"])
    assert "pay is kept as message" in detent("send", claims["ben"], "pay", "--delay", "1h").stdout

    async def work(runtime: WorkflowRuntime) -> None:
        await runtime.trigger_event(claims["eve"], "decide")
        await runtime.process_inbox()

    within(work)
    assert stored(claims["eve"]).state == "paid"
    assert detent("send", claims["ben"], "paye").exit_code == 1
