"""What a diagram shows of a definition, as the real Mermaid understands it."""

from datetime import timedelta
from typing import Any

import pytest
import yaml

from detent.definition.model import WorkflowDefinition
from detent.errors import InvalidValue
from detent.notation.chart import Marks, Passage
from detent.notation.mermaid import Diagram, to_mermaid
from detent.notation.palette import CLASSES, LINK_STYLES

STATE_DIAGRAM = """\
---
title: order · v1
detent: {
  "states": {
    "new": {"context": {"payment_status": "pending", "is_active": true}},
    "exportable": {"context": {"payment_status": "paid"}},
    "exported": {"context": {"shipment_status": "shipped"}},
    "delivered": {"context": {"shipment_status": "delivered", "is_active": false}},
    "cancelled": {"context": {"is_active": false}}
  }}
---
stateDiagram-v2
    direction LR
    accTitle: Workflow order, version 1
    accDescr: 8 states and 6 events. Starts in new, ends in closed or cancelled.

    state "new" as new
    state "exportable" as exportable
    state "exported" as exported
    exported : on enter / notify_customer
    state "in_transit" as in_transit
    state "delivered" as delivered
    state "export_failed" as export_failed
    state "closed" as closed
    state "cancelled" as cancelled

    [*] --> new
    new --> exportable : PaymentReceived
    new --> cancelled : Cancel
    exportable --> exported : Export / send_order_to_warehouse
    exportable --> export_failed : Export fails
    exported --> in_transit : on enter
    in_transit --> delivered : Deliver
    delivered --> closed : TimeOut after 14d
    export_failed --> exportable : RetryExport
    closed --> [*]
    cancelled --> [*] : cancelled

    classDef success fill:#dcfce7,stroke:#15803d,color:#14532d
    classDef cancelled fill:#e2e8f0,stroke:#475569,color:#1e293b
    classDef trouble fill:#fff1f2,stroke:#e11d48,color:#881337
    class closed success
    class cancelled cancelled
    class export_failed trouble
"""


def workflow(**states: Any) -> WorkflowDefinition:
    return WorkflowDefinition.from_dict({"name": "w", "initial_state": next(iter(states)), "states": states})


def test_the_order_workflow_is_this_text(order: WorkflowDefinition, draw: Any) -> None:
    text, _ = draw(order)
    assert text == STATE_DIAGRAM


@pytest.mark.parametrize("style", ["state", "flowchart"])
@pytest.mark.parametrize("direction", ["LR", "RL", "TB", "BT"])
def test_the_direction_is_what_was_asked_for(order: WorkflowDefinition, draw: Any, style: str, direction: str) -> None:
    _, drawn = draw(order, style=style, direction=direction)
    assert drawn.direction == direction


def test_a_flowchart_tells_success_from_failure_by_its_lines(order: WorkflowDefinition, draw: Any) -> None:
    _, drawn = draw(order, style="flowchart")
    lines = {(edge["source"], edge["target"]): edge for edge in drawn.edges}
    taken, failed = lines["exportable__Export", "exported"], lines["exportable__Export", "export_failed"]
    assert (taken["stroke"], failed["stroke"], failed["text"]) == ("normal", "dotted", "✗ fails")
    assert "stroke:#16a34a" in taken["style"]
    assert {"stroke:#dc2626", "stroke-dasharray:6 4"} <= set(failed["style"])
    assert lines["exported", "in_transit"]["stroke"] == "thick"


def test_a_flowchart_shows_events_timeouts_and_commands_in_nodes(order: WorkflowDefinition, draw: Any) -> None:
    _, drawn = draw(order, style="flowchart")
    assert drawn.node("exportable__Export")["texts"] == ["Export", "/ send_order_to_warehouse"]
    assert drawn.node("delivered__TimeOut")["texts"] == ["TimeOut", "◷ after 14d"]
    assert drawn.node("delivered__TimeOut")["classes"] == ["timer"]
    assert drawn.node("exported")["texts"] == ["exported", "on enter / notify_customer"]
    assert drawn.node("cancelled")["texts"] == ["cancelled", "⊘ outcome cancelled"]
    assert {node["id"] for node in drawn.nodes if node["kind"] == "subroutine"} == {"closed", "cancelled"}


