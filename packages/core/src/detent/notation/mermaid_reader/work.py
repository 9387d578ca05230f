"""The work of a state: a durable command, what it may decide for, and where the state goes on by itself."""

from collections.abc import Mapping
from typing import Any

from detent.notation.mermaid_reader.boxes import entry_of
from detent.notation.mermaid_reader.branching import Option
from detent.notation.mermaid_reader.events import Events, commands
from detent.notation.mermaid_reader.graph import Box, Graph, Line
from detent.notation.mermaid_reader.policy import read_pairs, read_policy
from detent.notation.mermaid_reader.targets import Targets, refuse_label
from detent.notation.mermaid_reader.tree import EDGE
from detent.notation.mermaid_reader.ways import Ways


class Work:
    """Writes what happens by itself in a state; what is wrong goes to the graph's problems."""

    def __init__(
        self, graph: Graph, targets: Targets, events: Events, names: dict[str, str], steps: Mapping[str, Any]
    ) -> None:
        self._graph = graph
        self._targets = targets
        self._events = events
        self._names = names
        self._steps = steps
        self.hops: dict[str, list[str]] = {}
        """Where states that do something go on by themselves, or may decide to go, by their names."""

    def add(self, box: Box, state: dict[str, Any], ways: Ways) -> None:
        """Write what the state does on entry, and where it goes on by itself."""
        self._add_entries(state, ways)
        if box.id in self._graph.forks:
            self._add_fork(box, state, ways)
            return
        if ways.hops or ways.options:
            self._add_work(box, state, ways)
        self._add_policy(box, state, ways)

    def _add_entries(self, state: dict[str, Any], ways: Ways) -> None:
        for said, line in ways.entries:
            entry = entry_of(state)
            if said.branch:
                entry.setdefault("fork", []).append(self._targets.plain(line))
                continue
            key = "error" if said.fails else "target"
            if key in entry:
                message = f"{line.label!r} stands on two arrows"
                self._graph.problem(line.place, "several_hops", message, "keep one of them")
            entry[key] = self._targets.plain(line)

    def _add_work(self, box: Box, state: dict[str, Any], ways: Ways) -> None:
        """The work of the state, what it may decide for, and where it goes on when it is done."""
        entry, name = entry_of(state), self._names[box.id]
        if not self._goes_on_once(name, entry, ways):
            return
        if not entry.get("commands"):
            entry["commands"] = [{"name": name, "durable": True}]
        options, left_over = ways.options, ways.hops
        if ways.hops and self._targets.is_choice(ways.hops[0].target):
            options = [*options, *self._options(ways.hops[0])]
            left_over = [line for option, line in options if not option.text]
        for option, line in options:
            if option.commands and not option.text:
                message = f"nothing can run on the way {line.label!r}, which the work of {name!r} leaves over"
                self._graph.problem(line.place, "commands_on_branch", message, "let the state after it do it")
        if left_over:
            entry["target"] = self._hop(left_over[0])
        ahead = [line.target for _, line in options] + [line.target for line in left_over]
        self.hops[name] = [self._targets.called(id_) for id_ in ahead]
        self._add_options(state, [(option, line) for option, line in options if option.text])

    def _goes_on_once(self, name: str, entry: dict[str, Any], ways: Ways) -> bool:
        if len(ways.hops) > 1:
            targets = ", ".join(repr(self._targets.called(line.target)) for line in ways.hops)
            message = f"state {name!r} has several unlabelled ways out, to {targets}"
            hint = "label them, or use <<choice>> or <<fork>>"
            self._graph.problem(ways.hops[1].place, "several_unlabelled_ways", message, hint)
            return False
        again = [*ways.hops, *(line for _, line in ways.options)]
        if "target" in entry and again:
            self._graph.problem(again[0].place, "several_hops", "the state goes on twice")
            return False
        return True

    def _add_fork(self, box: Box, state: dict[str, Any], ways: Ways) -> None:
        """The branches of a state, and where it goes on when all have ended."""
        entry, name = entry_of(state), self._names[box.id]
        entry["fork"] = [*entry.get("fork", ()), *(self._targets.called(one) for one in self._graph.forks[box.id])]
        for line in [*ways.policies, *(line for _, line in ways.options)]:
            refuse_label(self._graph, line)
        out = self._graph.out_of(box.id)
        if self._goes_on_once(name, entry, ways) and (ways.hops or not out):
            entry["target"] = self._targets.plain(ways.hops[0] if ways.hops else Line(box.id, EDGE, "", box.place))
        self.hops[name] = [*entry["fork"], *([entry["target"]] if "target" in entry else [])]

    def _add_policy(self, box: Box, state: dict[str, Any], ways: Ways) -> None:
        """Write how the work of a state is taken, repeated and timed into its command, the only durable one that it has."""
        policy = self._policy(box, ways.policies)
        works = [each for each in state.get("on_enter", {}).get("commands", ()) if isinstance(each, dict)]
        if len(works) == 1:
            works[0] |= policy
        elif ways.policies and len(ways.hops) < 2:
            message = (
                f"state {self._names[box.id]!r} has {'more than one piece' if works else 'no piece'} of work to repeat"
            )
            hint = "draw an unlabelled way out of it, or write `do / command` in its box"
            self._graph.problem(ways.policies[0].place, "retry_without_work", message, hint)

    def _options(self, hop: Line) -> list[tuple[Option, Line]]:
        found = [(self._events.option(line), line) for line in self._graph.out_of(hop.target)]
        return [(option, line) for option, line in found if option is not None]

    def _add_options(self, state: dict[str, Any], options: list[tuple[Option, Line]]) -> None:
        events = state.setdefault("events", {}) if options else {}
        for option, line in options:
            if option.text in events and not self._targets.is_choice(line.source):
                self._graph.problem(
                    line.place, "option_twice", f"the option {option.text!r} stands twice", "label them apart"
                )
            events[option.text] = {"target": self._targets.plain(line), **commands(option.commands)}

    def _policy(self, box: Box, lines: list[Line]) -> dict[str, Any]:
        """How the work of a state is taken, repeated and timed: what its arrows to itself say, over the front matter."""
        said: dict[str, Any] = {}
        for line in lines:
            for key, value in read_pairs(line.label) or []:
                if key in said:
                    self._graph.problem(line.place, "retry_twice", f"{key!r} is said twice of {self._names[box.id]!r}")
                said[key] = value
        place = lines[0].place if lines else box.place
        try:
            return read_policy({**self._written_policy(box), **said})
        except ValueError as error:
            what = repr(" ".join(line.label for line in lines)) if lines else "`steps` in the front matter"
            hint = "write `attempts=5, initial=30s, factor=2, maximum=1h, jitter=0.1, timeout=2m, queue=mails`, each optional"
            self._graph.problem(
                place, "unreadable_retry", f"{what} is no policy of step {self._names[box.id]!r}: {error}", hint
            )
            return {}

    def _written_policy(self, box: Box) -> dict[str, Any]:
        written = self._steps.get(self._names[box.id])
        if written is not None and not isinstance(written, dict):
            raise ValueError("it is no object")
        return written or {}

    def _hop(self, line: Line) -> str:
        if line.source == line.target:
            message = "a state that goes on to itself never comes to an end"
            hint = "label the arrow with an event, or with `attempts=5`"
            self._graph.problem(line.place, "loop_without_event", message, hint)
        return self._targets.plain(line)
