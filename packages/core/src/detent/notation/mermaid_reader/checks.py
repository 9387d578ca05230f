"""What is wrong with a graph as a whole, whatever its arrows mean."""

from collections import Counter

from detent.notation.mermaid_reader.branching import option_of
from detent.notation.mermaid_reader.graph import Graph
from detent.notation.mermaid_reader.texts import as_written
from detent.notation.palette import CLASSES


def check_graph(graph: Graph) -> None:
    """Note what is wrong among the problems of the graph."""
    _check_marks(graph)
    _check_choices(graph)
    _check_reached(graph)


def _check_marks(graph: Graph) -> None:
    for box in graph.boxes.values():
        if any(each in ("now", "been") and graph.styles.get(each) == CLASSES[each] for each in box.classes):
            message = "this is the picture of one instance, with what it has passed"
            graph.problem(box.place, "marked_diagram", message, "read the diagram of the definition")
            return


def _check_choices(graph: Graph) -> None:
    entered = {line.target for line in graph.all_lines()}
    for box in graph.boxes.values():
        if box.kind is None:
            continue
        out, name = graph.out_of(box.id), as_written(box.id)
        if not out or box.id not in entered:
            message = f"the choice {name!r} has no way {'out' if not out else 'in'}"
            graph.problem(box.place, "dead_choice", message, "draw one, or take it away")
        counts = Counter(option.text for line in out if (option := option_of(line.label)) is not None)
        twice = next((text for text, count in counts.items() if count > 1), None)
        if twice is not None:
            message = f"the choice {name!r} has two ways out {f'for {twice!r}' if twice else 'without a label'}"
            graph.problem(out[1].place, "option_twice", message, "label them apart")


def _check_reached(graph: Graph) -> None:
    touched = {end for line in graph.all_lines() for end in (line.source, line.target)} | graph.begun
    for box in graph.boxes.values():
        if box.kind is None and box.id not in touched and box.title is None and not box.texts:
            message = f"no arrow leads to or from {as_written(box.id)!r}"
            graph.problem(box.place, "unreferenced_state", message, "draw one, or take it away")
