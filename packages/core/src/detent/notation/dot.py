r"""A chart as a graph in DOT, the language of Graphviz: the same boxes, arrows, words and looks as a `flowchart`.

Every name and text is a quoted string, in which only the quotation mark and the backslash mean something; no text is
HTML, and none is a port or an attribute. Lines are parted by `\n`, which no text contains.
"""

from collections.abc import Iterator, Mapping
from typing import get_args

from detent.definition.model import WorkflowDefinition
from detent.errors import InvalidValue
from detent.flows.flow import Flow
from detent.flows.handler import HandlerSpec
from detent.notation.chart import Arrow, Box, Chart, Marks, Step
from detent.notation.labels import (
    box_marks,
    condition_text,
    entry_text,
    event_lines,
    on_enter_text,
    outcome_text,
    quoted,
    title,
    word,
)
from detent.notation.mermaid import Direction
from detent.notation.palette import CLASSES, LINK_STYLES, class_of
from detent.notation.steps import picture_of
from detent.notation.symbols import SYMBOLS, Symbols, SymbolsName
from detent.problems import did_you_mean

_START = "start"
_END = "end"
_ARROWS = {
    "start": {},
    "end": {},
    "event": {"dir": "none"},
    "internal": {"dir": "none", "style": "dotted"},
    "taken": {},
    "failed": {"style": "dashed"},
    "hop": {"penwidth": "3"},
    "branch": {"penwidth": "3", "dir": "both", "arrowtail": "dot"},
}
"""What an arrow looks like, by its kind, besides its colour."""


def to_dot(
    definition: WorkflowDefinition | Flow,
    *,
    direction: Direction = "LR",
    show_commands: bool = True,
    marks: Marks | None = None,
    handlers: Mapping[str, HandlerSpec] | None = None,
    symbols: SymbolsName = "unicode",
) -> str:
    """The definition, or the flow, as a graph in DOT, for Graphviz and what reads its language.

    It shows what a `flowchart` of `to_mermaid` shows, and takes the same arguments. The same definition always gives the
    same text; names may be anything.
    """
    if direction not in get_args(Direction):
        raise InvalidValue("direction", f"is {direction!r}", hint=did_you_mean(str(direction), get_args(Direction)))
    if symbols not in SYMBOLS:
        raise InvalidValue("symbols", f"is {symbols!r}", hint=did_you_mean(str(symbols), SYMBOLS))
    picture = picture_of(definition, handlers=handlers, marks=marks, show_commands=show_commands)
    return "\n".join(_lines(picture, direction, SYMBOLS[symbols])) + "\n"


def _lines(chart: Chart, direction: Direction, symbols: Symbols) -> Iterator[str]:
    name = _text([f"{chart.name} v{chart.version}"])
    dark_on_any = 'bgcolor="transparent" fontcolor="#64748b"'
    yield f"digraph {name} {{"
    yield f'    graph [rankdir={direction} label={name} labelloc=t {dark_on_any} fontname="Helvetica"]'
    yield '    node [fontname="Helvetica" fontsize=11 style="filled,rounded" shape=box fillcolor="#f8fafc" color="#64748b"]'
    yield '    edge [fontname="Helvetica" fontsize=10 color="#64748b" fontcolor="#64748b"]'
    yield f'    {_START} [shape=circle label="" width=0.2 fillcolor="#64748b"]'
    for box in chart.boxes:
        yield f"    {_state(box.name)} {_attributes(_look(box) | {'label': _text(_said(box, symbols))})}"
    if any(box.ends for box in chart.boxes):
        yield f'    {_END} [shape=doublecircle label="" width=0.2 fillcolor="#64748b"]'
    yield f"    {_START} -> {_state(chart.initial)}"
    for entry, state in chart.entries.items():
        yield f"    {_START} -> {_state(state)} [label={_text([word(entry)])}]"
    for box in chart.boxes:
        yield from (f"    {line}" for line in _ways_out(box, symbols))
    yield from (f"    {_state(box.name)} -> {_END}" for box in chart.boxes if box.ends)
    yield "}"


def _said(box: Box, symbols: Symbols) -> list[str]:
    entry = [entry_text(box.entry)] if box.entry else []
    outcome = filter(None, [outcome_text(box, symbols)])
    return [title(box.name), *entry, *box.told, *outcome, *box_marks(box, symbols)]


def _ways_out(box: Box, symbols: Symbols) -> Iterator[str]:
    for arrow in box.arrows:
        if arrow.step is None:
            yield _arrow(_state(box.name), arrow, on_enter_text(arrow, symbols))
    for step in box.steps:
        yield from _event(box, step, symbols)


def _event(box: Box, step: Step, symbols: Symbols) -> Iterator[str]:
    node = _quoted(f"event {quoted(step.event)} of {quoted(box.name)}")
    label = _text(event_lines(step, symbols))
    look = _colours("timer" if step.timeout else "event") | {"shape": "box", "margin": _quoted("0.15,0.05")}
    arrows = [arrow for arrow in box.arrows if arrow.step == step]
    walked = _walked(step.taken + sum(arrow.passed for arrow in arrows))
    yield f"{node} {_attributes(look | {'label': label})}"
    yield f"{_state(box.name)} -> {node} {_attributes(_ARROWS['internal' if step.internal else 'event'] | walked)}"
    for arrow in arrows:
        yield _arrow(node, arrow, condition_text(arrow, symbols))


def _arrow(source: str, arrow: Arrow, text: str) -> str:
    stroke = LINK_STYLES.get(arrow.kind, "").partition("stroke:")[2].partition(",")[0]
    colours = {"color": _quoted(stroke), "fontcolor": _quoted(stroke)} if stroke else {}
    label = {"label": _text([text])} if text else {}
    attributes = _ARROWS[arrow.kind] | colours | _walked(arrow.passed) | label
    return f"{source} -> {_state(arrow.target)}" + (f" {_attributes(attributes)}" if attributes else "")


def _walked(times: int) -> dict[str, str]:
    return {"penwidth": "5"} if times else {}


def _look(box: Box) -> dict[str, str]:
    look = _colours(class_of(box))
    return look | ({"peripheries": "2"} if box.terminal else {})


def _colours(name: str | None) -> dict[str, str]:
    """A class of Mermaid's in the words of Graphviz."""
    parts = dict(part.split(":") for part in CLASSES[name].split(",")) if name else {}
    looks = {"fillcolor": "fill", "color": "stroke", "fontcolor": "color"}
    found = {attribute: _quoted(parts[part]) for attribute, part in looks.items() if part in parts}
    if "stroke-width" in parts:
        found["penwidth"] = parts["stroke-width"].removesuffix("px")
    if "stroke-dasharray" in parts:
        found["style"] = _quoted("filled,rounded,dashed")
    return found


def _state(name: str) -> str:
    """The id of a state; quoted like this it is no other node's, no keyword and no port."""
    return _quoted(f"state {quoted(name)}")


def _text(lines: list[str]) -> str:
    return '"' + "\\n".join(_escaped(line) for line in lines) + '"'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    r"""The text inside of quotes such that Graphviz shows it unchanged: `\N`, `\G`, `\l` and entities mean something to it."""
    plain = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


def _attributes(values: Mapping[str, str]) -> str:
    return "[" + " ".join(f"{name}={value}" for name, value in values.items()) + "]"
