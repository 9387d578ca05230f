from datetime import timedelta
from typing import Any

import pytest

from detent.definition import validate


def _found(definition: Any) -> list[tuple[str, str, str]]:
    return [(problem.path, problem.code, problem.severity) for problem in validate(definition)]


@pytest.mark.parametrize("timeout", ["0s", "-1d", "PT0S", timedelta(0), {"after_minutes": 0}, {"afterMinutes": 0}])
def test_a_timeout_is_positive(one_event: Any, timeout: Any) -> None:
    found = _found(one_event(target="end", timeout=timeout))
    assert found == [("states.start.events.E.timeout", "duration_not_positive", "error")]


@pytest.mark.parametrize("timeout", ["400000d", "1" * 400 + "d", {"after_days": 1e300}, timedelta.max, "P999999999D"])
def test_a_timeout_fits_the_calendar(one_event: Any, timeout: Any) -> None:
    found = _found(one_event(target="end", timeout=timeout))
    assert found == [("states.start.events.E.timeout", "duration_too_long", "error")]


@pytest.mark.parametrize(("first", "second"), [("1d", "24h"), ({"at": "due"}, {"at": "due"})])
def test_two_timeouts_of_a_state_fire_at_different_instants(workflow: Any, first: Any, second: Any) -> None:
    events = {"A": {"target": "end", "timeout": first}, "B": {"target": "end", "timeout": second}}
    found = _found(workflow({"start": {"events": events}, "end": {}}))
    assert found == [("states.start.events.B.timeout", "simultaneous_timeouts", "error")]


def test_reminders_before_a_deadline_are_fine(workflow: Any) -> None:
    remind = {"internal": True, "commands": ["remind"]}
    events = {
        "Remind": {**remind, "timeout": "1d"},
        "RemindAgain": {**remind, "timeout": "2d"},
        "Expire": {"target": "end", "timeout": {"at": "due"}},
    }
    assert _found(workflow({"start": {"events": events}, "other": {"events": events}, "end": {}})) == [
        ("states.other", "unreachable_state", "warning")
    ]


def test_an_event_that_fires_by_itself_has_no_payload_to_require(one_event: Any) -> None:
    payload = {"type": "object", "required": ["by"]}
    found = _found(one_event(target="end", timeout="1d", payload=payload))
    assert found == [("states.start.events.E.payload", "timeout_without_payload", "warning")]
