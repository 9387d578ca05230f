"""Modules made of diagrams: names, what is refused, and that nothing in a diagram can break them."""

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent import WorkflowDefinition, to_mermaid
from detent.drawn import DrawnWorkflow, Options
from detent.errors import DefinitionInvalid
from detent.json_values import JsonObject
from detent.notation.python_class import Generated, generate
from detent.notation.python_class.canonical import TAKE_PAYLOAD
from detent.notation.python_class.naming import RESERVED
from detent.notation.python_class.spelling import pascal, snake
from detent.testing.strategies import definitions

STEPS = "stateDiagram-v2\n[*] --> {0}\n{0} --> b\nb --> [*]\n"


def embedded(text: str) -> JsonObject:
    """The definition that stands in a module."""
    (call,) = (
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "from_dict"
    )
    found: JsonObject = ast.literal_eval(call.args[0])
    return found


def made_or_codes(text: str) -> Generated | set[str]:
    """What becomes of a diagram, or the codes of what is wrong with it."""
    try:
        return generate(text, name="shop")
    except DefinitionInvalid as error:
        return {problem.code for problem in error.problems}


def refused(text: str, **options: Any) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionInvalid) as error:
        generate(text, **{"name": "shop", **options})
    return [(problem.path, problem.message) for problem in error.value.problems]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("chooseLeft", "choose_left"),
        ("HTTPCall", "http_call"),
        ("send e-mail!", "send_e_mail"),
        ("if n >= -1", "if_n_ge_minus_1"),
        ("n<0", "n_lt_0"),
        ("a && !b", "a_and_not_b"),
        ("50 %", "50_percent"),
        ("Größe prüfen", "größe_prüfen"),
        ("step2b", "step2b"),
        ("__init__", "init"),
        ("…", ""),
    ],
)
def test_names_are_told_apart_by_case_spaces_and_signs(text, name):
    assert snake(text) == name


def test_types_are_made_from_names():
    assert (pascal("choose_left"), pascal("b2"), pascal("größe")) == ("ChooseLeft", "B2", "Größe")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("in", "'in' is a keyword of Python"),
        ("submit", "the base class has 'submit' already"),
        ("ctx", "the base class has 'ctx' already"),
        ("1st", "'1st' is no name of a method"),
        ("…", "nothing is left of it for the name of a method"),
    ],
)
def test_a_name_that_python_cannot_use_is_an_error_with_its_place_and_may_be_given_another(state, reason):
    text = STEPS.format(state)
    assert refused(text) == [("line 2, column 9", f"the state {state!r} cannot be called so in Python: {reason}")]
    front = f'---\ndetent: {{"python": {{"names": {{"{state}": "take_it"}}}}}}\n---\n'
    outline = generate(front + text, name="shop").outline
    assert next((step.state, step.method, step.payload) for step in outline.steps) == (
        state,
        "take_it",
        "TakeItPayload",
    )


@pytest.mark.parametrize(
    ("diagram", "path", "message"),
    [
        (
            "[*] --> doIt\ndoIt --> do_it\ndo_it --> [*]",
            "line 3, column 10",
            "the state 'do_it' and the state 'doIt' of line 2 would both be called 'do_it' in Python",
        ),
        (
            "[*] --> a1\na1 --> a_1\na_1 --> [*]",
            "line 3, column 8",
            "the state 'a_1' and the state 'a1' of line 2 would both be called 'A1Payload' in Python",
        ),
        (
            "state Ask <<choice>>\n[*] --> ask\nask --> Ask\nAsk --> b : yes\nAsk --> c : no\nb --> [*]\nc --> [*]",
            "line 2, column 7",
            "the choice 'Ask' and the state 'ask' of line 3 would both be called 'ask' in Python",
        ),
        (
            "state c <<choice>>\n[*] --> ask\nask --> c\nc --> a : do it\nc --> b : doIt\na --> [*]\nb --> [*]",
            "line 6, column 1",
            "the option 'doIt' and the option 'do it' of line 5 would both be called 'do_it' in Python",
        ),
    ],
)
def test_two_things_of_one_name_are_an_error_that_names_both(diagram, path, message):
    assert (path, message) in refused(f"stateDiagram-v2\n{diagram}\n")


