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
        ("state X { a --> c }", "several_unlabelled_ways", 11),
        ("state f <<fork>>", "dead_fork", 7),
        ("state j <<join>>", "join_without_fork", 7),
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


def test_everything_mermaid_knows_is_read_and_what_cannot_be_reached_is_named() -> None:
    found = refusal_of(*EVERYTHING.splitlines()[1:], header="stateDiagram")
    assert found == [("no_start", "line 2, column 12")]


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


GAMGEE = """\
---
title: ConditionsWorkflow
---
stateDiagram-v2
    state choice <<choice>>
    [*] --> decide
    decide --> choice
    choice --> left: chooseLeft
    choice --> right: chooseRight
    left --> [*]
    right --> [*]
"""


def test_where_nothing_is_an_event_the_last_steps_work_too() -> None:
    states = from_mermaid(GAMGEE).states
    assert [name for name, state in states.items() if state.on_enter] == ["decide", "left", "right"]
    assert states["left"].on_enter is not None
    assert states["left"].on_enter.target == "end"


def test_beside_events_a_last_state_is_final_unless_it_says_what_it_does() -> None:
    states = states_of("a --> b : go", "a --> c : stop", "b --> [*]", "c --> [*]", "c : do / clean_up")
    assert states["b"] == {}
    assert states["c"]["on_enter"] == {"target": "end", "commands": [{"name": "clean_up", "durable": True}]}


@pytest.mark.parametrize(
    "drawn",
    [
        ["a --> b : go", "b : do / tidy", "b --> [*] : cancelled"],
        ["a --> b : go", "b --> b : attempts=3", "b --> [*] : cancelled"],
        ["a --> b : go", "b : do / tidy", "b --> b : attempts=3", "b --> [*] : cancelled"],
        ["a --> b", "b --> b : attempts=3", "b --> [*] : cancelled"],
    ],
)
def test_work_of_a_state_that_a_word_makes_final_is_refused(drawn: list[str]) -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid("\n".join(["stateDiagram-v2", "[*] --> a", *drawn]))
    (problem,) = refused.value.problems
    assert (problem.code, problem.path) == ("work_at_the_end", f"line {len(drawn) + 2}, column 1")
    assert problem.hint == "let another state end it: `b --> b_done` and `b_done --> [*] : cancelled`"


def test_what_the_hint_for_work_at_the_end_says_can_be_read() -> None:
    states = states_of("a --> b : go", "b : do / tidy", "b --> b_done", "b_done --> [*] : cancelled")
    assert states["b"]["on_enter"]["target"] == "b_done"
    assert states["b_done"] == {"outcome": "cancelled"}


@pytest.mark.parametrize("arrow", ["==>", "=>", "..>", "~>", "→"])
def test_an_arrow_of_another_language_is_called_so(arrow: str) -> None:
    assert ("unknown_arrow", "line 2, column 3") in refusal_of(f"a {arrow} b")


@pytest.mark.parametrize("word", ["class", "style", "note", "scale", "Class"])
def test_a_word_of_mermaid_that_an_arrow_leaves_is_called_so(word: str) -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid(f"stateDiagram-v2\n[*] --> a\n  {word} --> a")
    (problem,) = refused.value.problems
    assert (problem.code, problem.path) == ("reserved_word", "line 3, column 3")
    assert problem.hint == f'write `state "{word}" as s_{word.lower()}`, and use that id'


@pytest.mark.parametrize(
    ("label", "said", "hint"),
    [
        ("after 2d", "a timeout is an event, and 'after 2d' names none", "`expire after 2d`"),
        ("wait after 14 days", "the time in 'wait after 14 days' cannot be read", "are w, d, h, m, s"),
    ],
)
def test_a_timeout_that_is_none_says_what_it_lacks(label: str, said: str, hint: str) -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid(f"stateDiagram-v2\n[*] --> a\na --> b : {label}\nb --> [*]")
    (problem,) = refused.value.problems
    assert (problem.code, problem.message) == ("unreadable_timeout", said)
    assert hint in (problem.hint or "")


def test_a_name_of_two_words_is_told_how_it_is_written() -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid("stateDiagram-v2\n[*] --> ask police")
    (problem,) = refused.value.problems
    assert problem.path == "line 2, column 13"
    assert 'write `state "Two words" as id`' in (problem.hint or "")


def test_a_fault_of_the_front_matter_has_its_own_line_and_a_hint() -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid("---\nloops: true\ntitle: Orders: new\n---\nstateDiagram-v2\n[*] --> a")
    (problem,) = refused.value.problems
    assert problem.path == "line 3, column 14"
    assert problem.message == "this is not YAML: mapping values are not allowed in this context"
    assert 'title: "Orders: new"' in (problem.hint or "")


