"""What the states of a diagram are called: by their ids, unless the id was made from the text, as `to_mermaid` makes it."""

from detent.notation.mermaid_reader.graph import Box, Graph
from detent.notation.mermaid_reader.label import read_title
from detent.notation.mermaid_reader.texts import of_id, one_line
from detent.notation.mermaid_text import Ids


def printed(graph: Graph) -> dict[str, str]:
    """The names of the states whose id was made from the text in quotes, by id."""
    titled = [(box, read_title(one_line(box.title))) for box in graph.boxes.values() if box.title is not None]
    ids = Ids(name for _, name in titled)
    return {box.id: name for box, name in titled if ids[name] == box.id}


def names(graph: Graph, from_texts: dict[str, str]) -> dict[str, str]:
    """The name of each plain state, by id. Two with one name are a problem of the graph."""
    found: dict[str, str] = {}
    holders: dict[str, Box] = {}
    for box in graph.boxes.values():
        if box.kind is None:
            name = from_texts[box.id] if box.id in from_texts else of_id(box.id)
            first = holders.setdefault(name, box)
            if first is not box:
                message = f"{name!r} is the name of the state in line {first.place.line}, too"
                graph.problem(box.place, "name_twice", message, "give one of them another id")
            found[box.id] = name
    return found
