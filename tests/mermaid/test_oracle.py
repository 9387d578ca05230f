"""The oracle itself: it must be able to say no, or the tests that ask it prove nothing."""

from tests.mermaid.oracle import Mermaid
from tests.mermaid.oracle import mermaid as mermaid


def test_it_tells_boxes_and_arrows_of_a_state_diagram(mermaid: Mermaid) -> None:
    drawn = mermaid("stateDiagram-v2\n    [*] --> a\n    a --> b : go #35;1\n    b --> [*]")
    assert drawn.ok
    assert {node["id"] for node in drawn.nodes} == {"root_start", "a", "b", "root_end"}
    assert ("a", "b", "go #1") in drawn.arrows()


def test_it_tells_boxes_and_arrows_of_a_flowchart(mermaid: Mermaid) -> None:
    drawn = mermaid('flowchart TB\n    a["one"] -.->|"no"| b')
    assert drawn.type == "flowchart-v2"
    assert drawn.node("a")["texts"] == ["one"]
    assert drawn.arrows() == {("a", "b", "no")}


def test_it_refuses_what_mermaid_refuses(mermaid: Mermaid) -> None:
    refused, accepted = mermaid.read(["flowchart TB\n    end --> a", "flowchart TB\n    b --> a"])
    assert not refused.ok
    assert "Parse error" in refused.error
    assert accepted.ok


def test_it_shows_what_mermaid_misreads_in_silence(mermaid: Mermaid) -> None:
    drawn = mermaid("stateDiagram-v2\n    a --> b;\n    b --> c")
    assert {node["id"] for node in drawn.nodes} == {"a", "b;", "b", "c"}
