"""The states and arrows of a diagram, joined from all its statements: what is drawn, not yet what it means."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from detent.notation.mermaid_reader.source import Place
from detent.notation.mermaid_reader.texts import as_written, lines, one_line
from detent.notation.mermaid_reader.tree import (
    EDGE,
    Accessible,
    Arrow,
    Composite,
    Divider,
    Kind,
    Look,
    Name,
    Note,
    Pseudo,
    Statement,
    Titled,
    Word,
)
from detent.problems import Problem

Scope: TypeAlias = tuple[str, int] | None
"""A region of a composite state, by the id of that and its number from 0; `None` for the diagram itself."""

MAX_PROBLEMS = 50
"""How many are kept; errors before warnings."""


@dataclass(slots=True)
class Box:
    """One state, and all that was said of it."""

    id: str
    place: Place
    title: str | None = None
    """The text in quotes before its id."""
    texts: list[tuple[str, Place]] = field(default_factory=list)
    """The texts behind colons."""
    notes: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    kind: Kind | None = None
    also: Kind | None = None
    """Another kind that it was declared to be later."""
    scope: Scope = None
    """The innermost region that names it."""
    regions: int = 0
    """How many regions it holds; none unless it is a composite."""
    declared: bool = False
    """Whether it is more than a name at an arrow."""


@dataclass(frozen=True, slots=True)
class Line:
    """One arrow; its ends are ids."""

    source: str
    target: str
    label: str
    """Empty where nothing is said."""
    place: Place
    scope: Scope = None
    """The region in which it is drawn: `[*]` at an end of it is the start or the end of that."""
    across: str | None = None
    """The composite that it leads out of: a time on it is one for all states in there together."""


@dataclass(slots=True)
class Graph:
    """All boxes in the order of the text, and all arrows."""

    boxes: dict[str, Box] = field(default_factory=dict)
    ways: dict[str, list[Line]] = field(default_factory=dict)
    """The arrows, by the box that they begin at."""
    places: dict[tuple[str, str, str, Scope], Place] = field(default_factory=dict)
    """Where each arrow stands first, by its ends and its label, and at a start or an end by its region."""
    styles: dict[str, str] = field(default_factory=dict)
    """What each class looks like."""
    forks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The boxes in which branches begin, by the box that forks."""
    joins: set[str] = field(default_factory=set)
    """The boxes in which branches end."""
    title: str | None = None
    description: str | None = None
    problems: list[Problem] = field(default_factory=list)
    _full: bool = False
    """Whether there are as many errors as are kept."""

    @property
    def begun(self) -> set[str]:
        """The boxes in which branches begin."""
        return {branch for branches in self.forks.values() for branch in branches}

    def out_of(self, id_: str) -> list[Line]:
        """The arrows that begin at a box."""
        return self.ways.get(id_, [])

    def all_lines(self) -> Iterator[Line]:
        """All arrows."""
        for out in self.ways.values():
            yield from out

    def problem(self, place: Place, code: str, message: str, hint: str | None = None, *, warning: bool = False) -> None:
        """Notes what is wrong at a place; after many of them no further ones."""
        if self._full:
            return
        if len(self.problems) == MAX_PROBLEMS and not warning:
            self.problems = [one for one in self.problems if one.severity == "error"]
        if len(self.problems) >= MAX_PROBLEMS:
            self._full = not warning
            return
        self.problems.append(Problem(str(place), code, message, hint, "warning" if warning else "error"))


def graph_of(statements: Sequence[Statement]) -> Graph:
    """The graph that the statements draw, composite states and all; what is wrong is among its problems."""
    graph = Graph()
    late: list[tuple[Note | Look, list[str]]] = []
    _add_all(graph, statements, late, None)
    for said, ids in late:
        _add_late(graph, said, ids)
    return graph


def _add_all(
    graph: Graph, statements: Sequence[Statement], late: list[tuple[Note | Look, list[str]]], scope: Scope
) -> None:
    for each in statements:
        _add(graph, each, late, scope)


def _add(graph: Graph, each: Statement, late: list[tuple[Note | Look, list[str]]], scope: Scope) -> None:
    match each:
        case Name():
            _add_name(graph, each, scope)
        case Arrow():
            _add_arrow(graph, each, scope)
        case Pseudo():
            _add_pseudo(graph, each, scope)
        case Titled():
            _add_title(graph, each, scope)
        case Word():
            _box(graph, each.text, each.place, scope).declared = True
        case Composite():
            _add_composite(graph, each, late, scope)
        case Note():
            late.append((each, [each.id]))
        case Look(kind="class"):
            late.append((each, [one.strip() for one in each.subject.split(",")]))
        case Look(kind="classDef"):
            graph.styles[each.subject] = as_written(each.value)
        case Accessible(kind="title"):
            graph.title = one_line(each.text)
        case Accessible():
            graph.description = lines(each.text)


def _add_late(graph: Graph, said: Note | Look, ids: Iterable[str]) -> None:
    """What is said of states that may be named further down."""
    for id_ in ids:
        box = graph.boxes.get(id_)
        if box is None:
            what = "this note belongs to" if isinstance(said, Note) else "this class is given to"
            message = f"{what} {as_written(id_)!r}, which is no state of the diagram"
            graph.problem(said.place, "unknown_state", message, _known(graph))
        elif isinstance(said, Note):
            box.notes.append(lines(said.text))
        else:
            box.classes.append(said.value)


