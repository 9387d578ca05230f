"""What *the same definition* means: a hash over what it does, not over how it is written.

Left out are the version and its policy, which say what the content is called, and whatever only people read:
descriptions, and the titles, descriptions and examples inside a JSON Schema. Metadata stays, because code reads it.
Defaults are left out too, so that a new field of ours is not an edit of every stored definition.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from detent.definition.data_model import DataModel
from detent.definition.duration import duration_text
from detent.definition.part import Part
from detent.definition.timeout import Timeout
from detent.definition.workflow import Workflow
from detent.json_values import JsonObject, JsonValue
from detent.retry import Retry

_UNREAD = {"version", "version_policy", "description", "transactional"}
_SCHEMA_NOISE = {"title", "description", "examples", "$comment"}
_SCHEMAS_BY_NAME = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
_SCHEMA_VALUES = {"const", "enum", "default", "required"}


def fingerprint(definition: Workflow) -> str:
    """The SHA-256 of the canonical form, in hexadecimal; equal for definitions that do the same."""
    canonical = json.dumps(_part(definition), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _part(part: Part) -> JsonObject:
    written: JsonObject = {}
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if name not in _UNREAD and (field.is_required() or value != field.get_default(call_default_factory=True)):
            written[name] = _value(value)
    return written


def _value(value: Any) -> JsonValue:
    match value:
        case Part():
            return _part(value)
        case Timeout():
            return _timeout(value)
        case timedelta():
            return duration_text(value)
        case Retry():
            return _retry(value)
        case DataModel():
            return _schema(value.json_schema)
        case Mapping():
            return {key: _value(item) for key, item in value.items()}
        case list() | tuple():
            return [_value(item) for item in value]
        case _:
            return value


def _timeout(timeout: Timeout) -> JsonValue:
    flags = [flag for flag in ("interrupts", "optional") if getattr(timeout, flag)]
    flags += [f"across {timeout.across}"] if timeout.across is not None else []
    return [timeout.spoken, *flags] if flags else timeout.spoken


def _retry(retry: Retry) -> JsonValue:
    return [retry.attempts, duration_text(retry.initial), retry.factor, duration_text(retry.maximum), retry.jitter]


def _schema(schema: JsonValue) -> JsonValue:
    """A JSON Schema without what only people read; keys that are names and values that are data stay as they are."""
    if isinstance(schema, list):
        return [_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _keyword(key, value) for key, value in schema.items() if not _noise(key, value)}


def _noise(key: str, value: JsonValue) -> bool:
    """Whether a keyword demands nothing; some releases of pydantic say that more properties are allowed, others not."""
    return key in _SCHEMA_NOISE or (key == "additionalProperties" and value is True)


def _keyword(key: str, value: JsonValue) -> JsonValue:
    if key in _SCHEMAS_BY_NAME and isinstance(value, dict):
        return {name: _schema(schema) for name, schema in value.items()}
    return value if key in _SCHEMA_VALUES else _schema(value)
