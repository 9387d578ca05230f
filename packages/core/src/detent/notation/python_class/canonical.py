"""The definition that is kept in a generated module: the same for every order in which a diagram says the same things."""

from collections import deque
from typing import Any

from detent.definition.commands import CommandRef
from detent.definition.graph import edges
from detent.definition.model import WorkflowDefinition
from detent.definition.state import State
from detent.json_values import JsonObject

TAKE_PAYLOAD = "drawn.take_payload"
"""The command by which an event's payload becomes part of the context."""


def command_of(workflow: str, state: str) -> str:
    """The command that does the work of a state; with the workflow, so that two diagrams may name a state alike."""
    return f"{workflow}.{state}"


def work_of(state: State) -> tuple[CommandRef, ...]:
    """What a worker does in a state before anything leads on."""
    return () if state.on_enter is None else tuple(one for one in state.on_enter.commands if one.durable)


def canonical(definition: WorkflowDefinition, decided: dict[str, frozenset[str]]) -> JsonObject:
    """The definition as a drawn class runs it: states in order of reach from the start, what cannot be reached behind.

    Commands for the work of states get the names of `command_of`. Each event but those that the work of its state decides for
    (`decided`, by state) begins with taking its payload.
    """
    written = definition.to_dict()
    states: dict[str, Any] = written["states"]
    written["states"] = {
        name: _state(definition, name, states[name], decided.get(name, frozenset())) for name in in_order(definition)
    }
    return written


def in_order(definition: WorkflowDefinition) -> list[str]:
    """The states from the start on, nearest first; of those that are equally near the one that is named by the first letter."""
    along = edges(definition)
    found = dict.fromkeys([definition.initial_state])
    waiting = deque(found)
    while waiting:
        for target in sorted(along[waiting.popleft()]):
            if target not in found:
                found[target] = None
                waiting.append(target)
    return [*found, *sorted(set(definition.states) - set(found))]


def _state(definition: WorkflowDefinition, name: str, written: JsonObject, decided: frozenset[str]) -> JsonObject:
    state = dict(written)
    if "tags" in state:
        state["tags"] = sorted(state["tags"])
    if "events" in state:
        state["events"] = {
            event: said if event in decided else _taking_payload(said)
            for event, said in sorted(state["events"].items())
        }
    if "fork" in state.get("on_enter", {}):
        state["on_enter"] = {**state["on_enter"], "fork": sorted(state["on_enter"]["fork"])}
    if work_of(definition.states[name]):
        commands = [_command(definition, name, one) for one in state["on_enter"]["commands"]]
        state["on_enter"] = {**state["on_enter"], "commands": commands}
    return state


def _taking_payload(event: JsonObject) -> JsonObject:
    return {**event, "commands": [TAKE_PAYLOAD, *event.get("commands", [])]}


def _command(definition: WorkflowDefinition, state: str, written: object) -> object:
    if isinstance(written, dict) and written.get("durable"):
        return {**written, "name": command_of(definition.name, state)}
    return written
