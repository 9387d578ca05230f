"""What `from_mermaid` makes of diagrams that people draw, and what it refuses by name."""

from typing import Any

import pytest

from detent import from_mermaid, to_mermaid, validate
from detent.errors import DefinitionInvalid
from detent.notation import Marks, mermaid_blocks, read_mermaid
from packages.core.tests.notation.mermaid_samples import CLAIM, EVERYTHING, ORDER
from packages.core.tests.notation.test_names import TORTURE, workflow_of

MARKDOWN = """\
# Order

```mermaid
stateDiagram-v2
a --> b
```

- list

  ~~~ mermaid
  stateDiagram-v2
  a -> b
  ~~~
```python
x
```
"""


def states_of(*lines: str) -> dict[str, Any]:
    """The states that these lines draw, as they are written."""
    return dict(from_mermaid("\n".join(["stateDiagram-v2", *lines])).to_dict()["states"])


def refusal_of(*lines: str, header: str = "stateDiagram-v2") -> list[tuple[str, str]]:
    """The code and the place of every error."""
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid("\n".join([header, *lines]))
    return [(problem.code, problem.path) for problem in refused.value.problems if problem.severity == "error"]


def test_a_whole_diagram_is_a_definition() -> None:
    order = from_mermaid(ORDER)
    assert (order.name, order.version, order.description) == ("order", "2", "An order, from the till to the door")
    assert order.initial_state == "new"
    pay = order.states["waiting"].events["pay"]
    assert [branch.target for branch in pay.branches] == ["packing"]
    assert pay.target == "waiting"
    assert order.states["packing"].on_enter is not None
    (work,) = order.states["packing"].on_enter.commands
    assert (work.name, work.durable, work.retry and work.retry.attempts) == ("packing", True, 5)
    assert order.states["packing"].description == "Two people; see #12"
    assert order.states["packing"].tags == ("busy",)
    assert order.states["cancelled"].outcome == "cancelled"
    assert [problem for problem in validate(order) if problem.severity == "error"] == []


def test_what_a_state_decides_are_events_its_work_may_go_to() -> None:
    claim = from_mermaid(CLAIM, name="claim")
    covered = claim.states["covered"]
    assert covered.on_enter is not None
    assert covered.on_enter.target is None
    assert {name: event.target for name, event in covered.events.items()} == {
        "refuse": "end",
        "large": "inquiry",
        "small": "settle",
    }
    assert covered.description == "Is it covered?"
    assert claim.states["settle"].description == "pays\nand writes"
    assert claim.states["inquiry"].tags == ("slow",)
    assert claim.states["end"].terminal


def test_a_diagram_drawn_by_hand_is_written_again_and_reads_back() -> None:
    for text in (ORDER, CLAIM):
        definition = from_mermaid(text, name="again")
        assert from_mermaid(to_mermaid(definition)) == definition


def test_names_that_would_break_a_diagram_read_back() -> None:
    tortured = workflow_of(TORTURE)
    assert from_mermaid(to_mermaid(tortured)) == tortured


def test_an_unlabelled_way_out_is_work_and_a_hop() -> None:
    assert states_of("a --> b")["a"] == {"on_enter": {"target": "b", "commands": [{"name": "a", "durable": True}]}}


def test_commands_in_the_box_are_the_work() -> None:
    assert states_of("a : entry / look(), book", "a --> b")["a"] == {
        "on_enter": {"target": "b", "commands": ["look", "book"]}
    }


@pytest.mark.parametrize(
    ("label", "event"),
    [
        ("pay", {"pay": {}}),
        ("Payment received", {"Payment received": {}}),
        ("payment fails", {"payment fails": {}}),
        ("pay [amount_ok and not late] / book, thank", {
            "pay": {"guard": {"all_of": ["amount_ok", {"not_": "late"}]}, "commands": ["book", "thank"]},
        }),
        ("Payment in [x > 0] / book()", {"Payment in": {"guard": "x > 0", "commands": ["book"]}}),
        ("expire after 14d", {"expire": {"timeout": "14d"}}),
        ("remind at order.due", {"remind": {"timeout": {"at": "order.due"}}}),
        ("CI/CD passed", {"CI/CD passed": {}}),
        ("a#colon; b <b>now</b>", {"a: b now": {}}),
    ],
)  # fmt: skip
def test_a_label_is_an_event(label: str, event: dict[str, Any]) -> None:
    ((name, said),) = event.items()
    assert states_of(f"a --> b : {label}")["a"]["events"] == {name: {**said, "target": "b"}}


