"""What a handler may answer. Outcomes are values; exceptions are for surprises."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from detent.json_values import JsonObject, JsonValue

TIMEOUT = "TIMEOUT"
"""The code of a failure that says that something took too long."""


@dataclass(frozen=True, slots=True)
class Success:
    """The step did its work; the flow goes on to `on_success`, and ends well where there is none."""

    output: JsonValue = None
    """JSON that is put where the step's `output_key` says."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The step could not do its work. It is repeated as its `retry` says; then the flow goes on to `on_failure`."""

    code: str
    """A stable name for the reason, for machines."""
    message: str = ""
    """A sentence for people."""
    details: JsonValue = None
    """JSON for the step that deals with it."""
    retryable: bool = True
    """Whether another attempt may help."""
    retry_after: timedelta | None = None
    """After what time it may help, where whoever was asked said so; instead of the step's own delay."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The flow waits here, and then goes on to `on_resume`, else to `on_success`."""

    until: datetime | timedelta | None
    """When it goes on by itself: an instant, or a time from now. `None` waits for somebody to resume it."""
    reason: str | None = None
    """What it waits for, for people."""
    details: JsonObject | None = None
    """JSON for those who look what it waits for."""
    form: JsonObject | None = None
    """The JSON Schema of the data that somebody may resume it with; any where nothing is said."""


@dataclass(frozen=True, slots=True)
class WaitForChild:
    """The flow waits for the end of a child that the handler started with `on_end=CHILD_ENDED`; its result is the step's."""

    child_id: str


@dataclass(frozen=True, slots=True)
class GoTo:
    """The flow goes on to this step, whatever the transitions say; `None` ends it well."""

    step: str | None
    output: JsonValue = None
    """JSON that is put where the step's `output_key` says."""


Result: TypeAlias = Success | Failure | Wait | WaitForChild | GoTo
"""One of the answers. A handler that answers `None` has succeeded without an output."""


def success(output: JsonValue = None) -> Success:
    """The step did its work."""
    return Success(output)


def failure(
    code: str,
    message: str = "",
    details: JsonValue = None,
    *,
    retryable: bool = True,
    retry_after: timedelta | None = None,
) -> Failure:
    """The step could not do its work."""
    return Failure(code, message, details, retryable, retry_after)


def wait(after: timedelta, reason: str | None = None) -> Wait:
    """Go on after a time; durable, however long it is."""
    return Wait(after, reason)


def wait_until(instant: datetime, reason: str | None = None) -> Wait:
    """Go on at an instant."""
    return Wait(instant, reason)


def wait_for_event(
    reason: str | None = None, *, details: JsonObject | None = None, form: JsonObject | None = None
) -> Wait:
    """Go on when somebody resumes the flow, by its id or by a token, with data that meet the JSON Schema `form`, where there is
    one: that needs `detent[schema]`.
    """
    return Wait(None, reason, details, form)


def goto(step: str | None, output: JsonValue = None) -> GoTo:
    """Go on to a step of the handler's choice; `None` ends the flow well."""
    return GoTo(step, output)
