"""What waits in the memory store, counted by looking at every row."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from detent.store.backlog import Backlog
from detent.store.memory_rows import Rows
from detent.store.memory_run_steps import claimable_since
from detent.store.messages import DeliveryStatus
from detent.store.records import Status


def backlog_of(rows: Rows, tenant: str | None, now: datetime) -> Backlog:
    """What waits at `now`, of one tenant or of all."""
    instances = [each for each in rows.instances.values() if tenant in (None, each.tenant)]
    runs = [each for each in rows.runs.values() if tenant in (None, each.tenant) and each.is_active]
    messages = [each for each in rows.messages.values() if tenant in (None, each.tenant)]
    deliveries = [each for each in rows.deliveries.values() if tenant in (None, each.tenant)]
    due = [
        each.due_at
        for each in instances
        if each.status is Status.ACTIVE and each.due_at is not None and each.due_at <= now
    ]
    claimable = [
        since
        for each in runs
        if rows.instances[each.instance_id].status is Status.ACTIVE
        and (since := claimable_since(each)) is not None
        and since <= now
    ]
    pending = [each.created_at for each in deliveries if each.status is DeliveryStatus.PENDING]
    dead_messages = sum(1 for each in messages if each.dead_at is not None)
    return Backlog(
        due=len(due),
        oldest_due=_oldest(due),
        parked=sum(1 for each in instances if each.parked_at is not None),
        runs=Counter(each.status for each in runs),
        oldest_run=_oldest(claimable),
        inbox=len(messages) - dead_messages,
        inbox_dead=dead_messages,
        outbox=len(pending),
        outbox_dead=sum(1 for each in deliveries if each.status is DeliveryStatus.DEAD),
        oldest_outbox=_oldest(pending),
    )


def _oldest(instants: Iterable[datetime]) -> datetime | None:
    return min(instants, default=None)
