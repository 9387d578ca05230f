"""The error of a step, as it stands in the context for the step that deals with it."""

from datetime import datetime

from detent.json_values import JsonObject, JsonValue


def step_error(code: str, message: str, step_id: str, details: JsonValue, now: datetime) -> JsonObject:
    """What is kept under `error`."""
    return {
        "code": code,
        "message": message,
        "step_id": step_id,
        "details": details,
        "timestamp": now.isoformat(),
    }
