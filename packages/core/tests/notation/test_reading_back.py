"""Every fact is in the text: a small reader, written from the documented grammar alone, gets the definition back."""

import html
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent.definition.model import WorkflowDefinition
from detent.notation.mermaid import to_mermaid
from detent.notation.mermaid_reader import from_mermaid
from detent.testing.strategies import definitions as sound_definitions

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]/,()]|[^\s\[\]/,()"]+')


class Reader:
    def __init__(self, text: str) -> None:
        front, _, body = text.removeprefix("---\n").partition("\n---\n")
        title, _, detent = front.partition("\ndetent: ")
        name = title.removeprefix("title: ")
        name, _, version = (json.loads(name) if name.startswith('"') else name).rpartition(" · v")
        self.written: dict[str, Any] = {"name": name, "version": version, "states": {}}
        self.names: dict[str, str] = {}
        for line in body.splitlines():
            self.read(line.strip())
        self.merge(self.written, json.loads(detent) if detent else {})

    def read(self, line: str) -> None:
        decoded = html.unescape(re.sub(r"#(\d+);", r"&#\1;", line).replace("#quot;", "&quot;"))
        if found := re.fullmatch(r'state "(.*)" as (\w+)', decoded):
            name = json.loads(found[1]) if found[1].startswith('"') else found[1]
            self.names[found[2]] = name
            self.written["states"][name] = {}
        elif found := re.fullmatch(r"\[\*\] --> (\w+)", decoded):
            self.written["initial_state"] = self.names[found[1]]
        elif found := re.fullmatch(r"\[\*\] --> (\w+) : (.*)", decoded):
            (name,) = TOKEN.findall(found[2])
            self.written.setdefault("entries", {})[name_of(name)] = self.names[found[1]]
        elif found := re.fullmatch(r"(\w+) --> \[\*\](?: : (\w+))?", decoded):
            self.written["states"][self.names[found[1]]] |= (
                {"outcome": found[2]} if found[2] not in (None, "", "end") else {}
            )
        elif found := re.fullmatch(r"(\w+) --> (\w+) : (.*)", decoded):
            self.arrow(self.written["states"][self.names[found[1]]], self.names[found[2]], TOKEN.findall(found[3]))
        elif (found := re.fullmatch(r"(\w+) : (.*)", decoded)) and found[1] in self.names:
            self.line(self.written["states"][self.names[found[1]]], TOKEN.findall(found[2]))

    def arrow(self, state: dict[str, Any], target: str, tokens: list[str]) -> None:
        if tokens == ["on", "enter", "branch"]:
            state.setdefault("on_enter", {}).setdefault("fork", []).append(target)
            return
        if tokens[:2] in (["on", "enter"], ["when", "joined"]):
            state.setdefault("on_enter", {})["error" if tokens[2:] == ["fails"] else "target"] = target
            return
        event = state.setdefault("events", {}).setdefault(name_of(tokens.pop(0)), {})
        if tokens == ["fails"]:
            event["error"] = target
            return
        event |= said_before(tokens)
        if tokens[:2] == ["else", "if"]:
            tokens.pop(0)
        if tokens[:1] == ["if"]:
            tokens.pop(0)
            event.setdefault("branches", []).append({"guard": guard_of(tokens), "target": target})
        else:
            tokens[:1] = [] if tokens[:1] == ["else"] else tokens[:1]
            event["target"] = target
        event |= commands_of(tokens)

    def line(self, state: dict[str, Any], tokens: list[str]) -> None:
        if tokens[:2] == ["on", "enter"]:
            state.setdefault("on_enter", {}).update(commands_of(tokens[2:]))
            return
        event = state.setdefault("events", {}).setdefault(name_of(tokens.pop(0)), {"internal": True})
        event |= said_before(tokens)
        event |= commands_of(tokens)

    def merge(self, under: dict[str, Any], over: dict[str, Any]) -> None:
        for key, value in over.items():
            if isinstance(value, dict) and isinstance(under.get(key), dict):
                self.merge(under[key], value)
            else:
                under[key] = value


def name_of(token: str) -> str:
    return str(json.loads(token)) if token.startswith('"') else token


def said_before(tokens: list[str]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if tokens[:1] == ["after"]:
        said["timeout"] = tokens[1]
        del tokens[:2]
    elif tokens[:1] == ["at"]:
        said["timeout"] = {"at": name_of(tokens[1])}
        del tokens[:2]
    if tokens[:1] == ["["]:
        tokens.pop(0)
        said["guard"] = guard_of(tokens)
        assert tokens.pop(0) == "]"
    return said


def guard_of(tokens: list[str]) -> Any:
    parts, joint = [part_of(tokens)], ""
    while tokens and tokens[0] in ("and", "or"):
        joint = tokens.pop(0)
        parts.append(part_of(tokens))
    return {{"and": "all_of", "or": "any_of"}[joint]: parts} if joint else parts[0]


def part_of(tokens: list[str]) -> Any:
    token = tokens.pop(0)
    if token == "not":
        return {"not_": part_of(tokens)}
    if token not in ("(", "all", "any"):
        return name_of(token)
    if token != "(":
        assert tokens.pop(0) == "("
    inner = guard_of(tokens)
    assert tokens.pop(0) == ")"
    return inner if token == "(" else {f"{token}_of": [inner]}


def commands_of(tokens: list[str]) -> dict[str, Any]:
    return {"commands": [name_of(token) for token in tokens[1:] if token != ","]} if tokens[:1] == ["/"] else {}


names = st.sampled_from(
    [
        "new",
        "paid",
        "end",
        "on hold",
        "a.b",
        "after",
        "fails",
        "not",
        "x, y",
        "a / b",
        "[*]",
        "支払い",
        " ",
        "",
        "a\nb",
        '"q"',
        "$go",
    ]
) | st.text(max_size=6)
guards = st.recursive(
    names.filter(bool),
    lambda inner: (
        st.fixed_dictionaries({"all_of": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"any_of": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"not_": inner})
        | st.just({"name": "g", "metadata": {"limit": 3}})
    ),
    max_leaves=4,
)
commands = st.lists(names | st.just({"name": "c", "input": {"key": "k"}, "output": "a.b"}), max_size=3)
timeouts = st.sampled_from(["14d", "1h30m", "0.5s", {"at": "delivery.deadline"}, {"after_days": 1, "after_hours": 2}])
notes = {"metadata": st.just({"<b>&": [1, None]}), "description": st.text(max_size=5)}


def events(states: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    target = st.sampled_from(states)
    said = {
        "guard": guards,
        "timeout": timeouts,
        "commands": commands,
        "error": target,
        "payload": st.just({"type": "object"}),
    }
    branches = st.lists(st.fixed_dictionaries({"guard": guards, "target": target}), max_size=3)
    outside = st.fixed_dictionaries({}, optional={**said, **notes, "target": target, "branches": branches})
    return outside | st.fixed_dictionaries({"internal": st.just(True)}, optional={**said, **notes})


@st.composite
def definitions(draw: st.DrawFn) -> WorkflowDefinition:
    states = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    target = st.sampled_from(states)
    forks = st.lists(target, min_size=1, max_size=3, unique=True)
    optional = {"target": target, "error": target, "commands": commands, "fork": forks, **notes}
    entry = st.fixed_dictionaries({}, optional=optional)
    about = {
        "context": st.just({"k": "v"}),
        "tags": st.just(["t"]),
        "outcome": st.sampled_from(["success", "failure", "cancelled"]),
        "on_enter": entry,
        "events": st.dictionaries(names, events(states), max_size=3),
    }
    written = {name: draw(st.fixed_dictionaries({}, optional={**about, **notes})) for name in states}
    entries = st.dictionaries(names, target, min_size=1, max_size=2)
    rest = draw(st.fixed_dictionaries({}, optional={**notes, "version_policy": st.just("latest"), "entries": entries}))
    version = draw(st.sampled_from(["1", "12", "1.10.0-rc.1"]))
    return WorkflowDefinition.from_dict(
        {"name": draw(names), "version": version, "initial_state": states[-1], "states": written, **rest}
    )


@given(definitions())
def test_a_state_diagram_reads_back_to_the_same_definition(definition: WorkflowDefinition) -> None:
    text = to_mermaid(definition)
    assert WorkflowDefinition.from_dict(Reader(text).written).to_dict() == definition.to_dict()


@given(definitions())
def test_from_mermaid_reads_what_to_mermaid_wrote(definition: WorkflowDefinition) -> None:
    assert from_mermaid(to_mermaid(definition)).to_dict() == definition.to_dict()


@given(sound_definitions(forks=True))
def test_from_mermaid_reads_sound_definitions_back(definition: WorkflowDefinition) -> None:
    assert from_mermaid(to_mermaid(definition)) == definition


def test_from_mermaid_reads_the_order_workflow_back(order: WorkflowDefinition) -> None:
    assert from_mermaid(to_mermaid(order)) == order


def test_the_order_workflow_reads_back(order: WorkflowDefinition) -> None:
    assert WorkflowDefinition.from_dict(Reader(to_mermaid(order)).written) == order


@pytest.mark.parametrize("hidden", [{"show_commands": False}, {"show_details": False}])
def test_what_is_left_out_is_left_out_of_the_front_matter_too(
    order: WorkflowDefinition, hidden: dict[str, bool]
) -> None:
    assert "detent:" not in to_mermaid(order, **hidden)  # type: ignore[arg-type]
