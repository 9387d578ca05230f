"""A chart as a Mermaid `flowchart`, for looking at: events are nodes of their own, and every kind of arrow has its look.

Solid green is taken when all goes well, dashed red when a command fails, thick is followed by itself after the entry,
dotted leads to an internal event, which stays. A terminal state has a double frame, an event that fires by itself an
amber one.
"""

from collections.abc import Iterator

from detent.notation.chart import Arrow, Box, Chart, Step
from detent.notation.labels import entry_text, mark_lines, on_enter_text, step_parts, title, way_text
from detent.notation.mermaid_text import Ids, escaped
from detent.notation.palette import LINK_STYLES, box_classes, class_lines

_START = "_start"
"""The id of the dot before the initial state; no name can have it."""
_SIGNS = {"start": "-->", "event": "---", "internal": "-.-", "taken": "-->", "failed": "-.->", "hop": "==>"}


def flowchart(chart: Chart) -> list[str]:
    """The statements of the diagram, without its header."""
    return _Flowchart(chart).lines()


class _Flowchart:
    """One diagram while it is written: its ids, and the kinds of its links, which Mermaid styles by number."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.ids = Ids(box.name for box in chart.boxes)
        self.classes = box_classes(chart.boxes, self.ids) | {"start": [_START]}
        self.kinds: list[str] = []

    def lines(self) -> list[str]:
        return [
            f'{_START}((" "))',
            *(self._box(box) for box in self.chart.boxes),
            "",
            self._link(_START, self.ids[self.chart.initial], "start"),
            *(line for box in self.chart.boxes for line in self._ways_out(box)),
            "",
            *class_lines(self.classes),
            *self._link_styles(),
        ]

    def _box(self, box: Box) -> str:
        entry = [entry_text(box.entry)] if box.entry else []
        text = _text([title(box.name), *entry, *_outcome(box), *mark_lines(box)])
        return self.ids[box.name] + (f"[[{text}]]" if box.terminal else f"({text})")

    def _ways_out(self, box: Box) -> Iterator[str]:
        for arrow in box.arrows:
            if arrow.step is None:
                yield self._link(self.ids[box.name], self.ids[arrow.target], arrow.kind, on_enter_text(arrow))
        for step in box.steps:
            yield from self._event(box, step, [arrow for arrow in box.arrows if arrow.step == step])

    def _event(self, box: Box, step: Step, arrows: list[Arrow]) -> Iterator[str]:
        node = self.ids.of_event(box.name, step.event)
        self.classes.setdefault("timer" if step.timeout else "event", []).append(node)
        pill = f"{node}([{_text(step_parts(step))}])"
        yield self._link(self.ids[box.name], pill, "internal" if step.internal else "event")
        for arrow in arrows:
            yield self._link(node, self.ids[arrow.target], arrow.kind, _condition(arrow))

    def _link(self, source: str, target: str, kind: str, text: str = "") -> str:
        self.kinds.append(kind)
        label = f'|"{escaped(text)}"|' if text else ""
        return f"{source} {_SIGNS[kind]}{label} {target}"

    def _link_styles(self) -> Iterator[str]:
        for kind, style in LINK_STYLES.items():
            numbers = [str(number) for number, each in enumerate(self.kinds) if each == kind]
            if numbers:
                yield f"linkStyle {','.join(numbers)} {style}"


def _condition(arrow: Arrow) -> str:
    return "fails" if arrow.kind == "failed" else way_text(arrow.way)


def _outcome(box: Box) -> list[str]:
    return [f"outcome {box.outcome}"] if box.terminal and box.outcome else []


def _text(lines: list[str]) -> str:
    r"""The lines as one quoted text; Mermaid breaks it at `\n`, which no escaped line contains."""
    return '"' + "\\n".join(map(escaped, lines)) + '"'
