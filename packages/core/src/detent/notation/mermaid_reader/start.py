"""Where a workflow begins: in the states that `[*]` leads to, or in the only one that nothing leads to."""

from detent.notation.mermaid_reader.graph import Graph, Line
from detent.notation.mermaid_reader.label import read_title
from detent.notation.mermaid_reader.source import Place
from detent.notation.mermaid_reader.targets import Targets
from detent.notation.mermaid_reader.tree import EDGE

_UNKNOWN = "?"


def find_starts(graph: Graph, targets: Targets) -> tuple[str, dict[str, str]]:
    """The name of the state to begin with, and others by the name of their entry; where nothing says it, that is a problem.

    Of several arrows from `[*]` the one without a label leads to the initial state, else the first. One alone may say anything.
    """
    starts = graph.out_of(EDGE)
    first = next((line for line in starts if not line.label), starts[0] if starts else None)
    initial = _inferred(graph, targets) if first is None else _led_to(graph, targets, first)
    entries: dict[str, str] = {}
    for line in starts if len(starts) > 1 else ():
        name = read_title(line.label)
        if name in entries or (not line.label and line is not first):
            message = f"a workflow begins in one state, here with {initial!r}"
            hint = "keep one arrow from `[*]`, or say by a label on each other one what its entry is called"
            graph.problem(line.place, "several_starts", message, hint)
        elif line.label:
            entries[name] = _led_to(graph, targets, line)
    return initial, entries


def _led_to(graph: Graph, targets: Targets, first: Line) -> str:
    if first.target == EDGE:
        message = "`[*] --> [*]` has no state between"
        graph.problem(first.place, "nothing_between", message, "name the first state")
        return _UNKNOWN
    if targets.is_choice(first.target):
        message = "a workflow cannot begin with a choice"
        graph.problem(first.place, "start_not_supported", message, "let it begin with a state that decides")
    return targets.called(first.target)


def _inferred(graph: Graph, targets: Targets) -> str:
    entered = {line.target for line in graph.all_lines() if line.target != line.source} | graph.joins | graph.begun
    candidates = [box for box in graph.boxes.values() if box.id not in entered and box.kind is None]
    if len(candidates) == 1:
        return targets.called(candidates[0].id)
    place = next(iter(graph.boxes.values())).place if graph.boxes else Place(1, 1)
    several = ", ".join(repr(targets.called(box.id)) for box in candidates[:5])
    message = "nothing says where it starts" + (f"; {several} have no way in" if candidates else "")
    graph.problem(place, "no_start", message, "write `[*] --> first`")
    return _UNKNOWN
