"""`log`: a line in the application's log."""

import logging
from typing import Annotated, Literal

from pydantic import BeforeValidator
from pydantic_core import to_json

from detent.flows.context import HandlerContext
from detent.flows.handler import handler
from detent.flows.results import Failure, Result, success
from detent.json_values import JsonObject, JsonValue
from detent_handlers.config import HandlerConfig, filled_in, unusable

logger = logging.getLogger("detent_handlers.log")


def _level(written: object) -> object:
    return "warning" if written == "warn" else written


class LogConfig(HandlerConfig):
    """What to log; what is left out here, the step's input may say."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_level)] = "info"
    """How much it matters; `warn` is another spelling of `warning`."""
    message: JsonValue = None
    """Text; any other JSON is logged as JSON."""


def _needs_input(config: JsonObject) -> str | None:
    return None if config.get("message") is not None else "a message, in its config or as its input"


@handler("log", name="Log", category="utility", targets=False, needs_input=_needs_input)
async def log(ctx: HandlerContext, config: LogConfig, input: JsonValue) -> Result:
    """Writes a line to the log `detent_handlers.log`, with the execution, its flow and the step.

    The message is the config's, or else the step's input: a text, or an object with `message` and perhaps `level`, as a template
    selector makes them. Line breaks and control characters are shown escaped, so that nobody's data can pass for another
    line. The record carries `execution_id`, `flow` and `step`. Without a message it fails with `INPUT_VALIDATION_FAILED`.
    """
    said = filled_in(config, {"message": input} if isinstance(input, str) else input, "level", "message")
    if isinstance(said, Failure):
        return said
    if said.message is None:
        return unusable("there is no message, neither in the config nor in the input")
    where = {"execution_id": str(ctx.execution_id), "flow": ctx.flow, "step": ctx.step_id}
    level = logging.getLevelNamesMapping()[said.level.upper()]
    logger.log(level, "%s %s %s: %s", ctx.flow, ctx.execution_id, ctx.step_id, _one_line(said.message), extra=where)
    return success()


def _one_line(message: JsonValue) -> str:
    text = message if isinstance(message, str) else to_json(message).decode()
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
