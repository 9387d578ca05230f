"""A JSON Schema without references to its own parts, to stand inside another document, where those would lead elsewhere."""

from typing import Any

from detent.json_values import JsonObject


def inlined(schema: JsonObject) -> JsonObject:
    """The same with what it refers to in place; where that holds itself, anything goes there."""
    found: JsonObject = _inlined(schema, schema, ())
    return {name: value for name, value in found.items() if name not in ("$defs", "definitions", "$schema", "$id")}


def _inlined(value: Any, root: JsonObject, inside: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_inlined(item, root, inside) for item in value]
    if not isinstance(value, dict):
        return value
    ref = value.get("$ref")
    if not isinstance(ref, str):
        return {name: _inlined(item, root, inside) for name, item in value.items() if name != "$defs"}
    beside = {name: _inlined(item, root, inside) for name, item in value.items() if name != "$ref"}
    target = None if ref in inside else _at(root, ref)
    meant = _inlined(target, root, (*inside, ref)) if isinstance(target, dict) else {}
    return {"allOf": [meant], **beside} if beside else meant


def _at(root: JsonObject, ref: str) -> Any:
    """What a reference such as `#/$defs/Line` leads to; nothing for one that leads out of the document."""
    if not ref.startswith("#/"):
        return root if ref == "#" else None
    found: Any = root
    for part in ref[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found
