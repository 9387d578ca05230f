"""How large the context of a flow may grow, on every path into it."""

from dataclasses import dataclass

from pydantic_core import to_json

from detent.flows.errors import ContextTooLarge
from detent.flows.names import ERROR
from detent.json_values import JsonObject, JsonValue

_SHORT = 500
"""Characters of a message that is too long."""


@dataclass(frozen=True, slots=True)
class ContextLimits:
    """What the context of a flow may hold."""

    value_bytes: int = 1_000_000
    """How many bytes of JSON one value under a top-level key may take."""
    total_bytes: int = 10_000_000
    """How many bytes of JSON all of it may take."""
    keys: int = 500
    """How many top-level keys there may be."""
    depth: int = 15
    """How deep lists and objects may nest below the context itself."""
    inline_bytes: int | None = 64 * 1024
    """From how many bytes of JSON on a value under a top-level key is kept beside the context; never for `None`."""

    def check(self, context: JsonObject, *, beside: int = 0) -> None:
        """Raise `ContextTooLarge`, which says by its `limit` what is too large; `beside` is how much of it lies elsewhere.

        The error of a failed step does not add to keys and bytes: a step that deals with it has the room that it had before.
        """
        keys, total = len(context.keys() - {ERROR}), beside
        if keys > self.keys:
            raise ContextTooLarge("CONTEXT_KEY_LIMIT", f"it has {keys} keys, and may have {self.keys}")
        for key, value in context.items():
            size = len(to_json(value))
            total += 0 if key == ERROR else size + len(key)
            if size > self.value_bytes:
                said = f"{key!r} takes {size:,} bytes, and may take {self.value_bytes:,}"
                raise ContextTooLarge("CONTEXT_VALUE_TOO_LARGE", said)
            if _depth(value, self.depth) > self.depth:
                raise ContextTooLarge("CONTEXT_NESTING_LIMIT", f"{key!r} is nested deeper than {self.depth} levels")
        if total > self.total_bytes:
            said = f"it takes {total:,} bytes, and may take {self.total_bytes:,}"
            raise ContextTooLarge("CONTEXT_SIZE_LIMIT", said)

    def fitting(self, error: JsonObject) -> JsonObject:
        """The error of a step as a context may hold it: where it is too large, without details and with a short message."""
        try:
            self.check({ERROR: error})
        except ContextTooLarge:
            return {**error, "message": error["message"][:_SHORT], "details": None}
        return error


def _depth(value: JsonValue, most: int) -> int:
    """How deep `value` nests, as far as it matters."""
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    if inside is None:
        return 0
    if most < 0:
        return 1
    return 1 + max((_depth(item, most - 1) for item in inside), default=0)
