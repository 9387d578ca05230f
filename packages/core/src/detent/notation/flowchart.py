"""A chart as a Mermaid `flowchart`, for looking at: events are nodes of their own, and every kind of arrow has its look.

Solid green is taken when all goes well, dashed red when a command fails, thick is followed by itself after the entry,
dotted leads to an internal event, which stays. A terminal state has a double frame, an event that fires by itself an
amber one.
"""

from collections.abc import Iterator

from detent.notation.chart import Arrow, Box, Chart, Step
from detent.notation.labels import (
    box_marks,
    condition_text,
    entry_text,
    event_lines,
    on_enter_text,
    outcome_text,
    title,
    word,
)
from detent.notation.mermaid_text import Ids, escaped
from detent.notation.palette import box_classes, class_lines, link_look
from detent.notation.symbols import PLAIN, Symbols

_START = "_start"
"""The id of the dot before the initial state; no name can have it."""
_END = "_end"
"""The same behind what ends without a state of its own to end in."""
_SIGNS = {
    "start": "-->",
    "end": "-->",
    "event": "---",
    "internal": "-.-",
    "taken": "-->",
    "failed": "-.->",
    "hop": "==>",
    "branch": "==>",
}


def flowchart(chart: Chart, symbols: Symbols = PLAIN) -> list[str]:
    """The statements of the diagram, without its header."""
    return _Flowchart(chart, symbols).lines()


class _Flowchart:
    """One diagram while it is written: its ids, and the kinds of its links, which Mermaid styles by number."""

    def __init__(self, chart: Chart, symbols: Symbols) -> None:
        self.chart = chart
        self.symbols = symbols
        self.ids = Ids(box.name for box in chart.boxes)
        self.ending = [box for box in chart.boxes if box.ends]
        self.classes = box_classes(chart.boxes, self.ids) | {"start": [_START, *([_END] if self.ending else [])]}
        self.kinds: list[str] = []
        self.walked: set[int] = set()

    def lines(self) -> list[str]:
        return [
            f'{_START}((" "))',
            *(self._box(box) for box in self.chart.boxes),
            *([f'{_END}(((" ")))'] if self.ending else []),
            "",
            self._link(_START, self.ids[self.chart.initial], "start"),
            *(self._link(_START, self.ids[box], "start", word(entry)) for entry, box in self.chart.entries.items()),
            *(line for box in self.chart.boxes for line in self._ways_out(box)),
            *(self._link(self.ids[box.name], _END, "end") for box in self.ending),
            "",
            *class_lines(self.classes),
            *self._link_styles(),
        ]

    def _box(self, box: Box) -> str:
        entry = [entry_text(box.entry)] if box.entry else []
        outcome = filter(None, [outcome_text(box, self.symbols)])
        text = _text([title(box.name), *entry, *box.told, *outcome, *box_marks(box, self.symbols)])
        return self.ids[box.name] + (f"[[{text}]]" if box.terminal else f"({text})")

    def _ways_out(self, box: Box) -> Iterator[str]:
        for arrow in box.arrows:
            if arrow.step is None:
                text = on_enter_text(arrow, self.symbols)
                yield self._link(self.ids[box.name], self.ids[arrow.target], arrow.kind, text, arrow.passed)
        for step in box.steps:
            yield from self._event(box, step, [arrow for arrow in box.arrows if arrow.step == step])

    def _event(self, box: Box, step: Step, arrows: list[Arrow]) -> Iterator[str]:
        node = self.ids.of_event(box.name, step.event)
        self.classes.setdefault("timer" if step.timeout else "event", []).append(node)
        pill = f"{node}([{_text(event_lines(step, self.symbols))}])"
        taken = step.taken + sum(arrow.passed for arrow in arrows)
        yield self._link(self.ids[box.name], pill, "internal" if step.internal else "event", walked=taken)
        for arrow in arrows:
            text = condition_text(arrow, self.symbols)
            yield self._link(node, self.ids[arrow.target], arrow.kind, text, arrow.passed)

    def _link(self, source: str, target: str, kind: str, text: str = "", walked: int = 0) -> str:
        if walked:
            self.walked.add(len(self.kinds))
        self.kinds.append(kind)
        label = f'|"{escaped(text)}"|' if text else ""
        return f"{source} {_SIGNS[kind]}{label} {target}"

    def _link_styles(self) -> Iterator[str]:
        """A statement for each look. Mermaid forgets one that a link had before, so each link is in one of them."""
        looks: dict[str, list[str]] = {}
        for number, kind in enumerate(self.kinds):
            look = link_look(kind, walked=number in self.walked)
            if look:
                looks.setdefault(look, []).append(str(number))
        return (f"linkStyle {','.join(numbers)} {look}" for look, numbers in looks.items())


def _text(lines: list[str]) -> str:
    r"""The lines as one quoted text; Mermaid breaks it at `\n`, which no escaped line contains."""
    return '"' + "\\n".join(map(escaped, lines)) + '"'
