"""What waits in the store."""

from datetime import datetime

from detent.store.backlog import Backlog
from detent_pg.durable import ACTIVE
from detent_pg.errands import rows_of
from detent_pg.line import Line
from detent_pg.schema import Tables
from detent_pg.statements import backlog


async def read_backlog(line: Line, tables: Tables, tenant: str | None, now: datetime | None) -> Backlog:
    """The figures as they are now, of one tenant or of all."""
    [row] = await rows_of(line, backlog.count(tables), {"tenant": tenant, "now": now})
    return Backlog(
        due=row["due"],
        oldest_due=row["oldest_due"],
        parked=row["parked"],
        runs={status: row[f"runs_{status}"] for status in ACTIVE if row[f"runs_{status}"]},
        oldest_run=row["oldest_run"],
        inbox=row["inbox"],
        inbox_dead=row["inbox_dead"],
        outbox=row["outbox"],
        outbox_dead=row["outbox_dead"],
        oldest_outbox=row["oldest_outbox"],
    )
