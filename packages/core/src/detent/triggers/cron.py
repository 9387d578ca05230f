"""Cron: at which instants an expression is due in a time zone, purely.

Expressions have 5 fields, or 6 with the seconds in front, and mean what Debian's cron takes them for. What a change of the clock
means is decided here, for all of them alike:

* Fixed times, where neither the minute nor the hour begins with `*` (`30 2 * * *`), are due once per time on the wall. One that
  the clock skips is due at the first instant after the gap, together with what else falls on it; one that comes twice is due
  the first time only.
* Anything else (`*/15 * * * *`, `0 * * * *`, `* 2 * * *`) goes by the time that passes: it is not due in an hour that is skipped,
  and is due in both hours where one is repeated.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import islice, takewhile
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from detent.errors import InvalidValue

try:
    import cronsim as installed_cronsim
except ImportError:  # pragma: no cover - the extra is installed where this is tested
    installed_cronsim = None  # type: ignore[assignment]

cronsim: Any = installed_cronsim
"""The library, or `None` where the extra `cron` is not installed."""

Misfire: TypeAlias = Literal["skip", "once", "all"]
"""What becomes of instants that nobody fired in time."""

GRACE = timedelta(minutes=1)
"""How late an instant may be fired without counting as missed."""
_EARLY = datetime(2024, 1, 1, tzinfo=UTC)
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
_HINT = "write 5 fields (minute hour day month weekday), or 6 with the seconds in front: */5 * * * *"


_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_RANGES = {
    "second": "0 to 59",
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, as far as the month has them",
    "month": "1 to 12, or JAN to DEC",
    "day-of-week": "0 to 7, or SUN to SAT",
}


@dataclass(frozen=True)
class Schedule:
    """An expression in a time zone. Raises `InvalidValue` where either cannot be read, or nothing is ever due."""

    expression: str
    zone: str = "UTC"
    """An IANA name such as `Europe/Berlin`."""

    def __post_init__(self) -> None:
        if cronsim is None:  # pragma: no cover - the extra is installed where this is tested
            raise InvalidValue("expression", "cannot be read", hint="install detent[cron]")
        if self.expression.strip().startswith("@"):
            hint = _MACROS.get(self.expression.strip().lower())
            reason = f"is {self.expression!r}, and macros are not read"
            raise InvalidValue("expression", reason, hint=f"write {hint}" if hint else _HINT)
        if len(self.expression.split()) not in (5, 6):
            raise InvalidValue("expression", f"is {self.expression!r}, which has not 5 or 6 fields", hint=_HINT)
        if next(self.after(_EARLY), None) is None:
            raise InvalidValue("expression", f"is {self.expression!r}, which is never due")

    @cached_property
    def fixed(self) -> bool:
        """Whether it names times on the wall, and not how much time passes."""
        *_, minute, hour = self.expression.split()[:-3]
        return not minute.startswith("*") and not hour.startswith("*")

    def after(self, instant: datetime) -> Iterator[datetime]:
        """Every instant at which it is due after `instant`, in UTC, without an end unless it is due no more in 50 years."""
        begin, zone = instant.astimezone(UTC).replace(microsecond=0), self._zone
        return self._on_the_wall(begin, zone) if self.fixed else self._as_time_passes(begin, zone)

    @cached_property
    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise InvalidValue(
                "timezone", f"is {self.zone!r}, which is no IANA time zone", hint="Europe/Berlin"
            ) from None

    def _walls(self, local: datetime) -> Iterator[datetime]:
        """The times on a clock that never changes, after `local`; none of them has a zone."""
        try:
            return iter(cronsim.CronSim(self.expression, local.replace(tzinfo=None, fold=0)))
        except (cronsim.CronSimError, ValueError) as error:
            raise InvalidValue("expression", f"is {self.expression!r}: {_told(error)}", hint=_HINT) from None

    def _on_the_wall(self, begin: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        for wall in self._walls(begin.astimezone(zone)):
            instant = _first_valid(wall, zone)
            if instant > begin:
                yield instant
                begin = instant

    def _as_time_passes(self, begin: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Between two changes of the clock time passes on the wall as anywhere."""
        changed: datetime | None = begin
        while changed is not None:
            begin, changed = changed, None
            seen, offset = begin + _SECOND, _offset(zone, begin + _SECOND)
            for wall in self._walls(begin + offset):
                instant = (wall - offset).replace(tzinfo=UTC)
                changed = _change(zone, seen, instant)
                if changed is not None:
                    changed -= _SECOND
                    break
                yield instant
                seen = instant


