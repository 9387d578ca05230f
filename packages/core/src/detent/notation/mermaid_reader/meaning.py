"""What a graph means, as a definition is written.

* A state with one unlabelled way out does its work there: a durable command of its own name, then the hop.
* A labelled way out is an event: `event [guard] / commands`. What only has a guard is what the work may decide for.
* Behind an event a choice is its branches; behind work it is what the work decides, with `Goto`.
* `[*]` is the state to begin with; as a target it is the end, and a state that has no other way out ends there.
"""

import re
from collections import Counter
from typing import Any, get_args

from detent.definition.retries import read_retry
from detent.definition.state import Outcome
from detent.notation.mermaid_reader.branching import Option, Way, both, conditions, option_of
from detent.notation.mermaid_reader.graph import Box, Graph, Line
from detent.notation.mermaid_reader.label import (
    Said,
    Written,
    commands_by_hand,
    read_arrow,
    read_by_hand,
    read_line,
    read_pairs,
)
from detent.notation.mermaid_reader.names import names, printed
from detent.notation.mermaid_reader.source import Place
from detent.notation.mermaid_reader.texts import as_written, lines, one_line
from detent.notation.mermaid_reader.tree import EDGE
from detent.notation.palette import CLASSES

END = "end"
"""The name of the state that stands for `[*]`, where an arrow leads there beside others."""

_MAX_STEPS = 100
"""How many choices one event may pass, counted along every way."""
_OUTCOMES = frozenset(get_args(Outcome))
_TIME_BY_HAND = re.compile(r"(?<!\S)after\s+\d", re.IGNORECASE)
_UML_LINE = re.compile(r"(entry|exit|do)\s*/\s*(.+)", re.DOTALL | re.IGNORECASE)
_INTEGER, _NUMBERS = "attempts", frozenset({"factor", "jitter"})


