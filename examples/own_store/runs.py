"""The runs of the journal store: each write of a worker is a transaction of its own, and a line of the journal."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID, uuid4

from detent.json_values import JsonObject
from detent.store.copies import copy_instance, copy_run
from detent.store.memory_query import run_is_wanted, run_matches
from detent.store.memory_run_steps import checkpointed, claimable_since, claimed, extended, in_claim_order, released
from detent.store.records import Status
from detent.store.run_records import (
    Checkpoint,
    ClaimedRun,
    Lease,
    Release,
    Run,
    RunClaim,
    RunQuery,
    RunStatus,
    Throttle,
)
from examples.own_store.database import JournalDatabase, PassedOver
from examples.own_store.rows import Rows
from examples.own_store.transaction import JournalTransaction

_Change: TypeAlias = Callable[[Run, datetime], Run]
"""What a write makes of a run at an instant."""


class JournalRuns:
    """A `RunStore`. Its writes raise `StoreUnavailable` when a long step keeps the writer."""

    def __init__(self, database: JournalDatabase) -> None:
        self._database = database

    async def claim(self, claim: RunClaim, *, now: datetime | None = None) -> Sequence[ClaimedRun]:
        """Take runs whose turn it is; none, when a long step keeps the writer."""
        taken: list[ClaimedRun] = []
        with suppress(PassedOver):
            async with self._database.begin(PassedOver) as transaction:
                instant = now or self._database.now()
                rows = transaction.rows
                room = _room(rows, claim, instant)
                for run in _whose_turn_it_is(rows, claim, instant)[:room]:
                    held = transaction.put_run(claimed(run, claim, uuid4(), instant))
                    taken.append(ClaimedRun(copy_run(held), copy_instance(rows.instances[run.instance_id])))
                _note_claims(transaction, claim, len(taken), instant)
        return taken

    async def heartbeat(
        self, leases: Sequence[Lease], *, extend: timedelta, now: datetime | None = None
    ) -> Collection[UUID]:
        """Let these leases end later; answers the ids of the runs that are still held."""

        def beat(run: Run, instant: datetime) -> Run:
            return extended(run, extend, instant)

        return {run.id for run in await self._write([(lease, beat) for lease in leases], now)}

    async def checkpoint(self, checkpoint: Checkpoint, *, now: datetime | None = None) -> Status | None:
        """Append to the journal of the run and go on to its next command; answers how the instance stands."""

        def go_on(run: Run, instant: datetime) -> Run:
            taken.append(run.takes(checkpoint, instant) or run.has_taken(checkpoint))
            return checkpointed(run, checkpoint, instant) if run.takes(checkpoint, instant) else run

        taken: list[bool] = []
        for run in await self._write([(checkpoint.lease, go_on)], now):
            instance = self._database.seen().instances.get(run.instance_id)
            return instance.status if instance and any(taken) else None
        return None

    async def keep(
        self,
        lease: Lease,
        *,
        kept: JsonObject | None = None,
        progress: JsonObject | None = None,
        extend: timedelta,
        now: datetime | None = None,
    ) -> bool:
        """Note what the command under way says, and extend its lease; whether the run is still held."""

        def note(run: Run, instant: datetime) -> Run:
            return extended(run, extend, instant, kept=kept, progress=progress)

        return bool(await self._write([(lease, note)], now))

    async def release(self, releases: Sequence[Release], *, now: datetime | None = None) -> Collection[UUID]:
        """Make these runs pending again; answers the ids of those that were still held."""

        def give_back(release: Release) -> _Change:
            return lambda run, instant: released(run, release, instant)

        return {run.id for run in await self._write([(each.lease, give_back(each)) for each in releases], now)}

    async def load(self, run_id: UUID, *, outside: object | None = None) -> Run | None:
        """The run as it is, or as the transaction `outside` sees it."""
        return self._database.seen(outside).run(run_id)

    async def find(
        self, query: RunQuery, *, limit: int, after: UUID | None = None, outside: object | None = None
    ) -> Sequence[Run]:
        """Up to `limit` runs that `query` asks for, the newest first, found by looking at every one."""
        runs = self._database.seen(outside).runs.values()
        asked = [run for run in runs if run_matches(run, query) and (after is None or run.id < after)]
        return [copy_run(run) for run in sorted(asked, key=lambda run: run.id, reverse=True)[:limit]]

    async def prune(self, *, before: datetime, limit: int, tenant: str | None = None) -> int:
        """Take out up to `limit` runs that ended before an instant, the oldest first; answers how many."""
        async with self._database.begin() as transaction:
            ended = [
                (run.finished_at, run.id)
                for run in transaction.rows.runs.values()
                if not run.is_active and run.finished_at and run.finished_at < before and tenant in (None, run.tenant)
            ]
            return transaction.drop("runs", [run_id for _, run_id in sorted(ended)[:limit]])

    async def _write(self, changes: Sequence[tuple[Lease, _Change]], now: datetime | None) -> list[Run]:
        """Change the runs that are held under these leases, in one commit; answers those."""
        async with self._database.begin() as transaction:
            # The clock is read after the wait for the writer: a lease may have ended in it.
            instant = now or self._database.now()
            return [
                transaction.put_run(change(run, instant))
                for lease, change in changes
                if (run := transaction.rows.run(lease.run_id)) and run.held_under(lease.token, instant)
            ]


def _whose_turn_it_is(rows: Rows, claim: RunClaim, now: datetime) -> list[Run]:
    turns = [
        run
        for run in rows.runs.values()
        if (since := claimable_since(run)) is not None
        and since <= now
        and run_is_wanted(run, claim)
        and rows.instances[run.instance_id].status is Status.ACTIVE
    ]
    return in_claim_order(turns, claim.strategy)


def _room(rows: Rows, claim: RunClaim, now: datetime) -> int:
    """How many runs may be claimed now: what is asked for, or what its throttle leaves."""
    rooms = [claim.limit]
    if claim.throttle and claim.throttle.concurrency is not None:
        held = [run for run in rows.runs.values() if run.queue == _queue(claim) and _is_held(run, now)]
        rooms.append(claim.throttle.concurrency - len(held))
    if claim.throttle and claim.throttle.rate is not None:
        rooms.append(claim.throttle.rate - len(_recent(rows, claim, claim.throttle, now)))
    return max(0, min(rooms))


def _note_claims(transaction: JournalTransaction, claim: RunClaim, count: int, now: datetime) -> None:
    if count and claim.throttle and claim.throttle.rate is not None:
        recent = _recent(transaction.rows, claim, claim.throttle, now)
        transaction.put_claims(_queue(claim), (*recent, *[now] * count))


def _recent(rows: Rows, claim: RunClaim, throttle: Throttle, now: datetime) -> list[datetime]:
    return [instant for instant in rows.claims.get(_queue(claim), ()) if instant > now - throttle.per]


def _queue(claim: RunClaim) -> str:
    [queue] = claim.queues or ()
    return queue


def _is_held(run: Run, now: datetime) -> bool:
    return run.status is RunStatus.RUNNING and run.lease_until is not None and now < run.lease_until