def test_a_fault_that_begins_elsewhere_is_told_where_it_is_met() -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid("---\ntitle: [a\nloops: true\n---\nstateDiagram-v2\n[*] --> a")
    (problem,) = refused.value.problems
    assert problem.path == "line 3, column 6"
    assert problem.message.startswith("this is not YAML: while parsing a flow sequence: ")


def test_a_blank_text_has_its_fault_at_its_beginning() -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid("\n\n")
    assert [(problem.code, problem.path) for problem in refused.value.problems] == [("no_diagram", "line 1, column 1")]


@pytest.mark.parametrize("said", ["end", "success"])
def test_a_word_on_the_last_arrow_makes_a_state_final(said: str) -> None:
    assert "on_enter" not in states_of("a --> b", f"b --> [*] : {said}")["b"]


@pytest.mark.parametrize(
    ("label", "written"),
    [
        (r"attempts=3\nbackoffMs=100", {"retry": {"attempts": 3, "initial": "0.05s", "jitter": 1.0}}),
        ("attempts=3,backoffMs=500", {"retry": {"attempts": 3, "initial": "0.25s", "jitter": 1.0}}),
        ("attempts = 3", {"retry": {"attempts": 3}}),
        ("attempts=3, timeout=2m, queue=mails", {"retry": {"attempts": 3}, "timeout": "2m", "queue": "mails"}),
    ],
)
def test_pairs_on_an_arrow_of_a_state_to_itself_say_how_its_work_is_done(label: str, written: dict[str, Any]) -> None:
    work = states_of("a --> b", f"a --> a : {label}")["a"]["on_enter"]["commands"]
    assert work == [{"name": "a", **written, "durable": True}]


@pytest.mark.parametrize(
    "label",
    [
        "attempts=3abc",
        "retry 3 times",
        "attempts=0",
        "attempts=-2",
        "attempts=1.23",
        "atempts=3",
        "backoffMs=0",
        "a=b=c",
    ],
)
def test_pairs_that_say_nothing_are_refused(label: str) -> None:
    assert refusal_of("a --> b", f"a --> a : {label}") == [("unreadable_retry", "line 3, column 1")]


def test_a_pair_is_said_once() -> None:
    lines = ("a --> b", "a --> a : attempts=3", "a --> a : attempts=4, initial=1s")
    assert refusal_of(*lines) == [("retry_twice", "line 4, column 1")]


def with_front_matter(written: str, *lines: str) -> str:
    return "\n".join(["---", written, "---", "stateDiagram-v2", *lines])


def test_the_front_matter_says_how_steps_work_and_the_arrow_has_the_last_word() -> None:
    text = with_front_matter(
        "steps: {a: {attempts: 4, timeout: 2m, queue: mails}}", "a --> b", "b --> c", "a --> a : attempts=3"
    )
    (work,) = from_mermaid(text).to_dict()["states"]["a"]["on_enter"]["commands"]
    assert work == {"name": "a", "durable": True, "retry": {"attempts": 3}, "timeout": "2m", "queue": "mails"}


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("steps: {b: {attempts: 4}}", "unknown_step"),
        ("steps: {a: {attemps: 4}}", "unreadable_retry"),
        ("steps: {a: 4}", "unreadable_retry"),
        ("steps: [a]", "bad_steps"),
        ("loops: often", "bad_loops"),
    ],
)
def test_what_the_front_matter_cannot_say_of_steps_is_refused(written: str, code: str) -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid(with_front_matter(written, "a --> b : go", "a --> c"))
    assert [problem.code for problem in refused.value.problems if problem.severity == "error"] == [code]


COUNTING = (
    "state decision <<choice>>",
    "[*] --> count",
    "count --> decision",
    "decision --> count : again",
    "decision --> [*]",
)


def test_steps_in_a_circle_are_refused_by_name_unless_somebody_allows_it() -> None:
    with pytest.raises(DefinitionInvalid, match="count --> count"):
        states_of(*COUNTING)
    assert from_mermaid("\n".join(["stateDiagram-v2", *COUNTING]), loops=True).states.keys() == {"count", "end"}
    assert from_mermaid(with_front_matter("loops: true", *COUNTING)).states.keys() == {"count", "end"}


def test_a_circle_that_nothing_leads_to_is_refused_too() -> None:
    assert refusal_of("[*] --> a", "a --> [*]", "b --> c", "c --> b") == [("loop", "line 4, column 1")]


