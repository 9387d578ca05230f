"""Where arrows lead: to the state of a box, to a choice, or to the end."""

from detent.notation.mermaid_reader.graph import Graph, Line
from detent.notation.mermaid_reader.texts import as_written
from detent.notation.mermaid_reader.tree import EDGE

END = "end"
"""The name of the state that stands for `[*]`, where an arrow leads there beside others."""


class Targets:
    """What the ends of arrows are called as states."""

    def __init__(self, graph: Graph, names: dict[str, str]) -> None:
        self._graph = graph
        self._names = names
        self.needs_end = False
        """Whether an arrow leads to the end as to a state."""

    def is_choice(self, id_: str) -> bool:
        """Whether a box is no state."""
        return id_ != EDGE and self._graph.boxes[id_].kind is not None

    def called(self, id_: str) -> str:
        """The name of the state that a box is."""
        return END if id_ == EDGE else self._names.get(id_, as_written(id_))

    def plain(self, line: Line) -> str:
        """The state that an arrow leads to, which must not be a choice."""
        if line.target == EDGE:
            self.needs_end = True
            return END
        if self.is_choice(line.target):
            message = "this arrow cannot lead to a choice"
            hint = "lead it to a state, and let an event of that lead on"
            self._graph.problem(line.place, "choice_not_supported", message, hint)
        return self.called(line.target)


def refuse_label(graph: Graph, line: Line) -> None:
    """Note that what is said on an arrow cannot be read."""
    hint = "write `event [guard] / command, command`, each part optional, and a command of two words as `two_words`"
    graph.problem(line.place, "unreadable_label", f"the label {line.label!r} cannot be read", hint)
