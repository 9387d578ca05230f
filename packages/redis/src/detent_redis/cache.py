"""A store whose instances and definitions are read through Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from redis.asyncio import Redis

from detent.definition.duration import duration_argument
from detent.errors import OutcomeUnknown, StoreUnavailable
from detent.store.change import Change, Removal
from detent.store.protocol import A, Decide, Existing, Known, Store, Unit
from detent.store.records import DefinitionSnapshot, Receipt, ReceiptKey, WorkflowInstance
from detent_redis.around import StoreAround
from detent_redis.encoding import DEFINITIONS, INSTANCES
from detent_redis.invalidation import Invalidations
from detent_redis.noting_unit import NotingUnit, touched_by_creation
from detent_redis.reach import Reach, connected
from detent_redis.read_through import LEASE, ReadThrough

_UNSEEN = (OutcomeUnknown, StoreUnavailable, asyncio.CancelledError)
"""After these a commit may still come."""


class CachedStore(StoreAround):
    """A `Store` that answers `load` and `load_definition` from Redis where it can, and asks `store` for everything else.

    `redis` is a URL or a client of yours, which stays yours to close. Every commit through this class takes out of Redis what it
    made untrue, and answers after that. `ttl`, a length of time such as `"1m"`, bounds how old an answer can be where that did
    not happen: after a commit by a process without this class, by one that died right after it, or by one that could not
    reach Redis. `prefix` is what keys begin with: take one for each database.

    Nothing is decided over what Redis answers: every step reads its instance from the store, under the store's fence. Reads
    with `outside` go to the store, as do all while Redis is away; that is logged once, and no error. Raises `InvalidValue`.
    """

    def __init__(
        self, store: Store, redis: str | Redis, *, ttl: timedelta | str = "1m", prefix: str = "detent:"
    ) -> None:
        super().__init__(store)
        seconds = duration_argument(ttl, "ttl", least=timedelta(milliseconds=1)).total_seconds()
        self._client, self._owned = connected(redis)
        self._prefix = prefix
        self._opened = 0
        self._lent: dict[int, list[UUID]] = {}
        reach = Reach("everything is read from the store")
        self._invalidations = Invalidations(self._client, reach, seconds + LEASE)
        self._read = ReadThrough(self._client, reach, self._invalidations, seconds)

    async def open(self) -> None:
        """Open the store; Redis need not be there."""
        await self._store.open()
        self._opened += 1
        self._invalidations.resume()

    async def close(self) -> None:
        """Close the store, and let Redis go with the last one."""
        try:
            await self._store.close()
        finally:
            self._opened = max(0, self._opened - 1)
            if not self._opened:
                await self._invalidations.finish()
                if self._owned:
                    await self._client.aclose()

    async def load(self, instance_id: UUID, *, outside: object | None = None) -> WorkflowInstance | None:
        """The committed record: from Redis if it is there.

        That an instance was not there is not remembered, so that a creation makes nothing untrue.
        """
        if outside is not None:
            return await self._store.load(instance_id, outside=outside)
        return await self._read.get(self._key(instance_id), INSTANCES, lambda: self._store.load(instance_id))

    async def load_definition(self, workflow: str, version: str) -> DefinitionSnapshot | None:
        """The stored snapshot: from Redis if it is there."""
        ask = partial(self._store.load_definition, workflow, version)
        return await self._read.get(self._definition_key(workflow, version), DEFINITIONS, ask)

    async def create(self, change: Change, *, after_commit: Callable[[], None] | None = None) -> Existing | None:
        """Write a new instance, and take its parent's record out of Redis after the commit: who has started a child looks
        whether the parent was cancelled meanwhile, and must not miss it.
        """
        parent = touched_by_creation(change)

        def committed() -> None:
            self._note(parent)
            if after_commit is not None:
                after_commit()

        return await self._store.create(change, after_commit=committed if parent else after_commit)

    async def apply(
        self,
        instance_id: UUID,
        decide: Decide[A],
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
        workflow: str | None = None,
        known: Known | None = None,
        after_commit: Callable[[A], None] | None = None,
        outside: object | None = None,
    ) -> A:
        """Decide over the store's record, and take that of Redis out after the commit."""

        def committed(answer: A) -> None:
            # First: whoever is told by the other one reads what was committed.
            self._note([instance_id])
            if after_commit is not None:
                after_commit(answer)

        with self._uncertain([instance_id]):
            answer = await self._store.apply(
                instance_id,
                decide,
                key=key,
                now=now,
                workflow=workflow,
                known=known,
                after_commit=committed,
                outside=outside,
            )
        if outside is None:
            await self._invalidations.carried_out([self._key(instance_id)])
        else:
            self._note_within(outside, [instance_id])
        return answer

    @asynccontextmanager
    async def transaction(
        self,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
        wait: bool = True,
    ) -> AsyncIterator[Unit]:
        """Lock the store's record, and take that of Redis out after the commit."""
        touched = _touched_by(instance_id)
        with self._uncertain(touched):
            async with self._store.transaction(instance_id, key=key, now=now, wait=wait) as unit:
                unit.after_commit(lambda: self._note(touched))
                yield NotingUnit(unit, touched)
        await self._invalidations.carried_out(self._keys(touched))

    @asynccontextmanager
    async def join(
        self,
        outside: object,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
    ) -> AsyncIterator[Unit]:
        """The same inside `outside`; the caller's commit waits for nothing, and reads of this process know of it at once."""
        touched = _touched_by(instance_id)
        async with self._store.join(outside, instance_id, key=key, now=now) as unit:
            unit.after_commit(lambda: self._note(touched))
            yield NotingUnit(unit, touched)
        self._note_within(outside, touched)

    @asynccontextmanager
    async def lend(self, outside: object) -> AsyncIterator[None]:
        """Commit `outside`, and take out of Redis what was written in it."""
        outermost = id(outside) not in self._lent
        touched = self._lent.setdefault(id(outside), [])
        try:
            with self._uncertain(touched):
                async with self._store.lend(outside):
                    yield
        finally:
            if outermost:
                del self._lent[id(outside)]
        await self._invalidations.carried_out()

    async def remove(self, removals: Sequence[Removal], *, outside: object | None = None) -> Collection[UUID]:
        """Take instances out of the store, and out of Redis after the commit."""
        touched = [removal.entry.instance_id for removal in removals]
        if outside is not None:
            return await self._remove_within(outside, removals, touched)
        with self._uncertain(touched):
            removed = await self._store.remove(removals)
        self._note(touched)
        await self._invalidations.carried_out(self._keys(touched))
        return removed

    async def fire_due(
        self,
        decide: Decide[A],
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[tuple[UUID, A]]:
        """Fire what is due in the store, and take out of Redis what was written."""
        touched: list[UUID] = []

        def deciding(record: WorkflowInstance, receipt: Receipt | None, instant: datetime) -> tuple[Change | None, A]:
            change, answer = decide(record, receipt, instant)
            if change is not None:
                touched.append(record.id)
            return change, answer

        with self._uncertain(touched):
            fired = await self._store.fire_due(deciding, limit=limit, workflows=workflows, tenant=tenant, now=now)
        self._note(touched)
        await self._invalidations.carried_out(self._keys(touched))
        return fired

    async def save_definitions(self, snapshots: Sequence[DefinitionSnapshot]) -> Sequence[DefinitionSnapshot]:
        """Store the versions that are not stored yet; what Redis has of them is asked for anew.

        A snapshot never changes, but the database may be another one than yesterday.
        """
        stored = await self._store.save_definitions(snapshots)
        keys = [self._definition_key(snapshot.workflow, snapshot.version) for snapshot in snapshots]
        self._invalidations.note(keys)
        await self._invalidations.carried_out(keys)
        return stored

    async def _remove_within(
        self, outside: object, removals: Sequence[Removal], touched: Collection[UUID]
    ) -> Collection[UUID]:
        removed = await self._store.remove(removals, outside=outside)
        self._note_within(outside, touched)
        # The unit locks no instance: it is there to hear of the commit.
        async with self._store.join(outside, None) as unit:
            unit.after_commit(partial(self._note, touched))
        return removed

    @contextmanager
    def _uncertain(self, touched: Collection[UUID]) -> Iterator[None]:
        """Where the end of a commit is not seen, keep what it touches out of Redis until it is visible or never will be."""
        try:
            yield
        except _UNSEEN:
            self._invalidations.note(self._keys(touched), held=True)
            raise

    def _note_within(self, outside: object, touched: Collection[UUID]) -> None:
        """What the commit of a lent transaction will touch: where its end is not seen, no callback names it."""
        self._lent.get(id(outside), []).extend(touched)

    def _note(self, touched: Collection[UUID]) -> None:
        self._invalidations.note(self._keys(touched))

    def _keys(self, touched: Collection[UUID]) -> list[str]:
        return [self._key(instance_id) for instance_id in touched]

    def _key(self, instance_id: UUID) -> str:
        return f"{self._prefix}instance:{instance_id}"

    def _definition_key(self, workflow: str, version: str) -> str:
        # The length, because both may have colons.
        return f"{self._prefix}definition:{len(workflow)}:{workflow}:{version}"


def _touched_by(instance_id: UUID | None) -> list[UUID]:
    """What a step is known to write when it begins."""
    return [] if instance_id is None else [instance_id]