def test_what_the_base_class_has_is_what_is_reserved():
    assert {name for name in dir(DrawnWorkflow) if not name.startswith("_")} <= RESERVED
    assert {name for name in dir(type(DrawnWorkflow)) if not name.startswith("_")} - {"mro", "register"} <= RESERVED
    assert [name for name in dir(Options) if not name.startswith("_")] == []


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ('{"name": {}}', "`python` has no 'name'"),
        ('{"names": {"a": 1}}', "`python.names` is an object of texts"),
        ('{"class": 1}', "`python.class` is a text"),
        ('{"payloads": "attrs"}', "`python.payloads` is typed-dict or pydantic"),
        ('"shop"', "`python` is an object"),
    ],
)
def test_what_is_wished_for_and_cannot_be_had_is_an_error(front, message):
    text = f'---\ndetent: {{"python": {front}}}\n---\n{STEPS.format("a")}'
    assert refused(text) == [("line 1, column 1", message)]


def test_titles_and_files_that_give_no_name_are_errors_with_a_way_out():
    text = f"---\ntitle: 3 steps\n---\n{STEPS.format('a')}"
    assert [path for path, _ in refused(text, name="1-shop")] == ["line 1, column 1"] * 2
    front = '---\ntitle: 3 steps\ndetent: {"python": {"class": "Three", "module": "three"}}\n---\n'
    made = generate(front + STEPS.format("a"), name="1-shop")
    assert (made.class_name, made.base_name, made.payloads_name) == ("Three", "three_base", "three_payloads")
    assert made.outline.definition.name == "3 steps"


@pytest.mark.parametrize(
    ("title", "name"), [("OrderWorkflow", "Order"), ("order · v2", "Order"), ("Workflow", "Workflow")]
)
def test_the_class_is_called_by_the_title(title, name):
    assert generate(f"---\ntitle: {title}\n---\n{STEPS.format('a')}", name="x").class_name == name


def test_a_diagram_in_which_nothing_is_done_is_refused():
    assert refused("stateDiagram-v2\n[*] --> a\na --> [*] : success\n") == [
        ("line 1, column 1", "the workflow ends where it begins, and does nothing between")
    ]


def test_a_state_that_does_two_things_is_refused():
    text = "stateDiagram-v2\n[*] --> a\na : do / one, two\na --> b\nb --> [*]\n"
    assert refused(text) == [
        ("line 2, column 9", "the state 'a' does 2 things, one, two: a method does the work of one state")
    ]


def test_the_types_between_steps_are_those_of_the_states_that_wait_or_work():
    text = """\
stateDiagram-v2
    [*] --> first
    first --> passing
    passing : entry / log
    passing --> waiting
    waiting : do / remind
    waiting --> last : pay
    waiting --> gone : cancel
    last --> gone
    gone --> [*]
"""
    outline = generate(text, name="shop").outline
    assert [(step.state, step.method, step.payload, step.answers) for step in outline.steps] == [
        ("first", "first", "FirstPayload", "WaitingPayload"),
        ("waiting", "remind", "WaitingPayload", "WaitingPayload"),
        ("last", "last", "LastPayload", None),
    ]
    assert [one.type for one in outline.payloads] == ["FirstPayload", "WaitingPayload", "LastPayload"]
    assert dict(outline.idle) == {"passing": "passing", "gone": "gone"}


def test_arrows_that_a_state_decides_on_by_itself_are_options_too():
    text = """\
stateDiagram-v2
    [*] --> ask
    ask --> a : [large]
    ask --> b : [small]
    ask --> c
    a --> [*]
    b --> [*]
    c --> [*]
"""
    (choice,) = generate(text, name="shop").outline.choices
    assert (choice.attribute, choice.decision) == ("ask_choice", "AskChoiceDecision")
    assert [(one.method, one.event, one.payload) for one in choice.options] == [
        ("large", "large", "APayload"),
        ("small", "small", "BPayload"),
        ("otherwise", None, "CPayload"),
    ]


def test_two_states_before_one_choice_share_its_options():
    text = """\
stateDiagram-v2
    state c <<choice>>
    [*] --> new
    new --> one : go
    new --> two : run
    one --> c
    two --> c
    c --> a : yes
    c --> b : no
    a --> done
    b --> done
"""
    outline = generate(text, name="shop").outline
    assert [choice.attribute for choice in outline.choices] == ["c"]
    assert {step.state: step.answers for step in outline.steps if step.choice} == {
        "one": "CDecision",
        "two": "CDecision",
    }


NASTY = ['"""', "\\", "\\N{x}", "a\nb", "{x}", "#", "'", '"', "`", "\u2028", "é", "%s", "\t"]


TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=5)


@given(st.lists(st.sampled_from(NASTY) | TEXTS, min_size=1, max_size=5).map("".join))
def test_nothing_in_a_diagram_can_break_a_module(text):
    definition = WorkflowDefinition(
        name=f"shop{text}"[:100],
        initial_state="a",
        description=text,
        states={"a": {"description": text, "events": {"go": {"target": "b"}}}, "b": {"metadata": {"said": text}}},
    )
    made = made_or_codes(to_mermaid(definition))
    if isinstance(made, set):
        assert made <= {"python_name", "blank_name", "invisible_characters", "bad_name"}
        return
    ast.parse(made.payloads("pydantic"))
    again = embedded(made.base(source=f"{text}.mmd"))
    assert (again["name"], again["description"]) == (definition.name, definition.description)


