"""The runs of the memory store.

A worker's write holds its run like a step does, so that it comes either before a step that ends the run or after it. No write
gives up the event loop between looking at a run and writing it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from detent.json_values import JsonObject
from detent.store.copies import copy_run
from detent.store.memory_database import MemoryDatabase
from detent.store.memory_effects import run_row
from detent.store.memory_overlay import Overlay
from detent.store.memory_query import run_is_wanted, run_matches
from detent.store.memory_run_steps import checkpointed, claimable_since, claimed, extended, in_claim_order, released
from detent.store.memory_throttles import MemoryThrottles
from detent.store.memory_transaction import MemoryTransaction
from detent.store.records import Status
from detent.store.run_records import Checkpoint, ClaimedRun, Lease, Release, Run, RunClaim, RunQuery


class MemoryRuns:
    """A `RunStore` in memory. Its writes raise `InstanceBusy` when a step holds a run for too long."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._throttles = MemoryThrottles()

    async def claim(self, claim: RunClaim, *, now: datetime | None = None) -> Sequence[ClaimedRun]:
        """Take runs whose turn it is and that nobody holds, without waiting for any."""
        instant = now or self._database.now()
        taken: list[ClaimedRun] = []
        async with self._database.begin() as transaction:
            rows = transaction.rows
            allowed = self._throttles.allowed(claim, rows.runs(), instant)
            for run in _whose_turn_it_is(rows, claim, instant):
                if len(taken) >= allowed:
                    break
                instance = rows.instance(run.instance_id)
                if instance is None or not transaction.try_hold(run_row(run.id)):
                    continue
                held = claimed(run, claim, uuid4(), instant)
                rows.put_run(held)
                taken.append(ClaimedRun(copy_run(held), instance))
            self._throttles.note(claim, len(taken), instant)
        return taken

    async def heartbeat(
        self, leases: Sequence[Lease], *, extend: timedelta, now: datetime | None = None
    ) -> Collection[UUID]:
        """Extend these leases; those of runs that a step holds come last, so that it keeps no other one waiting."""

        async def beat(lease: Lease) -> bool:
            return await self._write(lease, lambda run, instant: extended(run, extend, instant), now) is not None

        waiting = sorted(leases, key=lambda lease: self._database.is_held(run_row(lease.run_id)))
        return {lease.run_id for lease in waiting if await beat(lease)}

    async def checkpoint(self, checkpoint: Checkpoint, *, now: datetime | None = None) -> Status | None:
        """Append to the journal and go on to the next command; answers how the instance stands."""

        def go_on(run: Run, instant: datetime) -> Run | None:
            return checkpointed(run, checkpoint, instant) if run.takes(checkpoint, instant) else None

        run = await self._write(checkpoint.lease, go_on, now)
        if run is None:
            there = self._database.view(None).run(checkpoint.lease.run_id)
            run = there if there is not None and there.has_taken(checkpoint) else None
        instance = self._database.view(None).instance(run.instance_id) if run else None
        return instance.status if instance else None

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

        return await self._write(lease, note, now) is not None

    async def release(self, releases: Sequence[Release], *, now: datetime | None = None) -> Collection[UUID]:
        """Make these runs pending again; those that a step holds come last."""

        async def give_back(release: Release) -> bool:
            written = await self._write(release.lease, lambda run, instant: released(run, release, instant), now)
            return written is not None

        waiting = sorted(releases, key=lambda release: self._database.is_held(run_row(release.lease.run_id)))
        return {release.lease.run_id for release in waiting if await give_back(release)}

    async def load(self, run_id: UUID, *, outside: object | None = None) -> Run | None:
        """The run as it is, or as the transaction `outside` sees it."""
        return self._database.view(outside).run(run_id)

    async def find(
        self, query: RunQuery, *, limit: int, after: UUID | None = None, outside: object | None = None
    ) -> Sequence[Run]:
        """Up to `limit` runs that `query` asks for, the newest first, found by looking at every one."""
        asked = [
            run
            for run in self._database.view(outside).runs()
            if run_matches(run, query) and (after is None or run.id < after)
        ]
        asked.sort(key=lambda run: run.id, reverse=True)
        return [copy_run(run) for run in asked[:limit]]

    async def prune(self, *, before: datetime, limit: int, tenant: str | None = None) -> int:
        """Take out up to `limit` runs that ended before an instant; a run that has ended is written by nobody."""
        return self._database.committed.prune_runs(before, limit, tenant)

    async def _write(
        self, lease: Lease, change: Callable[[Run, datetime], Run | None], now: datetime | None
    ) -> Run | None:
        """Write a run that is held under `lease`; `None` when the lease is lost, or `change` wants nothing written."""
        async with self._database.begin() as transaction:
            run = await _hold(transaction, lease.run_id)
            # The clock is read after the wait: the lease may have ended in it.
            instant = now or self._database.now()
            if run is None or not run.held_under(lease.token, instant):
                return None
            written = change(run, instant)
            if written is not None:
                transaction.rows.put_run(written)
            return written


async def _hold(transaction: MemoryTransaction, run_id: UUID) -> Run | None:
    # Asked before waiting: a run that another transaction is about to begin is not there yet.
    run = transaction.rows.run(run_id)
    if run is None:
        return None
    await transaction.hold(run_row(run_id), run.instance_id)
    # And after: the one who held it may have written it.
    return transaction.rows.run(run_id)


def _whose_turn_it_is(rows: Overlay, claim: RunClaim, now: datetime) -> Iterator[Run]:
    turns = [
        run
        for run in rows.runs()
        if (since := claimable_since(run)) is not None and since <= now and run_is_wanted(run, claim)
    ]
    # One by one, as they are asked for: of many that wait few are claimed at once.
    return (run for run in in_claim_order(turns, claim.strategy) if _is_active(rows, run))


def _is_active(rows: Overlay, run: Run) -> bool:
    instance = rows.instance(run.instance_id)
    return instance is not None and instance.status is Status.ACTIVE
