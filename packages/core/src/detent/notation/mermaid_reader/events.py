"""The events of a state: each from all its arrows, and from the choices behind them."""

import re
from typing import Any

from detent.definition.timeout import Timeout
from detent.notation.mermaid_reader.branching import Option, Way, both, conditions, option_of
from detent.notation.mermaid_reader.graph import Graph, Line
from detent.notation.mermaid_reader.label import Said, Written
from detent.notation.mermaid_reader.targets import Targets, refuse_label
from detent.notation.mermaid_reader.texts import of_id

_MAX_PASSED = 100
"""How many choices one event may pass, counted along every way."""
_TIME_BY_HAND = re.compile(r"(?<!\S)after\s+\d", re.IGNORECASE)
_UNNAMED_TIME = re.compile(r"after\s+\S+")


class Events:
    """Writes events; what is wrong goes to the graph's problems."""

    def __init__(self, graph: Graph, targets: Targets) -> None:
        self._graph = graph
        self._targets = targets
        self._passed = 0

    def add(self, state: dict[str, Any], name: str, ways: list[tuple[Said, Line]]) -> None:
        """Write the event of these arrows into its state."""
        if ways[0][0].by_hand and _TIME_BY_HAND.search(name):
            self._graph.problem(ways[0][1].place, *_no_timeout(name))
            return
        event = state.setdefault("events", {}).setdefault(name, {})
        if "target" in event:
            message = f"{name!r} is an event, and what the work of the state may decide"
            self._graph.problem(ways[0][1].place, "event_twice", message, "label them apart")
        failing = [line for said, line in ways if said.fails]
        taken = [(said, line) for said, line in ways if not said.fails]
        if failing:
            event["error"] = self._targets.plain(failing[0])
        if len(failing) > 1:
            self._graph.problem(failing[1].place, "event_twice", f"{name!r} fails to two states")
        if taken and event.get("internal"):
            place = taken[0][1].place
            self._graph.problem(place, "event_twice", f"{name!r} is in the box, where nothing is left, and on an arrow")
        elif taken:
            self._add_taken(event, name, taken)

    def _add_taken(self, event: dict[str, Any], name: str, taken: list[tuple[Said, Line]]) -> None:
        first, line = taken[0]
        by_guard = len(taken) > 1 and not any(said.way for said, _ in taken)
        for said, other in taken[1:]:
            agree = (said.timeout, said.commands) == (first.timeout, first.commands)
            if not agree or (not by_guard and said.guard != first.guard):
                message = f"the arrows of the event {name!r} say different guards, times or commands"
                self._graph.problem(other.place, "ways_disagree", message, f"say the same as in line {line.place.line}")
        self._passed = 0
        ways = [way for said, other in taken for way in self._ways(said, other, by_guard, alone=len(taken) == 1)]
        if sum(way.guard is None for way in ways) > 1:
            message = f"the event {name!r} has two ways without a guard"
            self._graph.problem(
                taken[-1][1].place, "event_twice", message, "write `event [guard]`, or `event if guard`"
            )
        elif ways:
            event |= {
                **head(first, guard=False, across=line.across),
                **conditions(ways, None if by_guard else first.guard),
            }

    def _ways(self, said: Said, line: Line, by_guard: bool, *, alone: bool) -> list[Way]:
        guard = said.guard if by_guard else said.way_guard
        return self._behind(line, guard, alone and guard is None, ())

    def _behind(self, line: Line, guard: Written, alone: bool, passed: tuple[str, ...]) -> list[Way]:
        """The target of the arrow; of one to a choice, all ways out of it."""
        if not self._targets.is_choice(line.target):
            return [Way(guard, self._targets.plain(line))]
        self._passed += 1
        if line.target in passed or self._passed > _MAX_PASSED:
            code = "choices_in_a_circle" if line.target in passed else "too_many_ways"
            message = f"the choices behind this arrow lead {'back to themselves' if line.target in passed else 'too many ways'}"
            self._graph.problem(line.place, code, message, "let a state stand between them")
            return []
        found = [(self.option(each), each) for each in self._graph.out_of(line.target)]
        exits = sorted(((o, each) for o, each in found if o is not None), key=lambda pair: not pair[0].text)
        if not alone and not any(not option.text for option, _ in exits):
            hint = "draw a way without a label"
            self._graph.problem(
                line.place, "choice_without_else", "a choice that is one way of several needs a way for the rest", hint
            )
        ways = []
        for option, each in exits:
            if option.commands:
                message = "on a way out of a choice nothing can run"
                self._graph.problem(
                    each.place, "commands_on_branch", message, "let the event before it, or the state after it, do it"
                )
            ways += self._behind(each, both(guard, option.guard), False, (*passed, line.target))
        return ways

    def option(self, line: Line) -> Option | None:
        """What a way out of a choice says; `None` where that cannot be read."""
        option = option_of(line.label)
        if option is None:
            refuse_label(self._graph, line)
        return option


def head(said: Said, *, guard: bool = True, across: str | None = None) -> dict[str, Any]:
    """What an event says before its targets; a time on it is shared by the states `across`."""
    timeout = {} if said.timeout is None else {"timeout": _timeout(said.timeout, across)}
    asked = {"guard": said.guard} if guard and said.guard is not None else {}
    return {**timeout, **asked, **commands(said.commands)}


def _timeout(said: Written, across: str | None) -> Written:
    if across is None:
        return said
    after = Timeout.read(said).after
    time = said if after is None else {"after_seconds": after.total_seconds()}
    return {**time, "across": of_id(across)}


def commands(names: tuple[str, ...]) -> dict[str, Any]:
    """What an event says of its commands; nothing where it has none."""
    return {"commands": list(names)} if names else {}


def _no_timeout(label: str) -> tuple[str, str, str]:
    """The problem of a label with a time that is none of an event: its code, what is wrong, and what to write."""
    if _UNNAMED_TIME.fullmatch(label):
        message = f"a timeout is an event, and {label!r} names none"
        return "unreadable_timeout", message, f"write a name before it: `expire {label}`"
    hint = "write `event after 14d`, or `after 1h30m`: weeks, days, hours, minutes and seconds are w, d, h, m, s"
    return "unreadable_timeout", f"the time in {label!r} cannot be read", hint
