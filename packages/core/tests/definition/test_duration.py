from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent.definition.duration import SHORT_PATTERN, duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("14d", timedelta(days=14)),
        ("1h30m", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        ("2w1d", timedelta(days=15)),
        ("1.5s", timedelta(seconds=1.5)),
        ("0.5m", timedelta(seconds=30)),
        ("0s", timedelta(0)),
        ("-1d", timedelta(days=-1)),
        ("P14D", timedelta(days=14)),
        ("PT1H30M", timedelta(minutes=90)),
        ("P1W", timedelta(weeks=1)),
    ],
)
def test_a_duration_is_read(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "14", "d", "14x", "14D", "30m1h", "1d1d", "1e3s", "P", "PT", "P1Y", "P1M", "½d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|years"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["99999999999999d", "1" * 500 + "s"])
def test_more_than_can_be_held_is_the_most_that_can(text: str) -> None:
    assert parse_duration(text) == timedelta.max


@pytest.mark.parametrize(("minutes", "text"), [(90, "1h30m"), (60 * 24 * 14, "14d"), (0, "0s"), (-5, "-5m")])
def test_a_duration_is_written_short(minutes: int, text: str) -> None:
    assert duration_text(timedelta(minutes=minutes)) == text


@given(st.timedeltas())
def test_what_is_written_is_read_back_exactly(duration: timedelta) -> None:
    assert parse_duration(duration_text(duration)) == duration


@given(st.from_regex(SHORT_PATTERN, fullmatch=True).filter(lambda text: text not in ("", "-")))
def test_everything_the_pattern_allows_can_be_read(text: str) -> None:
    assert isinstance(parse_duration(text), timedelta)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused_and_nothing_else_happens(text: str) -> None:
    try:
        assert isinstance(parse_duration(text), timedelta)
    except ValueError:
        return
