"""`transform`: JSON made of JSON."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, assert_never

from pydantic import BeforeValidator, Discriminator, Field, RootModel, Tag

from detent.definition.selectors import DotPath, look_up
from detent.definition.shape import TAG
from detent.flows.context import HandlerContext
from detent.flows.handler import handler
from detent.flows.results import Result, failure, success
from detent.json_values import JsonObject, JsonValue
from detent_handlers.config import HandlerConfig
from detent_handlers.expressions import Evaluation, Expression


def _bare(path: object) -> object:
    """A path without what FlowMonkey's examples write around it: `{{ user.id }}`, `$.user.id`."""
    if not isinstance(path, str):
        return path
    return path.strip().removeprefix("{{").removesuffix("}}").strip().removeprefix("$.")


_Path: TypeAlias = Annotated[DotPath, BeforeValidator(_bare)]


class Pick(HandlerConfig):
    """Those of the object's keys that are named."""

    operation: Literal["pick"]
    keys: list[str]
    """Top-level keys, each taken literally; one that is not there is left out."""


class Omit(HandlerConfig):
    """The object without the keys that are named."""

    operation: Literal["omit"]
    keys: list[str]
    """Top-level keys, each taken literally."""


class Map(HandlerConfig):
    """A new object of values found at paths."""

    operation: Literal["map"]
    mapping: dict[str, _Path]
    """Path by new key: `{"city": "address.city"}`. What is not there becomes null."""


class Merge(HandlerConfig):
    """Objects laid over each other, key by key; what lies deeper is not merged."""

    operation: Literal["merge"]
    sources: list[_Path] | None = None
    """Where the objects stand, the last of them on top; null where the input is a list of them."""


class Filter(HandlerConfig):
    """Those items of the list of which a condition is true."""

    operation: Literal["filter"]
    condition: Expression
    """JMESPath, asked of each item: ``price > `10` && in_stock``."""


class Query(HandlerConfig):
    """What a JMESPath expression finds."""

    operation: Literal["query"]
    query: Expression
    """The expression: ``lines[?paid].{sku: sku, total: amount} | [0]``."""


_OPERATIONS = ("pick", "omit", "map", "merge", "filter", "query")


def _operation(written: object) -> str | None:
    if isinstance(written, Mapping):
        named = written.get("operation")
        return TAG + named if named in _OPERATIONS else None
    return TAG + written.operation if isinstance(written, Pick | Omit | Map | Merge | Filter | Query) else None


Operation: TypeAlias = Annotated[
    Annotated[Pick, Tag(TAG + "pick")]
    | Annotated[Omit, Tag(TAG + "omit")]
    | Annotated[Map, Tag(TAG + "map")]
    | Annotated[Merge, Tag(TAG + "merge")]
    | Annotated[Filter, Tag(TAG + "filter")]
    | Annotated[Query, Tag(TAG + "query")],
    Discriminator(
        _operation,
        custom_error_type="unknown_operation",
        custom_error_message="must be an object whose operation is one of " + ", ".join(_OPERATIONS),
    ),
]
"""One of the operations, told apart by `operation`."""


class TransformConfig(RootModel[Operation]):
    """What to make of the input."""

    root: Operation = Field(description="One of the operations.")


class _NotFitting(ValueError):
    """The input is nothing that the operation can be done to."""


@handler("transform", name="Transform", category="data", targets=False)
async def transform(ctx: HandlerContext, config: TransformConfig, input: JsonValue) -> Result:  # noqa: ARG001 - what it is called with
    """Picks, omits, maps, merges, filters or queries (JMESPath) the step's input.

    Nothing is evaluated but paths and JMESPath. An input that the operation cannot be done to is a failure `TRANSFORM_ERROR`,
    which is not repeated.
    """
    try:
        return success(_made(config.root, input))
    except ValueError as error:
        return failure("TRANSFORM_ERROR", f"{config.root.operation}: {error}", retryable=False)


def _made(operation: Operation, given: JsonValue) -> JsonValue:
    match operation:
        case Pick(keys=keys):
            whole = _object(given, "the input")
            return {key: whole[key] for key in keys if key in whole}
        case Omit(keys=keys):
            return {key: value for key, value in _object(given, "the input").items() if key not in keys}
        case Map(mapping=mapping):
            return {key: look_up(given, path) for key, path in mapping.items()}
        case Merge(sources=sources):
            return _merged(given, sources)
        case Filter(condition=condition):
            evaluation = Evaluation(condition)
            return [item for item in _list(given) if evaluation.holds(item)]
        case Query(query=query):
            return Evaluation(query).of(given)
        case other:
            assert_never(other)


def _merged(given: JsonValue, sources: list[str] | None) -> JsonObject:
    if sources is None:
        parts = [(item, f"item {index} of the input") for index, item in enumerate(_list(given))]
    else:
        parts = [(look_up(given, path), repr(path)) for path in sources]
    merged: dict[str, Any] = {}
    for part, name in parts:
        merged |= _object(part, name)
    return merged


def _object(value: JsonValue, name: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _NotFitting(f"{name} is not an object")
    return value


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise _NotFitting("the input is not a list")
    return value
