"""What a graph means, as a definition is written.

* A state with one unlabelled way out does its work there: a durable command of its own name, then the hop.
* A labelled way out is an event: `event [guard] / commands`. What only has a guard is what the work may decide for.
* Behind an event a choice is its branches; behind work it is what the work decides, with `Goto`.
* `[*]` is the state to begin with; as a target it is the end, and a state that has no other way out ends there. Where nothing is
  an event, so that all states are steps, the last ones work as well.
* A state that forks begins branches and waits for them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from detent.definition.graph import cycles
from detent.notation.mermaid_reader.boxes import add_texts, names_internal_event
from detent.notation.mermaid_reader.checks import check_graph
from detent.notation.mermaid_reader.events import Events
from detent.notation.mermaid_reader.graph import Box, Graph, Line
from detent.notation.mermaid_reader.names import names, printed
from detent.notation.mermaid_reader.policy import read_pairs
from detent.notation.mermaid_reader.source import Place
from detent.notation.mermaid_reader.start import find_starts
from detent.notation.mermaid_reader.targets import END, Targets
from detent.notation.mermaid_reader.tree import EDGE
from detent.notation.mermaid_reader.ways import OUTCOMES, is_final, names_event, ways_of
from detent.notation.mermaid_reader.work import Work
from detent.notation.palette import CLASSES
from detent.problems import did_you_mean


class Meaning:
    """The written definition of a graph: its initial state and its states; what is wrong goes to the graph's problems.

    `steps` says how the work of states is done, by their names; with `loops` steps may go round in a circle.
    """

    def __init__(self, graph: Graph, *, steps: Mapping[str, Any], loops: bool) -> None:
        self._graph = graph
        self._printed = printed(graph)
        self._names = names(graph, self._printed)
        self._targets = Targets(graph, self._names)
        self._events = Events(graph, self._targets)
        self._work = Work(graph, self._targets, self._events, self._names, steps)
        self._only_steps = not self._has_events()
        self.states: dict[str, dict[str, Any]] = {}
        check_graph(graph)
        for box in graph.boxes.values():
            if box.kind is None and not self._is_undeclared(box):
                self._add(box)
        self.initial, self.entries = find_starts(graph, self._targets)
        if self._targets.needs_end:
            self._add_end()
        if not loops:
            self._check_loops()
        self._check_steps(steps)
        self._check_reached()

    def _add(self, box: Box) -> None:
        state: dict[str, Any] = {}
        self.states[self._names[box.id]] = state
        add_texts(self._graph, box, state, printed=box.id in self._printed)
        if box.id not in self._graph.joins:
            self._add_ways(box, state)
        tags = [each for each in dict.fromkeys(box.classes) if self._graph.styles.get(each) != CLASSES.get(each, "")]
        if tags:
            state["tags"] = tags

    def _add_ways(self, box: Box, state: dict[str, Any]) -> None:
        out = self._graph.out_of(box.id)
        if not out and not state.get("events"):
            message = f"nothing leads out of {self._names[box.id]!r}, so the workflow ends there"
            self._graph.problem(box.place, "no_way_out", message, "write `… --> [*]` to say so", warning=True)
        if self._works_at_its_end(box, out, state):
            return
        if len(out) == 1 and self._is_end(out[0], state):
            if out[0].label in OUTCOMES:
                state["outcome"] = out[0].label
            return
        ways = ways_of(self._graph, out, set(state.get("events", ())))
        self._work.add(box, state, ways)
        for event, several in ways.events.items():
            self._events.add(state, event, several)

    def _is_end(self, line: Line, state: dict[str, Any]) -> bool:
        """Whether the only arrow out of a state says that it is a final one, and no step to be done before the end."""
        if line.target != EDGE or line.label:
            return is_final(line)
        steps_on = self._only_steps or _works(state)
        return not steps_on and line.scope is None and line.source not in self._graph.forks

    def _works_at_its_end(self, box: Box, out: list[Line], state: dict[str, Any]) -> bool:
        """Whether a state is to work, and to be a final one as well, which is a problem: its work would never be taken."""
        beside = [line for line in out if line.source != line.target or not read_pairs(line.label)]
        if len(beside) != 1 or not is_final(beside[0]) or (len(beside) == len(out) and not _works(state)):
            return False
        name, said = self._names[box.id], beside[0].label
        message = (
            f"state {name!r} does work, but {said!r} on its arrow to the end makes it a final one, which does none"
        )
        hint = f"let another state end it: `{box.id} --> {box.id}_done` and `{box.id}_done --> [*] : {said}`"
        self._graph.problem(beside[0].place, "work_at_the_end", message, hint)
        return True

    def _has_events(self) -> bool:
        """Whether anything in the diagram is an event."""
        if any(names_event(self._graph, line) for line in self._graph.all_lines()):
            return True
        return any(names_internal_event(self._graph.boxes[id_]) for id_ in self._printed)

    def _is_undeclared(self, box: Box) -> bool:
        """Whether it was printed as a state that is only named."""
        return "undeclared" in box.classes and self._graph.styles.get("undeclared") == CLASSES["undeclared"]

    def _add_end(self) -> None:
        if END in self.states:
            message = f"arrows lead to `[*]` beside others, so a state {END!r} is made; there is one already"
            box = next(box for box in self._graph.boxes.values() if self._names.get(box.id) == END)
            self._graph.problem(box.place, "end_is_taken", message, "lead those arrows to it")
        self.states[END] = {}

    def _check_loops(self) -> None:
        """Steps that follow one another by themselves may go round in a circle only where somebody says so."""
        hops = self._work.hops
        along = {name: tuple(to for to in ahead if to in hops) for name, ahead in hops.items()}
        places = {self._names[box.id]: box.place for box in self._graph.boxes.values() if box.id in self._names}
        for cycle in cycles(along):
            message = f"the steps go round in a circle: {' --> '.join([*cycle, cycle[0]])}"
            hint = "label an arrow with an event, or allow it: `loops: true` in the front matter"
            self._graph.problem(places[cycle[0]], "loop", message, hint)

    def _check_reached(self) -> None:
        """Every state that was drawn by hand can be reached, as far as nothing else is wrong; of those that hang together the
        first is told.
        """
        if any(problem.severity == "error" for problem in self._graph.problems):
            return
        found = {state for start in (self.initial, *self.entries.values()) for state in _reachable(start, self.states)}
        for box in self._graph.boxes.values():
            name = self._names.get(box.id)
            if name in self.states and name not in found and box.id not in self._printed and self._graph.out_of(box.id):
                found |= _reachable(name, self.states)
                message = f"nothing leads from the start to {name!r}"
                self._graph.problem(box.place, "unreachable_state", message, "draw an arrow to it, or take it away")

    def _check_steps(self, steps: Mapping[str, Any]) -> None:
        """What the front matter says of steps is said of such that do work of their own."""
        for name in steps:
            commands = self.states.get(name, {}).get("on_enter", {}).get("commands", [])
            if not any(isinstance(command, dict) for command in commands):
                message = f"`steps` in the front matter names {name!r}, which is no state that does work of its own"
                self._graph.problem(Place(1, 1), "unknown_step", message, did_you_mean(name, self._work.hops))


def _works(state: Mapping[str, Any]) -> bool:
    """Whether the box of a state names work of its own, which a worker does."""
    return any(isinstance(command, dict) for command in state.get("on_enter", {}).get("commands", ()))


def _reachable(start: str, states: Mapping[str, dict[str, Any]]) -> set[str]:
    """The states that can be reached from one, which is among them."""
    found, waiting = {start}, [start]
    while waiting:
        fresh = set(_targets(states[waiting.pop()])) - found
        found |= fresh
        waiting += fresh & states.keys()
    return found


def _targets(state: dict[str, Any]) -> Iterator[str]:
    parts = [*state.get("events", {}).values(), state.get("on_enter", {})]
    for part in parts:
        yield from (part[key] for key in ("target", "error") if key in part)
        yield from (branch["target"] for branch in part.get("branches", ()))
        yield from part.get("fork", ())
