"""The part of a store that keeps runs: what every store promises about them.

A run enters and leaves by the effects of a `Change` (`AddRun`, `MoveRun`, `SaveStep`), in the commit of the step that decides so.
In between a worker holds it by a *lease*: a token that the next claim replaces, and an end. Every write of a worker names its
token and has an effect only while the run is running, the token is the run's, and the lease has not ended (at the very instant
of its end it has). A write that is refused changes nothing. These writes lock no instance.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from detent.json_values import JsonObject
from detent.store.records import Status
from detent.store.run_records import Checkpoint, ClaimedRun, Lease, Release, Run, RunClaim, RunQuery


class RunStore(Protocol):
    """Runs and their leases."""

    async def claim(self, claim: RunClaim, *, now: datetime | None = None) -> Sequence[ClaimedRun]:
        """Take up to `limit` runs whose turn it is, those with the highest priority first, and answer them in that order.

        Of the same priority comes first what the claim's `strategy` says: the longest available, with the lowest id where
        several are equally long; the latest available, with the highest id, and then a claim may take of one priority
        alone; or a random one, among the first `AMONG` of the longest available at least.

        It is the turn of a pending run whose `available_at` has come and of a running one whose lease has ended, if the
        instance is active. Each becomes running with a new token, `attempts` one higher, and `crashes` one higher where
        a lease had ended. No two claims take the same run; runs that others are just claiming are passed over. A throttle
        is kept over all processes, and counts as taken what was claimed and not given back.
        """
        ...

    async def heartbeat(
        self, leases: Sequence[Lease], *, extend: timedelta, now: datetime | None = None
    ) -> Collection[UUID]:
        """Let these leases end only after `extend` from now; answers the ids of the runs that are still held."""
        ...

    async def checkpoint(self, checkpoint: Checkpoint, *, now: datetime | None = None) -> Status | None:
        """Append to the journal and go on to the next command, in one write; `kept`, `progress`, `crashes`, `error` are reset.

        Answers how the instance stands (a paused one's next command shall not start), or `None` when the lease is lost or the
        journal has another length than `position`. The same checkpoint once more changes nothing, and is answered as the
        first one if that has kept the lease.
        """
        ...

    async def keep(
        self,
        lease: Lease,
        *,
        kept: JsonObject | None = None,
        progress: JsonObject | None = None,
        extend: timedelta,
        now: datetime | None = None,
    ) -> bool:
        """Put the keys of `kept` beside those that were kept before, replace `progress` if given, extend the lease;
        whether the run is still held.
        """
        ...

    async def release(self, releases: Sequence[Release], *, now: datetime | None = None) -> Collection[UUID]:
        """Make these runs pending again; answers the ids of those that were still held."""
        ...

    async def load(self, run_id: UUID, *, outside: object | None = None) -> Run | None:
        """The run as it is, without a lock. `outside` is what it is for `Store.load`."""
        ...

    async def find(
        self, query: RunQuery, *, limit: int, after: UUID | None = None, outside: object | None = None
    ) -> Sequence[Run]:
        """Up to `limit` runs, the newest (highest id) first; with `after`, those below that id."""
        ...

    async def prune(self, *, before: datetime, limit: int, tenant: str | None = None) -> int:
        """Take out up to `limit` runs that ended before an instant; answers how many."""
        ...
