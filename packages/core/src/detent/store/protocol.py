"""The boundary to what remains: what every store promises, in prose.

A store keeps instances, their history, receipts, runs, messages, values beside instances, definition snapshots, and what is left
of removed instances.
It knows nothing of machines or commands: a step arrives as a `Change`, already decided. Four ways lead a change into a store:

* `create` writes a new instance.
* `apply` reads, lets a pure function decide, and writes: the fast path, where nothing but the decision runs.
* `transaction` locks an instance, lends a connection to commands, takes the change, commits: the locked path.
* `join` does the last inside a transaction that the caller owns.

For all of them:

* **Atomic.** Instance, history and effects of a change become visible together or not at all.
* **Fenced.** An update applies only from `expected_version`; whoever loses that race changes nothing.
* **Ordered.** `(instance_id, sequence)` is unique and dense; the order of entries is the order of commits.
* **Durable.** What returned is still there after the process was killed (the memory store excepted).
* **Time.** `now=None` means the store's own clock (the database's where it has one); a given `now`, a test's, replaces it
  in decisions and in comparisons alike.

This seam is ours and third-party stores' (`detent.testing.store_contract` is the proof of one); applications use the
runtime, not the store.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias, TypeVar
from uuid import UUID

from detent.store.backlog import Backlog
from detent.store.change import Change, Removal
from detent.store.message_store import InboxStore, OutboxStore
from detent.store.messages import InboxMessage
from detent.store.query import GroupKey, InstanceQuery, Order, Position
from detent.store.records import (
    ArchiveEntry,
    DefinitionSnapshot,
    HistoryEntry,
    Receipt,
    ReceiptKey,
    WorkflowInstance,
)
from detent.store.run_records import Run
from detent.store.run_store import RunStore
from detent.store.signals import Signals
from detent.store.value_store import ValueStore

A = TypeVar("A")

Decide: TypeAlias = Callable[[WorkflowInstance, Receipt | None, datetime], tuple[Change | None, A]]
"""Decides over the current record, the receipt under the caller's key, and `now`.

