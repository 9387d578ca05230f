"""Under which idempotency key a firing starts its execution: the same again starts nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from detent.definition.selectors import look_up
from detent.json_values import JsonValue
from detent.triggers.errors import InputError
from detent.triggers.trigger import IdempotencyFrom

MAX_KEY = 200
"""How many characters the key of a call may have."""


def tick_key(trigger_id: UUID, tick: datetime) -> str:
    """Of an instant of a schedule, whoever fires it."""
    return f"{trigger_id}:tick:{tick.astimezone(UTC).isoformat()}"


def call_key(trigger_id: UUID, key: str) -> str:
    """Of a call or a message that has a key of its own."""
    return f"{trigger_id}:call:{key}"


def key_of(
    wanted: IdempotencyFrom | None, headers: Mapping[str, str], body: JsonValue
) -> tuple[str | None, InputError | None]:
    """The key that a call brings, or what is wrong with it; neither where none is wanted."""
    if wanted is None:
        return None, None
    if wanted.header is not None:
        place = f"headers.{wanted.header}"
        found: JsonValue = {name.lower(): value for name, value in headers.items()}.get(wanted.header.lower())
    else:
        place = str(wanted.path)
        found = look_up(body, place, default=None) if isinstance(body, dict) else None
    if isinstance(found, bool) or not isinstance(found, str | int) or not str(found).strip():
        return None, InputError(place, "is missing, and tells this call from others", "idempotency")
    key = str(found).strip()
    if len(key) > MAX_KEY:
        return None, InputError(place, f"has more than {MAX_KEY} characters", "idempotency")
    return key, None
