"""The tally of invocations: counted one by one, kept as JSON, and told between two instants."""

from datetime import UTC, datetime, timedelta

from detent.triggers.definition import TALLY
from detent.triggers.tally import Tally

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_an_empty_context_has_counted_nothing():
    assert Tally.of({}) == Tally()


def test_what_is_kept_is_read_back():
    tally = Tally().and_one("success", 2, NOW).and_one("disabled", 0, NOW + timedelta(hours=1))
    assert Tally.of({TALLY: tally.to_json()}) == tally
    assert (tally.by_status, tally.executions, tally.last_at) == (
        {"success": 1, "disabled": 1},
        2,
        NOW + timedelta(hours=1),
    )


def test_the_difference_of_two_is_what_came_between():
    earlier = Tally().and_one("success", 1, NOW)
    later = earlier.and_one("success", 1, NOW + timedelta(hours=1)).and_one("error", 0, NOW + timedelta(hours=2))
    assert later.after(earlier) == Tally({"success": 1, "error": 1}, 1, NOW + timedelta(hours=2))
    assert later.after(later) == Tally()
