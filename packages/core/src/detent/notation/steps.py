"""A flow as a picture before any notation: a box for each step, and the arrows that were written.

A flow is lowered to more than that: a state to wait in beside each step, and events for all that a handler may decide. The
picture leaves out what is the same for every step:

* a wait is a word in the box of the step that says where it goes on, and an arrow `on_resume`
* `goto` is drawn where the handler says which steps it may go to
* a step from which nothing leads on but a failure is followed by the end
* a failure without an arrow ends the flow, and is not drawn; neither are cancellation and deadlines
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import groupby

from detent.definition.model import WorkflowDefinition
from detent.flows.checks import targets_of
from detent.flows.flow import Flow, Step
from detent.flows.handler import HandlerSpec
from detent.flows.names import step_of
from detent.notation.chart import Arrow, Box, Chart, Kind, Marks, Passage, chart, marked, only_failed_into
from detent.notation.labels import title

Handlers = Mapping[str, HandlerSpec]


def picture_of(
    written: WorkflowDefinition | Flow,
    *,
    handlers: Handlers | None = None,
    marks: Marks | None = None,
    show_commands: bool = True,
) -> Chart:
    """The picture of a definition, or of a flow, which alone has `handlers`."""
    if isinstance(written, Flow):
        return steps_chart(written, handlers=handlers, marks=marks, show_commands=show_commands)
    return chart(written, marks=marks, show_commands=show_commands)


def steps_chart(
    flow: Flow, *, handlers: Handlers | None = None, marks: Marks | None = None, show_commands: bool = True
) -> Chart:
    """The picture of `flow`: its steps as declared, then those that are only named."""
    marks = _in_steps(marks or Marks(), flow)
    arrows = {id_: tuple(_arrows(id_, step, handlers or {})) for id_, step in flow.steps.items()}
    faulty = only_failed_into(arrow for out in arrows.values() for arrow in out) - {flow.initial_step_id}
    boxes = [
        Box(
            name=id_,
            told=(title(step.type),) if show_commands else (),
            arrows=arrows[id_],
            waits=step.on_resume is not None,
            ends=all(arrow.kind == "failed" for arrow in arrows[id_]),
            faulty=id_ in faulty,
        )
        for id_, step in flow.steps.items()
    ]
    named = [flow.initial_step_id, *(arrow.target for out in arrows.values() for arrow in out)]
    boxes += [Box(name=id_, declared=False) for id_ in dict.fromkeys(named) if id_ not in flow.steps]
    return Chart(
        name=flow.id,
        version=flow.version,
        initial=flow.initial_step_id,
        boxes=tuple(_with_ways_gone(marked(box, marks), marks) for box in boxes),
        kind="flow",
        earlier=marks.earlier,
    )


def _arrows(id_: str, step: Step, handlers: Handlers) -> Iterator[Arrow]:
    """The ways out of a step, one for each target: what leads to the same is said on one arrow."""
    labels: dict[tuple[Kind, str], list[str]] = {}
    for kind, label, target in _written(step, handlers):
        labels.setdefault((kind, target), []).append(label)
    for (kind, target), several in labels.items():
        yield Arrow(kind=kind, source=id_, target=target, label=", ".join(several))


def _written(step: Step, handlers: Handlers) -> Iterator[tuple[Kind, str, str]]:
    if step.on_success is not None:
        yield "taken", "on_success", step.on_success
    if step.on_resume is not None:
        yield "taken", "on_resume", step.on_resume
    for target in _gotos(step, handlers):
        yield "taken", "goto", target
    if step.on_failure is not None:
        yield "failed", "on_failure", step.on_failure


def _gotos(step: Step, handlers: Handlers) -> Iterable[str]:
    spec = handlers.get(step.type)
    return () if spec is None else sorted(targets_of(spec, step.config))


def _with_ways_gone(box: Box, marks: Marks) -> Box:
    """The box, whose arrows say how often the marked execution took them, where only one leads to the same step."""
    targets = Counter(arrow.target for arrow in box.arrows)
    return replace(
        box,
        arrows=tuple(
            replace(arrow, passed=marks.passages.get(Passage(arrow.source, arrow.target), 0))
            if targets[arrow.target] == 1
            else arrow
            for arrow in box.arrows
        ),
    )


def _in_steps(marks: Marks, flow: Flow) -> Marks:
    """The marks of an execution, whose states are those of the lowered flow, on its steps."""
    visited = [step for state in marks.visited if (step := step_of(state, flow.steps)) is not None]
    passages: Counter[Passage] = Counter()
    for passage, times in marks.passages.items():
        source, target = step_of(passage.source, flow.steps), step_of(passage.target, flow.steps)
        # Within a step it goes from running to waiting and back, which is no arrow of the flow.
        if source is not None and target is not None and (source != target or passage.source == passage.target):
            passages[Passage(source, target)] += times
    stays: dict[str, timedelta] = {}
    for state, stayed in marks.stays.items():
        if (step := step_of(state, flow.steps)) is not None:
            stays[step] = stays.get(step, timedelta(0)) + stayed
    return Marks(
        current=None if marks.current is None else step_of(marks.current, flow.steps),
        visited=tuple(step for step, _ in groupby(visited)),
        passages=passages,
        stays=stays,
        left=marks.left,
        earlier=marks.earlier,
    )