@pytest.mark.parametrize("style", ["state", "flowchart"])
def test_commands_can_be_hidden(order: WorkflowDefinition, draw: Any, style: str) -> None:
    text, _ = draw(order, style=style, show_commands=False)
    assert "send_order_to_warehouse" not in text
    assert "notify_customer" not in text


def test_branches_are_told_in_order_with_what_is_left_over(draw: Any) -> None:
    branches = [{"guard": "small", "target": "b"}, {"guard": {"not_": "large"}, "target": "c"}]
    event = {"guard": {"all_of": ["x", {"any_of": ["y", "z"]}]}, "branches": branches, "target": "d", "commands": ["k"]}
    definition = workflow(a={"events": {"Go": event}}, b={}, c={}, d={})
    _, drawn = draw(definition)
    assert drawn.arrows() >= {
        ("a", "b", "Go [x and (y or z)] if small / k"),
        ("a", "c", "Go [x and (y or z)] else if not large / k"),
        ("a", "d", "Go [x and (y or z)] else / k"),
    }
    _, drawn = draw(definition, style="flowchart")
    assert drawn.node("a__Go")["texts"] == ["Go", "◇ [x and (y or z)]", "/ k"]
    assert drawn.arrows() >= {("a__Go", "b", "if small"), ("a__Go", "c", "else if not large"), ("a__Go", "d", "else")}


def test_an_internal_event_is_a_line_in_its_box(draw: Any) -> None:
    note = {
        "internal": True,
        "guard": "may_write",
        "commands": ["append"],
        "timeout": {"at": "remind.at"},
        "error": "b",
    }
    definition = workflow(a={"events": {"Note": note}}, b={})
    _, drawn = draw(definition)
    assert drawn.node("a")["texts"] == ["a", "Note at remind.at [may_write] / append"]
    assert drawn.arrows() == {("root_start", "a", ""), ("a", "b", "Note fails"), ("b", "root_end", "")}
    _, drawn = draw(definition, style="flowchart")
    assert ("a", "a__Note", "dotted") in {(edge["source"], edge["target"], edge["stroke"]) for edge in drawn.edges}


def test_an_event_without_target_comes_back_to_its_state(draw: Any) -> None:
    _, drawn = draw(workflow(a={"events": {"Poll": {}}}))
    assert ("a", "a", "Poll") in drawn.arrows()


def test_a_failing_entry_has_an_arrow_of_its_own(draw: Any) -> None:
    _, drawn = draw(workflow(a={"on_enter": {"commands": ["k"], "target": "b", "error": "c"}}, b={}, c={}))
    assert drawn.arrows() >= {("a", "b", "on enter"), ("a", "c", "on enter fails")}
    assert drawn.node("c")["classes"] == ["success"]


@pytest.mark.parametrize("style", ["state", "flowchart"])
def test_a_state_that_is_only_named_is_drawn_and_says_so(draw: Any, style: str) -> None:
    _, drawn = draw(workflow(a={"events": {"Go": {"target": "b"}}}), style=style)
    assert drawn.node("b")["texts"] == ["b", "not declared"]
    assert drawn.node("b")["classes"] == ["undeclared"]


@pytest.mark.parametrize("style", ["state", "flowchart"])
def test_marks_show_the_current_state_and_the_path(order: WorkflowDefinition, draw: Any, style: str) -> None:
    path = ("new", "exportable", "export_failed", "exportable")
    text, drawn = draw(order, style=style, symbols="text", marks=Marks(current="exportable", visited=path))
    assert drawn.node("exportable")["texts"] == ["exportable", "now, step 2, 4"]
    assert drawn.node("exportable")["classes"] == ["now"]
    assert drawn.node("export_failed")["texts"] == ["export_failed", "step 3"]
    assert drawn.accDescr.endswith("Now in exportable.")
    assert "detent:" not in text


@pytest.mark.parametrize("style", ["state", "flowchart"])
def test_a_reader_of_the_page_hears_title_and_summary(order: WorkflowDefinition, draw: Any, style: str) -> None:
    _, drawn = draw(order, style=style)
    assert drawn.accTitle == "Workflow order, version 1"
    assert drawn.accDescr == "8 states and 6 events. Starts in new, ends in closed or cancelled."


