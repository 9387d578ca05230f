"""A chart as a Mermaid `stateDiagram-v2`, in words that can be read back.

    state "new" as new                              a state: its name, and the id the arrows use
    new : on enter / reserve_stock                  a line in its box: see `labels`
    [*] --> new                                     the initial state
    [*] --> paid : imported                         another one to begin in, by the name of its entry
    new --> paid : Pay [amount_ok] / capture        an arrow: see `labels`
    paid --> [*]                                    a terminal state; its outcome follows where the definition says it
    class paid success                              colour only: it repeats what the words say

States come in the order of the definition, and so do the events of a state. An event with a line in the box is internal.
A state that is named and not declared has the line `not declared`. A marked one says `now, step 1, 3`, for how long and
what time is left, and a marked arrow how often it was taken: `(2 times)`. That is not read back.
"""

from collections.abc import Iterator

from detent.notation.chart import Arrow, Box, Chart
from detent.notation.labels import arrow_text, box_marks, entry_text, step_parts, title, word
from detent.notation.mermaid_text import Ids, escaped
from detent.notation.palette import box_classes, class_lines


def state_diagram(chart: Chart) -> list[str]:
    """The statements of the diagram, without its header."""
    ids = Ids(box.name for box in chart.boxes)
    events = any(box.steps for box in chart.boxes)
    return [
        *(line for box in chart.boxes for line in _box(box, ids)),
        "",
        f"[*] --> {ids[chart.initial]}",
        *(f"[*] --> {ids[state]} : {escaped(word(name))}" for name, state in chart.entries.items()),
        *(_arrow(arrow, ids) for box in chart.boxes for arrow in box.arrows),
        *(_end(box, ids, alone=not events) for box in chart.boxes if box.terminal or box.ends),
        "",
        *class_lines(box_classes(chart.boxes, ids)),
    ]


def _box(box: Box, ids: Ids) -> Iterator[str]:
    yield f'state "{escaped(title(box.name))}" as {ids[box.name]}'
    for line in _lines(box):
        yield f"{ids[box.name]} : {escaped(line)}"


def _lines(box: Box) -> Iterator[str]:
    if box.entry:
        yield entry_text(box.entry)
    yield from box.told
    for step in box.steps:
        if step.internal:
            yield " ".join(step_parts(step))
    yield from box_marks(box)


def _arrow(arrow: Arrow, ids: Ids) -> str:
    return f"{ids[arrow.source]} --> {ids[arrow.target]} : {escaped(arrow_text(arrow))}"


def _end(box: Box, ids: Ids, *, alone: bool) -> str:
    """The arrow to the end; where no event stands in the diagram, it says that nothing is to be done before."""
    said = box.outcome or ("end" if alone and box.terminal else "")
    return f"{ids[box.name]} --> [*]" + (f" : {said}" if said else "")
