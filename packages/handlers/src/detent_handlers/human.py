"""`human`: a wait for somebody's answer."""

from pydantic import Field

from detent.flows.context import HandlerContext
from detent.flows.handler import handler
from detent.flows.results import Failure, Result, wait_for_event
from detent.json_values import JsonObject, JsonValue
from detent_handlers.config import HandlerConfig, filled_in

WAITING = "human.waiting"
"""The topic under which the application hears that somebody is waited for."""


class HumanConfig(HandlerConfig):
    """What is asked of whom; instructions and assignee may be left to the step's input."""

    title: str = Field(min_length=1)
    """What is wanted, in a few words: the reason of the wait."""
    instructions: str | None = None
    """The same at length."""
    form: JsonObject | None = None
    """A JSON Schema of the answer, for whoever shows a form; it is carried along."""
    assignee: str | None = None
    """Who is asked, in the application's own words."""
    topic: str = Field(default=WAITING, min_length=1)
    """The topic of the message that tells of it."""


@handler("human", name="Human", category="control", targets=False)
async def human(ctx: HandlerContext, config: HumanConfig, input: JsonValue) -> Result:  # noqa: A002 - the name it is passed by
    """Waits until somebody answers, and tells the application that it does.

    In the commit in which the wait begins, a message is published under `topic`: `{"execution_id", "step_id", "title",
    "instructions", "form", "assignee"}`. The answer comes by `FlowService.resume`, with data that become the step's output.

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
    return wait_for_event(said.title, details=asked)
