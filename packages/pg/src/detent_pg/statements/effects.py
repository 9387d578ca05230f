"""What is written beside instances, history and receipts: the further effects of changes, as parts of the same statement.

Each row names the `owner`, the instance whose change it is an effect of, and is written only if that change is. A statement
has the parts of the kinds that occur and no other, so that a step without such effects pays nothing for them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import (
    CTE,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Label,
    Select,
    Table,
    Text,
    Uuid,
    case,
    cast,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from detent.store.change import AddMessage, AddRun, Effect, MoveRun, Publish, PutBack, SaveStep, TakeMessage
from detent.store.run_records import ENDED_RUNS, RunStatus
from detent_pg.durable import ACTIVE
from detent_pg.schema import Tables
from detent_pg.statements import inbox, outbox
from detent_pg.statements.arrays import incoming, stored
from detent_pg.statements.conditions import word
from detent_pg.statements.one_order import Locked, locked, once
from detent_pg.statements.runs import advanced, is_held, now_of, steps, takes

Kinds: TypeAlias = frozenset[type[Effect]]
"""Which kinds of effects occur in what one statement writes."""

MOVED = ("id", "status", "reason", "error")
"""The columns of a run that a move names."""
PUT_BACK = ("id", "attempts", "available_at", "seen_version", "dead_at", "reason")
"""The columns of a message that are written when it was not taken."""


@dataclass(frozen=True)
class Beside:
    """Parts of a statement."""

    parts: tuple[CTE, ...]
    guard: Label[Any] | None
    """A column that fails the statement where something that the changes rest on is gone."""


def beside(tables: Tables, written: CTE, kinds: Kinds) -> Beside:
    """The parts for effects of these kinds, of the changes that are `written`."""
    parts: dict[type[Effect], CTE] = {}
    for kind, part in _PARTS.items():
        if kind in kinds:
            parts[kind] = part(tables, written)
    if AddRun in kinds:
        parts[AddRun] = _begun(tables, written, [parts[kind] for kind in (MoveRun, SaveStep) if kind in parts])
    lost = [_is_lost(tables, written, kind, parts[kind]) for kind in _NEEDED if kind in parts]
    return Beside(tuple(parts.values()), _guard(lost) if lost else None)


def _guard(lost: list[ColumnElement[bool]]) -> Label[Any]:
    # PostgreSQL has no way to say no but an error; this one cannot come from anything else we send.
    return (
        literal_column("1").op("/")(case((or_(*lost), literal_column("0")), else_=literal_column("1"))).label("guard")
    )


def _is_lost(tables: Tables, written: CTE, kind: type[Effect], part: CTE) -> ColumnElement[bool]:
    """Fewer rows were found than were named. Moves without a lease do not count: they need not find their run."""
    named, column = _NEEDED[kind]
    rows = named(tables)
    asked = select(func.count(rows.c[column])).select_from(rows.join(written, written.c.id == rows.c.owner))
    return asked.scalar_subquery() != select(func.count(part.c[column])).scalar_subquery()


def saves(tables: Tables) -> FromClause:
    """Checkpoints as rows, each with the move of the same run that comes with it, if one does: a row is written only once."""
    instant = DateTime(timezone=True)
    return steps(tables, owner=Uuid(), now=instant, status=Text(), reason=Text(), failure=Text(), at=instant)


def moves(tables: Tables) -> FromClause:
    """Moves as rows."""
    instant = DateTime(timezone=True)
    return incoming("moves", tables.runs, MOVED, at=instant, lease_token=Uuid(), owner=Uuid(), now=instant)


def taken(tables: Tables) -> FromClause:
    """Messages that are taken, as rows."""
    return incoming("taken", tables.inbox, ("id",), owner=Uuid())


def _saved(tables: Tables, written: CTE) -> CTE:
    runs = tables.runs
    mine = _locked(tables, saves(tables), written)
    step = once(mine.select().where(takes(mine.run, mine.named, now_of(mine.named))), "savable")
    columns = advanced(runs, step, now_of(step))
    moved = _moved_columns(runs, step.c.status, step.c.at, step.c.reason, cast(step.c.failure, JSONB), columns)
    moves_too = step.c.status.is_not(None)
    values = {name: case((moves_too, moved[name]), else_=columns.get(name, runs.c[name])) for name in moved} | {
        name: column for name, column in columns.items() if name not in moved
    }
    return update(runs).where(runs.c.id == step.c.id).values(values).returning(runs.c.id).cte("saved")


def _moved(tables: Tables, written: CTE) -> CTE:
    runs = tables.runs
    mine = _locked(tables, moves(tables), written)
    active = mine.run.c.status.in_([word(status) for status in ACTIVE])
    token = mine.named.c.lease_token
    held = or_(token.is_(None), is_held(mine.run, token, now_of(mine.named)))
    rows = once(mine.select().where(active, held), "movable")
    values = _moved_columns(runs, rows.c.status, rows.c.at, rows.c.reason, cast(rows.c.error, JSONB), {})
    statement = update(runs).where(runs.c.id == rows.c.id).values(values)
    return statement.returning(rows.c.lease_token).cte("moved")


def _locked(tables: Tables, rows: FromClause, written: CTE) -> Locked:
    """The runs that `rows` name, locked behind the instances whose changes they are effects of."""
    named = select(rows).join_from(rows, written, written.c.id == rows.c.owner)
    return locked(tables.runs, named)


def _moved_columns(
    runs: Table,
    status: ColumnElement[Any],
    at: ColumnElement[Any],
    reason: ColumnElement[Any],
    error: ColumnElement[Any],
    before: dict[str, Any],
) -> dict[str, Any]:
    """The columns of a run under another status; `before` holds those that a checkpoint in the same commit gives it."""
    pending = status == word(RunStatus.PENDING)
    ended = status.in_([word(each) for each in RunStatus if each in ENDED_RUNS])

    def was(name: str) -> Any:
        return before.get(name, runs.c[name])

    return {
        "status": status,
        "reason": reason,
        "error": func.coalesce(error, was("error")),
        "attempts": case((pending, 0), else_=was("attempts")),
        "crashes": case((pending, 0), else_=was("crashes")),
        "available_at": case((pending, at), else_=was("available_at")),
        "finished_at": case((ended, at), else_=was("finished_at")),
        "lease_token": null(),
        "lease_until": null(),
        "updated_at": at,
    }


def _begun(tables: Tables, written: CTE, before: list[CTE]) -> CTE:
    """Runs that begin: behind those that end in the same commit, since an instance has one."""
    runs = tables.runs
    columns = [column.name for column in runs.c]
    rows = incoming("begun", runs, columns, owner=Uuid())
    values = select(*(stored(rows, runs.c[name]) for name in columns)).join_from(
        rows, written, written.c.id == rows.c.owner
    )
    for part in before:
        # Counting what a part wrote is what makes PostgreSQL write it first.
        values = values.where(select(func.count()).select_from(part).scalar_subquery() >= 0)
    return insert(runs).from_select(columns, values).cte("added_runs")


def _sent(tables: Tables, written: CTE) -> CTE:
    """Messages to instances that are there: locked against removal, or written by this very statement."""
    messages, instances = tables.inbox, tables.instances
    columns = inbox.columns(tables)
    rows = incoming("sent", messages, columns, owner=Uuid(), place=Integer())
    receivers = (
        select(instances.c.id)
        .where(instances.c.id.in_(select(rows.c.instance_id)))
        .order_by(instances.c.id)
        .with_for_update(of=instances, read=True, key_share=True)
        .cte("receivers")
        .prefix_with("MATERIALIZED")
    )
    there = or_(rows.c.instance_id.in_(select(receivers.c.id)), rows.c.instance_id.in_(select(written.c.id)))
    values = (
        select(*(stored(rows, messages.c[name]) for name in columns))
        .join_from(rows, written, written.c.id == rows.c.owner)
        .where(there)
        # Numbers are given in this order.
        .order_by(rows.c.place)
    )
    return insert(messages).from_select(columns, values).cte("added_messages")


def _taken(tables: Tables, written: CTE) -> CTE:
    messages = tables.inbox
    held = once(_held(tables, taken(tables), written), "takable")
    return delete(messages).where(messages.c.number == held.c.number).returning(messages.c.id).cte("taken_messages")


def _put_back(tables: Tables, written: CTE) -> CTE:
    messages = tables.inbox
    rows = incoming("back", messages, PUT_BACK, owner=Uuid())
    held = once(_held(tables, rows, written).add_columns(*(rows.c[name] for name in PUT_BACK)), "puttable")
    return (
        update(messages)
        .where(messages.c.number == held.c.number)
        .values({name: held.c[name] for name in PUT_BACK if name != "id"})
        .returning(messages.c.id)
        .cte("put_back")
    )


def _held(tables: Tables, rows: FromClause, written: CTE) -> Select[Any]:
    """The messages that `rows` name, locked in the one order in which all do that."""
    messages = tables.inbox
    return (
        select(messages.c.number)
        .join_from(messages, rows, messages.c.id == rows.c.id)
        .join(written, written.c.id == rows.c.owner)
        .order_by(messages.c.number)
        .with_for_update(of=messages)
    )


def _published(tables: Tables, written: CTE) -> CTE:
    deliveries = tables.outbox
    columns = outbox.columns(tables)
    rows = incoming("published", deliveries, columns, owner=Uuid(), place=Integer())
    values: Select[Any] = (
        select(*(stored(rows, deliveries.c[name]) for name in columns))
        .join_from(rows, written, written.c.id == rows.c.owner)
        .order_by(rows.c.place)
    )
    return insert(deliveries).from_select(columns, values).cte("added_deliveries")


_PARTS: dict[type[Effect], Callable[[Tables, CTE], CTE]] = {
    MoveRun: _moved,
    SaveStep: _saved,
    AddMessage: _sent,
    TakeMessage: _taken,
    PutBack: _put_back,
    Publish: _published,
}

_NEEDED: dict[type[Effect], tuple[Callable[[Tables], FromClause], str]] = {
    MoveRun: (moves, "lease_token"),
    SaveStep: (saves, "id"),
    TakeMessage: (taken, "id"),
}
"""What has to be there for what is named, and the column that names it."""
