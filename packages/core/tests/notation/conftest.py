"""Diagrams that the real Mermaid has read: every one a test draws is checked against what was meant."""

from collections.abc import Callable
from typing import Any

import pytest

from detent.definition.model import WorkflowDefinition
from detent.notation.chart import Chart, chart
from detent.notation.labels import arrow_text, title
from detent.notation.mermaid import Diagram, to_mermaid
from examples.orders import workflow as example
from tests.mermaid.oracle import Drawn, Mermaid
from tests.mermaid.oracle import mermaid as mermaid

Draw = Callable[..., tuple[Diagram, Drawn]]


@pytest.fixture
def order() -> WorkflowDefinition:
    """The order workflow of the example."""
    return example.order


@pytest.fixture(scope="session")
def draw(mermaid: Mermaid) -> Draw:
    """Draws a definition as `to_mermaid` does, and answers the text and what Mermaid made of it."""

    def draw_and_check(definition: WorkflowDefinition, **options: Any) -> tuple[Diagram, Drawn]:
        text = to_mermaid(definition, **options)
        drawn = mermaid(text)
        assert drawn.ok, f"{drawn.error}\n{text}"
        meant = chart(definition, marks=options.get("marks"), show_commands=options.get("show_commands", True))
        if options.get("style") == "flowchart":
            assert_flowchart_as_meant(meant, drawn)
        else:
            assert_state_diagram_as_meant(meant, drawn)
        return text, drawn

    return draw_and_check


def assert_state_diagram_as_meant(meant: Chart, drawn: Drawn) -> None:
    boxes = [node for node in drawn.nodes if node["id"] not in ("root_start", "root_end")]
    assert [box["texts"][0] for box in boxes] == [title(box.name) for box in meant.boxes]
    names = {box["id"]: box["texts"][0] for box in boxes}
    arrows = [(names[e["source"]], names[e["target"]], e["text"]) for e in drawn.edges if _between(e, boxes)]
    assert arrows == [
        (title(arrow.source), title(arrow.target), arrow_text(arrow)) for box in meant.boxes for arrow in box.arrows
    ]
    ends = [box for box in meant.boxes if box.terminal]
    assert len(drawn.edges) == len(arrows) + 1 + len(ends)
    assert len(drawn.nodes) == len(boxes) + 1 + bool(ends)


def assert_flowchart_as_meant(meant: Chart, drawn: Drawn) -> None:
    texts = {node["id"]: node["texts"][0] for node in drawn.nodes}
    assert len(texts) == len(drawn.nodes) == 1 + sum(1 + len(box.steps) for box in meant.boxes)
    assert list(texts.values())[1 : 1 + len(meant.boxes)] == [title(box.name) for box in meant.boxes]
    steps = sum(len(box.steps) for box in meant.boxes)
    arrows = [arrow for box in meant.boxes for arrow in box.arrows]
    assert len(drawn.edges) == 1 + steps + len(arrows)
    failing = [texts[edge["target"]] for edge in drawn.edges if edge["stroke"] == "dotted" and edge["text"]]
    assert sorted(failing) == sorted(title(arrow.target) for arrow in arrows if arrow.kind == "failed")


def _between(edge: dict[str, Any], boxes: list[dict[str, Any]]) -> bool:
    ids = {box["id"] for box in boxes}
    return edge["source"] in ids and edge["target"] in ids