class Meaning:
    """The written definition of a graph: its initial state and its states; what is wrong goes to the graph's problems."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._printed = printed(graph)
        self._names = names(graph, self._printed)
        self._touched = {end for line in graph.all_lines() for end in (line.source, line.target)}
        self._needs_end = False
        self._steps = 0
        self.states: dict[str, dict[str, Any]] = {}
        self._check_marks()
        self._check_choices()
        for box in graph.boxes.values():
            if box.kind is None and not self._is_undeclared(box):
                self._add(box)
        self.initial = self._initial()
        if self._needs_end:
            self._add_end()

    def _add(self, box: Box) -> None:
        state: dict[str, Any] = {}
        self.states[self._names[box.id]] = state
        self._check_reached(box)
        self._add_texts(box, state)
        self._add_ways(box, state)
        tags = [each for each in dict.fromkeys(box.classes) if self._graph.styles.get(each) != CLASSES.get(each, "")]
        if tags:
            state["tags"] = tags

    # What stands in the box.

    def _add_texts(self, box: Box, state: dict[str, Any]) -> None:
        told = [] if box.title is None or box.id in self._printed else [lines(box.title)]
        for text, place in box.texts:
            if not self._add_line(box, state, one_line(text), place):
                told.append(lines(text))
        told += box.notes
        if told:
            state["description"] = "\n".join(told)

    def _add_line(self, box: Box, state: dict[str, Any], text: str, place: Place) -> bool:
        """Whether the line says what happens in the state; else it is for people."""
        uml = None if box.id in self._printed else _UML_LINE.fullmatch(text)
        if uml is not None:
            self._add_uml(state, uml[1].lower(), uml[2], place)
            return True
        said = read_line(text)
        if said is None or (box.id not in self._printed and not said.commands):
            return False
        if said.event is None:
            _entry(state).setdefault("commands", []).extend(said.commands)
            return True
        events = state.setdefault("events", {})
        if said.event in events:
            self._problem(place, "event_twice", f"the event {said.event!r} stands twice in the box")
        events[said.event] = {"internal": True, **_head(said)}
        return True

    def _add_uml(self, state: dict[str, Any], word: str, text: str, place: Place) -> None:
        """What UML says of a state: `entry / command`; it can do more than a definition."""
        commands = commands_by_hand(text)
        if word != "entry":
            message = f"`{word} /` cannot be said in a definition"
            self._problem(place, f"{word}_not_supported", message, "let a command of an event do it")
        elif commands is None:
            self._problem(
                place, "unreadable_entry", f"{text!r} are no names of commands", "write `entry / command, command`"
            )
        else:
            _entry(state).setdefault("commands", []).extend(commands)

    # The ways out of it.

    def _add_ways(self, box: Box, state: dict[str, Any]) -> None:
        out = self._graph.out_of(box.id)
        if not out:
            self._check_end(box, state)
            return
        if len(out) == 1 and out[0].target == EDGE and (not out[0].label or out[0].label in _OUTCOMES):
            if out[0].label:
                state["outcome"] = out[0].label
            return
        hops, retries, options, events = self._sorted(box, out, state)
        if hops or options:
            self._add_work(box, state, hops, options, retries)
        elif retries:
            message = f"state {self._names[box.id]!r} has no work of its own to repeat"
            self._problem(retries[0].place, "retry_without_work", message, "draw an unlabelled way out of it")
        for event, ways in events.items():
            self._add_event(state, event, ways)

    def _sorted(
        self, box: Box, out: list[Line], state: dict[str, Any]
    ) -> tuple[list[Line], list[Line], list[tuple[Option, Line]], dict[str, list[tuple[Said, Line]]]]:
        """The arrows by what they mean: hops, retries, options of the work, and ways of events."""
        hops: list[Line] = []
        retries: list[Line] = []
        options: list[tuple[Option, Line]] = []
        events: dict[str, list[tuple[Said, Line]]] = {}
        said_of = {line: self._said(line) for line in out}
        known = {said.event for said in said_of.values() if said and not said.fails} | set(state.get("events", ()))
        for line, said in said_of.items():
            if said is not None and said.event is not None and said.fails and said.event not in known:
                said = Said(event=line.label, by_hand=True)
            if not line.label:
                hops.append(line)
            elif line.source == line.target and read_pairs(line.label):
                retries.append(line)
            elif said is None:
                self._refuse_label(line)
            elif said.event is not None:
                events.setdefault(said.event, []).append((said, line))
            elif said.by_hand:
                options.append((option_of(line.label) or Option(line.label), line))
            else:
                key = "error" if said.fails else "target"
                if key in _entry(state):
                    self._problem(
                        line.place, "several_hops", f"{line.label!r} stands on two arrows", "keep one of them"
                    )
                _entry(state)[key] = self._plain_target(line)
        return hops, retries, options, events

    def _said(self, line: Line) -> Said | None:
        return read_arrow(line.label) or read_by_hand(line.label) if line.label else None

    def _refuse_label(self, line: Line) -> None:
        hint = "write `event [guard] / command, command`, each part optional"
        self._problem(line.place, "unreadable_label", f"the label {line.label!r} cannot be read", hint)

    def _add_work(
        self, box: Box, state: dict[str, Any], hops: list[Line], options: list[tuple[Option, Line]], retries: list[Line]
    ) -> None:
        """The work of the state, what it may decide for, and where it goes on by itself."""
        entry = _entry(state)
        if len(hops) > 1:
            names_ = ", ".join(repr(self._called(line.target)) for line in hops)
            message = f"state {self._names[box.id]!r} has several unlabelled ways out, to {names_}"
            self._problem(
                hops[1].place, "several_unlabelled_ways", message, "label them, or use <<choice>> or <<fork>>"
            )
            return
        if "target" in entry:
            self._problem(hops[0].place if hops else options[0][1].place, "several_hops", "the state goes on twice")
            return
        if not entry.get("commands"):
            entry["commands"] = [{"name": self._names[box.id], "durable": True, **self._retry(retries)}]
        elif retries:
            self._problem(retries[0].place, "retry_without_work", "the work of this state is said in its box")
        if hops and self._is_choice(hops[0].target):
            options = [*options, *self._options(hops[0])]
            left_over = [line for option, line in options if not option.text]
        else:
            left_over = hops
        if left_over:
            entry["target"] = self._hop_target(left_over[0])
        self._add_options(state, [(option, line) for option, line in options if option.text])

    def _options(self, hop: Line) -> list[tuple[Option, Line]]:
        found = [(self._option(line), line) for line in self._graph.out_of(hop.target)]
        return [(option, line) for option, line in found if option is not None]

    def _option(self, line: Line) -> Option | None:
        option = option_of(line.label)
        if option is None:
            self._refuse_label(line)
        return option

    def _add_options(self, state: dict[str, Any], options: list[tuple[Option, Line]]) -> None:
        events = state.setdefault("events", {}) if options else {}
        for option, line in options:
            if option.text in events:
                self._problem(
                    line.place, "option_twice", f"the option {option.text!r} stands twice", "label them apart"
                )
            events[option.text] = {"target": self._plain_target(line), **_commands(option.commands)}

    def _retry(self, retries: list[Line]) -> dict[str, Any]:
        if not retries:
            return {}
        line = retries[0]
        if len(retries) > 1:
            self._problem(retries[1].place, "retry_twice", f"how to repeat is said in line {line.place.line}, too")
        try:
            written = {key: _number(key, value) for key, value in (read_pairs(line.label) or {}).items()}
            read_retry(written)
        except ValueError as error:
            hint = "write `attempts=5, initial=30s, factor=2, maximum=1h, jitter=0.1`, each of them optional"
            reason = str(error).splitlines()
            message = (
                f"{line.label!r} is no retry policy: {' '.join(part.strip() for part in reason[1:3]) or reason[0]}"
            )
            self._problem(line.place, "unreadable_retry", message, hint)
            return {}
        return {"retry": written}

    # Events.

    def _add_event(self, state: dict[str, Any], name: str, ways: list[tuple[Said, Line]]) -> None:
        if ways[0][0].by_hand and _TIME_BY_HAND.search(name):
            message = f"the time in {name!r} cannot be read"
            self._problem(ways[0][1].place, "unreadable_timeout", message, "write `event after 14d`, or `after 1h30m`")
            return
        event = state.setdefault("events", {}).setdefault(name, {})
        if "target" in event:
            message = f"{name!r} is an event, and what the work of the state may decide"
            self._problem(ways[0][1].place, "event_twice", message, "label them apart")
        failing = [line for said, line in ways if said.fails]
        taken = [(said, line) for said, line in ways if not said.fails]
        if failing:
            event["error"] = self._plain_target(failing[0])
        if len(failing) > 1:
            self._problem(failing[1].place, "event_twice", f"{name!r} fails to two states")
        if taken and event.get("internal"):
            place = taken[0][1].place
            self._problem(place, "event_twice", f"{name!r} is in the box, where nothing is left, and on an arrow")
        elif taken:
            self._add_taken(event, name, taken)

    def _add_taken(self, event: dict[str, Any], name: str, taken: list[tuple[Said, Line]]) -> None:
        first, line = taken[0]
        by_guard = len(taken) > 1 and not any(said.way for said, _ in taken)
        for said, other in taken[1:]:
            agree = (said.timeout, said.commands) == (first.timeout, first.commands)
            if not agree or (not by_guard and said.guard != first.guard):
                message = f"the arrows of the event {name!r} say different guards, times or commands"
                self._problem(other.place, "ways_disagree", message, f"say the same as in line {line.place.line}")
        self._steps = 0
        ways = [way for said, other in taken for way in self._ways(said, other, by_guard, alone=len(taken) == 1)]
        if sum(way.guard is None for way in ways) > 1:
            message = f"the event {name!r} has two ways without a guard"
            self._problem(taken[-1][1].place, "event_twice", message, "write `event [guard]`, or `event if guard`")
        elif ways:
            event |= {**_head(first, guard=False), **conditions(ways, None if by_guard else first.guard)}

    def _ways(self, said: Said, line: Line, by_guard: bool, *, alone: bool) -> list[Way]:
        guard = said.guard if by_guard else said.way_guard
        return self._behind(line, guard, alone and guard is None, ())

    def _behind(self, line: Line, guard: Written, alone: bool, passed: tuple[str, ...]) -> list[Way]:
        """The target of the arrow; of one to a choice, all ways out of it."""
        if not self._is_choice(line.target):
            return [Way(guard, self._plain_target(line))]
        self._steps += 1
        if line.target in passed or self._steps > _MAX_STEPS:
            code = "choices_in_a_circle" if line.target in passed else "too_many_ways"
            message = f"the choices behind this arrow lead {'back to themselves' if line.target in passed else 'too many ways'}"
            self._problem(line.place, code, message, "let a state stand between them")
            return []
        found = [(self._option(each), each) for each in self._graph.out_of(line.target)]
        exits = sorted(((o, each) for o, each in found if o is not None), key=lambda pair: not pair[0].text)
        if not alone and not any(not option.text for option, _ in exits):
            hint = "draw a way without a label"
            self._problem(
                line.place, "choice_without_else", "a choice that is one way of several needs a way for the rest", hint
            )
        ways = []
        for option, each in exits:
            if option.commands:
                message = "on a way out of a choice nothing can run"
                self._problem(
                    each.place, "commands_on_branch", message, "let the event before it, or the state after it, do it"
                )
            ways += self._behind(each, both(guard, option.guard), False, (*passed, line.target))
        return ways

    # Where arrows lead.

    def _is_choice(self, id_: str) -> bool:
        return id_ != EDGE and self._graph.boxes[id_].kind is not None

    def _plain_target(self, line: Line) -> str:
        if line.target == EDGE:
            self._needs_end = True
            return END
        if self._is_choice(line.target):
            message = "this arrow cannot lead to a choice"
            self._problem(
                line.place, "choice_not_supported", message, "lead it to a state, and let an event of that lead on"
            )
        return self._called(line.target)

    def _hop_target(self, line: Line) -> str:
        if line.source == line.target:
            message = "a state that goes on to itself never comes to an end"
            self._problem(
                line.place, "loop_without_event", message, "label the arrow with an event, or with `attempts=5`"
            )
        return self._plain_target(line)

    def _called(self, id_: str) -> str:
        return END if id_ == EDGE else self._names.get(id_, as_written(id_))

    def _add_end(self) -> None:
        if END in self.states:
            message = f"arrows lead to `[*]` beside others, so a state {END!r} is made; there is one already"
            box = next(box for box in self._graph.boxes.values() if self._names.get(box.id) == END)
            self._problem(box.place, "end_is_taken", message, "lead those arrows to it")
        self.states[END] = {}

    # Checks of the whole.

    def _initial(self) -> str:
        starts = self._graph.out_of(EDGE)
        if not starts:
            return self._inferred()
        first = starts[0]
        if first.target == EDGE:
            self._problem(first.place, "nothing_between", "`[*] --> [*]` has no state between", "name the first state")
            return "?"
        if self._is_choice(first.target):
            message = "a workflow cannot begin with a choice"
            self._problem(first.place, "start_not_supported", message, "let it begin with a state that decides")
        for other in starts[1:]:
            what = "named entries" if other.label and first.label else "several starts"
            message = f"{what}: a workflow begins in one state, here with {self._called(first.target)!r}"
            self._problem(other.place, "several_starts", message, "keep one arrow from `[*]`")
        return self._called(first.target)

    def _inferred(self) -> str:
        entered = {line.target for line in self._graph.all_lines() if line.target != line.source}
        candidates = [box for box in self._graph.boxes.values() if box.id not in entered and box.kind is None]
        if len(candidates) == 1:
            return self._names[candidates[0].id]
        place = next(iter(self._graph.boxes.values())).place if self._graph.boxes else Place(1, 1)
        several = ", ".join(repr(self._names[box.id]) for box in candidates[:5])
        message = (
            f"nothing says where it starts; {several} have no way in" if candidates else "nothing says where it starts"
        )
        self._problem(place, "no_start", message, "write `[*] --> first`")
        return "?"

    def _check_marks(self) -> None:
        for box in self._graph.boxes.values():
            marks = [
                each
                for each in box.classes
                if each in ("now", "been") and self._graph.styles.get(each) == CLASSES[each]
            ]
            if marks:
                message = "this is the picture of one instance, with what it has passed"
                self._problem(box.place, "marked_diagram", message, "read the diagram of the definition")
                return

    def _is_undeclared(self, box: Box) -> bool:
        """Whether it was printed as a state that is only named."""
        return "undeclared" in box.classes and self._graph.styles.get("undeclared") == CLASSES["undeclared"]

    def _check_choices(self) -> None:
        entered = {line.target for line in self._graph.all_lines()}
        for box in self._graph.boxes.values():
            if box.kind is None:
                continue
            out = self._graph.out_of(box.id)
            name = as_written(box.id)
            if not out or box.id not in entered:
                message = f"the choice {name!r} has no way {'out' if not out else 'in'}"
                self._problem(box.place, "dead_choice", message, "draw one, or take it away")
            counts = Counter(option.text for line in out if (option := option_of(line.label)) is not None)
            twice = next((text for text, count in counts.items() if count > 1), None)
            if twice is not None:
                message = f"the choice {name!r} has two ways out {f'for {twice!r}' if twice else 'without a label'}"
                self._problem(out[1].place, "option_twice", message, "label them apart")

    def _check_reached(self, box: Box) -> None:
        name = self._names[box.id]
        if box.id not in self._touched and box.title is None and not box.texts:
            message = f"no arrow leads to or from {name!r}"
            self._problem(box.place, "unreferenced_state", message, "draw one, or take it away")

    def _check_end(self, box: Box, state: dict[str, Any]) -> None:
        if not state.get("events"):
            message = f"nothing leads out of {self._names[box.id]!r}, so the workflow ends there"
            self._problem(box.place, "no_way_out", message, "write `… --> [*]` to say so", warning=True)

    def _problem(
        self, place: Place, code: str, message: str, hint: str | None = None, *, warning: bool = False
    ) -> None:
        self._graph.problem(place, code, message, hint, warning=warning)


def _entry(state: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = state.setdefault("on_enter", {})
    return entry


def _head(said: Said, *, guard: bool = True) -> dict[str, Any]:
    timeout = {} if said.timeout is None else {"timeout": said.timeout}
    asked = {"guard": said.guard} if guard and said.guard is not None else {}
    return {**timeout, **asked, **_commands(said.commands)}


def _commands(commands: tuple[str, ...]) -> dict[str, Any]:
    return {"commands": list(commands)} if commands else {}


def _number(key: str, value: str) -> object:
    if key == _INTEGER:
        return int(value)
    return float(value) if key in _NUMBERS else value
