"""Composites and regions, forks and joins: what they are as plain states, and what is refused by name."""

from typing import Any

import pytest

from detent import from_mermaid, to_mermaid
from detent.errors import DefinitionInvalid
from detent.notation import read_mermaid
from packages.core.tests.notation.test_reader import refusal_of, states_of


def reading_of(*lines: str) -> tuple[dict[str, Any], list[str]]:
    """The states, and the codes of what there is to say."""
    reading = read_mermaid("\n".join(["stateDiagram-v2", *lines]))
    assert from_mermaid(to_mermaid(reading.definition)) == reading.definition
    return dict(reading.definition.to_dict()["states"]), [problem.code for problem in reading.warnings]


def targets_of(state: dict[str, Any]) -> dict[str, str]:
    return {name: event["target"] for name, event in state.get("events", {}).items()}


CHECKING = (
    "[*] --> draft",
    "draft --> checking : hand_in",
    "state checking {",
    "[*] --> formal",
    "formal --> expert : well_formed",
    "expert --> [*] : fine",
    "}",
    "checking --> paid",
    "checking --> draft : return",
    "paid --> [*] : success",
)


def test_a_composite_is_entered_at_its_start_and_left_at_its_end() -> None:
    states, _ = reading_of(*CHECKING)
    assert targets_of(states["draft"]) == {"hand_in": "formal"}
    assert targets_of(states["expert"])["fine"] == "paid"
    assert "checking" not in states


def test_a_labelled_way_out_of_a_composite_is_one_out_of_every_state_in_it() -> None:
    states, _ = reading_of(*CHECKING)
    assert targets_of(states["formal"]) == {"well_formed": "expert", "return": "draft"}
    assert targets_of(states["expert"]) == {"fine": "paid", "return": "draft"}


def test_what_an_inner_state_says_of_an_event_comes_before_what_the_outer_ones_say() -> None:
    states = states_of(
        "[*] --> outer",
        "state outer {",
        "[*] --> inner",
        "state inner {",
        "[*] --> a",
        "a --> b : stop",
        "b --> a : go",
        "}",
        "inner --> other : stop",
        "other --> inner : go",
        "}",
        "outer --> gone : stop",
        "outer --> gone : go",
    )
    assert targets_of(states["a"]) == {"stop": "b", "go": "gone"}
    assert targets_of(states["b"]) == {"go": "a", "stop": "other"}
    assert targets_of(states["other"]) == {"go": "a", "stop": "gone"}


def test_the_last_step_of_a_composite_works_and_goes_on() -> None:
    states = states_of(
        "[*] --> X", "state X {", "[*] --> a", "a --> [*]", "}", "X --> b", "X --> c : stop", "b --> [*]"
    )
    assert states["a"]["on_enter"] == {"target": "b", "commands": [{"name": "a", "durable": True}]}


def test_a_composite_with_labelled_ways_out_only_is_waited_in_when_it_is_done() -> None:
    states, _ = reading_of("[*] --> X", "state X {", "[*] --> a", "a --> [*] : done", "}", "X --> b : go")
    assert targets_of(states["a"]) == {"done": "X", "go": "b"}
    assert targets_of(states["X"]) == {"go": "b"}


def test_a_time_on_a_composite_is_one_for_all_states_in_it() -> None:
    states, _ = reading_of(*CHECKING, "checking --> paid : forget after 2d")
    across = {"afterDays": 2, "across": "checking"}
    timed = {name: state["events"]["forget"] for name, state in states.items() if "forget" in state.get("events", {})}
    assert {name: event["timeout"] for name, event in timed.items()} == {"formal": across, "expert": across}


def test_a_composite_starts_in_the_only_state_that_nothing_leads_to() -> None:
    states = states_of("[*] --> x", "x --> X : go", "state X {", "a --> b : on", "}")
    assert targets_of(states["x"]) == {"go": "a"}


def test_a_composite_behind_a_choice_is_entered_at_its_start() -> None:
    states = states_of(
        "state c <<choice>>", "[*] --> a", "a --> c : go", "c --> X : large", "c --> b", "state X {", "[*] --> y",
        "y --> [*] : done", "}", "X --> b", "b --> [*]",
    )  # fmt: skip
    assert states["a"]["events"]["go"] == {"branches": [{"guard": "large", "target": "y"}], "target": "b"}


def test_classes_of_a_composite_are_tags_of_what_stands_in_it_and_its_texts_are_told_of() -> None:
    states, said = reading_of(
        "[*] --> X", 'state "While it is checked" as X {', "[*] --> a", "a --> [*] : done", "}", "X --> b", "b --> [*]",
        "class X slow",
    )  # fmt: skip
    assert states["a"]["tags"] == ["slow"]
    assert "tags" not in states["b"]
    assert said == ["composite_text"]


REGIONS = (
    "[*] --> prepare",
    "state prepare {",
    "[*] --> pick",
    "pick --> pack",
    "pack --> [*]",
    "--",
    "[*] --> bill",
    "bill --> [*] : billed",
    "}",
    "prepare --> send",
    "prepare --> dropped : drop",
    "prepare --> stuck : on enter fails",
    "send --> [*]",
    "dropped --> [*]",
    "stuck --> [*] : failure",
)


