"""The states and arrows of a diagram, joined from all its statements: what is drawn, not yet what it means."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Graph:
    """All boxes in the order of the text, and all arrows."""

    boxes: dict[str, Box] = field(default_factory=dict)
    ways: dict[str, list[Line]] = field(default_factory=dict)
    """The arrows, by the box that they begin at."""
    places: dict[tuple[str, str, str], Place] = field(default_factory=dict)
    """Where each arrow stands first, by its ends and its label."""
    styles: dict[str, str] = field(default_factory=dict)
    """What each class looks like."""
    title: str | None = None
    description: str | None = None
    problems: list[Problem] = field(default_factory=list)

    def out_of(self, id_: str) -> list[Line]:
        """The arrows that begin at a box."""
        return self.ways.get(id_, [])

    def all_lines(self) -> Iterator[Line]:
        """All arrows."""
        for out in self.ways.values():
            yield from out

    def problem(self, place: Place, code: str, message: str, hint: str | None = None, *, warning: bool = False) -> None:
        """Notes what is wrong at a place; after many of them no further ones."""
        if len(self.problems) == MAX_PROBLEMS and not warning:
            self.problems = [one for one in self.problems if one.severity == "error"]
        if len(self.problems) >= MAX_PROBLEMS:
            return
        self.problems.append(Problem(str(place), code, message, hint, "warning" if warning else "error"))


def graph_of(statements: Sequence[Statement]) -> Graph:
    """The graph that the statements draw; what cannot be said in a definition yet is among its problems."""
    graph = Graph()
    late: list[tuple[Note | Look, list[str]]] = []
    for each in statements:
        _add(graph, each, late)
    for said, ids in late:
        _add_late(graph, said, ids)
    return graph


def _add(graph: Graph, each: Statement, late: list[tuple[Note | Look, list[str]]]) -> None:
    match each:
        case Name():
            _add_name(graph, each)
        case Arrow():
            _add_arrow(graph, each)
        case Pseudo():
            _add_pseudo(graph, each)
        case Titled():
            _add_title(graph, each)
        case Word():
            _box(graph, each.text, each.place).declared = True
        case Composite():
            _refuse_composite(graph, each)
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


def _add_name(graph: Graph, name: Name) -> None:
    if name.id == EDGE:
        graph.problem(
            name.place, "edge_alone", "`[*]` stands at an end of an arrow", "write `[*] --> a` or `a --> [*]`"
        )
        return
    box = _named(graph, name)
    box.declared = True
    if name.text:
        box.texts.append((name.text, name.place))


def _add_arrow(graph: Graph, arrow: Arrow) -> None:
    for end in (arrow.source, arrow.target):
        if end.id != EDGE:
            _named(graph, end)
    line = Line(arrow.source.id, arrow.target.id, one_line(arrow.label or ""), arrow.place)
    first = graph.places.setdefault((line.source, line.target, line.label), line.place)
    if first is not line.place:
        message = f"the same arrow stands in line {first.line}"
        graph.problem(arrow.place, "arrow_twice", message, "keep one of them", warning=True)
        return
    graph.ways.setdefault(line.source, []).append(line)


def _named(graph: Graph, name: Name) -> Box:
    box = _box(graph, name.id, name.place)
    box.classes += name.classes
    return box


def _box(graph: Graph, id_: str, place: Place) -> Box:
    if id_ not in graph.boxes:
        graph.boxes[id_] = Box(id_, place)
    return graph.boxes[id_]


def _add_pseudo(graph: Graph, pseudo: Pseudo) -> None:
    if pseudo.kind != "choice":
        message = f"<<{pseudo.kind}>>: branches side by side cannot be said in a definition"
        graph.problem(pseudo.place, f"{pseudo.kind}_not_supported", message, "draw the branches one after the other")
    known = graph.boxes.get(pseudo.id)
    if known is not None and known.kind is None:
        message = f"Mermaid draws {as_written(pseudo.id)!r} as a plain state, because it was named before"
        hint = f"declare the {pseudo.kind} above line {known.place.line}"
        graph.problem(pseudo.place, "declared_late", message, hint, warning=True)
    box = _box(graph, pseudo.id, pseudo.place)
    box.kind = box.kind or pseudo.kind
    box.declared = True


def _add_title(graph: Graph, titled: Titled) -> None:
    if titled.id == EDGE:
        graph.problem(titled.place, "edge_alone", "`[*]` has no title", "write `[*] --> a` or `a --> [*]`")
        return
    box = _box(graph, titled.id, titled.place)
    box.declared = True
    if box.title is None:
        box.title = titled.title
    else:
        box.texts.append((titled.title, titled.place))
    if titled.more and not titled.more.startswith("::"):
        box.texts.append((titled.more, titled.place))


def _refuse_composite(graph: Graph, composite: Composite) -> None:
    _box(graph, composite.id.split(":::")[0].strip(), composite.place).declared = True
    regions = sum(isinstance(each, Divider) for each in composite.body)
    what = f"state {as_written(composite.id).strip()!r} holds others"
    what += f", in {regions + 1} regions" if regions else ""
    hint = "draw its states beside the others"
    graph.problem(composite.place, "composite_not_supported", f"{what}, which cannot be said in a definition", hint)