def test_what_cannot_be_drawn_breaks_neither_yaml_nor_the_diagram(draw: Any) -> None:
    hostile = {"---": "\n---\n", "%%{init: {}}%%": "</pre><script>", '"': ["\\", "\u2028", "🚀", None, 1.5, True]}
    definition = workflow(a={"metadata": hostile, "description": "--- # : {"})
    text, _ = draw(definition)
    front = yaml.safe_load(text.split("\n---\n")[0])
    assert front["detent"]["states"]["a"]["metadata"] == hostile


@pytest.mark.parametrize(
    "name", ["order", "a: b", "'", '"', "no # comment", "---", "a\nb", "<b>", "1", "null", "支払い", ""]
)
def test_the_title_is_name_and_version_whatever_the_name(draw: Any, name: str) -> None:
    text, _ = draw(
        WorkflowDefinition.from_dict({"name": name, "version": "1.10.0", "initial_state": "a", "states": {"a": {}}})
    )
    assert yaml.safe_load(text.split("\n---\n")[0])["title"] == f"{name} · v1.10.0"


def test_the_same_definition_gives_the_same_text(order: WorkflowDefinition) -> None:
    again = WorkflowDefinition.from_json(order.to_json())
    assert to_mermaid(again) == to_mermaid(order)


@pytest.mark.parametrize("style", ["state", "flowchart"])
def test_marks_show_how_often_how_long_and_what_is_left(order: WorkflowDefinition, draw: Any, style: str) -> None:
    marks = Marks(
        current="delivered",
        visited=("new", *["exportable", "export_failed"] * 6, "exportable", "exported", "in_transit", "delivered"),
        passages={
            Passage("exportable", "export_failed", "Export", failed=True): 6,
            Passage("exportable", "exported", "Export"): 1,
            Passage("exported", "in_transit"): 1,
        },
        stays={"exportable": timedelta(days=2, hours=3, minutes=4), "new": timedelta(milliseconds=300)},
        left={"TimeOut": timedelta(days=1, hours=1, minutes=59)},
        earlier=2,
    )
    _, drawn = draw(order, style=style, symbols="text", marks=marks)
    assert drawn.node("exportable")["texts"][-2:] == ["7 times, last in step 14", "for 2d3h"]
    assert drawn.node("new")["texts"] == ["new", "step 1", "for 0s"]
    assert drawn.node("delivered")["texts"] == ["delivered", "now, step 17", "TimeOut in 1d1h"]
    texts = {edge["text"] for edge in drawn.edges}
    fails, hop = (
        ("Export fails (6 times)", "on enter (once)") if style == "state" else ("fails (6 times)", "on enter (once)")
    )
    assert {fails, hop} <= texts
    assert drawn.accDescr.endswith("Now in delivered. 2 earlier entries of its history not counted.")


def test_the_way_an_instance_went_is_drawn_thick(order: WorkflowDefinition, draw: Any) -> None:
    marks = Marks(current="exported", passages={Passage("exportable", "exported", "Export"): 1})
    _, drawn = draw(order, style="flowchart", marks=marks)
    thick = {(edge["source"], edge["target"]) for edge in drawn.edges if "stroke-width:5px" in edge["style"]}
    assert thick == {("exportable", "exportable__Export"), ("exportable__Export", "exported")}
    looks = {(edge["source"], edge["target"]): set(edge["style"]) for edge in drawn.edges}
    assert looks["exportable__Export", "exported"] >= {"stroke:#16a34a", "stroke-width:5px"}
    assert looks["new__Cancel", "cancelled"] >= {"stroke:#16a34a", "stroke-width:2px"}


