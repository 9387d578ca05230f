"""A definition, or a flow, as a Mermaid diagram, in one of two styles.

`state` is a `stateDiagram-v2` and a way to write a definition down: its boxes and arrows are read back word by word, and
what they cannot say (context, payloads, metadata and the like) stands above them under `detent`; see `details`.
`flowchart` is for looking at: events are boxes of their own, and success, failure and time each have their look.
A flow is for looking at in both: a box for each step, as `steps` says; what it is lowered to is a definition like any other.
"""

import re
from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias, get_args

from detent.definition.model import WorkflowDefinition
from detent.errors import InvalidValue
from detent.flows.flow import Flow
from detent.flows.handler import HandlerSpec
from detent.notation.chart import Chart, Marks
from detent.notation.details import details
from detent.notation.flowchart import flowchart
from detent.notation.front_matter import front_matter
from detent.notation.labels import title
from detent.notation.mermaid_text import escaped
from detent.notation.state_diagram import state_diagram
from detent.notation.steps import picture_of
from detent.notation.symbols import SYMBOLS, Symbols, SymbolsName
from detent.problems import did_you_mean

Style: TypeAlias = Literal["state", "flowchart"]
"""Which of Mermaid's diagrams."""
Direction: TypeAlias = Literal["LR", "RL", "TB", "BT"]
"""Where the arrows lead: to the right, to the left, down or up."""

_FEW = 5
_NOUNS = {"workflow": "state", "flow": "step"}


class Diagram(str):
    """The text of a Mermaid diagram; a notebook shows it as a picture."""

    __slots__ = ()

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """The text under the names that notebooks look for: JupyterLab 4.1 and Notebook 7.1 draw the first, others a fenced
        block in Markdown; front ends without Mermaid show the plain one.
        """
        text = str(self)
        bundle = {"text/vnd.mermaid": text, "text/markdown": fenced(text), "text/plain": text}
        return {
            name: said for name, said in bundle.items() if name in (include or bundle) and name not in (exclude or ())
        }


def fenced(text: str) -> str:
    """The diagram as a block of Markdown, in a fence longer than any that it contains."""
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}mermaid\n{text.rstrip()}\n{fence}\n"


def to_mermaid(
    definition: WorkflowDefinition | Flow,
    *,
    style: Style = "state",
    direction: Direction = "LR",
    show_commands: bool = True,
    show_details: bool = True,
    marks: Marks | None = None,
    handlers: Mapping[str, HandlerSpec] | None = None,
    symbols: SymbolsName = "unicode",
) -> Diagram:
    """The definition, or the flow, as a diagram; the same one always gives the same text.

    A `state` diagram reads back to the same definition, unless commands or details were left out or marks put in.
    Names may be anything: nothing in them is taken for Mermaid or HTML.

    A `flowchart` has signs before its words, such as a dial at a timeout; `symbols="text"` leaves them out, for fonts
    without them. With `marks`, which `get_marks` of a runtime answers, it shows where an instance is and how it came there.

    Of a flow each step is a box with its handler's type, each transition that it names an arrow. With `handlers`, such as
    `book.handlers.types`, the steps that they may `goto` are drawn too. It has no details, and does not read back.
    """
    _check("style", style, get_args(Style))
    _check("direction", direction, get_args(Direction))
    _check("symbols", symbols, get_args(SymbolsName))
    picture = picture_of(definition, handlers=handlers, marks=marks, show_commands=show_commands)
    whole = style == "state" and show_commands and show_details and marks is None
    beside = details(definition) if whole and isinstance(definition, WorkflowDefinition) else {}
    head = front_matter(f"{picture.name} · v{picture.version}", beside)
    return Diagram("\n".join([*head, *_body(picture, style, direction, SYMBOLS[symbols])]) + "\n")


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidValue(name, f"is {value!r}", hint=did_you_mean(str(value), known))


def _body(picture: Chart, style: Style, direction: Direction, symbols: Symbols) -> list[str]:
    named = [f"accTitle: {escaped(_heading(picture))}", f"accDescr: {escaped(_summary(picture))}", ""]
    if style == "state":
        return ["stateDiagram-v2", *_indented([f"direction {direction}", *named, *state_diagram(picture)])]
    return [f"flowchart {direction}", *_indented([*named, *flowchart(picture, symbols)])]


def _heading(picture: Chart) -> str:
    return f"{picture.kind.capitalize()} {title(picture.name)}, version {picture.version}"


def _summary(picture: Chart) -> str:
    """What someone who cannot see the picture should know first."""
    ends = [box.name for box in picture.boxes if box.terminal or box.ends]
    said = f"{_size(picture)}. Starts in {title(picture.initial)}, "
    said += (
        f"ends {'after' if picture.kind == 'flow' else 'in'} {_listed(ends, _NOUNS[picture.kind])}."
        if ends
        else "never ends."
    )
    now = [f" Now in {title(box.name)}." for box in picture.boxes if box.current]
    earlier = [f" {_counted(picture.earlier, 'earlier entry')} of its history not counted."] if picture.earlier else []
    return said + "".join([*now, *earlier])


def _size(picture: Chart) -> str:
    boxes = _counted(len(picture.boxes), _NOUNS[picture.kind])
    if picture.kind == "flow":
        return boxes
    return f"{boxes} and {_counted(sum(len(box.steps) for box in picture.boxes), 'event')}"


def _listed(names: list[str], noun: str) -> str:
    if len(names) > _FEW:
        return f"one of {_counted(len(names), noun)}"
    shown = [title(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def _counted(number: int, noun: str) -> str:
    several = f"{noun.removesuffix('y')}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else several}"


def _indented(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    return [f"    {line}" if line else "" for line in lines]
