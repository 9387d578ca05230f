"""Runs: claiming them, and what workers write under a lease.

What a worker writes names its token and has an effect only while that is the lease of a running run. All of it locks rows of
runs and no instance; many are locked by rising id.
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    Boolean,
    ClauseElement,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Interval,
    Select,
    Table,
    Text,
    Update,
    Uuid,
    all_,
    and_,
    any_,
    bindparam,
    case,
    cast,
    delete,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from detent.store.records import Status
from detent.store.run_records import ENDED_RUNS, FetchStrategy, RunQuery, RunStatus
from detent_pg.durable import ACTIVE, CLAIMABLE
from detent_pg.schema import Tables
from detent_pg.statements.arrays import fetched, incoming
from detent_pg.statements.conditions import Condition, fulfilled, given, is_any, is_equal, word
from detent_pg.statements.limits import are_set, limits
from detent_pg.statements.one_order import locked, once
from detent_pg.statements.reading import instant

STEP = ("id", "lease_token", "command", "queue", "priority")
"""The columns of a run that a checkpoint names."""

_KEPT = 64
"""How many ways of listing are kept as statements."""


@cache
def claim(tables: Tables, strategy: FetchStrategy = FetchStrategy.OLDEST, *, of_states: bool = False) -> Select[Any]:
    """Take up to `limit` runs whose turn it is, and answer them (columns set apart by `claimed_`) beside their instances.

    With `of_states`, only those that began in one of `states`. The locking part is a materialised CTE: as a subquery it could
    be run more than once, and lock more than `limit` rows.
    """
    runs, instances, now = tables.runs, tables.instances, instant()
    turn = (
        _in_turn(tables, strategy, now, of_states=of_states)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(of=runs, skip_locked=True)
        .cte("turn")
        .prefix_with("MATERIALIZED")
    )
    taken_over = turn.c.status == word(RunStatus.RUNNING)
    claimed = (
        update(runs)
        .where(runs.c.id == turn.c.id)
        .values(
            status=word(RunStatus.RUNNING),
            lease_token=func.gen_random_uuid(type_=Uuid),
            lease_until=now + bindparam("lease", type_=Interval),
            worker=bindparam("claimant", type_=Text),
            attempts=runs.c.attempts + 1,
            crashes=runs.c.crashes + cast(taken_over, Integer),
            updated_at=now,
        )
        .returning(*map(fetched, runs.c))
        .cte("claimed")
    )
    return (
        select(*(column.label(f"claimed_{column.name}") for column in claimed.c), *map(fetched, instances.c))
        .join_from(claimed, instances, instances.c.id == claimed.c.instance_id)
        .order_by(*_order(claimed, strategy))
    )


def _in_turn(tables: Tables, strategy: FetchStrategy, now: ColumnElement[Any], *, of_states: bool) -> Select[Any]:
    """The runs whose turn it is, in the order of `strategy`."""
    runs, first = tables.runs, tables.runs.alias("first")
    turn = select(runs.c.id, runs.c.status).where(*_is_turn(runs, tables.instances, now, of_states=of_states))
    turn = turn.order_by(*_order(runs, strategy))
    before = select(first).where(*_is_turn(first, tables.instances, now, of_states=of_states))
    before = before.order_by(*_order(first, FetchStrategy.OLDEST))
    match strategy:
        case FetchStrategy.OLDEST:
            return turn
        case FetchStrategy.NEWEST:
            # Within one priority the index serves this order too, read from its end.
            highest = before.with_only_columns(first.c.priority).limit(1)
            return turn.where(runs.c.priority == highest.scalar_subquery())
        case FetchStrategy.RANDOM:
            limit = func.greatest(bindparam("limit", type_=Integer), bindparam("among", type_=Integer))
            among = before.with_only_columns(first.c.id).limit(limit).cte("among").prefix_with("MATERIALIZED")
            return turn.join(among, among.c.id == runs.c.id)


def _order(runs: FromClause, strategy: FetchStrategy) -> list[ColumnElement[Any]]:
    match strategy:
        case FetchStrategy.OLDEST:
            return [runs.c.priority.desc(), runs.c.available_at, runs.c.id]
        case FetchStrategy.NEWEST:
            return [runs.c.priority.desc(), runs.c.available_at.desc(), runs.c.id.desc()]
        case FetchStrategy.RANDOM:
            return [runs.c.priority.desc(), func.random()]


@cache
def throttle(tables: Tables) -> ClauseElement:
    """Hold the row of the queue `named` until the end of the transaction, and answer what was `taken` of it."""
    throttles = tables.throttles
    row = select(bindparam("named", type_=Text), cast(word("[]"), JSONB)).where(are_set(limits()))
    statement = insert(throttles).from_select(["queue", "taken"], row)
    same = {"queue": statement.excluded.queue}
    return statement.on_conflict_do_update(index_elements=["queue"], set_=same).returning(fetched(throttles.c.taken))


@cache
def held_of(tables: Tables) -> Select[Any]:
    """How many runs of `queue` are held, and the instant of it."""
    runs, now = tables.runs, instant()
    held = select(func.count()).where(
        runs.c.status == word(RunStatus.RUNNING),
        runs.c.queue == bindparam("queue", type_=Text),
        runs.c.lease_until > now,
    )
    return select(held.scalar_subquery().label("held"), now.label("now"))


@cache
def note_taken(tables: Tables) -> Update:
    """Remember what was taken of the queue `named`."""
    throttles = tables.throttles
    return (
        update(throttles)
        .where(throttles.c.queue == bindparam("named", type_=Text))
        .values(taken=cast(bindparam("noted", type_=Text), JSONB))
    )


@cache
def heartbeat(tables: Tables) -> Select[Any]:
    """Extend `leases` that are live, and answer their ids.

    A run that a step holds is passed over and answered all the same: nobody can claim it meanwhile, and one slow step would
    otherwise let the leases of all others end.
    """
    runs, now = tables.runs, instant()
    leases = incoming("leases", runs, ("id", "lease_token"))
    named = select(runs.c.id).join_from(runs, leases, runs.c.id == leases.c.id)
    live = named.where(is_held(runs, leases.c.lease_token, now)).cte("live").prefix_with("MATERIALIZED")
    free = (
        named.where(is_held(runs, leases.c.lease_token, now))
        .order_by(runs.c.id)
        .with_for_update(of=runs, skip_locked=True)
        .cte("free")
        .prefix_with("MATERIALIZED")
    )
    extended = (
        update(runs)
        .where(runs.c.id == free.c.id)
        .values(lease_until=now + bindparam("extend", type_=Interval), updated_at=now)
        .returning(runs.c.id)
        .cte("extended")
    )
    return select(live.c.id).add_cte(extended)


@cache
def checkpoint(tables: Tables, *, waits: bool) -> Update:
    """Take each of `steps`, no two of one run, at its own `now`; answer the ids of their runs and how the instances stand.

    Where it `waits`, it does so for whoever holds a run, within limits; otherwise such a run is passed over.
    """
    runs, instances = tables.runs, tables.instances
    named = select(steps(tables, now=DateTime(timezone=True)))
    mine = locked(runs, named.where(are_set(limits())) if waits else named, skip_locked=not waits)
    held = once(mine.select().where(takes(mine.run, mine.named, now_of(mine.named))), "held")
    standing = select(instances.c.status).where(instances.c.id == runs.c.instance_id).scalar_subquery()
    return (
        update(runs)
        .where(runs.c.id == held.c.id)
        .values(advanced(runs, held, now_of(held)))
        .returning(runs.c.id, standing.label("status"))
    )


@cache
def was_taken(tables: Tables) -> Select[Any]:
    """How the instance stands, if the one of `steps` was taken before: its entry is there, and its token is the run's."""
    runs, instances = tables.runs, tables.instances
    step = steps(tables)
    entry = entry_at(runs, step.c.position)
    return (
        select(instances.c.status)
        .join_from(runs, step, runs.c.id == step.c.id)
        .join(instances, instances.c.id == runs.c.instance_id)
        .where(runs.c.lease_token == step.c.lease_token, entry == cast(step.c.entry, JSONB))
    )