Pure and synchronous; it may be called again on a newer record, so nothing may have happened because of it. It answers
the change to write (`None`: write nothing) and the answer for the caller. An exception it raises reaches the caller
unchanged, and nothing is written.
"""


Known: TypeAlias = Callable[[UUID], WorkflowInstance | None]
"""What a caller has seen last of an instance, if anything; nobody edits it. It is asked for when it is needed: what waited in a
queue meanwhile may have brought news.
"""


@dataclass(frozen=True, slots=True)
class Existing:
    """What an idempotency key found: its receipt, and the instance that answered."""

    receipt: Receipt
    instance: WorkflowInstance


MESSAGES_OF_A_PAGE = 1000
"""How many messages `Unit.messages` answers at most."""


class Unit(Protocol):
    """One step under way: the locked record, a connection for commands, and the pen.

    Leaving its context without an exception commits (a joined one releases its savepoint); with one, everything since it
    was entered is undone. A unit is used by one task.
    """

    @property
    def record(self) -> WorkflowInstance | None:
        """The locked instance; `None` while a creation has not written."""
        ...

    @property
    def receipt(self) -> Receipt | None:
        """The unexpired receipt under the key that was asked for, as seen while holding the lock."""
        ...

    @property
    def now(self) -> datetime:
        """The instant of this step."""
        ...

    @property
    def connection(self) -> object:
        """What commands may use to write in the same transaction."""
        ...

    async def flush(self) -> None:
        """Send what a command left unsent on `connection`, so that its faults surface with that command."""
        ...

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """A savepoint around one command: undone when its body raises, kept otherwise."""
        ...

    async def lock_run(self, run_id: UUID) -> Run | None:
        """A run of the locked instance, held until the end of the step, so that nobody claims it meanwhile."""
        ...

    async def messages(self, *, after: int = 0) -> Sequence[InboxMessage]:
        """The messages to the locked instance that are not dead, by rising number, what this step wrote included.

        One page: the first 1000 with a number above `after`; fewer only where there are no more.
        """
        ...

    async def write(self, change: Change) -> Existing | None:
        """Write `change`. `None` when written; for an insert whose receipt's key is taken, what exists, with nothing written."""
        ...

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the step is committed for good (the caller's commit, when joined); never if it is not."""
        ...


class Store(Protocol):
    """Where instances live. See the top of this module for what holds for every verb."""

    @property
    def runs(self) -> RunStore:
        """Durable transitions in progress."""
        ...

    @property
    def inbox(self) -> InboxStore:
        """Events that were sent and not yet applied."""
        ...

    @property
    def outbox(self) -> OutboxStore:
        """Messages on their way to subscribers."""
        ...

    @property
    def values(self) -> ValueStore:
        """What is kept beside instances: values that are too large for a context, and those that applications set."""
        ...

    @property
    def signals(self) -> Signals:
        """Words that say that something may be there to do. A store may carry them within its process only."""
        ...

    async def open(self) -> None:
        """Make the store ready; raises `StoreUnavailable` or `StoreOutdated`. Opening twice needs closing twice."""
        ...

    async def close(self) -> None:
        """Release what `open` took. Nothing that was answered is lost."""
        ...

    def now(self) -> datetime:
        """The store's clock as well as it is known without asking: process time plus a learnt offset."""
        ...

    async def create(self, change: Change, *, after_commit: Callable[[], None] | None = None) -> Existing | None:
        """Write a new instance (`expected_version` 0). With a `PutReceipt` whose key holds an unexpired receipt, write nothing
        and answer what exists; two creations at once with one key leave one instance, and both see it. Whether an old
        receipt has expired is judged at the new one's `created_at`. `after_commit` is called as by `apply`.
        """
        ...

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
        """Decide over the current record and write the change, as if nothing came between.

        When another writer came between, `decide` is called again on the newer record; under contention the store queues
        callers rather than letting them race. It is called in the caller's context (`contextvars`), one decision at a time,
        and several decisions may be written in one commit: each gets its own answer or error. `key` is looked up together
        with the record.

        `workflow`, where the caller knows it, lets a store that queues serve workflows in turn. `known` says what
        the caller has seen: a store may decide over that instead of reading, and keeps what comes of it only if it is a
        change, which its version fences; all else is decided again over what is stored.

        With `outside` all of it happens in a transaction of the caller, as in `join`, and `after_commit` waits for its commit.

        A caller who is cancelled leaves a step that goes on to its end, or was not begun. `after_commit` is called with the
        answer when a change was committed, cancelled caller or not, in the event loop and before the caller goes on.

        Raises `InstanceNotFound`, `InstanceBusy` (a long step holds the row), `StoreUnavailable`, and `OutcomeUnknown` when a
        write was cut off and could not be looked up.
        """
        ...

    def transaction(
        self,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
        wait: bool = True,
    ) -> AbstractAsyncContextManager[Unit]:
        """Lock an instance for one step of its own, or with `None` open a step that creates one.

        Entering raises `InstanceNotFound`, or `InstanceBusy` when the lock does not come in time (`wait=False`: at once).
        Leaving raises `StepRolledBack` when the step surely was not applied and may be repeated, and `OutcomeUnknown` when
        that cannot be found out.
        """
        ...

    def join(
        self,
        outside: object,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
    ) -> AbstractAsyncContextManager[Unit]:
        """The same inside `outside`, a transaction of the caller: in a savepoint of it, visible when the caller commits.

        After an error the caller's transaction is usable and as it was. Raises `ConnectionNotSupported`.
        """
        ...

    def lend(self, outside: object) -> AbstractAsyncContextManager[None]:
        """Commit `outside` when the block ends well, roll it back otherwise, and only then run the `after_commit` callbacks of
        the units joined to it. For connections that cannot tell by themselves when they committed.
        """
        ...

    async def load(self, instance_id: UUID, *, outside: object | None = None) -> WorkflowInstance | None:
        """The committed record, without a lock.

        With `outside`, a transaction of the caller such as `join` takes, it is read through that: with what was written there
        and is not committed, on no connection but the caller's, still without a lock. An error of a read is the caller's to
        handle as one of his own statements. Raises `ConnectionNotSupported`.
        """
        ...

    async def history(
        self, instance_id: UUID, *, limit: int, before: int | None = None, outside: object | None = None
    ) -> Sequence[HistoryEntry]:
        """Up to `limit` entries with a sequence below `before`, the newest first. `outside` is what it is for `load`."""
        ...

    async def recall(
        self, key: ReceiptKey, *, now: datetime | None = None, outside: object | None = None
    ) -> Existing | None:
        """The unexpired receipt under `key` with its instance as it is now. `outside` is what it is for `load`."""
        ...

    async def find(
        self,
        query: InstanceQuery,
        *,
        order: Order,
        limit: int,
        after: Position | None = None,
        outside: object | None = None,
    ) -> Sequence[WorkflowInstance]:
        """Up to `limit` instances that `query` asks for, in this order; with `after`, those that come behind that place.

        An instance that does not change is found exactly once by going from place to place, whatever is written meanwhile.
        Ids are sorted as numbers. `outside` is what it is for `load`.
        """
        ...

    async def count(
        self, query: InstanceQuery, *, group_by: Sequence[GroupKey] = (), outside: object | None = None
    ) -> Mapping[tuple[str, ...], int]:
        """How many instances `query` asks for, by the values under `group_by`; without it, under the empty tuple.

        A group that nothing belongs to is not there, except that of the empty tuple.
        """
        ...

    async def remove(self, removals: Sequence[Removal], *, outside: object | None = None) -> Collection[UUID]:
        """Take instances out, with their history, receipts, runs, messages and values, and keep the archive entry of each, in
        one commit.

        Answers the ids of those that still had the expected version and are gone now; a row that another step holds is
        waited for as in `apply`. In `outside` it is done in a savepoint and visible when the caller commits.
        """
        ...

    async def load_archived(self, instance_id: UUID) -> ArchiveEntry | None:
        """What is kept of an instance that was removed."""
        ...

    async def prune_history(self, instance_ids: Sequence[UUID], *, before: datetime) -> int:
        """Take out the history entries of these instances that were written before an instant, but never an instance's last
        one; answers how many. What is left of an instance's history is dense still.
        """
        ...

    async def prune_receipts(self, *, limit: int, now: datetime | None = None) -> int:
        """Take out up to `limit` receipts that have expired; answers how many."""
        ...

    async def fire_due(
        self,
        decide: Decide[A],
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[tuple[UUID, A]]:
        """Claim up to `limit` active instances whose `due_at` has come, earliest first, decide each and write, in one commit.

        With `workflows` or a `tenant`, only instances of these are claimed; what another process knows is left to it.
        Instances that another step holds are passed over without waiting, so that several sweepers share the work and no two
        claim the same row. What `decide` answers comes back with the instance's id; where it wrote nothing (it needs
        commands), the row is free again after the call. `decide` must not raise.
        """
        ...

    async def save_definitions(self, snapshots: Sequence[DefinitionSnapshot]) -> Sequence[DefinitionSnapshot]:
        """Store the versions that are not stored yet, in a transaction of its own, never overwriting; answers what is stored
        under each of these names and versions.
        """
        ...

    async def load_definition(self, workflow: str, version: str) -> DefinitionSnapshot | None:
        """The stored snapshot of one version."""
        ...

    async def list_definitions(self, workflows: Collection[str] | None) -> Sequence[DefinitionSnapshot]:
        """Every stored version of these workflows, of all of them for `None`, by name and in the order they were stored."""
        ...

    async def backlog(self, *, tenant: str | None = None, now: datetime | None = None) -> Backlog:
        """What waits, counted."""
        ...
