"""What a diagram shows of a flow, as the real Mermaid understands it: its steps, and no more than was written."""

from datetime import timedelta
from typing import Any

import pytest

from detent.flows import Flow, Handlers, Step, handler, lower, success
from detent.notation.chart import Marks, Passage
from detent.notation.mermaid import Style, to_mermaid
from tests.mermaid.oracle import Drawn, Mermaid

THREE = """\
---
title: order · v1.0.0
---
stateDiagram-v2
    direction LR
    accTitle: Flow order, version 1.0.0
    accDescr: 3 steps. Starts in price, ends after thank.

    state "price" as price
    price : transform
    state "sign" as sign
    sign : human
    sign : waits
    state "thank" as thank
    thank : email

    [*] --> price
    price --> sign : on_success
    sign --> thank : on_resume
    thank --> [*]

    classDef timer fill:#fffbeb,stroke:#b45309,stroke-width:2px,color:#78350f
    class sign timer
"""


@pytest.fixture
def three() -> Flow:
    """Three steps in a row."""
    return Flow(
        "order",
        version="1.0.0",
        initial_step_id="price",
        steps={
            "price": Step("transform", on_success="sign"),
            "sign": Step("human", on_resume="thank"),
            "thank": Step("email"),
        },
    )


@handler("switch", targets=lambda config: set(config["cases"].values()))
async def switch(ctx):
    return success()


@handler("anywhere")
async def anywhere(ctx):
    return success()


def doing(type_: str) -> Any:
    """A handler of this type."""

    @handler(type_)
    async def do(ctx):
        return success()

    return do


def flow(**steps: Step) -> Flow:
    return Flow("choice", initial_step_id=next(iter(steps)), steps=steps)


def drawn(mermaid: Mermaid, shown: Flow, **options: Any) -> Drawn:
    read = mermaid(to_mermaid(shown, **options))
    assert read.ok, read.error
    return read


def arrows_between_boxes(read: Drawn) -> set[tuple[str, str, str]]:
    return {arrow for arrow in read.arrows() if not {"root_start", "root_end", "_start", "_end"} & set(arrow[:2])}


def test_three_steps_in_a_row_are_three_boxes_a_start_and_an_end(mermaid: Mermaid, three: Flow):
    assert to_mermaid(three) == THREE
    read = drawn(mermaid, three)
    assert {node["id"] for node in read.nodes} == {"root_start", "price", "sign", "thank", "root_end"}
    assert len(read.edges) == 4


def test_a_flowchart_has_the_same_boxes_and_arrows(mermaid: Mermaid, three: Flow):
    read = drawn(mermaid, three, style="flowchart", direction="TB")
    assert {node["id"] for node in read.nodes} == {"_start", "price", "sign", "thank", "_end"}
    assert arrows_between_boxes(read) == {("price", "sign", "on_success"), ("sign", "thank", "on_resume")}
    assert read.arrows() >= {("_start", "price", ""), ("thank", "_end", "")}


@pytest.mark.parametrize(("style", "said"), [("state", "on_failure"), ("flowchart", "✗ on_failure")])
def test_a_failure_is_an_arrow_where_a_step_deals_with_it(mermaid: Mermaid, style: Style, said: str):
    read = drawn(
        mermaid,
        flow(pay=Step("http", on_success="thank", on_failure="tell"), thank=Step("log"), tell=Step("log")),
        style=style,
    )
    assert arrows_between_boxes(read) == {("pay", "thank", "on_success"), ("pay", "tell", said)}
    assert "trouble" in read.node("tell")["classes"]


@pytest.mark.parametrize("style", ["state", "flowchart"])
def test_what_leads_to_the_same_step_is_one_arrow(mermaid: Mermaid, style: Style):
    read = drawn(mermaid, flow(ask=Step("human", on_success="go", on_resume="go"), go=Step("log")), style=style)
    assert arrows_between_boxes(read) == {("ask", "go", "on_success, on_resume")}


def test_a_step_from_which_only_a_failure_leads_on_is_followed_by_the_end(mermaid: Mermaid):
    read = drawn(mermaid, flow(a=Step("log", on_failure="b"), b=Step("log")))
    assert [edge["source"] for edge in read.edges if edge["target"] == "root_end"] == ["a", "b"]