def test_a_circle_with_an_event_in_it_is_none_of_steps() -> None:
    assert states_of("[*] --> a", "a --> b", "b --> a : again", "b --> c : done").keys() == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('stateDiagram-v2\n  %%{init: {"theme": dark}}%%\na --> b\n', "line 2, column 22"),
        ("%%{init:\n  {'theme': 'dark',\n}}%%\nstateDiagram-v2\na --> b\n", "line 3, column 1"),
        ("---\ntitle: x\n---\n%%{initialize: [NaN]}%%\nstateDiagram-v2\na --> b\n", "line 4, column 16"),
        ("%%{init: {}}%%\n%%{init: {'theme'}}%%\n%%{init: {'look'}}%%\nstateDiagram-v2\na --> b", "line 2, column 18"),
    ],
)
def test_a_directive_that_is_no_json_is_told_with_its_place_and_changes_nothing(text: str, place: str) -> None:
    reading = read_mermaid(text)
    told = [problem for problem in reading.warnings if problem.code == "unreadable_directive"]
    assert [(problem.path, problem.severity) for problem in told] == [(place, "warning")]
    assert list(reading.definition.states) == ["a", "b"]


@pytest.mark.parametrize(
    "said", ["init: {'theme': 'dark'}", 'initialize: {"a": [1, null]}', "init", "init: dark", "wrap"]
)
def test_a_directive_that_mermaid_reads_is_passed_over(said: str) -> None:
    reading = read_mermaid(f"%%{{{said}}}%%\nstateDiagram-v2\na --> b\n")
    assert list(reading.definition.states) == ["a", "b"]
    assert "unreadable_directive" not in {problem.code for problem in reading.warnings}


def test_what_the_front_matter_says_to_mermaid_is_answered_beside_the_definition() -> None:
    reading = read_mermaid("---\ntitle: x\nconfig:\n  theme: dark\n---\nstateDiagram-v2\na --> b\n")
    assert reading.config == {"theme": "dark"}
    assert reading.definition == from_mermaid("---\ntitle: x\n---\nstateDiagram-v2\na --> b\n")


def test_what_a_title_cannot_say_is_told_with_its_place() -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid("---\nconfig: {}\ntitle: order · v2b\n---\nstateDiagram-v2\na --> b\n")
    assert "line 3, column 1" in {problem.path for problem in refused.value.problems}


ELSE = ("[*] --> a", "b --> [*] : end", "c --> [*] : end")


@pytest.mark.parametrize("rest", ["else", "[else]", "Otherwise", "[otherwise]", "[ Else ]"])
def test_what_the_work_of_a_state_leaves_over_is_where_it_goes_on(rest: str) -> None:
    state = states_of(*ELSE, "a --> b : [ok]", f"a --> c : {rest}")["a"]
    assert (state["events"], state["on_enter"]["target"]) == ({"ok": {"target": "b"}}, "c")


def test_an_event_has_a_way_that_is_left_over() -> None:
    state = states_of(*ELSE, "a --> b : go [ok]", "a --> c : go [else]")["a"]
    assert state["events"] == {"go": {"target": "c", "branches": [{"guard": "ok", "target": "b"}]}}


def test_an_event_may_be_called_else() -> None:
    assert set(states_of(*ELSE, "a --> b : go", "a --> c : else")["a"]["events"]) == {"go", "else"}


@pytest.mark.parametrize("label", ["[else] / act", "else [ok]"])
def test_nothing_is_lost_of_a_way_that_is_left_over(label: str) -> None:
    codes = [
        code for code, _ in refusal_of(*ELSE, "state k <<choice>>", "a --> k", "k --> b : [ok]", f"k --> c : {label}")
    ]
    assert codes[0] in ("commands_on_branch", "unreadable_label")


def test_several_starts_are_entries_by_their_labels() -> None:
    job = from_mermaid(
        "stateDiagram-v2\n[*] --> new\n[*] --> admitted : import\n[*] --> done : skip it\nnew --> admitted : go\n"
        "admitted --> done : end\ndone --> [*]"
    )
    assert (job.initial_state, job.entries) == ("new", {"import": "admitted", "skip it": "done"})
    assert from_mermaid(to_mermaid(job)) == job


def test_where_every_start_has_a_label_the_first_is_the_initial_state() -> None:
    job = from_mermaid("stateDiagram-v2\n[*] --> a : make\n[*] --> b : import\na --> b : go\nb --> a : back")
    assert (job.initial_state, job.entries) == ("a", {"make": "a", "import": "b"})


def test_starts_that_cannot_be_told_apart_are_refused() -> None:
    assert refusal_of("[*] --> a", "[*] --> b", "a --> b : go") == [("several_starts", "line 3, column 1")]
    assert refusal_of("[*] --> a : x", "[*] --> b : x", "a --> b : go") == [("several_starts", "line 3, column 1")]
