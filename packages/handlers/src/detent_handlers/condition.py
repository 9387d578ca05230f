"""`condition`: the next step by the first condition that is met."""

from time import monotonic
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from detent.definition.selectors import DotPath, look_up
from detent.definition.shape import fault
from detent.flows.context import HandlerContext
from detent.flows.handler import handler
from detent.flows.results import Failure, Result, failure, goto
from detent.json_values import JsonObject, JsonValue
from detent_handlers.config import HandlerConfig
from detent_handlers.operators import ABSENT, WITHOUT_VALUE, Op, compare, kind, value_fault
from detent_handlers.patterns import LONGEST_SEARCH


def _op(written: object) -> object:
    return to_camel(written) if isinstance(written, str) else written


class Condition(HandlerConfig):
    """One comparison, and where it leads."""

    path: DotPath
    """What is compared: a path in the step's input."""
    op: Annotated[Op, BeforeValidator(_op)]
    """How; `starts_with`, `ends_with` and `not_exists` are other spellings."""
    value: JsonValue = None
    """With what; `exists` and `notExists` need none."""
    target: str | None
    """The step to go to; null ends the flow well."""

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        if self.op in WITHOUT_VALUE:
            return self
        if "value" not in self.model_fields_set:
            raise fault("missing_value", f"{self.op} compares with a value, and there is none", inside=".value")
        wrong = value_fault(self.op, self.value)
        if wrong is not None:
            raise fault("bad_value", f"what {self.op} compares with {wrong}", inside=".value")
        return self


class ConditionConfig(HandlerConfig):
    """Conditions in their order, and where it goes when none is met."""

    conditions: Annotated[list[Condition], Field(min_length=1)]
    """The first that is met decides."""
    default: str | None = None
    """The step to go to when none is met; null ends the flow well, and left out it is a failure."""


def _targets(config: JsonObject) -> dict[str, str]:
    try:
        read = ConditionConfig.model_validate(config)
    except ValidationError:
        return {}  # Asked before the config is checked, which then says so.
    named = [(f"conditions[{index}].target", condition.target) for index, condition in enumerate(read.conditions)]
    return {target: place for place, target in [("default", read.default), *reversed(named)] if target is not None}


@handler(
    "condition",
    aliases=["conditional"],
    name="Condition",
    category="control",
    targets=_targets,
    needs_input=lambda _: "an input to look into",
)
async def condition(ctx: HandlerContext, config: ConditionConfig, input: JsonValue) -> Result:  # noqa: ARG001 - what it is called with
    """Goes on to the step of the first condition that the step's input meets.

    `eq`, `neq`: equal to the value or not, lists and objects through and through.
    `gt`, `gte`, `lt`, `lte`: two numbers, or two texts by code points.
    `in`, `nin`: among the values of a list, or not.
    `contains`: a text within a text, or a value within a list. `startsWith`, `endsWith`: of a text.
    `exists`, `notExists`: whether there is something, and not null.
    `matches`: a regular expression (as Python's `re` knows them) found anywhere in a text.

    Types are strict: 1 is neither `true` nor "1". A comparison of different types, or with what is not there, is not met; only
    `neq`, `nin` and `notExists`, which deny, then are. When none is met and there is no default, it fails with `NO_MATCH`, whose
    details say of each condition what kind of value was found: `{"path", "op", "found", "compared_with"}`.

    A pattern has at most 500 characters, and a text of more than 10,000 matches none. Where the searches of a step take longer
    than 0.2 s, it fails with `PATTERN_TOO_COSTLY`: what repeats something that repeats itself, such as `(a+)+$`, would take
    hours on 40 characters.

    The output is `{"matched": <path>, "op", "target"}`.
    """
    latest = monotonic() + LONGEST_SEARCH
    for one in config.conditions:
        try:
            met = compare(one.op, look_up(input, one.path, default=ABSENT), one.value, seconds=latest - monotonic())
        except TimeoutError:
            said = f"the pattern for {one.path!r} takes too long"
            return failure("PATTERN_TOO_COSTLY", said, {"path": one.path, "pattern": one.value}, retryable=False)
        if met:
            return goto(one.target, {"matched": one.path, "op": one.op, "target": one.target})
    if "default" in config.model_fields_set:
        return goto(config.default, {"matched": None, "op": None, "target": config.default})
    return _no_match(config.conditions, input)


def _no_match(conditions: list[Condition], input: JsonValue) -> Failure:
    """The failure that says what was seen: kinds of values, because the values themselves may be anybody's secret."""
    seen = [_seen(one, input) for one in conditions]
    if input is None:
        said = ": the input is null"
    else:
        odd = [f"{one['path']} is {shown}" for one in seen if (shown := _oddity(one)) is not None]
        said = f": {'; '.join(odd)}" if odd else ""
    return failure("NO_MATCH", f"no condition is met, and there is no default{said}", seen, retryable=False)


def _seen(one: Condition, input: JsonValue) -> JsonObject:
    found = kind(look_up(input, one.path, default=ABSENT))
    compared = None if one.op in WITHOUT_VALUE else kind(one.value)
    return {"path": one.path, "op": one.op, "found": found, "compared_with": compared}


def _oddity(seen: JsonObject) -> str | None:
    """Why a value could not have met the condition whatever it is; `None` where it could."""
    op, found, compared = seen["op"], seen["found"], seen["compared_with"]
    if op in WITHOUT_VALUE:
        return None
    if found == "absent":
        return "absent"
    if op in ("eq", "gt", "gte", "lt", "lte") and found != compared:
        return f"of kind {found}, and {op} compares it with {compared}"
    return None
