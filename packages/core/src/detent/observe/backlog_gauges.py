"""Gauges of what waits in a store."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge

from detent.store.backlog import Backlog
from detent.store.run_records import ACTIVE_RUNS


class BacklogGauges:
    """Shows a `Backlog`. Between two processes that share a registry's files, the newest reading counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._due = _gauge(registry, "due", "Instances with a timeout whose deadline has passed.")
        self._parked = _gauge(registry, "parked", "Instances whose timer or run waits for an operator.")
        self._runs = _gauge(registry, "runs", "Runs that have not ended, by status.", "status")
        self._inbox = _gauge(
            registry, "inbox", "Messages to instances that were not taken yet: waiting, dead.", "status"
        )
        self._outbox = _gauge(registry, "outbox", "Deliveries that were not made yet: waiting, dead.", "status")
        self._lag = _gauge(
            registry, "lag_seconds", "How long the oldest one has been waiting that could go on at once.", "kind"
        )
        self._read = _gauge(registry, "read_timestamp_seconds", "When these were read from the store, as Unix time.")

    def show(self, backlog: Backlog, now: datetime) -> None:
        """Let every gauge say what `backlog` says."""
        self._due.set(backlog.due)
        self._parked.set(backlog.parked)
        for status in ACTIVE_RUNS:
            self._runs.labels(status.value).set(backlog.runs.get(status, 0))
        self._inbox.labels("waiting").set(backlog.inbox)
        self._inbox.labels("dead").set(backlog.inbox_dead)
        self._outbox.labels("waiting").set(backlog.outbox)
        self._outbox.labels("dead").set(backlog.outbox_dead)
        self._lag.labels("timeouts").set(_lag(backlog.oldest_due, now))
        self._lag.labels("runs").set(_lag(backlog.oldest_run, now))
        self._lag.labels("outbox").set(_lag(backlog.oldest_outbox, now))
        self._read.set(now.timestamp())


def _gauge(registry: CollectorRegistry, name: str, said: str, *labels: str) -> Gauge:
    return Gauge(f"detent_backlog_{name}", said, labels, registry=registry, multiprocess_mode="mostrecent")


def _lag(oldest: datetime | None, now: datetime) -> float:
    return 0.0 if oldest is None else max((now - oldest).total_seconds(), 0.0)