def test_an_internal_event_says_how_often_it_was_taken(draw: Any) -> None:
    definition = workflow(a={"events": {"Note": {"internal": True, "commands": ["k"]}, "Go": {"target": "b"}}}, b={})
    marks = Marks(current="a", passages={Passage("a", "a", "Note"): 2})
    _, drawn = draw(definition, marks=marks)
    assert drawn.node("a")["texts"] == ["a", "Note / k (2 times)", "now"]
    _, drawn = draw(definition, style="flowchart", marks=marks)
    assert drawn.node("a__Note")["texts"] == ["↻ Note", "/ k", "(2 times)"]


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(seconds=59), "T in 59s"),
        (timedelta(0), "T is due since 0s"),
        (-timedelta(hours=30), "T is due since 1d6h"),
        (timedelta(days=400, hours=5), "T in 400d5h"),
        (None, "T is parked"),
    ],
)
def test_the_time_left_until_a_timeout_is_said_in_two_units(draw: Any, left: timedelta | None, said: str) -> None:
    definition = workflow(a={"events": {"T": {"target": "b", "timeout": "1h"}}}, b={})
    _, drawn = draw(definition, marks=Marks(current="a", left={"T": left}))
    assert drawn.node("a")["texts"] == ["a", "now", said]


def test_every_symbol_has_a_text_form(draw: Any) -> None:
    event = {"guard": "g", "branches": [{"guard": "h", "target": "b"}], "target": "c", "error": "d", "commands": ["k"]}
    late = {"internal": True, "timeout": "1h", "commands": ["remind"]}
    definition = workflow(
        a={"on_enter": {"target": "w", "error": "d", "commands": ["k"]}},
        w={"events": {"Go": event, "Late": late}},
        b={},
        c={"outcome": "cancelled"},
        d={"outcome": "failure"},
    )
    marks = Marks(current="w", visited=("a", "w"), stays={"w": timedelta(1)}, left={"Late": timedelta(1)})
    with_signs, drawn = draw(definition, style="flowchart", marks=marks)
    plain, words = draw(definition, style="flowchart", marks=marks, symbols="text")
    assert set(with_signs) - set(plain) == set("◷◇✗»↻✓⊘▶")
    assert set(plain) - set(with_signs) == set()
    assert drawn.node("b")["texts"] == ["b", "✓ end"]
    assert drawn.node("w__Late")["texts"] == ["↻ Late", "◷ after 1h", "/ remind"]
    assert words.node("b")["texts"] == ["b", "end"]
    assert words.node("w__Late")["texts"] == ["Late", "internal", "after 1h", "/ remind"]
    assert words.node("d")["texts"] == ["d", "outcome failure"]


def test_unknown_symbols_are_refused(order: WorkflowDefinition) -> None:
    with pytest.raises(InvalidValue, match="symbols"):
        to_mermaid(order, symbols="emoji")  # type: ignore[arg-type]


def test_every_colour_is_read_on_light_and_on_dark() -> None:
    for name, look in CLASSES.items():
        parts = dict(part.split(":") for part in look.split(","))
        if name != "start":  # it has no text
            assert contrast(parts["fill"], parts["color"]) >= 4.5, name
        for page in ("#ffffff", "#1f2020"):  # those of Mermaid's themes `default` and `dark`
            assert max(contrast(parts["stroke"], page), contrast(parts["fill"], page)) >= 3, (name, page)
    for kind, look in LINK_STYLES.items():
        stroke = dict(part.split(":") for part in look.split(","))["stroke"]
        assert min(contrast(stroke, page) for page in ("#ffffff", "#1f2020")) >= 3, kind


def contrast(one: str, other: str) -> float:
    """As WCAG 2 counts it: 1 for the same colour, 21 for black on white."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_notebook_shows_a_picture(order: WorkflowDefinition) -> None:
    diagram = to_mermaid(order)
    assert isinstance(diagram, Diagram)
    bundle = diagram._repr_mimebundle_()
    assert bundle == {
        "text/vnd.mermaid": str(diagram),
        "text/markdown": f"```mermaid\n{diagram}```\n",
        "text/plain": str(diagram),
    }
    assert list(diagram._repr_mimebundle_(include=["text/plain"])) == ["text/plain"]
    assert list(diagram._repr_mimebundle_(exclude=["text/plain", "text/markdown"])) == ["text/vnd.mermaid"]


def test_nothing_in_a_definition_ends_the_block_of_markdown(order: WorkflowDefinition) -> None:
    hostile = to_mermaid(workflow(a={"description": "````"}))
    assert hostile._repr_mimebundle_()["text/markdown"].startswith("`````mermaid\n")
