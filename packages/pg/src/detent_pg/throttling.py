"""How many runs of a throttled queue may be claimed now: arithmetic over what was claimed lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from detent.store.run_records import Throttle
from detent_pg.rows import decode, encode

_MOST = 100
"""How many claims are remembered by themselves; beyond, neighbours are taken together, as of the later one."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Runs that were claimed at one instant."""

    at: datetime
    runs: int


def room(throttle: Throttle, taken: Sequence[Taken], held: int, now: datetime) -> int | None:
    """How many more may be claimed now; `None` where nothing bounds it."""
    places = None if throttle.concurrency is None else throttle.concurrency - held
    pace = (
        None if throttle.rate is None else throttle.rate - sum(each.runs for each in _since(taken, now - throttle.per))
    )
    bounds = [bound for bound in (places, pace) if bound is not None]
    return max(0, min(bounds)) if bounds else None


def remembered(taken: Sequence[Taken], claimed: int, now: datetime, per: timedelta) -> list[Taken]:
    """What is to be known of the queue once so many more are claimed."""
    recent = [*_since(taken, now - per), Taken(now, claimed)]
    while len(recent) > _MOST:
        recent = [_together(recent[index : index + 2]) for index in range(0, len(recent), 2)]
    return recent


def written(taken: Sequence[Taken]) -> str:
    """As the JSON that is stored."""
    return encode([[each.at.isoformat(), each.runs] for each in taken])


def read(text: str) -> list[Taken]:
    """From the JSON that is stored."""
    return [Taken(datetime.fromisoformat(at), runs) for at, runs in decode(text)]


def _since(taken: Sequence[Taken], start: datetime) -> list[Taken]:
    return [each for each in taken if each.at > start]


def _together(neighbours: Sequence[Taken]) -> Taken:
    return Taken(neighbours[-1].at, sum(each.runs for each in neighbours))
