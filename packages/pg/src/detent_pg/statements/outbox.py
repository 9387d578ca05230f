"""The outbox: deliveries of published messages."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    Integer,
    Interval,
    Select,
    Text,
    Update,
    Uuid,
    and_,
    any_,
    bindparam,
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
from sqlalchemy.dialects.postgresql import JSONB

from detent.store.messages import DeliveryQuery, DeliveryStatus
from detent_pg.schema import Tables
from detent_pg.statements.arrays import fetched, incoming
from detent_pg.statements.conditions import Condition, fulfilled, given, is_any, is_equal, word
from detent_pg.statements.limits import are_set, limits
from detent_pg.statements.reading import instant
from detent_pg.statements.runs import counted

_KEPT = 64


def columns(tables: Tables) -> list[str]:
    """What a new delivery is made of: all but its number, which the table gives."""
    return [column.name for column in tables.outbox.c if column.name != "number"]


@cache
def claim(tables: Tables) -> Select[Any]:
    """Take up to `limit` deliveries to `subscribers` whose turn it is, and answer them by number; of `tenant`, where NULL
    stands for any.

    Only what comes first for its instance and subscriber: one that is held is pending still, and so holds back what follows.
    """
    outbox, now = tables.outbox, instant()
    tenant = bindparam("of_tenant", type_=Text)
    earlier = outbox.alias("earlier")
    preceded = (
        select(literal_column("1"))
        .where(
            earlier.c.instance_id == outbox.c.instance_id,
            earlier.c.subscriber == outbox.c.subscriber,
            earlier.c.status == word(DeliveryStatus.PENDING),
            earlier.c.number < outbox.c.number,
        )
        .correlate(outbox)
        .exists()
    )
    turn = (
        select(outbox.c.number)
        .where(
            outbox.c.status == word(DeliveryStatus.PENDING),
            # Said once more in the words of the partial index.
            outbox.c.status != word(DeliveryStatus.DELIVERED),
            outbox.c.subscriber == any_(bindparam("subscribers", type_=ARRAY(Text))),
            or_(tenant.is_(None), outbox.c.tenant == tenant),
            outbox.c.available_at <= now,
            or_(outbox.c.lease_until.is_(None), outbox.c.lease_until <= now),
            ~preceded,
        )
        .order_by(outbox.c.number)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(of=outbox, skip_locked=True)
        .cte("turn")
        .prefix_with("MATERIALIZED")
    )
    claimed = (
        update(outbox)
        .where(outbox.c.number == turn.c.number)
        .values(
            lease_token=func.gen_random_uuid(type_=Uuid),
            lease_until=now + bindparam("lease", type_=Interval),
            attempts=outbox.c.attempts + 1,
        )
        .returning(*map(fetched, outbox.c))
        .cte("claimed")
    )
    return select(*claimed.c).order_by(claimed.c.number)


@cache
def settle(tables: Tables) -> Update:
    """Note the `results` of deliveries that are held under the tokens they name, and answer their ids.

    Late is not too late: where nobody has claimed it since, what was delivered needs not be delivered again.
    """
    outbox, now = tables.outbox, instant()
    rows = incoming("results", outbox, ("id", "lease_token", "status"), delay=Interval(), failure=Text())
    held = (
        select(outbox.c.number, rows.c.status, rows.c.delay, rows.c.failure)
        .join_from(outbox, rows, outbox.c.id == rows.c.id)
        .where(
            outbox.c.status == word(DeliveryStatus.PENDING),
            outbox.c.lease_token == rows.c.lease_token,
            are_set(limits()),
        )
        .order_by(outbox.c.number)
        .with_for_update(of=outbox)
        .cte("held")
        .prefix_with("MATERIALIZED")
    )
    again = held.c.status == word(DeliveryStatus.PENDING)
    return (
        update(outbox)
        .where(outbox.c.number == held.c.number)
        .values(
            status=held.c.status,
            available_at=case((again, now + held.c.delay), else_=outbox.c.available_at),
            finished_at=case((again, null()), else_=now),
            lease_token=null(),
            lease_until=null(),
            error=func.coalesce(cast(held.c.failure, JSONB), outbox.c.error),
        )
        .returning(outbox.c.id)
    )


def asked(query: DeliveryQuery) -> dict[str, object]:
    """The parameters of `find` and `replay` for `query`, under the names of its conditions."""
    statuses = query.statuses
    undelivered = statuses and DeliveryStatus.DELIVERED not in statuses
    return given(
        {
            "statuses": None if statuses is None else [status.value for status in statuses],
            "undelivered": True if undelivered else None,
            "subscribers": None if query.subscribers is None else list(query.subscribers),
            "topics": None if query.topics is None else list(query.topics),
            "one_instance_id": query.instance_id,
            "one_tenant": query.tenant,
            "ids": None if query.ids is None else list(query.ids),
        }
    )


@lru_cache(_KEPT)
def find(tables: Tables, conditions: frozenset[str], *, paged: bool) -> Select[Any]:
    """Up to `limit` deliveries that fulfil the `conditions`, by rising number; when `paged`, those above `after`."""
    outbox = tables.outbox
    statement = select(*map(fetched, outbox.c)).where(*fulfilled(outbox, _CONDITIONS, conditions))
    if paged:
        statement = statement.where(outbox.c.number > bindparam("after", type_=BigInteger))
    return statement.order_by(outbox.c.number).limit(bindparam("limit", type_=Integer))


@lru_cache(_KEPT)
def replay(tables: Tables, conditions: frozenset[str]) -> Update:
    """Make up to `limit` delivered or dead ones that fulfil the `conditions` pending again, and answer their ids."""
    outbox = tables.outbox
    held = (
        select(outbox.c.number)
        .where(*fulfilled(outbox, _CONDITIONS, conditions))
        .where(outbox.c.status != word(DeliveryStatus.PENDING), are_set(limits()))
        .order_by(outbox.c.number)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(of=outbox)
        .cte("held")
        .prefix_with("MATERIALIZED")
    )
    return (
        update(outbox)
        .where(outbox.c.number == held.c.number)
        .values(
            status=word(DeliveryStatus.PENDING),
            available_at=instant(),
            attempts=0,
            error=null(),
            finished_at=null(),
            lease_token=null(),
            lease_until=null(),
        )
        .returning(outbox.c.id)
    )


@cache
def prune(tables: Tables) -> Select[Any]:
    """Delete up to `limit` deliveries that were delivered before `before`; how many."""
    outbox = tables.outbox
    old = (
        select(outbox.c.number)
        .where(
            and_(
                outbox.c.status == word(DeliveryStatus.DELIVERED),
                outbox.c.finished_at < bindparam("before", type_=DateTime(timezone=True)),
            )
        )
        .order_by(outbox.c.finished_at)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("old")
        .prefix_with("MATERIALIZED")
    )
    return counted(delete(outbox).where(outbox.c.number == old.c.number).returning(outbox.c.number).cte("gone"))


_CONDITIONS: Mapping[str, Condition] = {
    "statuses": is_any("status", "statuses"),
    "undelivered": lambda outbox: outbox.c.status != word(DeliveryStatus.DELIVERED),
    "subscribers": is_any("subscriber", "subscribers"),
    "topics": is_any("topic", "topics"),
    "one_instance_id": is_equal("instance_id"),
    "one_tenant": is_equal("tenant"),
    "ids": is_any("id", "ids"),
}
"""What a delivery must fulfil, by the names that `asked` gives the values."""
