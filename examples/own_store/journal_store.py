"""A store of one's own: the rows are kept in memory, and a journal, one line of JSON for each commit, makes them durable.

One transaction at a time writes; reads see what is committed and wait for nobody. It suits one process with as many
instances as fit into its memory. The journal only grows, and all of it is read when the store is opened.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import UUID

from detent.errors import InstanceBusy, InstanceNotFound
from detent.store.backlog import Backlog
from detent.store.change import Change, Removal
from detent.store.copies import copy_archive_entry, copy_instance, copy_snapshot
from detent.store.memory_backlog import backlog_of
from detent.store.memory_query import counted, matches, sorted_behind
from detent.store.memory_rows import Rows as MemoryRows
from detent.store.protocol import A, Decide, Existing, Known
from detent.store.query import GroupKey, InstanceQuery, Order, Position
from detent.store.records import (
    ArchiveEntry,
    DefinitionSnapshot,
    HistoryEntry,
    ReceiptKey,
    Status,
    WorkflowInstance,
)
from detent.store.signals import LocalSignals
from examples.own_store.database import JournalDatabase, PassedOver, busy
from examples.own_store.inbox import JournalInbox
from examples.own_store.outbox import JournalOutbox
from examples.own_store.rows import Rows
from examples.own_store.runs import JournalRuns
from examples.own_store.transaction import JournalTransaction
from examples.own_store.unit import JournalUnit, write
from examples.own_store.values import JournalValues


class JournalStore:
    """A `Store` in the file at `path`. `lock_timeout` is how many seconds a step waits for the one before it."""

    def __init__(self, path: str | Path, *, lock_timeout: float = 3.0) -> None:
        self._database = JournalDatabase(Path(path), lock_timeout)
        self.runs = JournalRuns(self._database)
        self.inbox = JournalInbox(self._database)
        self.outbox = JournalOutbox(self._database)
        self.values = JournalValues(self._database)
        self.signals = LocalSignals()

    async def open(self) -> None:
        """Read the journal, or start one."""
        await self._database.open()

    async def close(self) -> None:
        """Wait for the step that is under way, and close the file."""
        await self._database.close()

    def now(self) -> datetime:
        """The clock of this process."""
        return self._database.now()

    # ------------------------------------------------------------------------------------------------ steps

    async def create(self, change: Change, *, after_commit: Callable[[], None] | None = None) -> Existing | None:
        """Write a new instance, or answer what its idempotency key was answered before."""
        async with self.transaction(None) as unit:
            existing = await unit.write(change)
            if after_commit is not None and existing is None:
                unit.after_commit(after_commit)
            return existing

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
        """Decide and write in one transaction, so that nobody comes between and `decide` is called once."""
        begun = self.transaction if outside is None else partial(self.join, outside)
        async with begun(instance_id, key=key, now=now) as unit:
            if unit.record is None:
                raise InstanceNotFound(instance_id)
            change, answer = decide(unit.record, unit.receipt, unit.now)
            if change is not None:
                await unit.write(change)
                if after_commit is not None:
                    unit.after_commit(partial(after_commit, answer))
            return answer

    @asynccontextmanager
    async def transaction(
        self,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
        wait: bool = True,
    ) -> AsyncIterator[JournalUnit]:
        """Take the writer for one step."""
        late = busy if instance_id is None else partial(InstanceBusy, instance_id)
        async with self._database.begin(late, wait=wait) as transaction:
            yield self._unit(transaction, instance_id, key, now)

    @asynccontextmanager
    async def join(
        self,
        outside: object,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
    ) -> AsyncIterator[JournalUnit]:
        """The same inside a `JournalTransaction` that this store lent, in a savepoint of it."""
        transaction = self._database.own(outside)
        async with transaction.savepoint():
            yield self._unit(transaction, instance_id, key, now)

    def begin(self) -> AbstractAsyncContextManager[JournalTransaction]:
        """A transaction for the application, to write with and to pass as `connection=`."""
        return self._database.begin()

    def lend(self, outside: object) -> AbstractAsyncContextManager[None]:
        """Commit the transaction when the block ends well, roll it back otherwise."""
        return self._database.lend(outside)

    async def fire_due(
        self,
        decide: Decide[A],
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[tuple[UUID, A]]:
        """Fire what is due in one transaction; nothing, when a long step keeps the writer."""
        answers: list[tuple[UUID, A]] = []
        with suppress(PassedOver):
            async with self._database.begin(PassedOver) as transaction:
                instant = now or self.now()
                for record in _due(transaction.rows, instant, limit, workflows, tenant):
                    change, answer = decide(record, None, instant)
                    if change is not None:
                        await write(transaction, change, instant)
                    answers.append((record.id, answer))
        return answers

    # ------------------------------------------------------------------------------------------------ reads

    async def load(self, instance_id: UUID, *, outside: object | None = None) -> WorkflowInstance | None:
        """The committed record, or the one that the transaction `outside` sees."""
        return self._database.seen(outside).instance(instance_id)

    async def history(
        self, instance_id: UUID, *, limit: int, before: int | None = None, outside: object | None = None
    ) -> Sequence[HistoryEntry]:
        """Up to `limit` entries with a sequence below `before`, the newest first."""
        return self._database.seen(outside).page(instance_id, before, limit)

    async def recall(
        self, key: ReceiptKey, *, now: datetime | None = None, outside: object | None = None
    ) -> Existing | None:
        """The unexpired receipt under `key` with its instance as it is now."""
        return self._database.seen(outside).recall(key, now or self.now())

    async def find(
        self,
        query: InstanceQuery,
        *,
        order: Order,
        limit: int,
        after: Position | None = None,
        outside: object | None = None,
    ) -> Sequence[WorkflowInstance]:
        """Up to `limit` instances that `query` asks for, found by looking at every one."""
        asked = [instance for instance in self._database.seen(outside).instances.values() if matches(instance, query)]
        return [copy_instance(instance) for instance in sorted_behind(asked, order, after)[:limit]]

    async def count(
        self, query: InstanceQuery, *, group_by: Sequence[GroupKey] = (), outside: object | None = None
    ) -> Mapping[tuple[str, ...], int]:
        """How many instances `query` asks for, by the values under `group_by`."""
        asked = (instance for instance in self._database.seen(outside).instances.values() if matches(instance, query))
        return counted(asked, group_by)

    # ------------------------------------------------------------------------------------------------ the end of rows

    async def remove(self, removals: Sequence[Removal], *, outside: object | None = None) -> Collection[UUID]:
        """Take instances out; raises `InstanceBusy`, as of the first, when the writer does not come in time."""
        late = partial(InstanceBusy, removals[0].entry.instance_id) if removals else busy
        async with self._database.within(outside, late) as transaction:
            return [removal.entry.instance_id for removal in removals if transaction.remove(removal)]

    async def load_archived(self, instance_id: UUID) -> ArchiveEntry | None:
        """What is kept of an instance that was removed."""
        found = self._database.seen().archive.get(instance_id)
        return copy_archive_entry(found) if found else None

    async def prune_history(self, instance_ids: Sequence[UUID], *, before: datetime) -> int:
        """Take out the entries of these instances from before an instant, except each one's last; answers how many."""
        async with self._database.begin() as transaction:
            return sum(transaction.prune_history(instance_id, before) for instance_id in instance_ids)

    async def prune_receipts(self, *, limit: int, now: datetime | None = None) -> int:
        """Take out up to `limit` receipts that have expired; answers how many."""
        async with self._database.begin() as transaction:
            return transaction.prune_receipts(now or self.now(), limit)

    # ------------------------------------------------------------------------------------------------ definitions

    async def save_definitions(self, snapshots: Sequence[DefinitionSnapshot]) -> Sequence[DefinitionSnapshot]:
        """Store the versions that are not stored yet; answers what is stored."""
        async with self._database.begin() as transaction:
            return [transaction.define(snapshot) for snapshot in snapshots]

    async def load_definition(self, workflow: str, version: str) -> DefinitionSnapshot | None:
        """The stored snapshot of one version."""
        found = self._database.seen().definitions.get((workflow, version))
        return copy_snapshot(found) if found else None

    async def list_definitions(self, workflows: Collection[str] | None) -> Sequence[DefinitionSnapshot]:
        """Every stored version of these workflows (of all for `None`), by name and in the order they were stored."""
        stored = self._database.seen().definitions.values()
        listed = [each for each in stored if workflows is None or each.workflow in workflows]
        return [copy_snapshot(snapshot) for snapshot in sorted(listed, key=lambda snapshot: snapshot.workflow)]

    # ------------------------------------------------------------------------------------------------ what waits

    async def backlog(self, *, tenant: str | None = None, now: datetime | None = None) -> Backlog:
        """What waits, counted by looking at every row, as the memory store does."""
        rows = self._database.seen()
        counted_by = MemoryRows(
            instances=rows.instances, runs=rows.runs, messages=rows.messages, deliveries=rows.deliveries
        )
        return backlog_of(counted_by, tenant, now or self.now())

    def _unit(
        self, transaction: JournalTransaction, instance_id: UUID | None, key: ReceiptKey | None, now: datetime | None
    ) -> JournalUnit:
        # The clock is read after the wait for the writer, and the receipt by that clock.
        instant = now or self.now()
        record = transaction.rows.instance(instance_id) if instance_id else None
        if instance_id and record is None:
            raise InstanceNotFound(instance_id)
        return JournalUnit(transaction, record, transaction.rows.receipt(key, instant), instant)


def _due(
    rows: Rows, now: datetime, limit: int, workflows: Collection[str] | None, tenant: str | None
) -> list[WorkflowInstance]:
    due = [
        (instance.due_at, instance.id)
        for instance in rows.instances.values()
        if instance.status is Status.ACTIVE
        and (workflows is None or instance.workflow in workflows)
        and tenant in (None, instance.tenant)
        and instance.due_at is not None
        and instance.due_at <= now
    ]
    return [copy_instance(rows.instances[instance_id]) for _, instance_id in sorted(due)[:limit]]
