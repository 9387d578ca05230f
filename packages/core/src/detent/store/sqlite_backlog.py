"""What waits in a SQLite store, counted in one statement, so that all figures are of one moment."""

import sqlite3
from datetime import datetime

from detent.store.backlog import Backlog
from detent.store.run_records import ACTIVE_RUNS
from detent.store.sqlite_values import instant_text, to_maybe_instant

# Each part stands on the index that holds only what it counts.
_BACKLOG = """
SELECT due.*, parked.*, pending.*, held.*, stuck.*, claimable.*, waiting.*, dead.*, unsent.*, given_up.*
FROM (
    SELECT count(*) AS due, min(due_at) AS oldest_due FROM detent_instances
    WHERE status = 'active' AND due_at IS NOT NULL AND due_at <= :now AND (:tenant IS NULL OR tenant = :tenant)
) AS due, (
    SELECT count(*) AS parked FROM detent_instances
    WHERE parked_at IS NOT NULL AND (:tenant IS NULL OR tenant = :tenant)
) AS parked, (
    SELECT count(*) AS runs_pending FROM detent_runs
    WHERE status IN ('pending', 'running') AND status = 'pending' AND (:tenant IS NULL OR tenant = :tenant)
) AS pending, (
    SELECT count(*) AS runs_running FROM detent_runs
    WHERE status = 'running' AND (:tenant IS NULL OR tenant = :tenant)
) AS held, (
    SELECT count(*) AS runs_parked FROM detent_runs
    WHERE status = 'parked' AND (:tenant IS NULL OR tenant = :tenant)
) AS stuck, (
    SELECT min(iif(run.status = 'pending', run.available_at, run.lease_until)) AS oldest_run FROM detent_runs AS run
    JOIN detent_instances AS instance ON instance.id = run.instance_id
    WHERE run.status IN ('pending', 'running')
        AND (run.status = 'pending' AND run.available_at <= :now OR run.status = 'running' AND run.lease_until <= :now)
        AND instance.status = 'active' AND (:tenant IS NULL OR run.tenant = :tenant)
) AS claimable, (
    SELECT count(*) AS inbox FROM detent_inbox
    WHERE dead_at IS NULL AND (:tenant IS NULL OR tenant = :tenant)
) AS waiting, (
    SELECT count(*) AS inbox_dead FROM detent_inbox
    WHERE dead_at IS NOT NULL AND (:tenant IS NULL OR tenant = :tenant)
) AS dead, (
    SELECT count(*) AS outbox, min(created_at) AS oldest_outbox FROM detent_outbox
    WHERE status = 'pending' AND (:tenant IS NULL OR tenant = :tenant)
) AS unsent, (
    SELECT count(*) AS outbox_dead FROM detent_outbox
    WHERE status = 'dead' AND (:tenant IS NULL OR tenant = :tenant)
) AS given_up
"""


def read_backlog(connection: sqlite3.Connection, tenant: str | None, now: datetime) -> Backlog:
    """What waits at `now`, of every tenant for `None`."""
    [row] = connection.execute(_BACKLOG, {"tenant": tenant, "now": instant_text(now)}).fetchall()
    counts = {status: row[f"runs_{status.value}"] for status in ACTIVE_RUNS}
    return Backlog(
        due=row["due"],
        oldest_due=to_maybe_instant(row["oldest_due"]),
        parked=row["parked"],
        runs={status: count for status, count in counts.items() if count},
        oldest_run=to_maybe_instant(row["oldest_run"]),
        inbox=row["inbox"],
        inbox_dead=row["inbox_dead"],
        outbox=row["outbox"],
        outbox_dead=row["outbox_dead"],
        oldest_outbox=to_maybe_instant(row["oldest_outbox"]),
    )
