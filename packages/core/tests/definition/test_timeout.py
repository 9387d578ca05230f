from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent.definition import Event, Timeout
from detent.errors import InvalidValue

ENTERED = datetime(2026, 1, 1, tzinfo=UTC)
DUE = Timeout(at="delivery.deadline")


@pytest.mark.parametrize(
    "written",
    [
        "1d12h",
        "P1DT12H",
        timedelta(hours=36),
        {"after_days": 1, "after_hours": 12},
        {"afterDays": 1, "afterHours": 12},
        {"after_days": 1.5},
        {"after_hours": 35, "after_minutes": 59, "after_seconds": 60},
    ],
)
def test_every_form_says_the_same(written: Any) -> None:
    assert Event(timeout=written).timeout == Timeout(after=timedelta(hours=36))


def test_a_timeout_can_be_read_from_the_context() -> None:
    assert Event(timeout={"at": "delivery.deadline"}).timeout == DUE


@pytest.mark.parametrize(
    ("timeout", "text"), [(Timeout(after=timedelta(days=14)), "14d"), (DUE, "at delivery.deadline")]
)
def test_a_timeout_is_spoken_short(timeout: Timeout, text: str) -> None:
    assert timeout.spoken == text


@given(st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=400)), st.booleans())
def test_a_timeout_is_written_and_read_back(after: timedelta, camel: bool) -> None:
    event = Event(timeout=after)
    assert Event.model_validate(event.model_dump(mode="json", exclude_defaults=True, by_alias=camel)) == event


def test_a_duration_counts_from_the_entry() -> None:
    assert Timeout(after=timedelta(days=14)).deadline(ENTERED, {}) == datetime(2026, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "deadline"),
    [
        ("2026-02-01T12:00:00Z", datetime(2026, 2, 1, 12, tzinfo=UTC)),
        ("2026-02-01T12:00:00+02:00", datetime(2026, 2, 1, 10, tzinfo=UTC)),
        ("2d", datetime(2026, 1, 3, tzinfo=UTC)),
        ("P2D", datetime(2026, 1, 3, tzinfo=UTC)),
        (None, None),
    ],
)
def test_a_deadline_in_the_context_is_an_instant_or_counts_from_the_entry(value: Any, deadline: Any) -> None:
    assert DUE.deadline(ENTERED, {"delivery": {"deadline": value}}) == deadline


@pytest.mark.parametrize("value", ["2026-02-01T12:00:00", "2026-02-01", "tomorrow", "-2d", "0s", 1767225600, True, {}])
def test_a_deadline_that_cannot_be_read_names_its_path(value: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        DUE.deadline(ENTERED, {"delivery": {"deadline": value}})
    assert caught.value.path == "context.delivery.deadline"


@pytest.mark.parametrize("context", [{}, {"delivery": None}, {"delivery": {}}, {"delivery": "soon"}])
def test_a_deadline_that_is_missing_names_its_path(context: Any) -> None:
    with pytest.raises(InvalidValue, match=r"context\.delivery\.deadline is missing"):
        DUE.deadline(ENTERED, context)


def test_a_deadline_after_the_last_date_is_refused() -> None:
    with pytest.raises(InvalidValue, match="beyond the last date"):
        Timeout(after=timedelta.max).deadline(ENTERED, {})


def test_a_timeout_has_a_duration_or_a_path() -> None:
    for neither_or_both in ({}, {"after": timedelta(days=1), "at": "due"}):
        with pytest.raises(InvalidValue, match="either `after` or `at`"):
            Timeout(**neither_or_both)  # type: ignore[arg-type]
