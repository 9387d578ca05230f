"""The store on PostgreSQL: each verb of the contract, and which transaction it takes.

Creations and steps without commands are written together with others of their kind (`batch`): one round trip to read and one
to write, each its own transaction. A step with commands holds the row: BEGIN, lock, write, COMMIT.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from detent.errors import InvalidValue
from detent.store.backlog import Backlog
from detent.store.change import Change, Removal
from detent.store.far_signals import FarSignals
from detent.store.protocol import A, Decide, Existing, Known
from detent.store.query import GroupKey, InstanceQuery, Order, Position
from detent.store.records import ArchiveEntry, DefinitionSnapshot, HistoryEntry, ReceiptKey, WorkflowInstance
from detent_pg import migrate
from detent_pg.backlog import read_backlog
from detent_pg.batch import COMMITTERS, Batch
from detent_pg.births import Births
from detent_pg.contention import Contention
from detent_pg.decisions import Decision
from detent_pg.due import Due
from detent_pg.ending import watch
from detent_pg.engine import SESSION_SETTINGS, Connections, make_engine, make_listening_engine
from detent_pg.errands import Errands
from detent_pg.faults import ConnectionLost
from detent_pg.health import PgHealth, PoolStats, check_schema, measure, pool_stats
from detent_pg.inbox import PgInbox
from detent_pg.limits import Limits
from detent_pg.names import Names
from detent_pg.notices import Notices
from detent_pg.outbox import PgOutbox
from detent_pg.own_line import OwnLine
from detent_pg.pen import Pen
from detent_pg.persistence import persist
from detent_pg.reserved import Reserved
from detent_pg.runs import PgRuns
from detent_pg.schema import tables
from detent_pg.steps import Steps
from detent_pg.time import LearntClock
from detent_pg.transaction import Transactions
from detent_pg.unit import PgUnit, unbroken
from detent_pg.values import PgValues
from detent_pg.verdict import Verdict

_SHARED = {"connect_timeout", "command_timeout", "ssl"}
"""The options of an engine that are also those of the one that listens."""


class PgStore:
    """A `Store` in PostgreSQL 14 or later, over SQLAlchemy and asyncpg.

    `engine` stays the application's: `close` leaves it alone (`from_url` makes one that it disposes of). `lock_timeout` is how
    many seconds a step waits for a row before it is `InstanceBusy`, `statement_timeout` how long any statement of a step
    may take, those of commands included. `committers` is how many connections beside the pool write what comes together
    (`detent_pg.batch`). Where the engine goes through a PgBouncer, which carries no notices, `listen_url` leads
    to the database itself.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        prefix: str = "detent_",
        schema: str | None = None,
        lock_timeout: float = 3.0,
        statement_timeout: float = 5.0,
        committers: int = COMMITTERS,
        listen_url: str | URL | None = None,
    ) -> None:
        if not isinstance(engine, AsyncEngine):
            # It may be a URL, with a password.
            raise InvalidValue(
                "engine", f"must be an AsyncEngine, not a {type(engine).__name__}", hint="use PgStore.from_url(...)"
            )
        if committers < 1:
            raise InvalidValue("committers", f"is {committers!r}", hint="pass a whole number from 1")
        self.engine = engine
        self.names = Names(prefix, schema)
        self._owned = False
        self._opened = 0
        self._clock = LearntClock()
        self._connections = Connections(engine)
        waits = Limits(lock_timeout, statement_timeout)
        self._pen = Pen(tables(self.names), waits, self._clock)
        self._verdict = Verdict(self._connections, self._pen)
        self._transactions = Transactions(self._connections, self._pen, self._clock, self._verdict)
        self._due = Due(self._pen, self._connections, self._verdict)
        self._errands = Errands(self._connections, self._transactions)
        self._contention = Contention(self._transactions, waits)
        self._steps = Steps(self._pen, self._clock, self._verdict, self._contention, waits)
        self._births = Births(self._pen, self._connections, self._verdict, waits)
        self._batch = Batch(partial(OwnLine, engine), committers=committers)
        self._reserved = Reserved(engine)
        self._signals = self._hearing(engine if listen_url is None else make_listening_engine(listen_url))
        self._runs = PgRuns(tables(self.names), waits, self._errands, self._reserved, self._batch)
        self._inbox = PgInbox(tables(self.names), waits, self._errands, self._batch)
        self._outbox = PgOutbox(tables(self.names), waits, self._errands)
        self._values = PgValues(tables(self.names), waits, self._errands)
        watch(engine.sync_engine)

    @classmethod
    def from_url(
        cls,
        url: str | URL,
        *,
        prefix: str = "detent_",
        schema: str | None = None,
        lock_timeout: float = 3.0,
        statement_timeout: float = 5.0,
        committers: int = COMMITTERS,
        listen_url: str | URL | None = None,
        session_settings: Mapping[str, str] = SESSION_SETTINGS,
        **engine: Any,
    ) -> "PgStore":
        """A store with an engine of its own, made by `detent_pg.engine.make_engine` from `postgresql://…` and its options:
        `pool_size`, `max_overflow`, `pool_timeout`, `connect_timeout`, `command_timeout`, `ssl`. The last three, and the
        `session_settings`, are also those of the connection that listens at `listen_url`.
        """
        store = cls(
            make_engine(url, session_settings=session_settings, **engine),
            prefix=prefix,
            schema=schema,
            lock_timeout=lock_timeout,
            statement_timeout=statement_timeout,
            committers=committers,
        )
        if listen_url is not None:
            asked = {name: engine[name] for name in _SHARED & engine.keys()}
            listening = make_listening_engine(listen_url, beside=url, session_settings=session_settings, **asked)
            store._signals = store._hearing(listening)
        store._owned = True
        return store

    @property
    def runs(self) -> PgRuns:
        """Durable transitions in progress."""
        return self._runs

    @property
    def inbox(self) -> PgInbox:
        """Events that were sent and not yet applied."""
        return self._inbox

    @property
    def outbox(self) -> PgOutbox:
        """Messages on their way to subscribers."""
        return self._outbox

    @property
    def values(self) -> PgValues:
        """What is kept beside instances."""
        return self._values

    @property
    def signals(self) -> FarSignals:
        """Words that say that something may be there to do, carried to every process on this database."""
        return self._signals

    async def open(self) -> None:
        """Check that the database can be reached and has the schema this code needs."""
        await self._errands.shielded(self._check())
        self._opened += 1
        self._signals.open()

    async def close(self) -> None:
        """Wait for what is under way; the last close of a store from `from_url` also closes its connections."""
        self._opened = max(0, self._opened - 1)
        if self._opened:
            return
        await self._batch.finished()
        await self._births.finished()
        await self._contention.finished()
        await self._runs.finished()
        await self._inbox.finished()
        await self._errands.finished()
        await self._batch.close()
        await self._signals.close()
        await self._reserved.close()
        if self._owned:
            await self.engine.dispose()

    async def upgrade(self) -> Sequence[int]:
        """Bring the schema up to date, and answer the numbers of the migrations that were applied."""
        return await migrate.upgrade(self._connections, self.names)

    async def health(self) -> PgHealth:
        """Whether the database answers now, how fast, and with which versions; never raises."""
        return await self._errands.shielded(measure(self._connections, self.names))

    def pool_stats(self) -> PoolStats:
        """How the connections are used right now."""
        return pool_stats(self.engine)

    def now(self) -> datetime:
        """The database's clock, as well as it is known without asking."""
        return self._clock.now()

    async def create(self, change: Change, *, after_commit: Callable[[], None] | None = None) -> Existing | None:
        """Write a new instance, or answer what its idempotency key was answered before."""
        created = self._births, change
        told = None if after_commit is None else lambda _: after_commit()
        return await self._batch.do(
            *created, instance_id=change.instance.id, lane=change.instance.workflow, after_commit=told
        )

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
        """Decide over the current record and write the change, as if nothing came between."""
        decision = Decision(instance_id, decide, key, now, known)
        if outside is not None:
            return await self._transactions.apply(outside, decision, after_commit)
        return await self._batch.do(
            self._steps, decision, instance_id=instance_id, lane=workflow, after_commit=after_commit
        )

    def transaction(
        self,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
        wait: bool = True,
    ) -> AbstractAsyncContextManager[PgUnit]:
        """Lock an instance for one step of its own, or open a step that creates one."""
        return self._transactions.own(instance_id, key, now, wait=wait)

    def join(
        self,
        outside: object,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
    ) -> AbstractAsyncContextManager[PgUnit]:
        """The same inside an `AsyncSession` or `AsyncConnection` of the application, in a savepoint of it."""
        return self._transactions.join(outside, instance_id, key, now)

    def lend(self, outside: object) -> AbstractAsyncContextManager[None]:
        """Commit the application's transaction when the block ends well, and then call what waited for it."""
        return self._transactions.lend(outside)

    async def load(self, instance_id: UUID, *, outside: object | None = None) -> WorkflowInstance | None:
        """The committed record, without a lock, or the one that the transaction `outside` sees."""
        seen = await self._errands.read(outside, lambda line: self._pen.read(line, instance_id))
        return seen.record if seen else None

    async def history(
        self, instance_id: UUID, *, limit: int, before: int | None = None, outside: object | None = None
    ) -> Sequence[HistoryEntry]:
        """Up to `limit` entries with a sequence below `before`, the newest first."""
        return await self._errands.read(outside, lambda line: self._pen.history(line, instance_id, limit, before))

    async def recall(
        self, key: ReceiptKey, *, now: datetime | None = None, outside: object | None = None
    ) -> Existing | None:
        """The unexpired receipt under `key` with its instance as it is now."""
        return await self._errands.read(outside, lambda line: self._pen.recall(line, key, now))

    async def find(
        self,
        query: InstanceQuery,
        *,
        order: Order,
        limit: int,
        after: Position | None = None,
        outside: object | None = None,
    ) -> Sequence[WorkflowInstance]:
        """Up to `limit` instances that `query` asks for, in this order; with `after`, those that come behind that place."""
        return await self._errands.read(outside, lambda line: self._pen.find(line, query, order, limit, after))

    async def count(
        self, query: InstanceQuery, *, group_by: Sequence[GroupKey] = (), outside: object | None = None
    ) -> Mapping[tuple[str, ...], int]:
        """How many instances `query` asks for, by the values under `group_by`."""
        return await self._errands.read(outside, lambda line: self._pen.count(line, query, group_by))

    async def remove(self, removals: Sequence[Removal], *, outside: object | None = None) -> frozenset[UUID]:
        """Take instances out, with their history and receipts, and keep the archive entry of each; answers which are gone."""
        if outside is not None:
            async with self._transactions.join(outside, None, None, None) as unit:
                return await unit.remove(removals)
        return await self._errands.shielded(persist(lambda: self._remove(removals)))

    async def load_archived(self, instance_id: UUID) -> ArchiveEntry | None:
        """What is kept of an instance that was removed."""
        kept = await self._errands.alone(lambda line: self._pen.archive.load(line, [instance_id]))
        return kept.get(instance_id)

    async def prune_history(self, instance_ids: Sequence[UUID], *, before: datetime) -> int:
        """Take out the entries of these instances from before an instant, but never the last one; answers how many."""
        return await self._errands.alone(lambda line: self._pen.archive.prune_history(line, instance_ids, before))

    async def prune_receipts(self, *, limit: int, now: datetime | None = None) -> int:
        """Take out up to `limit` receipts that have expired; answers how many."""
        return await self._errands.alone(lambda line: self._pen.archive.prune_receipts(line, limit, now))

    async def fire_due(
        self,
        decide: Decide[A],
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[tuple[UUID, A]]:
        """Claim what is due and held by nobody, decide each and write all, in one transaction."""
        # It waits for nobody, so its end can be waited for: a sweeper that was cancelled leaves nothing under way.
        return await unbroken(persist(lambda: self._due.fire(decide, limit, workflows, tenant, now)))

    async def save_definitions(self, snapshots: Sequence[DefinitionSnapshot]) -> Sequence[DefinitionSnapshot]:
        """Store the versions that are not stored yet; answers what is stored."""
        return await self._errands.shielded(persist(lambda: self._save_definitions(snapshots)))

    async def load_definition(self, workflow: str, version: str) -> DefinitionSnapshot | None:
        """The stored snapshot of one version."""
        found = await self._errands.alone(lambda line: self._pen.definitions.load(line, [(workflow, version)]))
        return next(iter(found), None)

    async def list_definitions(self, workflows: Collection[str] | None) -> Sequence[DefinitionSnapshot]:
        """Every stored version of these workflows (of all for `None`), by name and in the order they were stored."""
        return await self._errands.alone(lambda line: self._pen.definitions.list(line, workflows))

    async def backlog(self, *, tenant: str | None = None, now: datetime | None = None) -> Backlog:
        """What waits, counted."""
        return await self._errands.alone(lambda line: read_backlog(line, tables(self.names), tenant, now))

    def _hearing(self, engine: AsyncEngine) -> FarSignals:
        return FarSignals(Notices(self._connections, self.names.channel, engine))

    async def _check(self) -> None:
        try:
            await check_schema(self._connections, self.names, owned=self._owned)
        except BaseException:
            # Nobody closes what did not open.
            if self._owned and not self._opened:
                await self.engine.dispose()
            raise

    async def _remove(self, removals: Sequence[Removal]) -> frozenset[UUID]:
        async with self._connections.line() as line:
            try:
                return await self._pen.archive.remove(line, removals)
            except ConnectionLost:
                await line.invalidate()
        return await self._verdict.of_remove(removals)

    async def _save_definitions(self, snapshots: Sequence[DefinitionSnapshot]) -> Sequence[DefinitionSnapshot]:
        async with self._connections.line() as line:
            await self._pen.definitions.save(line, snapshots)
            return await self._pen.definitions.load(line, [(s.workflow, s.version) for s in snapshots])
