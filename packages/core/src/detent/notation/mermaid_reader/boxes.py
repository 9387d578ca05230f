"""What stands in the box of a state: commands on entry, internal events, what its work is, and words for people."""

import re
from typing import Any

from detent.notation.mermaid_reader.events import head
from detent.notation.mermaid_reader.graph import Box, Graph
from detent.notation.mermaid_reader.label import commands_by_hand, read_line
from detent.notation.mermaid_reader.source import Place
from detent.notation.mermaid_reader.texts import lines, one_line

_UML_LINE = re.compile(r"(entry|exit|do)\s*/\s*(.+)", re.DOTALL | re.IGNORECASE)


def add_texts(graph: Graph, box: Box, state: dict[str, Any], *, printed: bool) -> None:
    """Write into the state what its box says; `printed` is one that `to_mermaid` wrote."""
    told = [] if box.title is None or printed else [lines(box.title)]
    for text, place in box.texts:
        if not _add_line(graph, state, one_line(text), place, printed=printed):
            told.append(lines(text))
    told += box.notes
    if told:
        state["description"] = "\n".join(told)


def names_internal_event(box: Box) -> bool:
    """Whether a line in a box that `to_mermaid` wrote is an event."""
    read = (read_line(one_line(text)) for text, _ in box.texts)
    return any(said is not None and said.event is not None for said in read)


def entry_of(state: dict[str, Any]) -> dict[str, Any]:
    """What happens on the entry of a written state."""
    entry: dict[str, Any] = state.setdefault("on_enter", {})
    return entry


def _add_line(graph: Graph, state: dict[str, Any], text: str, place: Place, *, printed: bool) -> bool:
    """Whether the line says what happens in the state; else it is for people."""
    uml = None if printed else _UML_LINE.fullmatch(text)
    if uml is not None:
        _add_uml(graph, state, uml[1].lower(), uml[2], place)
        return True
    said = read_line(text)
    if said is None or (not printed and not said.commands):
        return False
    if said.event is None:
        entry_of(state).setdefault("commands", []).extend(said.commands)
        return True
    events = state.setdefault("events", {})
    if said.event in events:
        graph.problem(place, "event_twice", f"the event {said.event!r} stands twice in the box")
    events[said.event] = {"internal": True, **head(said)}
    return True


def _add_uml(graph: Graph, state: dict[str, Any], word: str, text: str, place: Place) -> None:
    """What UML says of a state: `entry / command`, and `do / command` for its work; it can do more than a definition."""
    commands = commands_by_hand(text)
    if word == "exit":
        message = "`exit /` cannot be said in a definition"
        graph.problem(place, "exit_not_supported", message, "let a command of an event do it")
    elif commands is None:
        hint = f"write `{word} / command, command`"
        graph.problem(place, "unreadable_entry", f"{text!r} are no names of commands", hint)
    else:
        written = commands if word == "entry" else [{"name": name, "durable": True} for name in commands]
        entry_of(state).setdefault("commands", []).extend(written)