def now_of(step: FromClause) -> ColumnElement[Any]:
    """The instant of a step that names one, else the database's."""
    return func.coalesce(step.c.now, func.clock_timestamp(type_=DateTime(timezone=True)))


def takes(runs: FromClause, step: FromClause, now: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a run takes a checkpoint: its lease is held, and the journal has as many entries as it says."""
    as_long = func.jsonb_array_length(runs.c.journal) == step.c.position
    return and_(is_held(runs, step.c.lease_token, now), as_long)


def entry_at(runs: FromClause, position: ColumnElement[Any]) -> ColumnElement[Any]:
    """What stands at a place of a journal; null beyond its end."""
    return cast(runs.c.journal.op("->")(position), JSONB)


def steps(tables: Tables, **more: Any) -> FromClause:
    """Checkpoints as rows."""
    return incoming(
        "steps", tables.runs, STEP, entry=Text(), position=Integer(), release=Interval(), extend=Interval(), **more
    )


def advanced(runs: Table, step: FromClause, now: ColumnElement[Any]) -> dict[str, Any]:
    """The columns of a run after a checkpoint."""
    released = step.c.release.is_not(None)
    return {
        "journal": runs.c.journal.op("||")(func.jsonb_build_array(cast(step.c.entry, JSONB), type_=JSONB)),
        "command": step.c.command,
        "queue": step.c.queue,
        "priority": step.c.priority,
        "kept": cast(word("{}"), JSONB),
        "progress": null(),
        "crashes": 0,
        "error": null(),
        "status": case((released, word(RunStatus.PENDING)), else_=word(RunStatus.RUNNING)),
        "attempts": case((released, 0), else_=1),
        "available_at": case((released, now + step.c.release), else_=runs.c.available_at),
        "lease_token": case((released, null()), else_=runs.c.lease_token),
        "lease_until": case((released, null()), else_=now + step.c.extend),
        "updated_at": now,
    }


def is_held(runs: FromClause, token: ColumnElement[Any], now: ColumnElement[Any]) -> ColumnElement[bool]:
    """The token is the run's lease, and that has not ended."""
    return and_(runs.c.status == word(RunStatus.RUNNING), runs.c.lease_token == token, runs.c.lease_until > now)


@cache
def keep(tables: Tables) -> Update:
    """Put `kept` beside what was kept, replace `progress` where that is not null, and extend the lease `token` of run `id`."""
    runs, now = tables.runs, instant()
    progress = cast(bindparam("said", type_=Text), JSONB)
    return (
        update(runs)
        .where(
            runs.c.id == bindparam("run_id", type_=Uuid),
            is_held(runs, bindparam("token", type_=Uuid), now),
            are_set(limits()),
        )
        .values(
            kept=runs.c.kept.op("||")(cast(bindparam("more", type_=Text), JSONB)),
            progress=func.coalesce(progress, runs.c.progress),
            lease_until=now + bindparam("extend", type_=Interval),
            updated_at=now,
        )
        .returning(runs.c.id)
    )


@cache
def release(tables: Tables) -> Update:
    """Make the runs of `releases` pending again whose leases are live, and answer their ids."""
    runs, now = tables.runs, instant()
    rows = incoming("releases", runs, ("id", "lease_token"), delay=Interval(), failure=Text(), uncount=Boolean())
    held = (
        select(runs.c.id, rows.c.delay, rows.c.failure, rows.c.uncount)
        .join_from(runs, rows, runs.c.id == rows.c.id)
        .where(is_held(runs, rows.c.lease_token, now), are_set(limits()))
        .order_by(runs.c.id)
        .with_for_update(of=runs)
        .cte("held")
        .prefix_with("MATERIALIZED")
    )
    return (
        update(runs)
        .where(runs.c.id == held.c.id)
        .values(
            status=word(RunStatus.PENDING),
            available_at=now + held.c.delay,
            lease_token=null(),
            lease_until=null(),
            attempts=func.greatest(runs.c.attempts - cast(held.c.uncount, Integer), 0),
            error=func.coalesce(cast(held.c.failure, JSONB), runs.c.error),
            updated_at=now,
        )
        .returning(runs.c.id)
    )


@cache
def load(tables: Tables) -> Select[Any]:
    """The run `id`."""
    runs = tables.runs
    return select(*map(fetched, runs.c)).where(runs.c.id == bindparam("id", type_=Uuid))


@cache
def lock(tables: Tables) -> Select[Any]:
    """The run `id` of the instance `instance_id`, held until the end of the transaction."""
    runs = tables.runs
    return load(tables).where(runs.c.instance_id == bindparam("instance_id", type_=Uuid)).with_for_update(of=runs)


def asked(query: RunQuery) -> dict[str, object]:
    """The parameters of `find` for `query`, under the names of its conditions."""
    statuses = query.statuses
    return given(
        {
            "statuses": None if statuses is None else [status.value for status in statuses],
            "active": True if statuses and not ENDED_RUNS.intersection(statuses) else None,
            "one_instance_id": query.instance_id,
            "workflows": None if query.workflows is None else list(query.workflows),
            "states": None if query.states is None else list(query.states),
            "queues": None if query.queues is None else list(query.queues),
            "one_tenant": query.tenant,
            "expired_before": query.expired_before,
        }
    )


@lru_cache(_KEPT)
def find(tables: Tables, conditions: frozenset[str], *, paged: bool) -> Select[Any]:
    """Up to `limit` runs that fulfil the `conditions`, the newest first; when `paged`, those below the id `after`."""
    runs = tables.runs
    statement = select(*map(fetched, runs.c)).where(*fulfilled(runs, _CONDITIONS, conditions))
    if paged:
        statement = statement.where(runs.c.id < bindparam("after", type_=Uuid))
    return statement.order_by(runs.c.id.desc()).limit(bindparam("limit", type_=Integer))


@cache
def prune(tables: Tables) -> Select[Any]:
    """Delete up to `limit` runs that ended before `before`, of `tenant` unless that is null; how many."""
    runs, tenant = tables.runs, bindparam("tenant", type_=Text)
    old = (
        select(runs.c.id)
        .where(
            runs.c.finished_at < bindparam("before", type_=DateTime(timezone=True)),
            or_(tenant.is_(None), runs.c.tenant == tenant),
        )
        .order_by(runs.c.finished_at)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("old")
        .prefix_with("MATERIALIZED")
    )
    return counted(delete(runs).where(runs.c.id == old.c.id).returning(runs.c.id).cte("gone"))


def counted(gone: CTE) -> Select[Any]:
    """How many rows a statement within has written."""
    return select(func.count()).select_from(gone)


def _is_turn(
    runs: FromClause, instances: Table, now: ColumnElement[Any], *, of_states: bool
) -> list[ColumnElement[bool]]:
    """What a run fulfils whose turn it is.

    It is one expression, of which the planner expects that half of the rows fulfil it. Of several it would expect that next to
    none do, and read and sort all that are active, with what is left of those that were, rather than the first ones of the index
    in that order.
    """
    waiting = and_(runs.c.status == word(RunStatus.PENDING), runs.c.available_at <= now)
    left = and_(runs.c.status == word(RunStatus.RUNNING), runs.c.lease_until <= now)
    # Asked of each run in turn: a join might begin at the instances, of which there are many more.
    standing = select(instances.c.status).where(instances.c.id == runs.c.instance_id).scalar_subquery()
    wanted = (
        [*_wanted(runs), runs.c.state == any_(bindparam("states", type_=ARRAY(Text)))] if of_states else _wanted(runs)
    )
    turn = and_(or_(waiting, left), *wanted, standing == word(Status.ACTIVE))
    # In the words of the partial index.
    return [runs.c.status.in_([word(status) for status in CLAIMABLE]), case((turn, true()), else_=false())]


def _wanted(runs: FromClause) -> list[ColumnElement[bool]]:
    """What a claim asks for; NULL stands for any."""
    queues, workflows = bindparam("queues", type_=ARRAY(Text)), bindparam("workflows", type_=ARRAY(Text))
    instances, tenant = bindparam("instances", type_=ARRAY(Uuid)), bindparam("of_tenant", type_=Text)
    refused = incoming("refused", runs, ("workflow", "definition_version"))
    cannot_run = (
        select(literal_column("1"))
        .where(
            refused.c.workflow == runs.c.workflow,
            refused.c.definition_version == runs.c.definition_version,
        )
        .select_from(refused)
        .correlate(runs)
        .exists()
    )
    return [
        or_(queues.is_(None), runs.c.queue == any_(queues)),
        runs.c.queue != all_(bindparam("except_queues", type_=ARRAY(Text))),
        or_(workflows.is_(None), runs.c.workflow == any_(workflows)),
        or_(instances.is_(None), runs.c.instance_id == any_(instances)),
        ~cannot_run,
        or_(tenant.is_(None), runs.c.tenant == tenant),
    ]


def _expired(runs: Table) -> ColumnElement[bool]:
    before = bindparam("expired_before", type_=DateTime(timezone=True))
    return and_(runs.c.status == word(RunStatus.RUNNING), runs.c.lease_until < before)


_CONDITIONS: Mapping[str, Condition] = {
    "statuses": is_any("status", "statuses"),
    "active": lambda runs: runs.c.status.in_([word(status) for status in ACTIVE]),
    "one_instance_id": is_equal("instance_id"),
    "workflows": is_any("workflow", "workflows"),
    "states": is_any("state", "states"),
    "queues": is_any("queue", "queues"),
    "one_tenant": is_equal("tenant"),
    "expired_before": _expired,
}
"""What a run must fulfil, by the names that `asked` gives the values."""