def _known(graph: Graph) -> str | None:
    return f"known: {', '.join(map(repr, graph.boxes))}" if 0 < len(graph.boxes) <= 12 else None


def _add_name(graph: Graph, name: Name, scope: Scope) -> None:
    if name.id == EDGE:
        graph.problem(
            name.place, "edge_alone", "`[*]` stands at an end of an arrow", "write `[*] --> a` or `a --> [*]`"
        )
        return
    box = _named(graph, name, scope)
    box.declared = True
    if name.text:
        box.texts.append((name.text, name.place))


def _add_arrow(graph: Graph, arrow: Arrow, scope: Scope) -> None:
    for end in (arrow.source, arrow.target):
        if end.id != EDGE:
            _named(graph, end, scope)
    line = Line(arrow.source.id, arrow.target.id, one_line(arrow.label or ""), arrow.place, scope)
    region = scope if EDGE in (line.source, line.target) else None
    first = graph.places.setdefault((line.source, line.target, line.label, region), line.place)
    if first is not line.place:
        message = f"the same arrow stands in line {first.line}"
        graph.problem(arrow.place, "arrow_twice", message, "keep one of them", warning=True)
        return
    graph.ways.setdefault(line.source, []).append(line)


def _named(graph: Graph, name: Name, scope: Scope) -> Box:
    box = _box(graph, name.id, name.place, scope)
    box.classes += name.classes
    return box


def _box(graph: Graph, id_: str, place: Place, scope: Scope) -> Box:
    """The box of an id, wherever it was named before: in the innermost of the regions that name it."""
    box = graph.boxes.get(id_)
    if box is None:
        box = graph.boxes[id_] = Box(id_, place, scope=scope)
    elif id_ in holders(graph, scope):
        # Named inside of itself, it stays where it is.
        pass
    elif scope != box.scope and within(graph, scope, box.scope):
        box.scope = scope
    elif not within(graph, box.scope, scope):
        message = f"{as_written(id_)!r} stands in {_told(box.scope)} already; Mermaid moves it to {_told(scope)}"
        graph.problem(place, "two_scopes", message, "give one of them another id")
    return box


def regions_around(graph: Graph, scope: Scope) -> Iterator[Scope]:
    """The region itself, and those it lies in, from the inside out; the diagram itself is the last."""
    while scope is not None:
        yield scope
        scope = graph.boxes[scope[0]].scope
    yield None


def within(graph: Graph, inner: Scope, outer: Scope) -> bool:
    """Whether a region lies within another, or is it."""
    return outer in regions_around(graph, inner)


def holders(graph: Graph, scope: Scope) -> list[str]:
    """The composites that a region lies in, from the inside out."""
    return [region[0] for region in regions_around(graph, scope) if region is not None]


def _told(scope: Scope) -> str:
    return "the diagram itself" if scope is None else f"state {as_written(scope[0])!r}"


def _add_pseudo(graph: Graph, pseudo: Pseudo, scope: Scope) -> None:
    known = graph.boxes.get(pseudo.id)
    if known is not None and known.kind is None:
        message = f"Mermaid draws {as_written(pseudo.id)!r} as a plain state, because it was named before"
        hint = f"declare the {pseudo.kind} above line {known.place.line}"
        graph.problem(pseudo.place, "declared_late", message, hint, warning=True)
    box = _box(graph, pseudo.id, pseudo.place, scope)
    if box.kind is not None and box.kind != pseudo.kind:
        box.also = pseudo.kind
    box.kind = box.kind or pseudo.kind
    box.declared = True


def _add_title(graph: Graph, titled: Titled, scope: Scope) -> None:
    if titled.id == EDGE:
        graph.problem(titled.place, "edge_alone", "`[*]` has no title", "write `[*] --> a` or `a --> [*]`")
        return
    box = _box(graph, titled.id, titled.place, scope)
    box.declared = True
    if box.title is None:
        box.title = titled.title
    else:
        box.texts.append((titled.title, titled.place))
    if titled.more and not titled.more.startswith("::"):
        box.texts.append((titled.more, titled.place))


def _add_composite(graph: Graph, composite: Composite, late: list[tuple[Note | Look, list[str]]], scope: Scope) -> None:
    id_, *classes = (part.strip() for part in composite.id.split(":::"))
    box = _box(graph, id_, composite.place, scope)
    box.declared = True
    box.classes += classes
    if composite.title is not None:
        if box.title is not None or box.texts:
            message = f"state {as_written(id_)!r} holds others and has two texts, which Mermaid rejects"
            graph.problem(composite.place, "two_texts", message, "keep one of them")
        box.title = composite.title
    if id_ in holders(graph, scope):
        graph.problem(composite.place, "composite_in_itself", f"state {as_written(id_)!r} holds itself", None)
        return
    # A body that is written in two pieces goes on where the first one ended.
    for number, region in enumerate(_regions(composite.body), start=max(box.regions - 1, 0)):
        box.regions = number + 1
        _add_all(graph, region, late, (id_, number))


def _regions(body: Sequence[Statement]) -> list[list[Statement]]:
    """The statements between the dividers; of what is empty nothing is left but one."""
    regions: list[list[Statement]] = [[]]
    for each in body:
        if isinstance(each, Divider):
            regions.append([])
        else:
            regions[-1].append(each)
    return [region for region in regions if not all(isinstance(each, Look) for each in region)] or [[]]
