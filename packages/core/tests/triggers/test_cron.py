"""Cron: when an expression is due, what a change of the clock means, and what becomes of what was missed."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent.errors import InvalidValue
from detent.triggers.cron import Schedule, missed, next_tick, ticks_between

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
SPRING = datetime(2030, 3, 31, tzinfo=BERLIN)
"""The night in which the clock skips 02:00 to 03:00 in Berlin."""
AUTUMN = datetime(2030, 10, 27, tzinfo=BERLIN)
"""The night in which 02:00 to 03:00 comes twice in Berlin."""


def walls(expression: str, start: datetime, days: float = 1, zone: ZoneInfo = BERLIN) -> list[str]:
    """What clocks in the zone show at the instants of the days after `start`."""
    end = (start + timedelta(days=days)).replace(tzinfo=zone)
    found = ticks_between(expression, zone.key, start, end)
    return [tick.astimezone(zone).strftime("%d. %H:%M%z") for tick in found]


def test_five_fields_are_minutes_to_weekdays():
    assert next_tick("30 4 1 * *", "UTC", datetime(2030, 1, 1, 5, tzinfo=UTC)) == datetime(
        2030, 2, 1, 4, 30, tzinfo=UTC
    )


def test_the_first_of_six_fields_are_seconds():
    ticks = islice(Schedule("*/20 * * * * *").after(datetime(2030, 1, 1, 0, 0, 20, tzinfo=UTC)), 3)
    assert [tick.second for tick in ticks] == [40, 0, 20]


def test_an_instant_is_not_after_itself():
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert next_tick("0 12 * * *", "UTC", noon) == noon + timedelta(days=1)
    assert next_tick("0 12 * * *", "UTC", noon - timedelta(microseconds=1)) == noon


def test_times_are_those_of_the_zone():
    summer = next_tick("0 9 * * *", "Europe/Berlin", datetime(2030, 7, 1, tzinfo=UTC))
    winter = next_tick("0 9 * * *", "Europe/Berlin", datetime(2030, 1, 1, tzinfo=UTC))
    assert summer is not None
    assert winter is not None
    assert (summer.hour, winter.hour) == (7, 8)


@pytest.mark.parametrize("expression", ["30 2 * * *", "0 30 2 * * *", "0,30 2 * * *", "0 2,3 * * *"])
def test_a_fixed_time_that_is_skipped_is_due_once_at_the_end_of_the_gap(expression):
    assert walls(expression, SPRING)[0] == "31. 03:00+0200"
    assert len(set(walls(expression, SPRING))) == len(walls(expression, SPRING)) == 1


@pytest.mark.parametrize("expression", ["30 2 * * *", "0 30 2 * * *"])
def test_a_fixed_time_that_comes_twice_is_due_the_first_time(expression):
    assert walls(expression, AUTUMN) == ["27. 02:30+0200"]


def test_after_the_first_of_two_a_fixed_time_is_due_the_next_day():
    between = datetime(2030, 10, 27, 2, 10, fold=1, tzinfo=BERLIN)
    assert walls("30 2 * * *", between.astimezone(UTC), days=2)[0] == "28. 02:30+0100"


def test_new_york_changes_its_clock_at_its_own_time():
    spring, autumn = datetime(2030, 3, 10, tzinfo=NEW_YORK), datetime(2030, 11, 3, tzinfo=NEW_YORK)
    assert walls("30 2 * * *", spring, zone=NEW_YORK) == ["10. 03:00-0400"]
    assert walls("30 1 * * *", autumn, zone=NEW_YORK) == ["03. 01:30-0400"]


@pytest.mark.parametrize(("night", "hours"), [(SPRING, 23), (AUTUMN, 25)])
def test_what_goes_by_the_hour_is_due_in_every_hour_that_passes(night, hours):
    due = list(ticks_between("0 * * * *", "Europe/Berlin", night, (night + timedelta(days=1))))
    assert len(due) == hours
    assert {later - earlier for earlier, later in pairwise(due)} == {timedelta(hours=1)}


def test_what_goes_by_the_minute_in_a_skipped_hour_is_not_due_that_day():
    assert walls("*/30 2 * * *", SPRING, days=2) == ["01. 02:00+0200", "01. 02:30+0200"]


def test_what_goes_by_the_minute_in_a_repeated_hour_is_due_in_both():
    expected = ["27. 02:00+0200", "27. 02:30+0200", "27. 02:00+0100", "27. 02:30+0100"]
    assert walls("*/30 2 * * *", AUTUMN) == expected


def test_a_gap_of_a_whole_day_is_left_at_its_end():
    """Samoa had no 30th of December 2011."""
    before = datetime(2011, 12, 30, 9, 0, tzinfo=UTC)
    assert next_tick("30 2 30 12 *", "Pacific/Apia", before) == datetime(2011, 12, 30, 10, tzinfo=UTC)


def brute_force(schedule: Schedule, zone: ZoneInfo, start: datetime, hours: int) -> list[datetime]:
    """The rules as they are written down, asked of every minute."""
    begin = start.astimezone(UTC).replace(second=0, microsecond=0)
    minutes = [begin + timedelta(minutes=minute) for minute in range(hours * 60 + 1)]
    shown = {minute: minute.astimezone(zone).replace(tzinfo=None, fold=0) for minute in minutes}
    first, last = min(shown.values()), max(shown.values())
    never_changed = ticks_between(schedule.expression, "UTC", first.replace(tzinfo=UTC), last.replace(tzinfo=UTC))
    wall_ticks = {tick.replace(tzinfo=None) for tick in never_changed}
    if not schedule.fixed:
        return [minute for minute in minutes if shown[minute] in wall_ticks]
    due: set[datetime] = set()
    for wall in wall_ticks:
        showing = [minute for minute in minutes if shown[minute] == wall]
        later = [minute for minute in minutes if shown[minute] > wall]
        due |= {showing[0]} if showing else set(later[:1])
    return sorted(due)


minute_fields = st.sampled_from(["*", "*/7", "*/15", "0", "30", "5,35", "10-20"])
hour_fields = st.sampled_from(["*", "*/2", "*/3", "0", "1", "2", "3", "1-3", "2,14"])
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"])
starts = st.sampled_from(
    [
        datetime(2030, 3, 30, 20, tzinfo=UTC),
        datetime(2030, 10, 26, 20, tzinfo=UTC),
        datetime(2030, 3, 9, 20, tzinfo=UTC),
        datetime(2030, 11, 2, 20, tzinfo=UTC),
        datetime(2030, 4, 6, 8, tzinfo=UTC),
        datetime(2030, 10, 5, 8, tzinfo=UTC),
        datetime(2030, 4, 25, 12, tzinfo=UTC),
        datetime(2030, 10, 31, 12, tzinfo=UTC),
    ]
)


@given(minute_fields, hour_fields, zones, starts)
def test_the_instants_are_those_of_the_written_rules(minute, hour, zone, start):
    schedule = Schedule(f"{minute} {hour} * * *", zone)
    end = start + timedelta(hours=30)
    found = list(ticks_between(schedule.expression, zone, start, end + timedelta(seconds=1)))
    expected = [tick for tick in brute_force(schedule, ZoneInfo(zone), start, 30) if tick >= start]
    # At its edges the search by force cannot know which of two came first.
    inside = lambda tick: start + timedelta(hours=2) < tick < end - timedelta(hours=2)  # noqa: E731
    assert [tick for tick in found if inside(tick)] == [tick for tick in expected if inside(tick)]


@given(
    minute_fields,
    hour_fields,
    zones,
    st.datetimes(datetime(2029, 1, 1), datetime(2032, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),
)
def test_no_instant_comes_twice_and_none_is_lost_on_the_way(minute, hour, zone, start):
    schedule = Schedule(f"{minute} {hour} * * *", zone)
    at_once = list(islice(schedule.after(start), 30))
    one_by_one, last = [], start
    for _ in range(30):
        last = next(schedule.after(last))
        one_by_one.append(last)
    assert at_once == one_by_one == sorted(set(at_once))


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("* * *", "5 or 6 fields"),
        ("61 * * * *", "Bad minute, which goes from 0 to 59"),
        ("* 24 * * *", "Bad hour, which goes from 0 to 23"),
        ("* * * * 8", "Bad day-of-week, which goes from 0 to 7"),
        ("@daily", "macros are not read (write 0 0 * * *)"),
        ("@reboot", "macros are not read (write 5 fields"),
        ("* * * * * * *", "5 or 6 fields"),
        ("0 0 31 2 *", "Bad day"),
        ("* * */20 * 1L", "never due"),
        ("", "5 or 6 fields"),
    ],
)
def test_an_expression_that_cannot_be_read_says_why(expression, said):
    with pytest.raises(InvalidValue, match=re.escape(said)) as raised:
        Schedule(expression)
    assert raised.value.path == "expression"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd"])
def test_a_zone_that_is_none_is_refused(zone):
    with pytest.raises(InvalidValue, match="no IANA time zone"):
        Schedule("* * * * *", zone)


@given(st.text(st.characters(codec="ascii"), max_size=30))
def test_any_text_is_read_or_refused(expression):
    with suppress(InvalidValue):
        assert next(Schedule(expression).after(NOON)) > NOON


NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def at(*minutes: float) -> list[datetime]:
    return [NOON + timedelta(minutes=minute) for minute in minutes]


def test_what_is_in_time_is_fired_by_every_policy():
    for policy in ("skip", "once", "all"):
        assert missed("*/10 * * * *", "UTC", NOON, NOON + timedelta(minutes=10, seconds=40), policy) == at(10)


def test_skip_fires_nothing_that_is_late():
    assert missed("*/10 * * * *", "UTC", NOON, NOON + timedelta(minutes=35), "skip") == []
    assert missed("*/10 * * * *", "UTC", NOON, NOON + timedelta(minutes=30), "skip") == at(30)


def test_once_fires_the_latest_of_what_is_late():
    assert missed("*/10 * * * *", "UTC", NOON, NOON + timedelta(minutes=35), "once") == at(30)


def test_once_fires_nothing_more_where_something_is_in_time():
    assert missed("*/10 * * * *", "UTC", NOON, NOON + timedelta(minutes=30), "once") == at(30)


def test_all_fires_everything_and_no_more_than_it_may_at_once():
    late = NOON + timedelta(minutes=35)
    assert missed("*/10 * * * *", "UTC", NOON, late, "all") == at(10, 20, 30)
    for policy in ("all", "once", "skip"):
        assert missed("*/10 * * * *", "UTC", NOON, late, policy, grace=timedelta(days=1), limit=2) == at(10, 20)


def test_many_within_the_grace_are_all_in_time():
    found = missed("*/10 * * * * *", "UTC", NOON, NOON + timedelta(seconds=60), "once")
    assert len(found) == 6


def test_nothing_is_fired_before_its_time_or_twice():
    assert missed("*/10 * * * *", "UTC", NOON, NOON + timedelta(minutes=9), "all") == []
    assert missed("*/10 * * * *", "UTC", NOON, NOON, "once") == []


def test_years_of_seconds_are_missed_in_no_time():
    years_later = NOON + timedelta(days=3650)
    assert missed("* * * * * *", "UTC", NOON, years_later, "once", grace=timedelta(0)) == [years_later]
    assert missed("0 0 1 1 *", "UTC", NOON, years_later, "once") == [datetime(2039, 1, 1, tzinfo=UTC)]
