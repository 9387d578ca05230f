"""The runs of the store: claims, and what workers write under their leases."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from detent.json_values import JsonObject
from detent.store.records import Status
from detent.store.run_records import (
    AMONG,
    Checkpoint,
    ClaimedRun,
    FetchStrategy,
    Lease,
    Release,
    Run,
    RunClaim,
    RunQuery,
    Throttle,
)
from detent_pg import throttling
from detent_pg.batch import Batch
from detent_pg.checkpoints import Checkpoints, Save
from detent_pg.errands import Errands, rows_of
from detent_pg.limits import Limits
from detent_pg.line import Line
from detent_pg.persistence import persist
from detent_pg.reserved import Reserved
from detent_pg.rows import Row, encode, encode_optional, instance_of
from detent_pg.run_rows import run_of
from detent_pg.schema import Tables
from detent_pg.statements import runs
from detent_pg.statements.arrays import arrays


class PgRuns:
    """A `RunStore` in PostgreSQL; each verb but a throttled claim is one statement and one round trip, which checkpoints share.

    A claim whose answer is lost is made again, and what it took comes back when its lease ends.
    """

    def __init__(self, tables: Tables, limits: Limits, errands: Errands, reserved: Reserved, batch: Batch) -> None:
        self._tables = tables
        self._limits = limits.parameters()
        self._errands = errands
        self._reserved = reserved
        self._batch = batch
        self._checkpoints = Checkpoints(tables, limits, errands)

    async def finished(self) -> None:
        """Wait for checkpoints that left the batch."""
        await self._checkpoints.finished()

    async def claim(self, claim: RunClaim, *, now: datetime | None = None) -> Sequence[ClaimedRun]:
        """Take up to `limit` runs whose turn it is. Raises `ValueError` for a throttle without its one queue."""
        throttle = claim.throttle
        if throttle is None:
            return await self._errands.alone(lambda line: self._claim(line, claim, claim.limit, now))
        if claim.queues is None or len(claim.queues) != 1:
            raise ValueError(f"a claim with a throttle names one queue, not {claim.queues}")
        queue = claim.queues[0]
        return await self._errands.committed(lambda line: self._claim_throttled(line, claim, throttle, queue, now))

    async def heartbeat(
        self, leases: Sequence[Lease], *, extend: timedelta, now: datetime | None = None
    ) -> Collection[UUID]:
        """Let these leases end only after `extend` from now; answers the ids of the runs that are still held.

        It waits for no connection of the pool: it has one beside it.
        """
        named = [{"id": lease.run_id, "lease_token": lease.token} for lease in leases]
        parameters = arrays("leases", named, ("id", "lease_token")) | {"extend": extend, "now": now}
        return _ids(await self._errands.shielded(persist(lambda: self._beat(parameters))))

    async def checkpoint(self, checkpoint: Checkpoint, *, now: datetime | None = None) -> Status | None:
        """Append to the journal and go on to the next command; answers how the instance stands, `None` without the lease."""
        save = Save(checkpoint, now)
        return await self._batch.do(self._checkpoints, save, instance_id=save.run_id)

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
        parameters = {
            "run_id": lease.run_id,
            "token": lease.token,
            "more": encode(kept or {}),
            "said": encode_optional(progress),
            "extend": extend,
            "now": now,
            **self._limits,
        }
        return bool(await self._errands.alone(lambda line: rows_of(line, runs.keep(self._tables), parameters)))

    async def release(self, releases: Sequence[Release], *, now: datetime | None = None) -> Collection[UUID]:
        """Make these runs pending again; answers the ids of those that were still held."""
        given = [_release_row(release) for release in releases]
        columns = ("id", "lease_token", "delay", "failure", "uncount")
        parameters = arrays("releases", given, columns) | self._limits | {"now": now}
        found = await self._errands.alone(lambda line: rows_of(line, runs.release(self._tables), parameters))
        return _ids(found)

    async def load(self, run_id: UUID, *, outside: object | None = None) -> Run | None:
        """The run as it is, without a lock."""
        found = await self._errands.read(outside, lambda line: rows_of(line, runs.load(self._tables), {"id": run_id}))
        return next(map(run_of, found), None)

    async def find(
        self, query: RunQuery, *, limit: int, after: UUID | None = None, outside: object | None = None
    ) -> Sequence[Run]:
        """Up to `limit` runs, the newest (highest id) first; with `after`, those below that id."""
        asked = runs.asked(query)
        statement = runs.find(self._tables, frozenset(asked), paged=after is not None)
        place = {} if after is None else {"after": after}
        found = await self._errands.read(
            outside, lambda line: rows_of(line, statement, {**asked, **place, "limit": limit})
        )
        return [run_of(row) for row in found]

    async def prune(self, *, before: datetime, limit: int, tenant: str | None = None) -> int:
        """Take out up to `limit` runs that ended before an instant; answers how many."""
        parameters = {"before": before, "limit": limit, "tenant": tenant}
        [row] = await self._errands.alone(lambda line: rows_of(line, runs.prune(self._tables), parameters))
        return int(next(iter(row.values())))

    async def _beat(self, parameters: Row) -> Sequence[Row]:
        # One that nobody waits for any more does not keep the next one waiting.
        self._errands.expect_wanted()
        return await self._reserved.once(lambda line: rows_of(line, runs.heartbeat(self._tables), parameters))

    async def _claim(self, line: Line, claim: RunClaim, limit: int, now: datetime | None) -> list[ClaimedRun]:
        refused = [{"workflow": workflow, "definition_version": version} for workflow, version in claim.except_versions]
        parameters = {
            "queues": None if claim.queues is None else list(claim.queues),
            "except_queues": list(claim.except_queues),
            "workflows": None if claim.workflows is None else list(claim.workflows),
            "instances": None if claim.instances is None else list(claim.instances),
            "of_tenant": claim.tenant,
            "claimant": claim.worker,
            "lease": claim.lease,
            "limit": limit,
            "now": now,
            **arrays("refused", refused, ("workflow", "definition_version")),
        }
        if claim.states is not None:
            parameters["states"] = list(claim.states)
        if claim.strategy is FetchStrategy.RANDOM:
            parameters["among"] = AMONG
        statement = runs.claim(self._tables, claim.strategy, of_states=claim.states is not None)
        found = await rows_of(line, statement, parameters)
        return [ClaimedRun(run_of(row, "claimed_"), instance_of(row)) for row in found]

    async def _claim_throttled(
        self, line: Line, claim: RunClaim, throttle: Throttle, queue: str, now: datetime | None
    ) -> list[ClaimedRun]:
        """Claim while the row of the queue is held, so that all processes take turns."""
        asked = {"named": queue, **self._limits}
        [row] = await rows_of(line, runs.throttle(self._tables), asked)
        taken = throttling.read(row["taken"])
        # Asked behind the wait for the row: what was claimed meanwhile counts.
        [row] = await rows_of(line, runs.held_of(self._tables), {"queue": queue, "now": now})
        room = throttling.room(throttle, taken, row["held"], row["now"])
        limit = claim.limit if room is None else min(claim.limit, room)
        if limit <= 0:
            return []
        claimed = await self._claim(line, claim, limit, now)
        if claimed and throttle.rate is not None:
            noted = throttling.remembered(taken, len(claimed), row["now"], throttle.per)
            note = {"named": queue, "noted": throttling.written(noted)}
            await rows_of(line, runs.note_taken(self._tables), note)
        return claimed


def _ids(found: Sequence[Row]) -> frozenset[UUID]:
    return frozenset(row["id"] for row in found)


def _release_row(release: Release) -> Row:
    return {
        "id": release.lease.run_id,
        "lease_token": release.lease.token,
        "delay": release.delay,
        "failure": encode_optional(release.error),
        "uncount": release.uncount,
    }
