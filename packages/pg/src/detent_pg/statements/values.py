"""Values beside instances."""

from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Select, Text, Uuid, any_, bindparam, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningDelete

from detent_pg.schema import Tables
from detent_pg.statements.arrays import fetched, incoming, stored
from detent_pg.statements.limits import are_set, limits

SENT = ("instance_id", "ref", "data", "size")
"""What a value to be put is made of; when, the database says."""


@cache
def put(tables: Tables, *, overwrite: bool) -> Select[Any]:
    """Insert the one of `sent`, and answer its instance, if that is there. What has its ref stays, or is replaced.

    The lock waits for nobody but whoever removes the instance: steps leave its key alone.
    """
    instances, values = tables.instances, tables.values
    sent = incoming("sent", values, SENT, one=True)
    owner = (
        select(instances.c.id)
        .where(instances.c.id == select(sent.c.instance_id).scalar_subquery(), are_set(limits()))
        .with_for_update(of=instances, read=True, key_share=True)
        .cte("owner")
        .prefix_with("MATERIALIZED")
    )
    new = select(*(stored(sent, values.c[name]) for name in SENT), func.clock_timestamp())
    statement = insert(values).from_select(
        [*SENT, "created_at"], new.join_from(sent, owner, owner.c.id == sent.c.instance_id)
    )
    if overwrite:
        newer = {name: statement.excluded[name] for name in ("data", "size", "created_at")}
        written = statement.on_conflict_do_update(index_elements=["instance_id", "ref"], set_=newer)
    else:
        written = statement.on_conflict_do_nothing(index_elements=["instance_id", "ref"])
    return select(owner.c.id).add_cte(written.returning(values.c.ref).cte("written"))


@cache
def load(tables: Tables) -> Select[Any]:
    """The values of `instance_id` under `refs`."""
    values = tables.values
    return select(values.c.ref, fetched(values.c.data)).where(_of_instance(tables), values.c.ref == any_(_refs()))


@cache
def sizes(tables: Tables) -> Select[Any]:
    """The sizes of all values of `instance_id`, which are read without the values."""
    values = tables.values
    return select(values.c.ref, values.c.size).where(_of_instance(tables))


@cache
def remove(tables: Tables) -> ReturningDelete[Any]:
    """Delete the values of `instance_id` under `refs`, where NULL stands for any; answer which were there."""
    values = tables.values
    # Locked in one order, so that two who want the same do not deadlock.
    held = (
        select(values.c.ref)
        .where(_of_instance(tables), or_(_refs().is_(None), values.c.ref == any_(_refs())), are_set(limits()))
        .order_by(values.c.ref)
        .with_for_update(of=values)
        .cte("held")
        .prefix_with("MATERIALIZED")
    )
    return delete(values).where(_of_instance(tables), values.c.ref == held.c.ref).returning(values.c.ref)


def _of_instance(tables: Tables) -> Any:
    return tables.values.c.instance_id == bindparam("instance_id", type_=Uuid)


def _refs() -> Any:
    return bindparam("refs", type_=ARRAY(Text))
