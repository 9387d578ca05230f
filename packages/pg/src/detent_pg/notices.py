"""Signals by LISTEN and NOTIFY: words that reach every process on the same database.

They are sent outside of any step's transaction, because a NOTIFY takes a lock on the whole database when it commits, and
together, because many words are said at once. What is lost is lost: whoever misses a word finds out by asking.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from pydantic_core import from_json, to_json
from sqlalchemy import ARRAY, Text, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from detent_pg.engine import Connections
from detent_pg.faults import translated
from detent_pg.listening import Listening

logger = logging.getLogger("detent.signals")

_GATHERED = 0.01
"""How many seconds words wait for others, after some were sent."""
_LONGEST = 7_900
"""How many bytes a payload may have; PostgreSQL takes fewer than 8000."""
_FAREWELL = 2.0
"""How many seconds the last words may take when the store is closed."""

_payloads = func.unnest(bindparam("payloads", type_=ARRAY(Text))).table_valued("payload").render_derived(name="said")
_NOTIFY = select(func.pg_notify(bindparam("channel", type_=Text), _payloads.c.payload))


class PgSignals:
    """`Signals` of one store. Who listens here hears its own store's words at once, and those of others from the database."""

    def __init__(self, connections: Connections, channel: str, listening: AsyncEngine) -> None:
        self._connections = connections
        self._channel = channel
        self._name = uuid4().hex
        self._listeners: list[Callable[[str], None]] = []
        self._listening = Listening(listening, channel, self._take)
        self._unsent: dict[str, None] = {}
        self._sending: asyncio.Task[None] | None = None
        self._failing = False
        self._closed = False

    def open(self) -> None:
        """Carry words to other processes again, after `close`."""
        self._closed = False
        self._listening.resume()

    def announce(self, words: Collection[str]) -> None:
        """Let everybody who listens hear `words`: here at once, elsewhere within milliseconds."""
        self._tell(words)
        if self._closed or not words:
            return
        self._unsent.update(dict.fromkeys(words))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    @asynccontextmanager
    async def listen(self, heard: Callable[[str], None]) -> AsyncIterator[None]:
        """Call `heard` with each word while the context is entered; that waits for a first attempt to reach the database."""
        self._listeners.append(heard)
        try:
            async with self._listening.kept():
                yield
        finally:
            self._listeners.remove(heard)

    async def close(self) -> None:
        """Send what was said, and let the database go. Who still listens hears what is said in this store."""
        self._closed = True
        if self._sending is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sending, _FAREWELL)
        await self._listening.stop()

    def _tell(self, words: Collection[str]) -> None:
        for heard in list(self._listeners):
            for word in words:
                try:
                    heard(word)
                except Exception:
                    logger.exception("a listener raised at the word %r", word)

    def _take(self, payload: str) -> None:
        """What came from the database; what this store has said was heard here before."""
        try:
            speaker, words = from_json(payload)
        except (ValueError, TypeError):
            # Somebody else uses the channel.
            return
        if speaker != self._name:
            self._tell(words)

    async def _send(self) -> None:
        # What is said in the same moment goes together; the first words do not wait for others, those after them do.
        await asyncio.sleep(0)
        while self._unsent:
            words, self._unsent = self._unsent, {}
            try:
                await self._notify(list(_payloads_of(self._name, words)))
                self._failing = False
            except Exception as error:
                self._note_failure(error)
            await asyncio.sleep(0 if self._closed else _GATHERED)

    async def _notify(self, payloads: list[str]) -> None:
        async with self._connections.autocommit() as connection:
            with translated():
                await connection.execute(_NOTIFY, {"channel": self._channel, "payloads": payloads})

    def _note_failure(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            logger.warning("other processes cannot be told that there is work, and find it by asking: %s", error)


def _payloads_of(speaker: str, words: Collection[str]) -> Iterator[str]:
    """The words in as few payloads as they fit in; one that fits in none is left out."""
    frame = len(_payload(speaker, []).encode())
    batch: list[str] = []
    size = frame
    for word in words:
        bytes_more = len(to_json(word)) + 1
        if frame + bytes_more > _LONGEST:
            continue
        if size + bytes_more > _LONGEST:
            yield _payload(speaker, batch)
            batch, size = [], frame
        batch.append(word)
        size += bytes_more
    if batch:
        yield _payload(speaker, batch)


def _payload(speaker: str, words: list[str]) -> str:
    return to_json([speaker, words]).decode()
