"""Forks and joins: which branches begin where, and what follows when all have ended.

A fork is a state that begins branches and waits for them; the join in which they meet is a final state to them, and what is drawn
behind it follows the fork. An arrow out of a composite that holds a fork leads out of that, and out of no state of its branches.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from detent.notation.mermaid_reader.graph import Box, Graph, Line
from detent.notation.mermaid_reader.texts import as_written
from detent.notation.mermaid_reader.tree import EDGE


def tie_forks(graph: Graph) -> None:
    """Notes the branches of every fork, and leads each fork on to what follows its join; what is wrong is among its problems."""
    if any(box.kind in ("fork", "join") for box in graph.boxes.values()):
        _Forks(graph).tie()


@dataclass(slots=True)
class _Branch:
    """What can be reached from the start of a branch, up to a join."""

    start: str
    states: set[str] = field(default_factory=set)
    joins: list[str] = field(default_factory=list)


_Way: TypeAlias = tuple[str, str, str | None]


def _way(line: Line) -> _Way:
    """What is the same of an arrow out of a composite, at each state inside."""
    return line.label, line.target, line.across


class _Forks:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._drawn: dict[str, list[Line]] = {}
        """The arrows out of each fork."""
        self._around: dict[str, list[Line]] = {}
        """The arrows by which each fork is left with the composites that it stands in."""
        self._behind: dict[str, Line | None] = {}
        """What follows each join."""
        self._branches: dict[str, list[_Branch]] = {}
        self._into: dict[str, list[Line]] = {}
        """The arrows into each box that are none of a fork's branches."""

    def tie(self) -> None:
        for box in [box for box in self._graph.boxes.values() if box.kind in ("fork", "join")]:
            self._take(box)
        for fork, lines in self._drawn.items():
            self._graph.forks[fork] = tuple(line.target for line in lines)
        for fork in self._drawn:
            self._look_into(fork)
        around = {fork: frozenset(map(_way, self._around.get(fork, ()))) for fork in self._drawn}
        for fork in self._drawn:
            self._leave_alone(fork, around[fork])
        for line in self._graph.all_lines():
            self._into.setdefault(line.target, []).append(line)
        for fork in self._drawn:
            self._check(fork)
        self._lead_on()
        self._check_joins()

    def _take(self, box: Box) -> None:
        """Takes the arrows out of a fork or a join away from it: those of a fork are its branches."""
        graph, name, ways = self._graph, as_written(box.id), self._graph.out_of(box.id)
        self._around[box.id] = [line for line in ways if line.across is not None]
        ways = [line for line in ways if line.across is None]
        for line in ways:
            if line.label:
                message = f"the label {line.label!r} behind the {box.kind} says nothing"
                graph.problem(line.place, "label_ignored", message, "leave it out", warning=True)
        both, kind = box.also is not None, box.kind
        box.kind = None
        if both and len(ways) > 1:
            message = f"{name!r} is declared a fork and a join, and is read as a join and a fork behind it"
            graph.problem(box.place, "fork_and_join", message, "draw a fork behind the join", warning=True)
            fork = Box(f"{box.id} fork", box.place, scope=box.scope, declared=True)
            graph.boxes[fork.id] = fork
            self._add_fork(fork, [replace(line, source=fork.id) for line in ways])
            self._add_join(box, [Line(box.id, fork.id, "", box.place, box.scope)])
        elif kind == "fork" and not both:
            self._add_fork(box, ways)
        else:
            self._add_join(box, ways)

    def _add_fork(self, box: Box, ways: list[Line]) -> None:
        if not ways:
            self._graph.problem(box.place, "dead_fork", f"no branch begins at {as_written(box.id)!r}", "draw two")
        self._drawn[box.id] = ways
        self._graph.ways[box.id] = []

    def _add_join(self, box: Box, ways: list[Line]) -> None:
        if len(ways) > 1:
            message = f"several ways lead out of the join {as_written(box.id)!r}"
            self._graph.problem(ways[1].place, "join_of_several", message, "draw a <<fork>> or a state behind it")
        self._behind[box.id] = ways[0] if ways else None
        self._graph.joins.add(box.id)
        self._graph.ways[box.id] = []

    # What is reached.

    def _look_into(self, fork: str) -> list[_Branch]:
        """The branches of a fork, and what each can reach."""
        if fork not in self._branches:
            self._branches[fork] = []
            around = frozenset(map(_way, self._around.get(fork, ())))
            self._branches[fork] = [self._walk(line.target, around) for line in self._drawn[fork]]
        return self._branches[fork]

    def _walk(self, start: str, around: frozenset[_Way]) -> _Branch:
        branch, waiting = _Branch(start), [start]
        while waiting:
            id_ = waiting.pop()
            if id_ in self._behind:
                branch.joins += [id_] if id_ not in branch.joins else []
            elif id_ != EDGE and id_ not in branch.states:
                branch.states.add(id_)
                waiting += self._ahead(id_, around)
        return branch

    def _ahead(self, id_: str, around: frozenset[_Way]) -> Iterator[str]:
        ways = self._around[id_] if id_ in self._drawn else self._graph.out_of(id_)
        yield from (line.target for line in ways if _way(line) not in around)
        follows = self._follows(id_) if id_ in self._drawn else None
        yield from [] if follows is None else [follows.target]

    def _leave_alone(self, fork: str, around: frozenset[_Way]) -> None:
        """Takes the arrows by which a fork is left away from what stands in its branches."""
        for state in (state for branch in self._branches[fork] for state in branch.states if around):
            for ways in (self._graph.ways, self._around):
                if state in ways:
                    ways[state] = [line for line in ways[state] if _way(line) not in around]

    def _follows(self, fork: str) -> Line | None:
        """The arrow behind the join of a fork; `None` where its branches all lead to the end."""
        joins = [join for branch in self._look_into(fork) for join in branch.joins]
        return self._behind[joins[0]] if joins else None

    def _lead_on(self) -> None:
        for fork in self._drawn:
            follows = self._follows(fork)
            target, place = (
                (EDGE, self._graph.boxes[fork].place) if follows is None else (follows.target, follows.place)
            )
            self._graph.ways[fork] = [Line(fork, target, "", place), *self._around.get(fork, ())]

    # Checks.

    def _check(self, fork: str) -> None:
        """Whether every branch leads to one join or to the end, apart from the others, and nothing leads into it."""
        graph, name, lines = self._graph, as_written(fork), self._drawn[fork]
        branches = self._branches[fork]
        joins = dict.fromkeys(join for branch in branches for join in branch.joins)
        if len(joins) > 1:
            message = f"the branches of {name!r} lead to several joins: {', '.join(map(repr, map(as_written, joins)))}"
            graph.problem(lines[0].place, "branches_part", message, "let all of them lead to one")
        for branch, line in zip(branches, lines, strict=True):
            self._check_branch(fork, branch, line)
        if not self._check_meeting(fork):
            self._check_entries(fork)

    def _check_branch(self, fork: str, branch: _Branch, line: Line) -> None:
        name = as_written(fork)
        if branch.start == EDGE or branch.start in self._behind or self._is_choice(branch.start):
            what = "the end" if branch.start == EDGE else repr(as_written(branch.start))
            message = f"a branch of {name!r} begins with {what}"
            self._graph.problem(line.place, "empty_branch", message, "let it begin with a state")
        if fork in branch.states:
            message = f"a branch of {name!r} leads back to it"
            self._graph.problem(line.place, "fork_in_circle", message, "lead back behind the join")

    def _check_meeting(self, fork: str) -> bool:
        """Whether branches meet before a join, which is told."""
        seen: dict[str, str] = {}
        meet = False
        for branch, line in zip(self._branches[fork], self._drawn[fork], strict=True):
            met = min(branch.states & seen.keys(), default=None)
            if met is not None:
                meet = True
                two = f"from {as_written(seen[met])!r} and {as_written(branch.start)!r}"
                message = f"two branches of {as_written(fork)!r}, {two}, meet in {as_written(met)!r}"
                self._graph.problem(line.place, "branches_meet", message, "let them meet in a <<join>>")
            seen |= dict.fromkeys(branch.states, branch.start)
        return meet

    def _check_entries(self, fork: str) -> None:
        for branch in self._branches[fork]:
            into = [line for state in branch.states for line in self._into.get(state, ())]
            for line in sorted(
                (line for line in into if line.source not in branch.states), key=lambda each: each.place
            ):
                where = f"{as_written(line.target)!r} is part of a branch of {as_written(fork)!r}"
                message = f"{where}, and this leads into it from outside"
                self._graph.problem(line.place, "into_branch", message, "lead it to the fork")

    def _check_joins(self) -> None:
        feeding: dict[str, set[str]] = {}
        for branch in (branch for branches in self._branches.values() for branch in branches):
            for join in branch.joins:
                feeding.setdefault(join, set()).update(branch.states)
        for join in self._behind:
            box = self._graph.boxes[join]
            if join not in feeding:
                message = f"no branches meet in the join {as_written(join)!r}"
                self._graph.problem(box.place, "join_without_fork", message, "draw the <<fork>> that they begin at")
                continue
            for line in self._into.get(join, ()):
                if line.source not in feeding[join]:
                    message = f"{as_written(line.source)!r} is no part of a branch, and leads to the join {as_written(join)!r}"
                    self._graph.problem(line.place, "into_join", message, "lead it to what follows the join")

    def _is_choice(self, id_: str) -> bool:
        return id_ in self._graph.boxes and self._graph.boxes[id_].kind == "choice"
