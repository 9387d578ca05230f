"""One instance: where it stands and came through, what it may do now, and what operators may do to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData
from starlette.responses import Response

from detent.definition.model import WorkflowDefinition
from detent.errors import DetentError, StoreError
from detent.notation.mermaid import to_mermaid
from detent.runtime.availability import AvailableEvent
from detent.runtime.explanation import Explanation
from detent.store.records import FINISHED, Outcome, Status, WorkflowInstance
from detent_dashboard.fields import Field, fields_of
from detent_dashboard.headers import PICTURE_POLICY
from detent_dashboard.outline import Place, outline_of
from detent_dashboard.visit import Visit

PAGE = 50
"""How many entries of the history a page shows."""


@dataclass(frozen=True, slots=True)
class EventForm:
    """An event that the state declares, and the form for what it wants."""

    event: AvailableEvent
    fields: Sequence[Field] | None

    @property
    def label(self) -> str:
        """What stands on its button: `metadata.label` of the event, else its name."""
        label = self.event.metadata.get("label")
        return label if isinstance(label, str) and label else self.event.name


@dataclass(frozen=True, slots=True)
class Picture:
    """The diagram of what an instance follows, as text and as a list."""

    text: str
    places: Sequence[Place]
    states: Sequence[str]


async def instance(visit: Visit) -> Response:
    """`GET /instances/{id}`."""
    return await shown(visit, await visit.instance())


async def shown(
    visit: Visit,
    found: WorkflowInstance,
    *,
    problem: str | None = None,
    status: int = 200,
    typed: FormData | None = None,
) -> Response:
    """The page of an instance; with a `problem`, that of a form that came to nothing, with what was `typed` into it."""
    workflows = visit.workflows
    explanation = await workflows.explain(found.id)
    before = visit.asked("before")
    history = await workflows.get_history(found.id, limit=PAGE, before=sequence_in(before))
    operator = await visit.may("operate", found)
    return visit.page(
        "instance.html",
        status=status,
        problem=problem,
        typed=typed or {},
        instance=explanation.instance,
        explanation=explanation,
        picture=await picture_of(visit, found),
        history=history,
        older=history[-1].sequence if history and history[-1].sequence > 1 else None,
        newest=not before,
        forms=_forms(explanation),
        may_event=await visit.may("event", found),
        verbs=_verbs(explanation, history) if operator else {},
    )


def sequence_in(text: str) -> int | None:
    """The sequence or version that a text says; `None` where it says none that there could be."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


async def picture_of(visit: Visit, found: WorkflowInstance) -> Picture | None:
    """The picture of an instance; `None` where its version is not known here."""
    try:
        definition = await visit.workflows.definition_of(found)
        marks = await visit.workflows.get_marks(found)
    except StoreError:
        raise
    except DetentError:
        return None
    text = to_mermaid(definition, marks=marks, show_details=False)
    return Picture(str(text), outline_of(definition, marks), list(definition.states))


async def instance_diagram(visit: Visit) -> Response:
    """`GET /instances/{id}/diagram`: the picture alone, drawn by Mermaid's script."""
    picture = await picture_of(visit, await visit.instance())
    return diagram_page(visit, "" if picture is None else picture.text)


def diagram_page(visit: Visit, text: str) -> Response:
    """A page that holds nothing but a picture."""
    response = visit.page("diagram.html", text=text)
    response.headers["content-security-policy"] = PICTURE_POLICY
    return response


def drawn(definition: WorkflowDefinition) -> Picture:
    """The picture of a definition."""
    text = to_mermaid(definition, show_details=False)
    return Picture(str(text), outline_of(definition), list(definition.states))


def _forms(explanation: Explanation) -> Sequence[EventForm]:
    return [EventForm(event, fields_of(event.payload_schema)) for event in explanation.events]


def _verbs(explanation: Explanation, history: Sequence[Any]) -> Mapping[str, bool]:
    """The verbs of operators, each with whether it can do anything now."""
    found = explanation.instance
    live = found.status not in FINISHED
    wrong = bool(history) and history[0].outcome in (Outcome.REFUSED, Outcome.FAILED)
    tried = any(timer.attempts for timer in found.timers)
    return {
        "pause": found.status is Status.ACTIVE,
        "resume": found.status is Status.PAUSED,
        "retry": found.parked_at is not None or tried or (live and wrong),
        "force": found.run_id is None,
        "patch": found.run_id is None,
        "cancel": live,
    }