@lru_cache(maxsize=1024)
def checked_schedule(expression: str, zone: str) -> Schedule:
    """The schedule, which is read once. Raises `InvalidValue`."""
    return Schedule(expression, zone)


def missed(
    expression: str,
    zone: str,
    last: datetime,
    now: datetime,
    policy: Misfire,
    *,
    grace: timedelta = GRACE,
    limit: int | None = None,
) -> list[datetime]:
    """The instants to fire at `now`, in order, when those up to `last` are done with.

    What is due no longer than `grace` ago is in time, and fired in any case. Of what is late, `skip` fires nothing, `once` the
    latest, and that only where nothing is in time, and `all` everything. No more than `limit` at once, the earliest first.
    """
    schedule = checked_schedule(expression, zone)
    if policy == "all":
        return list(islice(_between(schedule, last, now), limit))
    in_time = list(islice(_between(schedule, max(last, now - grace - timedelta(microseconds=1)), now), limit))
    if in_time or policy == "skip":
        return in_time
    late = _latest(schedule, last, now - grace)
    return [] if late is None else [late]


def next_tick(expression: str, zone: str, after: datetime) -> datetime | None:
    """When the expression is due next; `None` where that is not within 50 years."""
    return next(checked_schedule(expression, zone).after(after), None)


def ticks_between(expression: str, zone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants at or after `start` and before `end`."""
    tick = timedelta(microseconds=1)
    return _between(checked_schedule(expression, zone), start - tick, end - tick)


def _between(schedule: Schedule, last: datetime, until: datetime) -> Iterator[datetime]:
    return takewhile(lambda tick: tick <= until, schedule.after(last))


def _latest(schedule: Schedule, last: datetime, until: datetime) -> datetime | None:
    """The latest instant after `last`, looked for backwards in growing spans: what was missed may be millions."""
    span = timedelta(minutes=1)
    while last < until:
        start = max(last, until - span)
        found = list(_between(schedule, start, until))
        if found:
            return found[-1]
        if start == last:
            return None
        span *= 4
    return None


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _change(zone: ZoneInfo, begin: datetime, end: datetime) -> datetime | None:
    """The first second after `begin` and up to `end` at which the clock is set differently than at `begin`."""
    before = _offset(zone, begin)
    while begin < end:
        step = min(begin + _DAY, end)
        if _offset(zone, step) != before:
            return _first_second(zone, begin, step)
        begin = step
    return None


def _first_second(zone: ZoneInfo, begin: datetime, end: datetime) -> datetime:
    """Between two instants at which the clock is set differently, the second at which it changes."""
    before = _offset(zone, begin)
    while end - begin > _SECOND:
        middle = begin + timedelta(seconds=(end - begin) // _SECOND // 2)
        begin, end = (middle, end) if _offset(zone, middle) == before else (begin, middle)
    return end


def _first_valid(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which a clock in `zone` shows `wall`; where it never does, the end of the gap that `wall` is in."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # Read by the clock after the gap, a time in the gap is before it.
    return _first_second(zone, wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant)


def _told(error: Exception) -> str:
    """What the library found wrong, with what the field may be where it names one."""
    said = str(error)
    allowed = _RANGES.get(said.removeprefix("Bad "))
    return f"{said}, which goes from {allowed}" if allowed else said
