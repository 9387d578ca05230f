"""The invocations of a trigger, counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from detent.triggers.tally import Tally

_FAILED = ("error", "flow_not_found")
_TURNED_AWAY = ("unauthorized", "validation_failed", "disabled", "paused")


@dataclass(frozen=True, slots=True)
class TriggerStatistics:
    """The invocations of a trigger, counted by what came of them.

    Counted is what is logged, in the same commit; what was rolled back and is tried again, such as an instant whose flow this
    process does not know, stands in the log and is not counted.
    """

    since: datetime | None
    """From when on; `None` for all there are."""
    total: int
    by_status: Mapping[str, int]
    """As `Invocation.status` names them."""
    executions: int
    """How many were started; not those that were known already."""
    last_at: datetime | None
    """When it was last invoked, since then."""

    @property
    def failed(self) -> int:
        """How many should have started a flow and did not."""
        return sum(self.by_status.get(status, 0) for status in _FAILED)

    @property
    def turned_away(self) -> int:
        """How many calls and messages were not taken."""
        return sum(self.by_status.get(status, 0) for status in _TURNED_AWAY)

    @classmethod
    def of(cls, since: datetime | None, tally: Tally) -> Self:
        """What a tally says."""
        return cls(since, sum(tally.by_status.values()), dict(tally.by_status), tally.executions, tally.last_at)
