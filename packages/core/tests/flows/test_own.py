"""What a flow keeps of itself in the context."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from detent.flows.own import Own, WaitedFor, without_own

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WAIT = WaitedFor("approval", {"to": "ada"}, NOW)
FULL = Own(
    steps=3,
    wake=NOW + HOUR,
    wait_deadline=NOW + 2 * HOUR,
    wait_limit=2 * HOUR,
    deadline=NOW + 3 * HOUR,
    wait=WAIT,
    cancellation={"source": "timeout", "reason": "late", "cancelled_at": NOW.isoformat()},
    tokens={"hash": {"state": "pending"}},
)


@pytest.mark.parametrize("own", [Own(), FULL], ids=["nothing", "everything"])
def test_what_is_kept_is_read_back(own):
    assert Own.of({"$flow": own.to_json(), "n": 1}) == own


def test_a_context_without_it_is_a_flow_that_has_done_nothing():
    assert Own.of({"n": 1}) == Own()


def test_it_is_not_shown():
    context = {"$flow": FULL.to_json(), "n": 1}
    assert without_own(context) == {"n": 1}
    assert "$flow" in context


def test_a_step_that_begins_is_counted_and_nothing_is_waited_for_any_more():
    begun = FULL.going_on()
    assert begun == replace(FULL, steps=4, wake=None, wait_deadline=None, wait=None)


@pytest.mark.parametrize(
    ("until", "wake"), [(HOUR, NOW + HOUR), (NOW + 5 * HOUR, NOW + 5 * HOUR), (None, None)], ids=["time", "at", "never"]
)
def test_a_wait_ends_after_a_time_at_an_instant_or_by_somebody(until, wake):
    waiting = Own(steps=2, wait_limit=2 * HOUR).waiting(until, WAIT)
    assert (waiting.wake, waiting.wait_deadline, waiting.wait, waiting.steps) == (wake, NOW + 2 * HOUR, WAIT, 2)


def test_without_a_limit_a_wait_may_take_as_long_as_it_likes():
    assert Own().waiting(None, WAIT).wait_deadline is None


def test_a_wait_beyond_all_time_is_no_wait():
    with pytest.raises(OverflowError):
        Own().waiting(timedelta.max, WAIT)


def test_a_deadline_that_has_passed_is_noted_with_its_reason():
    assert Own(steps=1).expired("too long", NOW).cancellation == {
        "source": "timeout",
        "reason": "too long",
        "cancelled_at": NOW.isoformat(),
    }