@given(definitions())
def test_every_definition_that_is_drawn_becomes_a_module_that_holds_it(definition):
    made = made_or_codes(to_mermaid(definition))
    if isinstance(made, set):
        assert made == {"no_step"}
        return
    held = embedded(made.base(source="shop.mmd"))
    for state in held["states"].values():
        for event in state.get("events", {}).values():
            assert event["commands"].pop(0) == TAKE_PAYLOAD
            if not event["commands"]:
                del event["commands"]
    assert WorkflowDefinition.from_dict(held) == definition
    assert next(iter(held["states"])) == definition.initial_state


FORKED = """\
stateDiagram-v2
    state both <<fork>>
    state met <<join>>
    state ask <<choice>>
    [*] --> prepare
    prepare --> both
    both --> pick
    both --> bill
    pick --> ask
    ask --> pack : small
    ask --> met : none
    pack --> met
    bill --> met
    met --> send
    send --> [*]
"""


def test_a_branch_ends_with_a_result_and_what_follows_the_join_has_one_field_for_each():
    made = generate(FORKED, name="shop")
    assert {step.state: step.answers for step in made.outline.steps} == {
        "prepare": "BothPayload",
        "bill": "BillResult",
        "pick": "AskDecision",
        "pack": "PickResult",
        "send": None,
    }
    assert [(one.method, one.payload) for one in made.outline.choices[0].options] == [
        ("none", "PickResult"),
        ("small", "PackPayload"),
    ]
    text = made.payloads("pydantic")
    assert "class BothPayload(BillPayload, PickPayload):\n" in text
    assert text.count("class ") == len(made.outline.payloads)
    stub = '''class SendPayload(BothPayload):
    """What `send` is given."""

    bill: BillResult
    pick: PickResult
'''
    assert stub in text
    names = [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert names.index("SendPayload") > max(names.index(name) for name in ("BothPayload", "BillResult", "PickResult"))


def test_the_order_in_which_branches_are_drawn_makes_no_difference():
    other = FORKED.replace("both --> pick\n    both --> bill", "both --> bill\n    both --> pick")
    one, two = (generate(text, name="shop") for text in (FORKED, other))
    assert (one.base(source="a"), one.payloads("pydantic")) == (two.base(source="a"), two.payloads("pydantic"))


def test_regions_are_branches_too_and_one_that_ends_badly_leaves_nothing():
    text = """\
stateDiagram-v2
    [*] --> prepare
    state prepare {
        [*] --> pick
        pick --> lost : [empty]
        pick --> [*]
        lost --> [*] : failure
        --
        [*] --> bill it
        bill it --> [*]
    }
    prepare --> send
    prepare --> stuck : on enter fails
    send --> [*]
    stuck --> [*] : failure
"""
    outline = generate(text.replace("bill it", "bill"), name="shop").outline
    assert [(one.method, one.payload) for one in outline.choices[0].options] == [
        ("empty", None),
        ("otherwise", "PickResult"),
    ]
    assert {step.state: step.answers for step in outline.steps}["bill"] == "BillResult"
    send = next(one for one in outline.payloads if one.type == "SendPayload")
    assert (send.bases, dict(send.fields)) == (("PreparePayload",), {"bill": "BillResult", "pick": "PickResult"})


def test_an_event_of_a_state_that_leads_on_by_itself_is_worth_a_warning():
    text = "stateDiagram-v2\n[*] --> a\na --> b\na --> c : sold out\nb --> [*]\nc --> [*]\n"
    (warning,) = generate(text, name="shop").warnings
    assert (warning.path, warning.code, warning.severity) == ("line 2, column 9", "event_beside_work", "warning")
    assert "'sold out' can only be taken while the work of 'a' is put off" in warning.message


def test_how_a_step_is_taken_repeated_and_timed_stands_in_the_module():
    front = "---\nsteps:\n  a: {attempts: 5, initial: 30s, timeout: 2m, queue: mails}\n---\n"
    states = embedded(generate(front + STEPS.format("a"), name="shop").base(source="shop.mmd"))["states"]
    assert states["a"]["on_enter"]["commands"] == [
        {
            "name": "shop.a",
            "retry": {"attempts": 5, "initial": "30s"},
            "durable": True,
            "timeout": "2m",
            "queue": "mails",
        }
    ]
