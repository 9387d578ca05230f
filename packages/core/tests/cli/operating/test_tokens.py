"""`detent tokens`: made, listed, judged, revoked and used; the token itself never stands on a command line."""

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import Result

from detent import FlowService, WorkflowRuntime
from detent.flows import FlowBook

Detent: TypeAlias = Callable[..., Result]
InOffice: TypeAlias = Callable[[Callable[[WorkflowRuntime], Awaitable[Any]]], Any]

DATABASE = ("--database", "sqlite:///office.db")
PLACES = [(), DATABASE]


@pytest.fixture
def waiting(in_office: InOffice) -> Any:
    """The id of an execution that waits in `ask`."""

    async def start(runtime: WorkflowRuntime) -> str:
        made = await FlowService(runtime, FlowBook()).start_flow("report")
        await runtime.process_runs()
        return str(made.id)

    return in_office(start)


def generated(detent: Detent, execution: str) -> Any:
    result = detent("tokens", "generate", execution, "ask", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("place", PLACES)
def test_a_token_is_told_once_and_listed_by_its_hash(detent: Detent, waiting: str, place: tuple[str, ...]):
    result = detent("tokens", "generate", waiting, "ask", "--expires", "7d", "--metadata", '{"to": "ana"}')
    token = result.stdout.strip()
    assert (result.exit_code, len(token), "only its hash is kept" in result.stderr) == (0, 64, True)
    [listed] = json.loads(detent("tokens", "list", waiting, *place, "--json").stdout)["tokens"]
    assert (listed["step_id"], listed["state"], listed["metadata"]) == ("ask", "pending", {"to": "ana"})
    told = detent("tokens", "list", waiting, *place).stdout
    assert listed["hash"][:12] in told
    assert token not in told


def test_a_token_is_revoked_by_how_its_hash_begins(detent: Detent, waiting: str):
    token = generated(detent, waiting)
    result = detent("tokens", "revoke", waiting, token["hash"][:12])
    assert (result.exit_code, result.stdout) == (0, f"{token['hash'][:12]} is revoked\n")
    again = detent("tokens", "revoke", waiting, token["hash"])
    assert (again.exit_code, again.stdout) == (1, f"{token['hash'][:12]} is revoked already\n")
    judged = json.loads(detent("tokens", "validate", "--json", stdin=token["token"]).stdout)
    assert (judged["valid"], judged["reason"]) == (False, "revoked")


def test_a_hash_that_is_none_or_several_revokes_nothing(detent: Detent, waiting: str):
    generated(detent, waiting), generated(detent, waiting)
    nobody = detent("tokens", "revoke", waiting, "xyz")
    several = detent("tokens", "revoke", waiting, "")
    assert (nobody.exit_code, several.exit_code) == (1, 1)
    assert "2 of its tokens have a hash that begins with ''" in several.stderr
    listed = json.loads(detent("tokens", "list", waiting, "--json").stdout)["tokens"]
    assert [each["state"] for each in listed] == ["pending", "pending"]


@pytest.mark.parametrize("place", PLACES)
def test_a_token_is_judged_from_standard_input(detent: Detent, waiting: str, place: tuple[str, ...]):
    token = generated(detent, waiting)["token"]
    good = detent("tokens", "validate", *place, stdin=token + "\n")
    assert (good.exit_code, good.stdout) == (0, f"valid: it resumes {waiting} in ask\n")
    bad = detent("tokens", "validate", *place, stdin="made-up\n")
    assert (bad.exit_code, bad.stdout) == (1, "not valid: unknown\n")


def test_a_token_resumes_once_with_data(detent: Detent, waiting: str):
    token = generated(detent, waiting)["token"]
    result = detent("tokens", "resume", "--data", '{"ok": true}', "--actor", "ana", "--json", stdin=token)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["id"] == waiting
    assert token not in result.output
    context = json.loads(detent("show", waiting, "--json").stdout)["context"]
    assert context["answer"] == {"ok": True}
    spent = detent("tokens", "resume", stdin=token)
    assert (spent.exit_code, "used" in spent.stderr) == (1, True)


def test_to_make_to_revoke_and_to_use_one_needs_the_application(detent: Detent, waiting: str):
    made = generated(detent, waiting)
    asked = [("generate", waiting, "ask"), ("revoke", waiting, made["hash"]), ("resume",)]
    for arguments in asked:
        result = detent("tokens", *arguments, *DATABASE, stdin=made["token"])
        assert result.exit_code == 1
        assert "--app MODULE:RUNTIME, or the variable DETENT_RUNTIME" in " ".join(
            result.stderr.replace("│", " ").split()
        )
    assert detent("tokens", "validate", stdin=made["token"]).exit_code == 0


@pytest.mark.parametrize("arguments", [("validate",), ("resume",), ("resume", "--data", "-"), ("validate", "a-token")])
def test_a_token_comes_from_standard_input_alone(detent: Detent, waiting: str, arguments: tuple[str, ...]):
    assert detent("tokens", *arguments, stdin="").exit_code == 2


def test_on_a_terminal_it_is_asked_for_and_what_is_typed_is_not_shown(detent: Detent, waiting: str):
    token = generated(detent, waiting)["token"]
    screen, keyboard = os.openpty()
    command = [str(Path(sys.executable).with_name("detent")), "tokens", "validate", *DATABASE]
    # In a session of its own, so that it does not ask on the terminal of whoever runs this test.
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=keyboard, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as asking:
        assert asking.stderr is not None
        # The blank comes from whatever has stopped the terminal from showing what is typed.
        assert asking.stderr.read(len("Token: ")) == b"Token: "
        os.write(screen, token.encode() + b"\n")
        told, _ = asking.communicate(timeout=60)
    os.close(keyboard)
    os.set_blocking(screen, False)
    with suppress(OSError):
        assert token.encode() not in os.read(screen, 10_000)
    os.close(screen)
    assert (asking.returncode, told.decode()) == (0, f"valid: it resumes {waiting} in ask\n")


def test_what_cannot_be_made_is_said_in_a_sentence(detent: Detent, waiting: str):
    result = detent("tokens", "generate", waiting, "aks")
    assert (result.exit_code, "did you mean 'ask'?" in result.stderr) == (1, True)
    soon = detent("tokens", "generate", waiting, "ask", "--expires", "7 apples")
    assert (soon.exit_code, "Traceback" in soon.output) == (1, False)
