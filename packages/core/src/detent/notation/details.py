"""What a picture of a definition cannot say, as the rest of the definition in its own spelling.

Laid over what the picture says, it gives the whole definition again: objects are merged key by key; anything else,
`null` for *left out* included, replaces what stands there.
"""

from collections.abc import Collection, Mapping
from typing import Any

from detent.definition.event import Event
from detent.definition.model import WorkflowDefinition
from detent.definition.state import State
from detent.definition.timeout import Timeout
from detent.json_values import JsonObject

_DRAWN = frozenset({"name", "version", "initial_state", "entries", "states"})
_DRAWN_OF_ENTRY = frozenset({"target", "error", "fork"})
_DRAWN_OF_EVENT = frozenset({"error", "timeout", "internal"})


def details(definition: WorkflowDefinition) -> JsonObject:
    """Everything in `definition` that no box and no arrow of its chart tells; empty where they tell it all."""
    written = definition.to_dict()
    states = {name: _of_state(state, written["states"][name]) for name, state in definition.states.items()}
    told = {name: left for name, left in states.items() if left}
    return _without(written, _DRAWN) | ({"states": told} if told else {})


def _of_state(state: State, written: JsonObject) -> JsonObject:
    left = _without(written, {"events", "on_enter", *(["outcome"] if state.terminal else [])})
    if state.on_enter is not None:
        entry = _without(written["on_enter"], _DRAWN_OF_ENTRY | _plain_commands(written["on_enter"]))
        if entry or not written["on_enter"]:
            left["on_enter"] = entry
    events = {name: _of_event(event, written["events"][name]) for name, event in state.events.items()}
    told = {name: rest for name, rest in events.items() if rest}
    return left | ({"events": told} if told else {})


def _of_event(event: Event, written: JsonObject) -> JsonObject:
    drawn = set(_DRAWN_OF_EVENT | _plain_commands(written))
    if _is_plain(written.get("guard")):
        drawn.add("guard")
    if event.timeout is not None and event.timeout != Timeout(event.timeout.after, event.timeout.at):
        drawn.discard("timeout")
    if not event.internal:
        drawn |= {"target"}
        if all(_is_plain(branch["guard"]) for branch in written.get("branches", ())):
            drawn.add("branches")
    back = {"target": None} if event.target is None and not event.internal else {}
    return _without(written, drawn) | back


def _plain_commands(written: JsonObject) -> frozenset[str]:
    """`commands`, where each of them is no more than a name."""
    plain = all(isinstance(command, str) for command in written.get("commands", ()))
    return frozenset({"commands"} if plain else ())


def _is_plain(guard: Any) -> bool:
    """Whether a written guard is made of nothing but names."""
    if not isinstance(guard, Mapping):
        return True
    if "name" in guard:
        return False
    inner = [part for parts in guard.values() for part in (parts if isinstance(parts, list) else [parts])]
    return all(_is_plain(part) for part in inner)


def _without(written: JsonObject, drawn: Collection[str]) -> JsonObject:
    return {key: value for key, value in written.items() if key not in drawn}
