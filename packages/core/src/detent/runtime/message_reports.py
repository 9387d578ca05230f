"""What sweeps over the inbox and the outbox report."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InboxReport:
    """What one sweep over the inbox did; all but `skipped` count messages."""

    applied: int
    """Taken out: their event was taken, or accepted as a run, or there was nothing left to do for them."""
    waiting: int
    """Kept, because the state their instance is in does not declare their event."""
    postponed: int
    """Refused by a guard, or rolled back; they are tried again after a back-off, and what follows them waits as long."""
    dead: int
    """Found to be such that they can never be taken, or tried too often; they wait for an operator."""
    skipped: int
    """Instances that another step held, or whose version cannot run here."""


@dataclass(frozen=True, slots=True)
class OutboxReport:
    """What one sweep over the outbox did."""

    delivered: int
    retrying: int
    """Deliveries that failed and are made again after a back-off."""
    dead: int
    """Deliveries that failed for the last time; they wait for an operator."""
    lost: int
    """Deliveries that took longer than the lease on them, so that somebody else makes them again."""
