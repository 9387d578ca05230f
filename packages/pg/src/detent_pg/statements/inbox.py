"""The inbox: events that were sent to instances and are not applied yet."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ClauseElement,
    DateTime,
    FromClause,
    Integer,
    Select,
    Text,
    Update,
    Uuid,
    any_,
    bindparam,
    delete,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert

from detent.store.messages import InboxQuery
from detent.store.protocol import MESSAGES_OF_A_PAGE
from detent.store.records import Status
from detent_pg.schema import Tables
from detent_pg.statements.arrays import fetched, incoming, stored
from detent_pg.statements.conditions import Condition, fulfilled, given, is_any, is_equal, is_set, is_unset, word
from detent_pg.statements.limits import are_set, limits
from detent_pg.statements.reading import instant
from detent_pg.statements.runs import counted

_KEPT = 64


def columns(tables: Tables) -> list[str]:
    """What a new message is made of: all but its number, which the table gives."""
    return [column.name for column in tables.inbox.c if column.name != "number"]


@cache
def put(tables: Tables, *, limited: bool) -> Select[Any]:
    """Insert the one of `sent`, unless it is there, and answer its instance, if that is there, and how many were `added`.

    The lock waits for nobody but whoever removes the instance. `limited` bounds that wait.
    """
    sent = incoming("sent", tables.inbox, columns(tables))
    receiver = _receivers(tables, sent, limited=limited).cte("receiver").prefix_with("MATERIALIZED")
    there_now = _inserted(tables, sent, receiver).returning(tables.inbox.c.number).cte("added")
    added = select(func.count()).select_from(there_now).scalar_subquery()
    return select(receiver.c.id, added.label("added"))


@cache
def put_many(tables: Tables) -> Select[Any]:
    """Insert those of `sent`, in this order, that are not there; answer the instances that are there, and held by nobody who
    removes them.
    """
    sent = incoming("sent", tables.inbox, columns(tables), place=Integer())
    receivers = _receivers(tables, sent, limited=True, skip_locked=True).cte("receivers").prefix_with("MATERIALIZED")
    return select(receivers.c.id).add_cte(_inserted(tables, sent, receivers).cte("added"))


def _receivers(tables: Tables, sent: FromClause, *, limited: bool, skip_locked: bool = False) -> Select[Any]:
    instances = tables.instances
    there = (
        select(instances.c.id)
        .where(instances.c.id.in_(select(sent.c.instance_id)))
        .order_by(instances.c.id)
        .with_for_update(of=instances, read=True, key_share=True, skip_locked=skip_locked)
    )
    return there.where(are_set(limits())) if limited else there


def _inserted(tables: Tables, sent: FromClause, receivers: CTE) -> Insert:
    inbox = tables.inbox
    values = select(*(stored(sent, inbox.c[name]) for name in columns(tables)))
    there = values.join_from(sent, receivers, receivers.c.id == sent.c.instance_id)
    if "place" in sent.c:
        # Numbers are given in this order.
        there = there.order_by(sent.c.place)
    return insert(inbox).from_select(columns(tables), there).on_conflict_do_nothing(index_elements=["id"])


@cache
def receiver(tables: Tables) -> Select[Any]:
    """How far the instance `id` is, and since when."""
    instances = tables.instances
    return select(instances.c.version, instances.c.updated_at).where(instances.c.id == bindparam("id", type_=Uuid))


@cache
def due(tables: Tables) -> Select[Any]:
    """Up to `limit` instances with a message to judge; of `workflows` and `tenant`, where NULL stands for any."""
    inbox, instances, now = tables.inbox, tables.instances, instant()
    workflows, tenant = bindparam("workflows", type_=ARRAY(Text)), bindparam("tenant", type_=Text)
    return (
        select(inbox.c.instance_id)
        .join_from(inbox, instances, instances.c.id == inbox.c.instance_id)
        .where(
            inbox.c.dead_at.is_(None),
            inbox.c.available_at <= now,
            or_(inbox.c.expires_at <= now, instances.c.version > inbox.c.seen_version),
            instances.c.status != word(Status.PAUSED),
            instances.c.run_id.is_(None),
            or_(workflows.is_(None), instances.c.workflow == any_(workflows)),
            or_(tenant.is_(None), instances.c.tenant == tenant),
        )
        .group_by(inbox.c.instance_id)
        .order_by(func.min(inbox.c.available_at), func.min(inbox.c.number))
        .limit(bindparam("limit", type_=Integer))
    )


@cache
def of_instance(tables: Tables) -> Select[Any]:
    """A page of the messages to `instance_id` that are not dead: those above `after`."""
    inbox = tables.inbox
    return (
        select(*map(fetched, inbox.c))
        .where(
            inbox.c.instance_id == bindparam("instance_id", type_=Uuid),
            inbox.c.dead_at.is_(None),
            inbox.c.number > bindparam("after", type_=BigInteger),
        )
        .order_by(inbox.c.number)
        .limit(MESSAGES_OF_A_PAGE)
    )


def asked(query: InboxQuery) -> dict[str, object]:
    """The parameters of `find` for `query`, under the names of its conditions."""
    return given(
        {
            "one_instance_id": query.instance_id,
            "events": None if query.events is None else list(query.events),
            "dead": query.dead or None,
            "alive": True if query.dead is False else None,
            "one_tenant": query.tenant,
            "ids": None if query.ids is None else list(query.ids),
        }
    )


@lru_cache(_KEPT)
def find(tables: Tables, conditions: frozenset[str], *, paged: bool) -> Select[Any]:
    """Up to `limit` messages that fulfil the `conditions`, by rising number; when `paged`, those above `after`."""
    inbox = tables.inbox
    statement = select(*map(fetched, inbox.c)).where(*fulfilled(inbox, _CONDITIONS, conditions))
    if paged:
        statement = statement.where(inbox.c.number > bindparam("after", type_=BigInteger))
    return statement.order_by(inbox.c.number).limit(bindparam("limit", type_=Integer))


@cache
def revive(tables: Tables) -> Update:
    """Let the dead ones of `ids` be tried again, whatever they have seen; answer which."""
    inbox = tables.inbox
    held = _held(tables).where(inbox.c.dead_at.is_not(None)).cte("held").prefix_with("MATERIALIZED")
    return (
        update(inbox)
        .where(inbox.c.number == held.c.number)
        .values(dead_at=null(), attempts=0, seen_version=0, available_at=instant())
        .returning(inbox.c.id)
    )


@cache
def discard(tables: Tables) -> ClauseElement:
    """Delete `ids`, and answer which were there."""
    inbox = tables.inbox
    held = _held(tables).cte("held").prefix_with("MATERIALIZED")
    return delete(inbox).where(inbox.c.number == held.c.number).returning(inbox.c.id)


@cache
def prune(tables: Tables) -> Select[Any]:
    """Delete up to `limit` messages that died before `before`; how many."""
    inbox = tables.inbox
    old = (
        select(inbox.c.number)
        .where(inbox.c.dead_at < bindparam("before", type_=DateTime(timezone=True)))
        .order_by(inbox.c.dead_at)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("old")
        .prefix_with("MATERIALIZED")
    )
    return counted(delete(inbox).where(inbox.c.number == old.c.number).returning(inbox.c.number).cte("gone"))


def _held(tables: Tables) -> Select[Any]:
    """The messages `ids`, locked in one order, so that two who want the same do not deadlock."""
    inbox = tables.inbox
    return (
        select(inbox.c.number)
        .where(inbox.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))), are_set(limits()))
        .order_by(inbox.c.number)
        .with_for_update(of=inbox)
    )


_CONDITIONS: Mapping[str, Condition] = {
    "one_instance_id": is_equal("instance_id"),
    "events": is_any("event", "events"),
    "dead": is_set("dead_at"),
    "alive": is_unset("dead_at"),
    "one_tenant": is_equal("tenant"),
    "ids": is_any("id", "ids"),
}
"""What a message must fulfil, by the names that `asked` gives the values."""
