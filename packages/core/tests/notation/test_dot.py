"""A definition as a graph in DOT, read back by the grammar of the language: nothing in a name is taken for anything else."""

import re
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent import WorkflowDefinition, to_dot
from detent.errors import InvalidValue
from detent.flows import Flow, Step
from detent.notation import Marks, Passage

TOKEN = re.compile(
    r"""
      (?P<space>\s+) | (?P<arrow>->) | (?P<sign>[{}\[\]=])
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*|-?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?))
    | "(?P<string>(?:\\.|[^"\\\n])*)"
    """,
    re.VERBOSE,
)


class Graph(NamedTuple):
    """What Graphviz would draw."""

    name: str
    nodes: dict[str, dict[str, str]]
    edges: list[tuple[str, str, dict[str, str]]]

    def texts(self, node: str) -> list[str]:
        return shown(self.nodes[node]["label"])

    def arrows(self) -> set[tuple[str, str, str]]:
        """From which text to which, and what is said on it."""
        first = {node: self.texts(node)[0] for node in self.nodes}
        return {(first[source], first[target], look.get("label", "")) for source, target, look in self.edges}


def shown(label: str) -> list[str]:
    r"""The lines of a label as a person sees them: `\n` parts lines, and a backslash before anything else is taken away."""
    lines = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], label)
    return lines.replace("&amp;", "&").split("\n")


def read(text: str) -> Graph:
    """The graph, or an error where a statement is not one of those that `to_dot` writes."""
    tokens = tokens_of(text)
    assert tokens[0] == ("word", "digraph")
    assert tokens[2] == ("sign", "{")
    assert tokens[-1] == ("sign", "}")
    graph, at = Graph(tokens[1][1], {}, []), 3
    while at < len(tokens) - 1:
        source, at = tokens[at], at + 1
        target = None
        if tokens[at][0] == "arrow":
            target, at = tokens[at + 1], at + 2
        attributes, at = attributes_at(tokens, at)
        if target is not None:
            graph.edges.append((source[1], target[1], attributes))
        elif source not in [("word", "graph"), ("word", "node"), ("word", "edge")]:
            assert source[1] not in graph.nodes
            graph.nodes[source[1]] = attributes
    assert {end for edge in graph.edges for end in edge[:2]} <= graph.nodes.keys()
    return graph


def attributes_at(tokens: list[tuple[str, str]], at: int) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    if tokens[at] != ("sign", "["):
        return found, at
    at += 1
    while tokens[at] != ("sign", "]"):
        (kind, name), equals, (_, value) = tokens[at : at + 3]
        assert (kind, equals) == ("word", ("sign", "="))
        assert name not in found
        found[name] = value
        at += 3
    return found, at + 1


def tokens_of(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        token = TOKEN.match(text, at)
        assert token, text[at : at + 40]
        at = token.end()
        if token.lastgroup != "space":
            found.append((str(token.lastgroup), token[str(token.lastgroup)]))
    return found


def workflow(**states: Any) -> WorkflowDefinition:
    return WorkflowDefinition.from_dict({"name": "w", "initial_state": next(iter(states)), "states": states})


def test_states_and_events_are_nodes_and_ways_are_arrows(order: WorkflowDefinition) -> None:
    graph = read(to_dot(order, symbols="text"))
    assert graph.name == "order v1"
    assert graph.arrows() >= {
        ("", "new", ""),
        ("exportable", "Export", ""),
        ("Export", "exported", ""),
        ("Export", "export_failed", "fails"),
        ("exported", "in_transit", "on enter"),
        ("TimeOut", "closed", ""),
    }
    assert graph.texts(r"event \"TimeOut\" of \"delivered\"") == ["TimeOut", "after 14d"]
    assert graph.nodes[r"state \"closed\""]["peripheries"] == "2"


def test_success_failure_hops_and_time_have_their_looks(order: WorkflowDefinition) -> None:
    graph = read(to_dot(order))
    by_target = {shown(target)[0]: look for _, target, look in graph.edges}
    assert by_target['state "export_failed"'] == {
        "style": "dashed",
        "color": "#dc2626",
        "fontcolor": "#dc2626",
        "label": "✗ fails",
    }
    assert by_target['state "in_transit"'] == {"penwidth": "3", "label": "» on enter"}
    assert by_target['state "exported"']["color"] == "#16a34a"
    assert graph.nodes[r"event \"TimeOut\" of \"delivered\""]["fillcolor"] == "#fffbeb"


def test_an_instance_is_where_it_is_and_the_way_it_went_is_thick(order: WorkflowDefinition) -> None:
    marks = Marks(
        current="delivered",
        visited=("in_transit", "delivered"),
        passages={Passage("in_transit", "delivered", "Deliver"): 1},
        left={"TimeOut": timedelta(days=3)},
    )
    graph = read(to_dot(order, marks=marks, symbols="text"))
    assert graph.texts(r"state \"delivered\"") == ["delivered", "now, step 2", "TimeOut in 3d"]
    assert graph.nodes[r"state \"delivered\""]["penwidth"] == "4"
    walked = {shown(target)[0] for _, target, look in graph.edges if look.get("penwidth") == "5"}
    assert walked == {'event "Deliver" of "in_transit"', 'state "delivered"'}


def test_a_flow_is_drawn_by_its_steps() -> None:
    flow = Flow(
        id="f", initial_step_id="a", steps={"a": Step("http", on_success="b", on_failure="b"), "b": Step("log")}
    )
    graph = read(to_dot(flow, symbols="text", direction="TB"))
    assert graph.arrows() == {("", "a", ""), ("a", "b", "on_success"), ("a", "b", "on_failure"), ("b", "", "")}


def test_commands_can_be_hidden(order: WorkflowDefinition) -> None:
    assert "notify_customer" in to_dot(order)
    assert "notify_customer" not in to_dot(order, show_commands=False)


HOSTILE = [
    '"', "\\", "a\\", '\\"', "\\N", "a\nb", "a;b", "a:n", "node", "subgraph", "<b>x</b>", "&lt;", "]", "}", "//", "#",
    "state", "start", "end", "支払い", "\u202e", "",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_a_name(name: str) -> None:
    definition = workflow(
        **{"first": {"events": {name: {"target": name}, "also": {"target": "node"}}}, name: {}, "node": {}}
    )
    graph = read(to_dot(definition, symbols="text"))
    assert len(graph.nodes) == 1 + len(definition.states) + 2
    assert len(graph.edges) == 1 + 2 + 2


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4, unique=True), st.text(max_size=8))
def test_any_names_are_read_as_they_were_meant(states: list[str], event: str) -> None:
    definition = workflow(**{name: {"events": {event: {"target": states[0]}}} for name in states})
    graph = read(to_dot(definition))
    assert len(graph.nodes) == 1 + 2 * len(states)
    assert len(graph.edges) == 1 + 2 * len(states)


def test_a_state_that_is_only_named_is_drawn_dashed() -> None:
    graph = read(to_dot(workflow(a={"events": {"Go": {"target": "b"}}})))
    assert graph.texts(r"state \"b\"") == ["b", "not declared"]
    assert "dashed" in graph.nodes[r"state \"b\""]["style"]


@pytest.mark.parametrize("wrong", [{"direction": "down"}, {"symbols": "emoji"}])
def test_a_direction_or_symbols_that_are_none_are_refused(order: WorkflowDefinition, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        to_dot(order, **wrong)
