"""The three stores of the parity tests, each with what it does in its own way, and small things the tests watch by."""

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing, nullcontext, suppress
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from detent import CommandRecord, MemoryStore, Observation, SqliteStore, Store, WorkflowObserver
from detent.testing.store_contract import StoreKit
from detent_pg import PgStore
from packages.pg.tests.waiting import someone_waits
from packages.pg.tests.wire import Wire

EMPTY = text(
    "TRUNCATE detent_instances, detent_history, detent_definitions, detent_archive, detent_outbox, detent_throttles, notes "
    "CASCADE"
)


class Backend(ABC):
    """A kind of store. What it opens is closed with the test."""

    locks_rows = True
    """Whether steps on different instances may be under way at once; SQLite has one writer."""
    cost: ClassVar[Mapping[str, int]] = {"creation": 1, "event": 1, "keyed event": 1, "command": 1}
    """What a creation, an event, one with a key and one with a command cost: round trips, or calls of the store."""

    @abstractmethod
    async def store(self, *, lock_timeout: float = 3.0) -> Any:
        """An open, empty store."""
        ...

    @abstractmethod
    async def elsewhere(self) -> Any:
        """An open store in another database."""
        ...

    @abstractmethod
    def kit(self, store: Any) -> StoreKit:
        """How an application lends a transaction, makes a savepoint, and writes rows of its own."""
        ...

    @abstractmethod
    async def spoil(self, connection: Any) -> None:
        """Make a mistake that leaves the transaction unable to commit, and swallow its error."""
        ...

    @abstractmethod
    async def until_someone_waits(self, store: Any) -> None:
        """Return once a step that was begun in another task waits for a row."""
        ...

    @abstractmethod
    def metered(self, wire: Wire) -> AbstractAsyncContextManager[tuple[Any, Callable[[], int]]]:
        """A store, and how much has been asked of it: round trips, or calls of the store."""
        ...


class Memory(Backend):
    """Stores in memory; another object is another database."""

    async def store(self, *, lock_timeout: float = 3.0) -> MemoryStore:
        return MemoryStore(lock_timeout=lock_timeout)

    async def elsewhere(self) -> MemoryStore:
        return MemoryStore()

    def kit(self, store: MemoryStore) -> StoreKit:
        async def note(connection: Any, said: str) -> None:
            connection.put("notes", said, True)

        async def noted(said: str) -> bool:
            async with store.begin() as transaction:
                return transaction.get("notes", said) is True

        return StoreKit(
            store=store,
            lend=store.begin,
            savepoint=lambda outside: outside.savepoint(),
            note=note,
            noted=noted,
            second=lambda: nullcontext(store),
        )

    async def spoil(self, connection: Any) -> None:
        """Nothing ends a transaction in memory but its owner."""
        connection.rollback()

    async def until_someone_waits(self, store: Any) -> None:
        await _turns()

    @asynccontextmanager
    async def metered(self, wire: Wire) -> AsyncIterator[tuple[Any, Callable[[], int]]]:
        watched = Watched(await self.store())
        yield watched, watched.asked.total


class Sqlite(Backend):
    """Stores in files under `folder`."""

    locks_rows = False

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._patience: dict[SqliteStore, float] = {}
        self._files = 0

    async def store(self, *, lock_timeout: float = 3.0) -> SqliteStore:
        self._files += 1
        path = self._folder / f"{self._files}.db"
        store = self._at(path, lock_timeout)
        self._patience[store] = lock_timeout
        await self._stack.enter_async_context(opened(store))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE notes (note TEXT UNIQUE)")
        return store

    def _at(self, path: str | Path, lock_timeout: float) -> SqliteStore:
        return SqliteStore(path, synchronous="OFF", lock_timeout=lock_timeout, busy_timeout=lock_timeout)

    async def elsewhere(self) -> SqliteStore:
        return await self.store()

    def kit(self, store: SqliteStore) -> StoreKit:
        path = store._path

        async def note(connection: Any, said: str) -> None:
            await connection.execute("INSERT INTO notes VALUES (?)", (said,))

        async def noted(said: str) -> bool:
            with closing(sqlite3.connect(path)) as connection:
                return connection.execute("SELECT 1 FROM notes WHERE note = ?", (said,)).fetchone() is not None

        return StoreKit(
            store=store,
            lend=store.begin,
            savepoint=lambda outside: outside.savepoint(),
            note=note,
            noted=noted,
            second=lambda: opened(self._at(path, self._patience[store])),
        )

    async def spoil(self, connection: Any) -> None:
        """Break a constraint in the one way that makes SQLite roll back the whole transaction by itself."""
        await connection.execute("INSERT INTO notes VALUES ('taken')")
        with suppress(sqlite3.IntegrityError):
            await connection.execute("INSERT OR ROLLBACK INTO notes VALUES ('taken')")

    async def until_someone_waits(self, store: Any) -> None:
        await _turns()

    @asynccontextmanager
    async def metered(self, wire: Wire) -> AsyncIterator[tuple[Any, Callable[[], int]]]:
        watched = Watched(await self.store())
        yield watched, watched.asked.total