def test_regions_are_branches_that_are_all_waited_for() -> None:
    states, _ = reading_of(*REGIONS)
    assert states["prepare"] == {
        "on_enter": {"fork": ["pick", "bill"], "target": "send", "error": "stuck"},
        "events": {"drop": {"target": "dropped"}},
    }
    assert states["pack"]["on_enter"]["target"] == "end"
    assert targets_of(states["bill"]) == {"billed": "end"}
    assert "drop" not in states["pick"].get("events", {})


def test_the_end_of_regions_without_a_way_out_is_the_end_of_the_workflow() -> None:
    states, said = reading_of("[*] --> X", "state X {", "[*] --> a", "a --> [*]", "--", "[*] --> b", "b --> [*]", "}")
    assert states["X"]["on_enter"] == {"fork": ["a", "b"], "target": "end"}
    assert said == ["no_way_out"]


def test_a_region_of_nothing_is_none() -> None:
    states, said = reading_of("[*] --> X", "state X {", "[*] --> a", "a --> [*]", "--", "}", "X --> b", "b --> [*]")
    assert "X" not in states
    assert said == ["divider_at_end"]


FORK = (
    "state f <<fork>>",
    "state j <<join>>",
    "[*] --> new",
    "new --> f : pay",
    "f --> pick",
    "f --> bill",
    "pick --> j",
    "bill --> j : billed",
    "bill --> lost : lose",
    "j --> send",
    "send --> [*]",
    "lost --> [*] : failure",
)


def test_a_fork_begins_branches_that_end_in_its_join() -> None:
    states, _ = reading_of(*FORK)
    assert targets_of(states["new"]) == {"pay": "f"}
    assert states["f"] == {"on_enter": {"fork": ["pick", "bill"], "target": "send"}}
    assert states["pick"]["on_enter"]["target"] == "j"
    assert states["j"] == {}


def test_branches_may_lead_to_the_end_instead_of_a_join() -> None:
    states = states_of("state f <<fork>>", "[*] --> f", "f --> a", "f --> b", "a --> [*]", "b --> [*]")
    assert states["f"]["on_enter"] == {"fork": ["a", "b"], "target": "end"}


def test_a_fork_within_a_branch_is_joined_there() -> None:
    states = states_of(
        "state f <<fork>>", "state g <<fork>>", "state j <<join>>", "state k <<join>>", "[*] --> f", "f --> a", "f --> b",
        "a --> g", "g --> c", "g --> d", "c --> k", "d --> k", "k --> e", "e --> j", "b --> j", "j --> [*]",
    )  # fmt: skip
    assert states["f"]["on_enter"] == {"fork": ["a", "b"], "target": "end"}
    assert states["g"]["on_enter"] == {"fork": ["c", "d"], "target": "e"}


def test_what_is_declared_a_join_and_a_fork_is_both_one_behind_the_other() -> None:
    states, said = reading_of(
        "state f <<fork>>", "state x <<join>>", "state x <<fork>>", "state j <<join>>", "[*] --> f", "f --> a", "f --> b",
        "a --> x", "b --> x", "x --> c", "x --> d", "c --> j", "d --> j", "j --> [*]",
    )  # fmt: skip
    assert states["f"]["on_enter"]["target"] == "x fork"
    assert states["x fork"]["on_enter"]["fork"] == ["c", "d"]
    assert said == ["fork_and_join"]


def test_a_label_behind_a_fork_is_told_of() -> None:
    _, said = reading_of(*FORK, "f --> third : for show", "third --> j")
    assert said == ["label_ignored"]