def test_arrows_of_one_event_are_told_apart_by_their_guards() -> None:
    event = states_of("a --> b : go [x]", "a --> c : go [y]", "a --> d : go")["a"]["events"]["go"]
    assert event == {
        "branches": [{"guard": "x", "target": "b"}, {"guard": "y", "target": "c"}],
        "target": "d",
    }


def test_without_a_way_for_the_rest_an_event_is_refused_when_no_guard_passes() -> None:
    event = states_of("a --> b : go [x]", "a --> c : go [y]")["a"]["events"]["go"]
    assert event == {"guard": {"any_of": ["x", "y"]}, "branches": [{"guard": "x", "target": "b"}], "target": "c"}


def test_a_choice_behind_a_choice_asks_both_guards() -> None:
    event = states_of(
        "state c <<choice>>", "state d <<choice>>", "a --> c : go", "c --> d : x", "c --> b", "d --> e : y", "d --> f"
    )["a"]["events"]["go"]
    assert event == {
        "branches": [{"guard": {"all_of": ["x", "y"]}, "target": "e"}, {"guard": "x", "target": "f"}],
        "target": "b",
    }


def test_the_start_is_inferred_where_one_state_has_no_way_in() -> None:
    assert from_mermaid("stateDiagram-v2\na --> b\nb --> c").initial_state == "a"
    assert refusal_of("a --> b", "c --> b") == [("no_start", "line 2, column 1")]


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        ("a --> b;", "semicolon", 7),
        ("a --> b & c", "ampersand", 9),
        ("a -->|go| b", "label_in_bars", 6),
        ("a <--> b", "arrow_of_two_heads", 3),
        ("a -> b", "unknown_arrow", 3),
        ("a ---> b", "unknown_arrow", 3),
        ("a -.-> b", "unknown_arrow", 3),
        ("a --> b --> c", "unexpected_arrow", 9),
        ("my-state --> b", "hyphen_in_id", 3),
        ("a --> b : direction LR of it", "direction_in_text", 1),
        ("direction TD", "unknown_direction", 1),
        ("linkStyle 0 stroke:#f00", "no_statement", 1),
        ("skinparam x y", "no_statement", 1),
        ("title: T", "no_statement", 1),
        ('state "Which?" as c <<choice>>', "title_of_choice", 7),
        ("state e <<end>>", "unknown_stereotype", 9),
        ("a --> [H]", "history_not_supported", 7),
        ("note right of zzz : x", "unknown_state", 1),
        ("note right of a", "note_not_closed", 16),
        ("state X {", "brace_not_closed", 9),
        ("state X { c --> d }", "composite_not_supported", 7),
        ("state f <<fork>>", "fork_not_supported", 7),
        ("state j <<join>>", "join_not_supported", 7),
        ("state c <<choice>>", "dead_choice", 7),
        ("a --> default", "reserved_word", 7),
        ('click a call f()', "unreadable_link", 1),
        ("a --> [*] : wait after 14 days", "unreadable_timeout", 1),
        ("a --> a : attempts=many", "unreadable_retry", 1),
        ("b --> a : [feasible] exit event", "unreadable_label", 1),
        ("a : exit / x()", "exit_not_supported", 1),
        ("lonely", "unreferenced_state", 1),
        ('state "L" as c:::k', "class_is_lost", 8),
        ("classDef default fill:#f00", "default_class", 10),
        ("scale 0.5", "unreadable_scale", 8),
    ],
)  # fmt: skip
def test_what_would_be_misread_is_refused_by_name(line: str, code: str, column: int) -> None:
    assert (code, f"line 3, column {column}") in refusal_of("a --> b", line)


def test_all_problems_are_told_at_once_in_the_order_of_the_text() -> None:
    assert refusal_of("a -> b", "my-state --> b", "a --> b;") == [
        ("unknown_arrow", "line 2, column 3"),
        ("hyphen_in_id", "line 3, column 3"),
        ("semicolon", "line 4, column 7"),
    ]


def test_several_unlabelled_ways_out_are_refused() -> None:
    assert refusal_of("a --> b", "a --> c") == [("several_unlabelled_ways", "line 3, column 1")]


