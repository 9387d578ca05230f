"""What only one change can have written, to find out whether it was: for changes that leave no history."""

from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Integer,
    Select,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from detent.store.change import AddMessage, AddRun, Change, MoveRun, Publish, PutBack, SaveStep, TakeMessage
from detent.store.run_records import RunStatus
from detent_pg.rows import encode
from detent_pg.schema import Tables
from detent_pg.statements.runs import entry_at

Sought: TypeAlias = tuple[Select[Any] | None, dict[str, object]]
"""A statement that answers yes or no, and its parameters."""


def sought(tables: Tables, change: Change) -> Sought:
    """How to find out by the effects of `change` whether it was written; the surest kind that it has tells."""
    for look in (_publications, _beginnings, _steps, _takings, _ends, _returns, _messages):
        found = look(tables, change)
        if found[0] is not None:
            return found
    return None, {}


def _publications(tables: Tables, change: Change) -> Sought:
    return _by_id(tables.outbox, [effect.delivery.id for effect in change.effects_of(Publish)])


def _beginnings(tables: Tables, change: Change) -> Sought:
    return _by_id(tables.runs, [effect.run.id for effect in change.effects_of(AddRun)])


def _messages(tables: Tables, change: Change) -> Sought:
    return _by_id(tables.inbox, [effect.message.id for effect in change.effects_of(AddMessage)])


def _takings(tables: Tables, change: Change) -> Sought:
    # Whoever else takes a message out leaves nothing of what this change wanted to say about it.
    ids = [effect.message_id for effect in change.effects_of(TakeMessage)]
    return (_none_of(tables), {"ids": ids}) if ids else (None, {})


def _steps(tables: Tables, change: Change) -> Sought:
    for effect in change.effects_of(SaveStep):
        saved = effect.checkpoint
        return _entry(tables), {"id": saved.lease.run_id, "entry": encode(saved.entry), "position": saved.position}
    return None, {}


def _ends(tables: Tables, change: Change) -> Sought:
    for move in change.effects_of(MoveRun):
        return _moved(tables), {"id": move.run_id, "status": move.status.value, "at": move.at}
    return None, {}


def _returns(tables: Tables, change: Change) -> Sought:
    for effect in change.effects_of(PutBack):
        message = effect.message
        values = {"id": message.id, "attempts": message.attempts, "seen_version": message.seen_version}
        return _put_back(tables), {**values, "available_at": message.available_at, "dead_at": message.dead_at}
    return None, {}


def _by_id(table: Table, ids: list[UUID]) -> Sought:
    return (_any_of(table), {"ids": ids}) if ids else (None, {})


@cache
def _any_of(table: Table) -> Select[Any]:
    return select(exists().where(table.c.id == any_(_ids())))


@cache
def _none_of(tables: Tables) -> Select[Any]:
    return select(~exists().where(tables.inbox.c.id == any_(_ids())))


@cache
def _entry(tables: Tables) -> Select[Any]:
    runs = tables.runs
    # At its very place: the same command may have answered the same before.
    there = entry_at(runs, bindparam("position", type_=Integer))
    return select(exists().where(_is(runs), there == cast(bindparam("entry", type_=Text), JSONB)))


@cache
def _moved(tables: Tables) -> Select[Any]:
    runs, at = tables.runs, bindparam("at", type_=DateTime(timezone=True))
    # A claim may have come after a run was made pending, but not before it.
    waits = and_(runs.c.status != RunStatus.PARKED.value, runs.c.available_at == at)
    status = bindparam("status", type_=Text)
    pending = and_(status == RunStatus.PENDING.value, waits)
    return select(exists().where(_is(runs), (runs.c.status == status) & (runs.c.updated_at == at) | pending))


@cache
def _put_back(tables: Tables) -> Select[Any]:
    inbox = tables.inbox
    same = [
        inbox.c[name].is_not_distinct_from(bindparam(name, type_=kind))
        for name, kind in (
            ("attempts", Integer()),
            ("seen_version", Integer()),
            ("available_at", DateTime(timezone=True)),
            ("dead_at", DateTime(timezone=True)),
        )
    ]
    return select(exists().where(_is(inbox), *same))


def _is(table: Table) -> ColumnElement[bool]:
    return table.c.id == bindparam("id", type_=Uuid)


def _ids() -> Any:
    return bindparam("ids", type_=ARRAY(Uuid))