X = (
    "[*] --> x",
    "x --> X : go",
    "state X {",
    "[*] --> a",
    "a --> b : on",
    "b --> [*] : off",
    "}",
    "X --> y",
    "y --> [*]",
)
SIDE_BY_SIDE = (
    "[*] --> X",
    "state X {",
    "[*] --> a",
    "a --> [*]",
    "--",
    "[*] --> b",
    "b --> [*]",
    "}",
    "X --> y",
    "y --> [*]",
)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((*X, "x --> b : jump"), "enters_inside"),
        ((*X, "state Y {", "b --> c", "}"), "two_scopes"),
        ((*X, "X --> z"), "several_unlabelled_ways"),
        ((*X, "X --> z : [ok]"), "unreadable_label"),
        ((*X, "X --> X : attempts=3"), "retry_without_work"),
        ((*X, "state X <<choice>>"), "composite_kind"),
        (("[*] --> X", "state X {", "state X {", "a --> b", "}", "}"), "composite_in_itself"),
        (("[*] --> X", 'state "One" as X {', "[*] --> a", "}", 'state "Two" as X {', "a --> a : go", "}"), "two_texts"),
        (("[*] --> X", "state X {", "a --> b : go", "b --> a : go", "}"), "no_start"),
        (("[*] --> X", "state X {", "[*] --> a", "[*] --> b", "a --> b : go", "}"), "several_starts"),
        (("[*] --> X", "state X {", "[*] --> y", "a --> y : go", "}", "y --> [*]", "X --> y"), None),
        (("[*] --> X", "state X {", "[*] --> [*]", "a --> a : go", "}"), "nothing_between"),
        (("[*] --> P", "state P {", "[*] --> X", "state X {", "[*] --> a", "a --> [*]", "}", "}"), "no_way_out_of_composite"),
        ((*SIDE_BY_SIDE, "a --> y : out"), "crosses_region"),
        ((*SIDE_BY_SIDE, "y --> b : back"), "crosses_region"),
        ((*FORK, "j --> other"), "join_of_several"),
        ((*FORK, "state k <<join>>", "pick --> k : aside", "k --> send"), "branches_part"),
        ((*FORK, "pick --> bill : swap"), "branches_meet"),
        ((*FORK, "new --> pick : hurry"), "into_branch"),
        ((*FORK, "new --> j : hurry"), "into_join"),
        ((*FORK, "bill --> f : again"), "fork_in_circle"),
        ((*FORK, "f --> j"), "empty_branch"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_apart_is_refused_by_name(lines: tuple[str, ...], code: str | None) -> None:
    codes = [] if code is None else [found for found, _ in refusal_of(*lines)]
    assert code is None or code in codes


def test_an_arrow_into_a_composite_is_taken_as_it_is_drawn_where_reading_is_lenient() -> None:
    text = "\n".join(["stateDiagram-v2", *X, "x --> b : jump"])
    with pytest.raises(DefinitionInvalid):
        from_mermaid(text)
    assert from_mermaid(text, strict=False).states["x"].events["jump"].target == "b"


def test_a_body_in_two_pieces_is_one() -> None:
    states = states_of(
        "[*] --> X", "state X {", "[*] --> a", "}", "state X {", "a --> [*] : done", "}", "X --> y", "y --> [*]"
    )
    assert targets_of(states["a"]) == {"done": "y"}


def test_a_branch_is_written_on_a_plain_state_too() -> None:
    states, _ = reading_of("[*] --> a", "a --> b : on enter branch", "a --> c : on enter branch", "a --> d : when joined",
                           "b --> d : x", "c --> d : y")  # fmt: skip
    assert states["a"]["on_enter"] == {"fork": ["b", "c"], "target": "d"}


@pytest.mark.parametrize("label", ["when joined", "on enter branch"])
def test_what_to_mermaid_writes_of_a_fork_may_stand_on_a_state_with_regions(label: str) -> None:
    aside = ("X --> z : " + label, "z --> [*] : end")
    states, _ = reading_of(*(line for line in SIDE_BY_SIDE if not line.startswith(("X --> y", "y -->"))), *aside)
    entry = states["X"]["on_enter"]
    branches = ["a", "b"] if label == "when joined" else ["z", "a", "b"]
    assert (entry["fork"], entry["target"] if label == "when joined" else "z") == (branches, "z")


@pytest.mark.parametrize("label", ["success", "failure", "end"])
def test_an_outcome_where_a_composite_ends_and_the_workflow_does_not_is_told_of(label: str) -> None:
    states, said = reading_of(*(f"b --> [*] : {label}" if line == "b --> [*] : off" else line for line in X))
    assert said == ["outcome_inside"]
    assert targets_of(states["b"]) == {label: "y"}


HELD = (
    "[*] --> X",
    "state X {",
    "state f <<fork>>",
    "state j <<join>>",
    "state g <<fork>>",
    "state h <<join>>",
    "[*] --> f",
    "f --> a",
    "f --> b",
    "a --> g : on",
    "g --> c",
    "g --> d",
    "c --> h : one",
    "d --> h : two",
    "h --> k",
    "k --> j : three",
    "b --> j : four",
    "j --> m",
    "m --> [*] : done",
    "}",
    "X --> y",
    "y --> [*] : end",
    "z --> [*] : end",
)


def test_an_arrow_out_of_a_composite_leaves_the_forks_in_it_and_no_state_of_their_branches() -> None:
    states, _ = reading_of(*HELD, "X --> z : stop after 2d")
    stopping = {name for name, state in states.items() if "stop" in state.get("events", {})}
    assert stopping == {"f", "m"}
    assert states["f"]["events"]["stop"] == {"target": "z", "timeout": {"afterDays": 2, "across": "X"}}
    assert (states["f"]["on_enter"], states["g"]["on_enter"]) == (
        {"fork": ["a", "b"], "target": "m"}, {"fork": ["c", "d"], "target": "k"},
    )  # fmt: skip


def test_a_failure_out_of_a_composite_is_that_of_the_branches_in_it() -> None:
    states, _ = reading_of(*HELD, "X --> z : on enter fails")
    assert [name for name, state in states.items() if state.get("on_enter", {}).get("error") == "z"] == ["f"]


def test_a_branch_may_take_an_event_otherwise_that_leads_out_of_the_composite_around_its_fork() -> None:
    states, _ = reading_of(*HELD, "X --> z : stop", "state X {", "b --> l : stop", "l --> j : five", "}")
    assert targets_of(states["b"]) == {"four": "j", "stop": "l"}
    assert targets_of(states["f"]) == {"stop": "z"}
