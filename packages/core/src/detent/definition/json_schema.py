"""Whether JSON is what a JSON Schema wants, with every fault at its place."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from detent.definition.conformance import jsonschema, referencing, schema_fault
from detent.definition.shape import dotted
from detent.json_values import JsonObject, JsonValue
from detent.problems import Problem

MOST = 50
"""How many faults are told of one value."""


def check_schema(schema: JsonObject) -> str | None:
    """Why `schema` cannot be used as a JSON Schema; `None` where it can."""
    if jsonschema is None:  # pragma: no cover - the extra is installed where this is tested
        return "it cannot be read without detent[schema]"
    return _fault(to_json(schema))


def schema_problems(schema: JsonObject | None, value: JsonValue) -> tuple[Problem, ...]:
    """Everything in which `value` is not what `schema` wants, by place; nothing where there is no schema.

    The code of each is the keyword of the schema, such as `required` or `type`; `$ref` where the schema cannot be followed.
    """
    if schema is None:
        return ()
    validator = _validator(to_json(schema))
    try:
        found = [next_ for next_, _ in zip(validator.iter_errors(value), range(MOST), strict=False)]
    except (referencing.exceptions.Unresolvable, RecursionError) as error:
        return (Problem("", "$ref", f"cannot be judged, because its schema cannot be followed: {error}"[:500]),)
    told = [Problem(dotted(error.absolute_path), str(error.validator), error.message[:500]) for error in found]
    return tuple(sorted(told, key=lambda error: (error.path, error.code)))


@lru_cache(maxsize=256)
def _fault(schema: bytes) -> str | None:
    """The fault of a schema that is read again with each call, judged once."""
    read = from_json(schema)
    return schema_fault(read) or next(_dangling(read), None)


def _dangling(schema: JsonObject) -> Iterator[str]:
    """References that lead nowhere: other documents are never followed, and nobody who calls can mend it."""
    root = referencing.jsonschema.DRAFT202012.create_resource(schema)
    uri = root.id() or ""
    yield from _dangling_below(root, referencing.Registry().with_resource(uri, root).crawl().resolver(uri))


def _dangling_below(resource: Any, resolver: Any) -> Iterator[str]:
    if isinstance(resource.contents, dict) and isinstance(reference := resource.contents.get("$ref"), str):
        try:
            resolver.lookup(reference)
        except referencing.exceptions.Unresolvable:
            yield f"{reference!r} cannot be followed, because it is not in the schema itself"
    for below in resource.subresources():
        yield from _dangling_below(below, resolver.in_subresource(below))


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    of = jsonschema.Draft202012Validator
    return of(from_json(schema), registry=referencing.Registry(), format_checker=of.FORMAT_CHECKER)
