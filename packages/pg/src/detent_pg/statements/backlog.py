"""What waits, counted in one statement; each count walks an index of what waits, and no count what is past."""

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, Text, and_, bindparam, case, func, or_, select

from detent.store.messages import DeliveryStatus
from detent.store.records import Status
from detent.store.run_records import RunStatus
from detent_pg.durable import ACTIVE
from detent_pg.schema import Tables
from detent_pg.statements.conditions import word
from detent_pg.statements.reading import instant


@cache
def count(tables: Tables) -> Select[Any]:
    """The figures of a backlog, of `tenant` unless that is null; runs by status under `runs_STATUS`."""
    return select(*_instances(tables), *_runs(tables), *_inbox(tables), *_outbox(tables))


def _instances(tables: Tables) -> list[ColumnElement[Any]]:
    instances = tables.instances
    active = instances.c.status == word(Status.ACTIVE)
    due = and_(active, instances.c.due_at.is_not(None), instances.c.due_at <= instant(), _of_tenant(instances))
    parked = and_(instances.c.parked_at.is_not(None), _of_tenant(instances))
    return [
        select(func.count()).select_from(instances).where(due).scalar_subquery().label("due"),
        select(func.min(instances.c.due_at)).where(due).scalar_subquery().label("oldest_due"),
        select(func.count()).select_from(instances).where(parked).scalar_subquery().label("parked"),
    ]


def _runs(tables: Tables) -> list[ColumnElement[Any]]:
    runs, instances = tables.runs, tables.instances
    since = case(
        (runs.c.status == word(RunStatus.PENDING), runs.c.available_at),
        (runs.c.status == word(RunStatus.RUNNING), runs.c.lease_until),
    )
    claimable = and_(instances.c.status == word(Status.ACTIVE), since <= instant())
    counted = (
        select(
            *(func.count().filter(runs.c.status == word(status)).label(f"runs_{status}") for status in ACTIVE),
            func.min(since).filter(claimable).label("oldest_run"),
        )
        .join_from(runs, instances, instances.c.id == runs.c.instance_id)
        .where(runs.c.status.in_([word(status) for status in ACTIVE]), _of_tenant(runs))
        .cte("active_runs")
    )
    return [select(column).scalar_subquery().label(column.name) for column in counted.c]


def _inbox(tables: Tables) -> list[ColumnElement[Any]]:
    inbox = tables.inbox
    dead = inbox.c.dead_at.is_not(None)
    counted = (
        select(func.count().filter(~dead).label("inbox"), func.count().filter(dead).label("inbox_dead"))
        .where(_of_tenant(inbox))
        .cte("messages")
    )
    return [select(column).scalar_subquery().label(column.name) for column in counted.c]


def _outbox(tables: Tables) -> list[ColumnElement[Any]]:
    outbox = tables.outbox
    pending = outbox.c.status == word(DeliveryStatus.PENDING)
    counted = (
        select(
            func.count().filter(pending).label("outbox"),
            func.count().filter(~pending).label("outbox_dead"),
            func.min(outbox.c.created_at).filter(pending).label("oldest_outbox"),
        )
        .where(outbox.c.status != word(DeliveryStatus.DELIVERED), _of_tenant(outbox))
        .cte("deliveries")
    )
    return [select(column).scalar_subquery().label(column.name) for column in counted.c]


def _of_tenant(table: Table) -> ColumnElement[bool]:
    tenant = bindparam("tenant", type_=Text)
    return or_(tenant.is_(None), table.c.tenant == tenant)
