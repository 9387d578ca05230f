"""What waits in a store: the figures of health checks and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from detent.store.run_records import RunStatus


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in a store."""

    due: int = 0
    """Active instances with a timeout whose deadline has passed."""
    oldest_due: datetime | None = None
    parked: int = 0
    """Instances with a parked timer or a parked run."""
    runs: Mapping[RunStatus, int] = field(default_factory=dict)
    """Active runs by status."""
    oldest_run: datetime | None = None
    """Since when the run that has waited longest could have been claimed."""
    inbox: int = 0
    """Messages sent and not yet applied."""
    inbox_dead: int = 0
    outbox: int = 0
    """Deliveries that were not made yet."""
    outbox_dead: int = 0
    oldest_outbox: datetime | None = None
    """When the delivery that has waited longest was written."""