def test_gotos_are_drawn_where_the_handler_says_them(mermaid: Mermaid):
    chosen = flow(
        choose=Step("switch", config={"cases": {"x": "left", "y": "right"}}), left=Step("anywhere"), right=Step("log")
    )
    assert arrows_between_boxes(drawn(mermaid, chosen)) == set()
    known = drawn(mermaid, chosen, handlers=Handlers([switch, anywhere]).types)
    assert arrows_between_boxes(known) == {("choose", "left", "goto"), ("choose", "right", "goto")}
    assert [edge["source"] for edge in known.edges if edge["target"] == "root_end"] == ["left", "right"]


def test_a_step_that_is_only_named_says_so(mermaid: Mermaid):
    assert "not declared" in drawn(mermaid, flow(a=Step("log", on_success="nowhere"))).node("nowhere")["texts"]


def test_a_flow_that_never_ends_says_so_and_has_no_end(mermaid: Mermaid):
    read = drawn(mermaid, flow(a=Step("log", on_success="b"), b=Step("log", on_success="a")))
    assert read.accDescr == "2 steps. Starts in a, never ends."
    assert "root_end" not in {node["id"] for node in read.nodes}


@pytest.mark.parametrize("style", ["state", "flowchart"])
def test_the_types_of_handlers_can_be_left_out(mermaid: Mermaid, three: Flow, style: Style):
    assert "transform" not in to_mermaid(three, style=style, show_commands=False)
    assert drawn(mermaid, three, style=style).node("price")["texts"] == ["price", "transform"]


@pytest.mark.parametrize("style", ["state", "flowchart"])
def test_names_are_never_taken_for_mermaid(mermaid: Mermaid, style: Style):
    names = ["end", "a --> b", "[*]", "x;y::z", '"q"', "<b>", "state"]
    steps = {
        name: Step(f"type {name}", on_success=after) for name, after in zip(names, [*names[1:], None], strict=True)
    }
    read = drawn(mermaid, flow(**steps), style=style)
    texts = [node["texts"] for node in read.nodes if len(node["texts"]) > 1]
    assert [said for _, said in texts] == [f"type {name}" for name in names]
    assert len(read.edges) == len(names) + 1


def test_the_states_of_an_execution_are_marked_on_its_steps(mermaid: Mermaid, three: Flow):
    marks = Marks(current="sign.waiting", visited=("price", "sign", "sign.waiting"))
    read = drawn(mermaid, three, marks=marks)
    assert read.node("price")["texts"] == ["price", "transform", "step 1"]
    assert read.node("sign")["texts"] == ["sign", "human", "waits", "now, step 2"]
    assert len(read.nodes) == 5


def test_the_passages_and_stays_of_an_execution_are_told_of_its_steps(mermaid: Mermaid, three: Flow):
    marks = Marks(
        passages={Passage("price", "sign", "$success"): 2, Passage("sign", "sign.waiting", "$wait"): 2},
        stays={"sign": timedelta(seconds=5), "sign.waiting": timedelta(hours=2)},
    )
    read = drawn(mermaid, three, marks=marks)
    assert ("price", "sign", "on_success (2 times)") in arrows_between_boxes(read)
    assert read.node("sign")["texts"] == ["sign", "human", "waits", "for 2h"]


def test_two_ways_to_one_step_are_not_told_apart_and_so_not_counted(mermaid: Mermaid):
    both = flow(a=Step("log", on_success="b", on_failure="b"), b=Step("log"))
    read = drawn(mermaid, both, marks=Marks(passages={Passage("a", "b", "$success"): 1}))
    assert {text for *_, text in arrows_between_boxes(read)} == {"on_success", "on_failure"}


def test_what_a_flow_is_lowered_to_is_drawn_whole(mermaid: Mermaid, three: Flow):
    lowered = lower(three, Handlers(doing(step.type) for step in three.steps.values()).types)
    boxes = [node for node in mermaid(to_mermaid(lowered)).nodes if not node["id"].startswith("root_")]
    assert len(boxes) == 2 * len(three.steps) + 3, "a step and its wait each, and three ends"
