"""`switch`: the next step by a value."""

from decimal import Decimal

from pydantic import ValidationError

from detent.definition.selectors import DotPath, look_up
from detent.flows.context import HandlerContext
from detent.flows.handler import handler
from detent.flows.results import Result, failure, goto
from detent.json_values import JsonObject, JsonValue
from detent_handlers.config import HandlerConfig
from detent_handlers.operators import ABSENT

_LONGEST_SHOWN = 80
_PLAIN = (1e-6, 1e21)
"""Between which sizes JavaScript writes a number without an exponent."""


class SwitchConfig(HandlerConfig):
    """Which value is looked at, and where each leads."""

    path: DotPath
    """Where the value stands in the step's input."""
    cases: dict[str, str | None]
    """The step for each value, which is written as text; null ends the flow well."""
    default: str | None = None
    """The step for every other value; null ends the flow well, and left out it is a failure."""


def _targets(config: JsonObject) -> dict[str, str]:
    try:
        read = SwitchConfig.model_validate(config)
    except ValidationError:
        return {}  # Asked before the config is checked, which then says so.
    named = [(f"cases.{case}", target) for case, target in read.cases.items()]
    return {target: place for place, target in [("default", read.default), *reversed(named)] if target is not None}


@handler("switch", name="Switch", category="control", targets=_targets, needs_input=lambda _: "an input to look into")
async def switch(ctx: HandlerContext, config: SwitchConfig, input: JsonValue) -> Result:  # noqa: ARG001 - what it is called with
    """Goes on to the step that is named for a value of the step's input.

    A case is compared with the value as JavaScript's `String(value)` writes it: a text as it is, `5` for both 5 and 5.0,
    `true`, `false`, `null`, and `undefined` where there is nothing. Lists and objects are no case. Where none fits and there is
    no default, it fails with `NO_MATCH`. The output is `{"path", "value", "target"}`.
    """
    value = look_up(input, config.path, default=ABSENT)
    text = as_text(value)
    shown = None if value is ABSENT else value
    if text is not None and text in config.cases:
        target = config.cases[text]
        return goto(target, {"path": config.path, "value": shown, "target": target})
    if "default" in config.model_fields_set:
        return goto(config.default, {"path": config.path, "value": shown, "target": config.default})
    said = "a list or an object" if text is None else repr(text[:_LONGEST_SHOWN])
    return failure("NO_MATCH", f"there is no case for {said}, and no default", retryable=False)


def as_text(value: JsonValue) -> str | None:
    """A value as JavaScript writes it; `None` for lists and objects."""
    if value is ABSENT:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value)
    return value if isinstance(value, str) else None


def _number(number: float) -> str:
    """An integer in all its digits; any other number with the digits that tell it from its neighbours."""
    least, most = _PLAIN
    if isinstance(number, int) or (number.is_integer() and abs(number) < most):
        return str(int(number))
    if least <= abs(number) < most:
        return format(Decimal(repr(number)), "f")
    digits, _, exponent = repr(number).partition("e")
    return f"{digits}e{int(exponent):+d}"
