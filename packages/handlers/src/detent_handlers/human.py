"""`human`: a wait for somebody's answer."""

from typing import Annotated

from pydantic import AfterValidator, Field

from detent.definition.json_schema import check_schema
from detent.definition.shape import fault
from detent.flows.context import HandlerContext
from detent.flows.handler import handler
from detent.flows.results import Failure, Result, wait_for_event
from detent.json_values import JsonObject, JsonValue
from detent_handlers.config import HandlerConfig, filled_in

WAITING = "human.waiting"
"""The topic under which the application hears that somebody is waited for."""


def _schema(form: JsonObject) -> JsonObject:
    reason = check_schema(form)
    if reason is not None:
        raise fault("bad_schema", f"is no JSON Schema: {reason}")
    return form


class HumanConfig(HandlerConfig):
    """What is asked of whom; instructions and assignee may be left to the step's input."""

    title: str = Field(min_length=1)
    """What is wanted, in a few words: the reason of the wait."""
    instructions: str | None = None
    """The same at length."""
    form: Annotated[JsonObject, AfterValidator(_schema)] | None = None
    """A JSON Schema of the answer, for whoever shows a form; an answer that does not meet it is refused."""
    assignee: str | None = None
    """Who is asked, in the application's own words."""
    topic: str = Field(default=WAITING, min_length=1)
    """The topic of the message that tells of it."""


@handler("human", name="Human", category="control", targets=False, waits=True)
async def human(ctx: HandlerContext, config: HumanConfig, input: JsonValue) -> Result:
    """Waits until somebody answers, and tells the application that it does.

    In the commit in which the wait begins, a message is published under `topic`: `{"execution_id", "step_id", "title",
    "instructions", "form", "assignee"}`. The answer comes by `FlowService.resume`, with data that become the step's output; with
    a `form`, those that do not meet it are refused with `InvalidValue`, and the flow waits on.

    The message holds no token: a resume token is told once, when it is made, and never stored. The application makes one when
    it hears of the wait, with `FlowService.tokens.generate`, and puts it into the mail or the page that it shows. What the
    config leaves out of `instructions` and `assignee`, an object as the step's input may say.
    """
    said = filled_in(config, input, "instructions", "assignee")
    if isinstance(said, Failure):
        return said
    asked = {
        "title": said.title,
        "instructions": said.instructions,
        "form": said.form,
        "assignee": said.assignee,
    }
    execution = str(ctx.execution_id)
    ctx.publish(said.topic, {"execution_id": execution, "step_id": ctx.step_id, **asked}, key=execution)
    return wait_for_event(said.title, details=asked, form=said.form)
