"""What the configs of all handlers have in common, and how a step's input fills in what one of them leaves unsaid."""

from typing import TypeVar

from pydantic import AliasChoices, AliasGenerator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from detent.definition.near_misses import NearMisses
from detent.definition.shape import shape_problems
from detent.flows.results import Failure, failure
from detent.json_values import JsonValue
from detent.problems import render

Config = TypeVar("Config", bound="HandlerConfig")

INPUT_REFUSED = "INPUT_VALIDATION_FAILED"
"""The code of an input that a handler can do nothing with; the flow's own checks answer the same."""


def _both(field: str) -> str | AliasChoices:
    other = to_camel(field)
    return field if other == field else AliasChoices(field, other)


class HandlerConfig(NearMisses):
    """The config of a handler: keys in snake_case, or in FlowMonkey's camelCase, and no others."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=AliasGenerator(validation_alias=_both),
        validate_by_name=True,
        use_attribute_docstrings=True,
    )


def filled_in(config: Config, given: JsonValue, *keys: str) -> Config | Failure:
    """`config`, with those of `keys` that it leaves unsaid as an object `given` as the step's input says them; else why not."""
    unsaid = [key for key in keys if key not in config.model_fields_set]
    added = {key: given[key] for key in unsaid if key in given} if isinstance(given, dict) else {}
    if not added:
        return config
    try:
        return type(config).model_validate(config.model_dump(exclude_unset=True) | added)
    except ValidationError as error:
        problems = shape_problems(error)
        details = [{"path": one.path, "code": one.code, "message": one.message} for one in problems]
        return failure(INPUT_REFUSED, render(problems), details, retryable=False)


def unusable(message: str) -> Failure:
    """The failure of a step whose input a handler can do nothing with."""
    return failure(INPUT_REFUSED, message, retryable=False)
