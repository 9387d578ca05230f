from datetime import UTC, datetime, timedelta, timezone

import pytest

from detent.clock import Clock
from detent.testing.clock import FakeClock

START = datetime(2031, 5, 1, tzinfo=UTC)


def test_it_stands_still_until_it_is_moved():
    clock: Clock = FakeClock(START)

    assert clock.now() == clock.now() == START


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        (lambda clock: clock.advance(timedelta(days=14)), timedelta(days=14)),
        (lambda clock: clock.advance("14d"), timedelta(days=14)),
        (lambda clock: clock.advance("1h30m"), timedelta(minutes=90)),
        (lambda clock: clock.advance(days=1, hours=2, minutes=3), timedelta(days=1, hours=2, minutes=3)),
        (lambda clock: clock.set(START - timedelta(days=1)), timedelta(days=-1)),
    ],
)
def test_it_moves_and_answers_the_new_instant(moved, expected):
    clock = FakeClock(START)

    assert moved(clock) == clock.now() == START + expected


def test_it_tells_utc_whatever_it_was_set_to():
    clock = FakeClock(START.astimezone(timezone(timedelta(hours=9))))

    assert clock.now() == START
    assert clock.now().tzinfo is UTC


def test_it_does_not_advance_backwards():
    with pytest.raises(ValueError, match="backwards"):
        FakeClock().advance("-1d")


def test_an_instant_without_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        FakeClock(datetime(2031, 5, 1))
