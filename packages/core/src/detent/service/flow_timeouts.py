"""How long an execution may take."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from detent.definition.duration import duration_argument
from detent.definition.shape import shown
from detent.errors import InvalidValue
from detent.flows.own import Own


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long an execution may take. Each is a `timedelta` or text such as `"24h"`; `None` for as long as it likes."""

    execution: timedelta | str | None = None
    """From its start to its end. Where it passes, the execution is cancelled with the source `timeout`."""
    wait: timedelta | str | None = None
    """Each wait of it."""


def begun(timeouts: Timeouts | None, now: datetime) -> Own:
    """What a flow knows of itself when it starts at `now`. Raises `InvalidValue`."""
    if timeouts is not None and not isinstance(timeouts, Timeouts):
        raise InvalidValue("timeouts", f"is {shown(timeouts)}", hint='pass Timeouts(execution="24h", wait="1h")')
    given = timeouts or Timeouts()
    execution = length_of(given.execution, "timeouts.execution")
    deadline = None if execution is None else now + execution
    return Own(deadline=deadline, wait_limit=length_of(given.wait, "timeouts.wait"))


def length_of(value: timedelta | str | None, path: str) -> timedelta | None:
    """A length of time that may be left out, longer than nothing. Raises `InvalidValue`."""
    return None if value is None else duration_argument(value, path, least=timedelta(microseconds=1))
