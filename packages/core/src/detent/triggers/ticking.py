"""What a cron trigger does at an instant, decided from values: which ticks it fires, and when it looks again."""

from dataclasses import dataclass
from datetime import datetime

from detent.triggers.cron import missed, next_tick
from detent.triggers.trigger import CronTrigger, Trigger

AT_ONCE = 100
"""How many ticks one commit fires; the rest is due at once."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is due now."""

    ticks: tuple[datetime, ...]
    """To be fired, in order."""
    last_at: datetime
    """Up to here all ticks are done with."""
    next_at: datetime | None
    """When to look again; in the past where more is left than one commit takes."""


def due(trigger: CronTrigger, last_at: datetime, now: datetime, *, at_once: int = AT_ONCE) -> Due:
    """What to fire at `now` when the ticks up to `last_at` are done with, by the trigger's misfire policy."""
    zone = trigger.timezone or "UTC"
    policy, grace = trigger.misfire, trigger.grace
    ticks = missed(trigger.expression, zone, last_at, now, policy, grace=grace, limit=at_once)
    done = ticks[at_once - 1] if len(ticks) >= at_once else max(last_at, now)
    return Due(tuple(ticks[:at_once]), done, next_tick(trigger.expression, zone, done))


def first_tick(trigger: Trigger, now: datetime) -> datetime | None:
    """When a trigger that is enabled at `now` fires by itself; `None` where only others fire it."""
    if not isinstance(trigger, CronTrigger):
        return None
    return next_tick(trigger.expression, trigger.timezone or "UTC", now)


def same_clock(before: Trigger, after: Trigger) -> bool:
    """Whether both are due at the same instants, so that what was missed is still missed."""
    if not isinstance(before, CronTrigger) or not isinstance(after, CronTrigger):
        return True
    return (before.expression, before.timezone) == (after.expression, after.timezone)