def test_what_would_be_said_twice_is_refused() -> None:
    assert refusal_of("a --> b : on enter", "a --> c : on enter") == [("several_hops", "line 3, column 1")]
    assert refusal_of("a --> b : go", "a --> c : go") == [("event_twice", "line 3, column 1")]
    assert refusal_of("a --> b : [go]", "a --> c : go") == [("event_twice", "line 3, column 1")]
    assert refusal_of("a --> b : go / x", "a --> c : go [y] / z") == [("ways_disagree", "line 3, column 1")]


def test_the_name_is_the_title_or_what_the_caller_or_a_screen_reader_says() -> None:
    assert from_mermaid("stateDiagram-v2\naccTitle: Claims\na --> b").name == "Claims"
    assert from_mermaid("stateDiagram-v2\naccTitle: Claims\na --> b", name="claim").name == "claim"
    assert from_mermaid("---\ntitle: Claim\n---\nstateDiagram-v2\na --> b", name="x").name == "Claim"


def test_everything_mermaid_knows_is_read_and_what_a_definition_lacks_is_named() -> None:
    codes = {code for code, _ in refusal_of(*EVERYTHING.splitlines()[1:], header="stateDiagram")}
    assert codes == {"composite_not_supported", "fork_not_supported", "join_not_supported"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("flowchart TB\na --> b", "not_a_state_diagram"),
        ("@startuml\n[*] --> a", "not_a_state_diagram"),
        ("```mermaid\nstateDiagram-v2\na --> b\n```", "not_a_state_diagram"),
        ("", "no_diagram"),
        ("---\ntitle: x\nstateDiagram-v2\na --> b", "front_matter_not_closed"),
        ("\n---\ntitle: x\n---\nstateDiagram-v2\na --> b", "front_matter_not_first"),
        ("---\ntitle: [\n---\nstateDiagram-v2\na --> b", "unreadable_front_matter"),
    ],
)
def test_what_is_no_state_diagram_says_what_it_is(text: str, code: str) -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid(text)
    assert [problem.code for problem in refused.value.problems] == [code]


def test_without_strict_the_reading_is_mermaids_and_says_so() -> None:
    reading = read_mermaid("stateDiagram-v2\n[*] --> a\na --> b;", strict=False)
    assert set(reading.definition.states) == {"a", "b;"}
    assert "semicolon" in [problem.code for problem in reading.warnings]


def test_a_late_choice_and_a_second_colon_are_read_with_a_warning() -> None:
    reading = read_mermaid(
        "stateDiagram-v2\n[*] --> a\na --> c\nc --> b : x\nstate c <<choice>>\nb --> [*]\nnote right of a : at 12:30"
    )
    assert [(problem.code, problem.path) for problem in reading.warnings] == [
        ("declared_late", "line 5, column 7"),
        ("colon_in_note", "line 7, column 24"),
    ]
    assert reading.definition.states["a"].description == "at 12:30"


def test_front_matter_in_yaml_is_read() -> None:
    text = "---\ntitle: Order\nconfig:\n  layout: elk\ndetent:\n  states:\n    a: {tags: [x]}\n---\nstateDiagram-v2\na --> b"
    definition = from_mermaid(text)
    assert (definition.name, definition.states["a"].tags) == ("Order", ("x",))


def test_lines_are_those_of_the_file_whatever_mermaid_cuts_out() -> None:
    text = "---\r\ntitle: T\r\n---\r\n%%{init: {}}%%\r\n\r\n%% note\r\nstateDiagram-v2\r\n  %% more\r\n  a --> b;\r\n"
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid(text)
    assert [problem.path for problem in refused.value.problems] == ["line 9, column 9"]


def test_blocks_of_markdown_know_their_lines() -> None:
    first, second = mermaid_blocks(MARKDOWN)
    assert (first.first_line, first.text) == (4, "stateDiagram-v2\na --> b\n")
    assert from_mermaid(first.text, first_line=first.first_line).initial_state == "a"
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid(second.text, first_line=second.first_line)
    assert [problem.path for problem in refused.value.problems] == ["line 12, column 3"]


def test_a_picture_of_an_instance_is_no_definition() -> None:
    order = from_mermaid(ORDER)
    with pytest.raises(DefinitionInvalid, match="picture of one instance"):
        from_mermaid(to_mermaid(order, marks=Marks(current="new")))
