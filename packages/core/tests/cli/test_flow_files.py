"""`detent validate` and `detent diagram` on files that hold flows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from detent.flows import Flow
from detent.notation.mermaid import to_mermaid

Detent = Callable[..., Result]

TRIP: dict[str, Any] = {
    "id": "trip",
    "version": "1.2.0",
    "initialStepId": "choose",
    "steps": {
        "choose": {"type": "choose", "config": {"to": "book"}},
        "book": {"type": "http", "transitions": {"onSuccess": "thank", "onFailure": "choose"}},
        "thank": {"type": "email"},
    },
}
MODULE = """
from detent.flows import FlowBook, Handlers, handler, success
from pydantic import BaseModel

class To(BaseModel):
    to: str

@handler("choose", targets=lambda config: {config["to"]})
async def choose(ctx, config: To):
    return success()

@handler("http", targets=False)
async def http(ctx):
    return success()

@handler("email", targets=False)
async def email(ctx):
    return success()

several = [choose, http, email]
some = [choose, http]
registered = Handlers(several)
book = FlowBook(handlers=several)
number = 42
numbers = [42]

def make():
    return several
"""


@pytest.fixture
def module(detent: Detent, request: pytest.FixtureRequest) -> str:
    """The name of a module in the working directory that no other test has imported."""
    name = f"handlers_{abs(hash(request.node.name))}"
    Path(f"{name}.py").write_text(MODULE)
    return name


def written(data: dict[str, Any], **steps: dict[str, Any]) -> str:
    """The name of a file that holds the flow, with some steps of it written otherwise."""
    Path("trip.json").write_text(json.dumps(data | {"steps": data["steps"] | steps}))
    return "trip.json"


def test_a_sound_flow_passes_and_is_said_to_be_checked_without_its_handlers(detent: Detent) -> None:
    result = detent("validate", "--strict", written(TRIP))
    assert (result.exit_code, result.output) == (
        0,
        "trip.json: sound (trip v1.2.0; its handlers were not checked, see --handlers)\n",
    )


def test_our_own_spelling_is_a_flow_too(detent: Detent) -> None:
    Path("trip.json").write_text(Flow.from_dict(TRIP).to_json())
    assert "sound (trip v1.2.0" in detent("validate", "trip.json").output


def test_problems_of_a_flow_are_told_at_their_places(detent: Detent) -> None:
    file = written(TRIP, book={"type": "http", "onSuccess": "thnk"}, thank={"type": "email", "outputKey": "error"})
    result = detent("validate", file)
    assert result.exit_code == 1
    assert "trip.json: 2 errors" in result.output
    assert "steps.book.on_success: there is no step 'thnk'\n          did you mean 'thank'?" in result.output
    assert "steps.thank.output_key: 'error' is not a place for an output" in result.output


def test_what_cannot_be_read_as_a_flow_is_told_as_of_a_flow(detent: Detent) -> None:
    Path("trip.json").write_text(json.dumps({"id": "trip", "steps": {"a": {"typ": "log"}}}))
    answer = json.loads(detent("validate", "--json", "trip.json").output)
    assert {problem["path"] for problem in answer["files"][0]["problems"]} >= {"initial_step_id", "steps.a.type"}
    assert "no sound flow" in detent("diagram", "trip.json").output


def test_json_says_which_flow_it_is(detent: Detent) -> None:
    answer = json.loads(detent("validate", "--json", written(TRIP)).output)
    assert answer["files"] == [
        {"file": "trip.json", "workflow": "trip", "version": "1.2.0", "valid": True, "problems": []}
    ]


@pytest.mark.parametrize("attribute", ["several", "registered", "book", "make"])
def test_handlers_are_checked_where_they_are_named(detent: Detent, module: str, attribute: str) -> None:
    handlers = f"--handlers={module}:{attribute}"
    assert detent("validate", handlers, "--strict", written(TRIP)).output == "trip.json: sound (trip v1.2.0)\n"
    result = detent("validate", handlers, written(TRIP, thank={"type": "emial"}, choose={"type": "choose"}))
    assert result.exit_code == 1
    assert "steps.thank.type: no handler 'emial' is registered\n          did you mean 'email'?" in result.output
    assert "steps.choose.config.to" in result.output


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("{module}", "is no MODULE:ATTRIBUTE"),
        ("{module}:number", "is a int and no"),
        ("{module}:numbers", "no handler"),
    ],
)
def test_what_are_no_handlers_is_said_in_one_sentence(detent: Detent, module: str, attribute: str, said: str) -> None:
    result = detent("validate", "--handlers", attribute.format(module=module), written(TRIP))
    assert result.exit_code == 1
    assert said in result.output


def test_a_flow_in_a_file_is_drawn(detent: Detent) -> None:
    result = detent("diagram", written(TRIP))
    assert (result.exit_code, result.output) == (0, to_mermaid(Flow.from_dict(TRIP)))
    assert "book --> choose : on_failure" in result.output
    assert "goto" not in result.output


def test_gotos_are_drawn_where_handlers_are_named(detent: Detent, module: str) -> None:
    result = detent("diagram", written(TRIP), "--handlers", f"{module}:book", "--style", "flowchart")
    assert 'choose -->|"goto"| book' in result.output


def test_a_flow_in_a_module_is_drawn(detent: Detent) -> None:
    Path("trips.py").write_text(f"from detent.flows import Flow\ntrip = Flow.from_dict({TRIP!r})\n")
    assert detent("diagram", "trips:trip").output == to_mermaid(Flow.from_dict(TRIP))


def test_a_definition_without_its_states_is_still_told_as_a_definition(detent: Detent) -> None:
    Path("odd.json").write_text('{"name": "odd"}')
    assert "no sound definition" in detent("diagram", "odd.json").output
