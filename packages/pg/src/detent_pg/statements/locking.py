"""Reading with a lock: one instance for a step, or all that are due."""

from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Integer, Select, Text, Uuid, any_, bindparam, func, literal_column, or_, select, true

from detent.store.records import Status
from detent_pg.schema import Tables
from detent_pg.statements.arrays import fetched
from detent_pg.statements.limits import lent_limits, limits
from detent_pg.statements.reading import clock, instant, receipt_columns, valid


@cache
def lock(tables: Tables, *, keyed: bool, wait: bool, lent: bool) -> Select[Any]:
    """Lock the instance `id`, and read it and the clock after the wait; when `keyed` also the receipt, and the version that was
    committed before the wait.

    `seen` differs from `version` when another step came between. A receipt that is joined here is as old as `seen`: PostgreSQL
    re-reads the row it waited for, and nothing else. A lent transaction gets its lock timeout back.
    """
    instances, before = tables.instances, tables.instances.alias("unlocked")
    bounds = lent_limits() if lent else limits()
    identity = bindparam("id", type_=Uuid)
    # Not FOR UPDATE: the key never changes, so rows that refer to the instance may be inserted meanwhile.
    locked = (
        select(*map(fetched, instances.c), *([bounds.c.before] if lent else []))
        .join_from(instances, bounds, true())
        .where(instances.c.id == identity)
        .with_for_update(of=instances, nowait=not wait, key_share=True)
        .cte("locked")
        .prefix_with("MATERIALIZED")
    )
    statement = select(*locked.c, clock())
    if lent:
        statement = statement.add_columns(func.set_config("lock_timeout", locked.c.before, True))
    if keyed:
        receipts = tables.receipts
        seen = select(before.c.version).where(before.c.id == identity).scalar_subquery().label("seen")
        statement = statement.add_columns(seen, *receipt_columns(receipts))
        statement = statement.outerjoin_from(locked, receipts, valid(receipts))
    return statement


@cache
def claim(tables: Tables) -> Select[Any]:
    """Lock up to `limit` active instances that are due and that nobody holds, earliest first.

    Only those of `workflows` and of `tenant`; NULL stands for any.

    The locking part is a materialised CTE: as a subquery it could be run more than once, and lock more than `limit` rows.
    """
    instances = tables.instances
    workflows, tenant = bindparam("workflows", type_=ARRAY(Text)), bindparam("tenant", type_=Text)
    due = (
        select(*map(fetched, instances.c))
        .where(
            # Spelled out rather than bound, so that the planner may use the partial index.
            instances.c.status == literal_column(f"'{Status.ACTIVE}'"),
            instances.c.due_at <= instant(),
            or_(workflows.is_(None), instances.c.workflow == any_(workflows)),
            or_(tenant.is_(None), instances.c.tenant == tenant),
        )
        .order_by(instances.c.due_at, instances.c.id)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(of=instances, skip_locked=True, key_share=True)
        .cte("due")
        .prefix_with("MATERIALIZED")
    )
    return select(*due.c, clock()).order_by(due.c.due_at, due.c.id)
