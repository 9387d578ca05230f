"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

from detent.definition.duration import duration_argument

_START = datetime(2030, 1, 1, 12, tzinfo=UTC)


class FakeClock:
    """A `Clock` for tests: deadlines of two weeks pass in no time.

    ```python
    clock = FakeClock()
    clock.advance("14d")
    ```
    """

    def __init__(self, start: datetime = _START) -> None:
        self._now = _with_zone(start)

    def now(self) -> datetime:
        """The instant it was last moved to, in UTC."""
        return self._now

    def advance(
        self, by: timedelta | str = timedelta(), *, days: float = 0, hours: float = 0, minutes: float = 0
    ) -> datetime:
        """Move forward by a `timedelta`, by a text such as `1h30m`, or by days, hours and minutes; answers the instant.

        Raises `InvalidValue` for what is no length of time, and `ValueError` for a step backwards.
        """
        step = duration_argument(by, "by") + timedelta(days=days, hours=hours, minutes=minutes)
        if step < timedelta():
            raise ValueError("a clock does not run backwards; use set() to put it there")
        self._now += step
        return self._now

    def set(self, instant: datetime) -> datetime:
        """Move to `instant`, forwards or backwards; answers it in UTC."""
        self._now = _with_zone(instant)
        return self._now


def _with_zone(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone; write datetime(..., tzinfo=UTC)")
    return instant.astimezone(UTC)
