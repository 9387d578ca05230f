"""Payloads: the context of an instance as a step sees it, and what a step answers as the context that comes next."""

from collections.abc import Mapping

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from detent.definition.shape import shape_problems
from detent.errors import InvalidValue
from detent.json_values import JsonObject, copy_object, json_object
from detent.registry.context import CommandContext
from detent.registry.raises import GiveUp


def written(payload: object, path: str) -> JsonObject:
    """The payload as JSON, a snapshot: a pydantic model as it writes itself, any other object as it is.

    Raises `InvalidValue`, which says where inside `path` something is no JSON.
    """
    if isinstance(payload, BaseModel):
        return json_object(payload.model_dump(mode="json"), path)
    if not isinstance(payload, Mapping):
        kind = type(payload).__name__
        raise InvalidValue(path, f"is a {kind}, and a payload is an object", hint="give a dict or a pydantic model")
    return json_object(payload, path)


def read(kind: object, context: JsonObject) -> object:
    """The context as the payload that a step asks for: validated where that is a pydantic model, else a copy.

    Raises `GiveUp` where it does not fit: no repetition would make it.
    """
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return copy_object(context)
    try:
        # Models write themselves by the names of their fields, and others may have written by alias.
        return kind.model_validate_json(to_json(context), by_alias=True, by_name=True)
    except ValidationError as error:
        told = "; ".join(str(problem) for problem in shape_problems(error))
        raise GiveUp(f"the payload does not fit {kind.__name__}: {told}", code="payload_does_not_fit") from None


def take_payload(ctx: CommandContext) -> None:
    """Lays what came with an event over the context, so that it is part of the payload of the state that follows."""
    if isinstance(ctx.payload, dict):
        ctx.context.update(ctx.payload)