class Postgresql(Backend):
    """Stores in one database of the test process, emptied for each test."""

    cost: ClassVar[Mapping[str, int]] = {"creation": 1, "event": 1, "keyed event": 2, "command": 4}

    def __init__(self, url: str, other_url: str, stack: AsyncExitStack) -> None:
        self.url, self._other_url, self._stack = url, other_url, stack

    async def store(self, *, lock_timeout: float = 3.0) -> PgStore:
        store = PgStore.from_url(self.url, pool_size=6, max_overflow=0, lock_timeout=lock_timeout)
        await self._stack.enter_async_context(opened(store))
        async with store.engine.begin() as connection:
            await connection.execute(EMPTY)
        return store

    async def elsewhere(self) -> PgStore:
        store = PgStore.from_url(self._other_url, pool_size=2)
        return await self._stack.enter_async_context(opened(store))

    def kit(self, store: PgStore) -> StoreKit:
        async def note(connection: AsyncSession, said: str) -> None:
            await connection.execute(text("INSERT INTO notes VALUES (:note)"), {"note": said})

        async def noted(said: str) -> bool:
            async with store.engine.connect() as connection:
                query = text("SELECT count(*) FROM notes WHERE note = :note")
                return bool(await connection.scalar(query, {"note": said}))

        return StoreKit(
            store=store,
            lend=lambda: _session(store.engine),
            savepoint=lambda session: session.begin_nested(),
            note=note,
            noted=noted,
            second=lambda: opened(PgStore.from_url(self.url, pool_size=3)),
        )

    async def spoil(self, connection: Any) -> None:
        """After any error PostgreSQL answers COMMIT with ROLLBACK, and the driver says nothing."""
        with suppress(DBAPIError):
            await connection.execute(text("SELECT 1/0"))

    async def until_someone_waits(self, store: PgStore) -> None:
        await someone_waits(store.engine)

    @asynccontextmanager
    async def metered(self, wire: Wire) -> AsyncIterator[tuple[Any, Callable[[], int]]]:
        url = wire.url(make_url(self.url))
        async with opened(PgStore.from_url(url, pool_size=1, max_overflow=0, committers=1)) as store:
            with wire.recording() as trips:
                yield store, trips.__len__


async def prepared(url: str) -> str:
    """The same URL, of a database that has its tables now, and one called `notes` for commands to write to."""
    store = PgStore.from_url(url)
    await store.upgrade()
    async with store.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE notes (note text NOT NULL UNIQUE)"))
    await store.engine.dispose()
    return url


@asynccontextmanager
async def opened(store: Any) -> AsyncIterator[Any]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as session:
        yield session
        await session.commit()


async def _turns() -> None:
    """Let what was begun come as far as it can: nothing stands between a call and its wait but turns of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)


class Watched:
    """A store that counts the verbs it is asked for, and lets a test act before one."""

    def __init__(self, store: Store) -> None:
        self.asked: Counter[str] = Counter()
        self.before: dict[str, Callable[[], Awaitable[object]]] = {}
        """What to do, once, before the next call of an awaited verb."""
        self._store = store

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._store, name)
        if name in ("open", "close", "now") or not callable(verb):
            return verb
        if asyncio.iscoroutinefunction(verb):

            @wraps(verb)
            async def awaited(*args: Any, **options: Any) -> Any:
                self.asked[name] += 1
                first = self.before.pop(name, None)
                if first is not None:
                    await first()
                return await verb(*args, **options)

            return awaited

        @wraps(verb)
        def entered(*args: Any, **options: Any) -> AbstractAsyncContextManager[Any]:
            self.asked[name] += 1
            context: AbstractAsyncContextManager[Any] = verb(*args, **options)
            return context

        return entered


class Gate:
    """A place in a command where a test may hold it."""

    def __init__(self) -> None:
        self.reached, self._opened = asyncio.Event(), asyncio.Event()

    async def passed(self) -> None:
        """Tell that it is reached, and wait until it is opened."""
        self.reached.set()
        await self._opened.wait()

    def open(self) -> None:
        self._opened.set()


class Heard(WorkflowObserver):
    """Remembers what it was told: as short texts, and whole."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.seen: list[Observation] = []

    def _hear(self, seen: Observation) -> None:
        entry = seen.entry
        self.seen.append(seen)
        self.texts.append(f"{entry.event} {entry.from_state}>{entry.to_state} {entry.outcome}")

    async def on_created(self, seen: Observation) -> None:
        self._hear(seen)

    async def on_transition(self, seen: Observation) -> None:
        self._hear(seen)

    async def on_refused(self, seen: Observation) -> None:
        self._hear(seen)

    async def on_failed(self, seen: Observation) -> None:
        self._hear(seen)

    async def on_command(self, seen: Observation, command: CommandRecord) -> None:
        self.texts.append(f"{command.name} {'ok' if command.ok else command.code}")
