"""Timeouts: that each can fire, and that it is clear which one does."""

from collections.abc import Iterator
from datetime import timedelta

from detent.definition.duration import duration_text
from detent.definition.timeout import Timeout
from detent.definition.walk import each_event
from detent.definition.workflow import Workflow
from detent.problems import Problem

LONGEST = timedelta(days=365_000)
"""How long a timeout may be; the calendar of Python, and of its JSON, ends with the year 9999."""


def timeouts_are_positive(definition: Workflow) -> Iterator[Problem]:
    """A timeout fires after the entry into its state."""
    for path, _, _, event in each_event(definition):
        after = event.timeout.after if event.timeout else None
        if after is not None and after <= timedelta(0):
            message = f"a timeout must be longer than nothing, not {duration_text(after)}"
            hint = "use on_enter for what happens at once"
            yield Problem(f"{path}.timeout", "duration_not_positive", message, hint)


def timeouts_fit_the_calendar(definition: Workflow) -> Iterator[Problem]:
    """A deadline is a date that can be written."""
    for path, _, _, event in each_event(definition):
        after = event.timeout.after if event.timeout else None
        if after is not None and after > LONGEST:
            message = f"a timeout can be at most {duration_text(LONGEST)} long, which is a thousand years"
            yield Problem(f"{path}.timeout", "duration_too_long", message)


def timeouts_differ(definition: Workflow) -> Iterator[Problem]:
    """No two timeouts of a state fire at the same instant."""
    first: dict[tuple[str, Timeout], str] = {}
    for path, state, name, event in each_event(definition):
        if event.timeout is None:
            continue
        earlier = first.setdefault((state, event.timeout), name)
        if earlier != name:
            message = f"event {name!r} would fire at the same instant as {earlier!r} ({event.timeout.spoken})"
            yield Problem(f"{path}.timeout", "simultaneous_timeouts", message, "set them apart, or make them one event")


def timeouts_need_no_payload(definition: Workflow) -> Iterator[Problem]:
    """An event that fires by itself gets along without a payload."""
    for path, _, name, event in each_event(definition):
        if event.timeout and event.payload and event.payload.json_schema.get("required"):
            message = f"event {name!r} requires a payload, and a timeout has none to give"
            hint = "make every property of the payload optional"
            yield Problem(f"{path}.payload", "timeout_without_payload", message, hint, severity="warning")


def interrupting_timeouts_leave(definition: Workflow) -> Iterator[Problem]:
    """A timeout that ends a run leads out of what the run was about."""
    for path, _, name, event in each_event(definition):
        if event.internal and event.timeout and event.timeout.interrupts:
            message = f"event {name!r} is internal, and would leave its state without the run that it interrupts"
            yield Problem(
                f"{path}.timeout", "internal_interrupts", message, "give it a target, or let it wait for the run"
            )
