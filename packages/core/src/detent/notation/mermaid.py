"""A definition as a Mermaid diagram, in one of two styles.

`state` is a `stateDiagram-v2` and a way to write a definition down: its boxes and arrows are read back word by word, and
what they cannot say (context, payloads, metadata and the like) stands above them under `detent`; see `details`.
`flowchart` is for looking at: events are boxes of their own, and success, failure and time each have their look.
"""

from collections.abc import Collection
from typing import Literal, TypeAlias, get_args

from detent.definition.model import WorkflowDefinition
from detent.errors import InvalidValue
from detent.notation.chart import Chart, Marks, chart
from detent.notation.details import details
from detent.notation.flowchart import flowchart
from detent.notation.front_matter import front_matter
from detent.notation.labels import title
from detent.notation.mermaid_text import escaped
from detent.notation.state_diagram import state_diagram
from detent.problems import did_you_mean

Style: TypeAlias = Literal["state", "flowchart"]
"""Which of Mermaid's diagrams."""
Direction: TypeAlias = Literal["LR", "RL", "TB", "BT"]
"""Where the arrows lead: to the right, to the left, down or up."""

_FEW = 5


class Diagram(str):
    """The text of a Mermaid diagram; a notebook shows it as a picture."""

    __slots__ = ()

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """The text under the names that notebooks look for; front ends without Mermaid take the plain one."""
        text = str(self)
        bundle = {"text/vnd.mermaid": text, "text/plain": text}
        return {name: text for name in bundle if name in (include or bundle) and name not in (exclude or ())}


def to_mermaid(
    definition: WorkflowDefinition,
    *,
    style: Style = "state",
    direction: Direction = "LR",
    show_commands: bool = True,
    show_details: bool = True,
    marks: Marks | None = None,
) -> Diagram:
    """The definition as a diagram; the same definition always gives the same text.

    A `state` diagram reads back to the same definition, unless commands or details were left out or marks put in.
    Names may be anything: nothing in them is taken for Mermaid or HTML.
    """
    _check("style", style, get_args(Style))
    _check("direction", direction, get_args(Direction))
    picture = chart(definition, marks=marks, show_commands=show_commands)
    whole = style == "state" and show_commands and show_details and marks is None
    head = front_matter(f"{definition.name} · v{definition.version}", details(definition) if whole else {})
    return Diagram("\n".join([*head, *_body(picture, style, direction)]) + "\n")


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidValue(name, f"is {value!r}", hint=did_you_mean(str(value), known))


def _body(picture: Chart, style: Style, direction: Direction) -> list[str]:
    named = [f"accTitle: {escaped(_heading(picture))}", f"accDescr: {escaped(_summary(picture))}", ""]
    if style == "state":
        return ["stateDiagram-v2", *_indented([f"direction {direction}", *named, *state_diagram(picture)])]
    return [f"flowchart {direction}", *_indented([*named, *flowchart(picture)])]


def _heading(picture: Chart) -> str:
    return f"Workflow {title(picture.name)}, version {picture.version}"


def _summary(picture: Chart) -> str:
    """What someone who cannot see the picture should know first."""
    ends = [box.name for box in picture.boxes if box.terminal]
    events = sum(len(box.steps) for box in picture.boxes)
    said = f"{_counted(len(picture.boxes), 'state')} and {_counted(events, 'event')}. "
    said += f"Starts in {title(picture.initial)}, " + (f"ends in {_listed(ends)}." if ends else "never ends.")
    now = [f" Now in {title(box.name)}." for box in picture.boxes if box.current]
    return said + "".join(now)


def _listed(names: list[str]) -> str:
    if len(names) > _FEW:
        return f"one of {len(names)} states"
    shown = [title(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _indented(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    return [f"    {line}" if line else "" for line in lines]
