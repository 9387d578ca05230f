"""Composite states taken apart: a definition has plain states alone.

* An arrow to a composite leads to where it starts. Its end leads to where its unlabelled arrow does; where it has labelled ones
  only, to a state of its own name, in which it is waited for them.
* A labelled arrow out of a composite is one out of every state in it, unless that says something else about the same event.
* A composite of several regions stays a state: in each region a branch begins, and all are waited for.
"""

from collections.abc import Iterator
from dataclasses import replace

from detent.notation.mermaid_reader.graph import Box, Graph, Line, Scope, holders, regions_around, within
from detent.notation.mermaid_reader.label import read_said
from detent.notation.mermaid_reader.policy import read_pairs
from detent.notation.mermaid_reader.source import Place
from detent.notation.mermaid_reader.texts import as_written
from detent.notation.mermaid_reader.tree import EDGE
from detent.notation.mermaid_reader.ways import is_final


def take_apart(graph: Graph) -> None:
    """Replaces the composites of the graph, and the arrows at them, by what they mean; what is wrong is among its problems."""
    if any(box.regions for box in graph.boxes.values()):
        _Composites(graph).take_apart()


class _Composites:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._starts: dict[Scope, list[Line]] = {}
        for line in graph.out_of(EDGE):
            self._starts.setdefault(line.scope, []).append(line)
        self._exits: dict[str, str] = {}
        self._found: dict[Scope, str] = {}
        self._kept: set[str] = set()
        self._inside: dict[Scope, list[Box]] = {}
        for box in graph.boxes.values():
            self._inside.setdefault(box.scope, []).append(box)
        self._entered_boxes = {line.target for line in graph.all_lines() if line.source not in (line.target, EDGE)}

    def take_apart(self) -> None:
        graph = self._graph
        self._check_kinds()
        for line in graph.all_lines():
            self._check_borders(line)
        plain = [box for box in graph.boxes.values() if not self._is_sequential(box.id)]
        lines = [new for line in graph.all_lines() for new in self._rewritten(line)]
        for box in plain:
            if self._is_concurrent(box.id):
                graph.forks[box.id] = tuple(self._start((box.id, number)) for number in range(box.regions))
        lines += [new for box in plain if box.kind in (None, "fork") for new in self._inherited(box)]
        lines += self._waited_in()
        self._hand_on()
        stays = {box.id for box in plain} | self._kept
        graph.boxes = {id_: box for id_, box in graph.boxes.items() if id_ in stays}
        graph.ways = {}
        for line in dict.fromkeys(lines):
            graph.ways.setdefault(line.source, []).append(line)

    def _rewritten(self, line: Line) -> Iterator[Line]:
        """What an arrow is, when its ends are plain states; one out of a composite is no arrow of its own."""
        if self._is_sequential(line.source):
            self._check_way_out(line)
        elif line.source != EDGE:
            target = self._target(line)
            if target != EDGE and is_final(line):
                message = (
                    f"{line.label!r} is an event here: {as_written(line.scope[0] if line.scope else '')!r} goes on"
                )
                hint = "lead what ends the workflow out of it, or say what the event is called"
                self._graph.problem(line.place, "outcome_inside", message, hint, warning=True)
            yield replace(line, target=target)
        elif line.scope is None:
            yield replace(line, target=self._entered(line.target))

    def _waited_in(self) -> Iterator[Line]:
        """The arrows out of the composites whose end is waited in, which may lead to the end of others."""
        done: set[str] = set()
        while waiting := self._kept - done:
            done |= waiting
            for box in [box for box in self._graph.boxes.values() if box.id in waiting]:
                own = [line for line in self._graph.out_of(box.id) if line.label]
                yield from (replace(line, target=self._target(line), across=box.id) for line in own)
                yield from self._inherited(box)

    def _inherited(self, box: Box) -> Iterator[Line]:
        """The arrows that a state has because it stands in composites: the inner ones say more than the outer ones."""
        own = self._graph.out_of(box.id)
        known = {said.event for line in own if (said := read_said(line.label)) is not None}
        works = any(not line.label for line in own)
        for holder in holders(self._graph, box.scope):
            if self._is_concurrent(holder):
                return
            fresh = [line for line in self._graph.out_of(holder) if line.label and self._concerns(line, known, works)]
            known |= {said.event for line in fresh if (said := read_said(line.label)) is not None}
            yield from (replace(line, source=box.id, target=self._target(line), across=holder) for line in fresh)

    def _concerns(self, line: Line, known: set[str | None], works: bool) -> bool:
        said = read_said(line.label)
        if said is None or said.event in known:
            return False
        return said.event is not None or (said.fails and works)

    # Where arrows lead.

    def _target(self, line: Line) -> str:
        return self._end_of(line.scope) if line.target == EDGE else self._entered(line.target)

    def _entered(self, id_: str) -> str:
        """The state that an arrow to a box leads to."""
        return self._start((id_, 0)) if self._is_sequential(id_) else id_

    def _end_of(self, scope: Scope) -> str:
        """What follows the end of a region; a branch ends there."""
        return EDGE if scope is None or self._is_concurrent(scope[0]) else self._exit(scope[0])

    def _exit(self, id_: str) -> str:
        """What follows the end of a composite."""
        if id_ not in self._exits:
            self._exits[id_] = EDGE
            self._exits[id_] = self._found_exit(self._graph.boxes[id_])
        return self._exits[id_]

    def _found_exit(self, box: Box) -> str:
        ways = self._graph.out_of(box.id)
        hops = [line for line in ways if not line.label]
        if len(hops) > 1:
            message = f"state {as_written(box.id)!r} has several unlabelled ways out"
            self._problem(
                hops[1].place, "several_unlabelled_ways", message, "label them, or use <<choice>> or <<fork>>"
            )
        if hops:
            return self._target(hops[0])
        if ways:
            self._kept.add(box.id)
            return box.id
        name = as_written(box.id)
        if box.scope is None or self._is_concurrent(box.scope[0]):
            message = f"nothing leads out of {name!r}, so the workflow ends when it does"
            self._graph.problem(box.place, "no_way_out", message, "write `… --> [*]` to say so", warning=True)
        else:
            message = f"nothing leads out of {name!r}, so what it stands in never comes to an end"
            self._problem(box.place, "no_way_out_of_composite", message, "draw an arrow out of it")
        return EDGE

    def _start(self, scope: tuple[str, int]) -> str:
        """The state in which a region starts."""
        if scope not in self._found:
            self._found[scope] = self._graph.boxes[scope[0]].id
            self._found[scope] = self._found_start(scope)
        return self._found[scope]

    def _found_start(self, scope: tuple[str, int]) -> str:
        holder, starts = self._graph.boxes[scope[0]], self._starts.get(scope, [])
        name = as_written(holder.id)
        if len(starts) > 1:
            self._problem(
                starts[1].place, "several_starts", f"state {name!r} starts in one state", "keep one arrow from `[*]`"
            )
        if not starts:
            return self._inferred(holder, scope)
        first = starts[0]
        if first.target == EDGE:
            self._problem(first.place, "nothing_between", "`[*] --> [*]` has no state between", "name the first state")
        elif not within(self._graph, self._graph.boxes[first.target].scope, scope):
            message = f"the start of {name!r} leads out of it, to {as_written(first.target)!r}"
            self._problem(first.place, "start_leads_out", message, "lead it to a state inside")
        else:
            return self._entered(first.target)
        return holder.id

    def _inferred(self, holder: Box, scope: Scope) -> str:
        inside = [box for box in self._inside.get(scope, ()) if box.kind is None]
        candidates = [box for box in inside if box.id not in self._entered_boxes]
        if len(candidates) == 1:
            return self._entered(candidates[0].id)
        message = f"state {as_written(holder.id)!r} is entered, and nothing says where it starts"
        self._problem(holder.place, "no_start", message, "write `[*] --> first` inside")
        return holder.id

    # What a composite says of itself.

    def _hand_on(self) -> None:
        """Gives the classes of composites to the states in them, and tells of texts that have no place."""
        boxes = self._graph.boxes
        own = {id_: list(box.classes) for id_, box in boxes.items() if self._is_sequential(id_)}
        for box in boxes.values():
            box.classes += [each for holder in holders(self._graph, box.scope) for each in own.get(holder, ())]
        for box in (boxes[id_] for id_ in own if id_ not in self._kept):
            if box.title is not None or box.texts or box.notes:
                message = f"state {as_written(box.id)!r} is none of its own, so what is said of it is not kept"
                self._graph.problem(box.place, "composite_text", message, "say it of the states inside", warning=True)

    # Checks.

    def _check_kinds(self) -> None:
        for box in self._graph.boxes.values():
            if box.regions and box.kind is not None:
                message = f"{as_written(box.id)!r} is a {box.kind}, and holds others"
                self._problem(box.place, "composite_kind", message, "give one of them another id")

    def _check_way_out(self, line: Line) -> None:
        said, name = read_said(line.label), as_written(line.source)
        if not line.label:
            return
        if line.source == line.target and read_pairs(line.label):
            message = f"state {name!r} holds others, and does no work of its own to repeat"
            self._problem(line.place, "retry_without_work", message, "say it of the states inside")
        elif said is None or (said.event is None and not said.fails):
            message = f"{line.label!r} says no event by which the states in {name!r} are left"
            self._problem(line.place, "unreadable_label", message, "write `event [guard] / command, command`")

    def _check_borders(self, line: Line) -> None:
        """Whether an arrow goes in and out by the ways that a composite has."""
        if EDGE in (line.source, line.target):
            return
        source, target = self._graph.boxes[line.source], self._graph.boxes[line.target]
        inside = (source.id, 0) if self._is_sequential(source.id) else source.scope
        left = [
            region for region in regions_around(self._graph, inside) if not within(self._graph, target.scope, region)
        ]
        entered = [
            region for region in regions_around(self._graph, target.scope) if not within(self._graph, inside, region)
        ]
        what = f"{as_written(source.id)!r} --> {as_written(target.id)!r}"
        side_by_side = next((region[0] for region in left + entered if region and self._is_concurrent(region[0])), None)
        if side_by_side is not None:
            message = f"{what} crosses the border of {as_written(side_by_side)!r}, whose regions run side by side"
            self._problem(line.place, "crosses_region", message, "lead arrows to and from the whole of it")
        elif entered and entered[0] is not None:
            message = f"{what} leads into {as_written(entered[0][0])!r} and not to its start"
            self._problem(line.place, "enters_inside", message, "lead it to the whole of it")

    def _is_sequential(self, id_: str) -> bool:
        box = self._graph.boxes.get(id_)
        return box is not None and box.regions == 1

    def _is_concurrent(self, id_: str) -> bool:
        box = self._graph.boxes.get(id_)
        return box is not None and box.regions > 1

    def _problem(self, place: Place, code: str, message: str, hint: str) -> None:
        self._graph.problem(place, code, message, hint)
