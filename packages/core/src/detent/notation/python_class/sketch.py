"""What is drawn around the work of states: what it decides on, by which options, and where all of that stands."""

from collections.abc import Mapping
from dataclasses import dataclass

from detent.notation.mermaid_reader.branching import option_of
from detent.notation.mermaid_reader.diagram import StateDiagram
from detent.notation.mermaid_reader.graph import Graph, Line
from detent.notation.mermaid_reader.label import read_arrow, read_by_hand
from detent.notation.mermaid_reader.names import names, printed
from detent.notation.mermaid_reader.reader import drawn_graph
from detent.notation.mermaid_reader.source import Place
from detent.notation.mermaid_reader.texts import as_written
from detent.notation.mermaid_reader.tree import EDGE


@dataclass(frozen=True, slots=True)
class Way:
    """A way that the work of a state may decide for."""

    text: str
    """The option, which is the event; empty for the way that is left over."""
    place: Place


@dataclass(frozen=True, slots=True)
class Decided:
    """What the work of a state decides on."""

    name: str
    """The id of the choice, or the name of the state where arrows of its own are decided on."""
    is_choice: bool
    ways: tuple[Way, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Sketch:
    """A diagram as far as a class needs more of it than its definition."""

    places: Mapping[str, Place]
    """Where each state is named first."""
    decided: Mapping[str, Decided]
    """What is decided on, by state."""


def sketch_of(diagram: StateDiagram) -> Sketch:
    """The sketch of a diagram that is known to be sound."""
    graph = drawn_graph(diagram)
    called = names(graph, printed(graph))
    places = {name: graph.boxes[id_].place for id_, name in called.items()}
    decided = {name: one for id_, name in called.items() if (one := _decided(graph, id_, name)) is not None}
    return Sketch(places, decided)


def _decided(graph: Graph, id_: str, name: str) -> Decided | None:
    if id_ in graph.forks:
        return None
    out = graph.out_of(id_)
    own = [Way(text, line.place) for line in out if (text := _decided_here(line)) is not None]
    hops = [line for line in out if not line.label]
    choice = next(
        (line.target for line in hops if line.target != EDGE and graph.boxes[line.target].kind == "choice"), None
    )
    if choice is None:
        left_over = [Way("", line.place) for line in hops]
        return Decided(name, False, (*own, *left_over), graph.boxes[id_].place) if own else None
    ways = [
        Way(option.text, line.place) for line in graph.out_of(choice) if (option := option_of(line.label)) is not None
    ]
    if own:
        return Decided(name, False, (*own, *ways), graph.boxes[id_].place)
    return Decided(as_written(choice), True, tuple(ways), graph.boxes[choice].place)


def _decided_here(line: Line) -> str | None:
    """The option that an arrow of the state's own is, as in `a --> b : [guard]`."""
    if not line.label or read_arrow(line.label) is not None:
        return None
    said = read_by_hand(line.label)
    if said is None or said.event is not None:
        return None
    option = option_of(line.label)
    return line.label if option is None else option.text
