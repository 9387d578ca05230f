"""Signals between processes: what is the same whatever carries the words.

They go outside of any step's transaction, and together, because many are said at once. What is lost is lost: whoever misses a
word finds out by asking the store.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol
from uuid import uuid4

from pydantic_core import from_json, to_json

from detent.store.listening import RECONNECTING, Listening
from detent.store.signals import LocalSignals

logger = logging.getLogger("detent.signals")

_GATHERED = 0.01
"""How many seconds words wait for others, after some were sent."""
_UNSENT = 10_000
"""How many different words wait to be sent at most; the others are not carried to other processes."""
_FAREWELL = 2.0
"""How many seconds the last words may take at the end."""


class Carrier(Protocol):
    """One channel to other processes. What it raises is logged, so that its text holds no secret, and is tried again."""

    @property
    def name(self) -> str:
        """What carries the words, as the log calls it: `"Redis"`."""
        ...

    @property
    def longest(self) -> int:
        """How many bytes a payload may have; a word that does not fit into one is heard in its own process only."""
        ...

    async def publish(self, payloads: Sequence[str]) -> None:
        """Send these, in bounded time."""
        ...

    async def hear(self, heard: Callable[[str | bytes], None], subscribed: Callable[[], None]) -> None:
        """Subscribe, call `subscribed`, and call `heard` with every payload on the channel, one's own included, until the
        connection is lost; then raise. After `PULSE` seconds of silence find out whether it is. Cancelled to end it.
        """
        ...


class FarSignals:
    """`Signals` over a `carrier`. Who listens here hears what is announced here at once, and what others announce from there."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._speaker = uuid4().hex
        self._here = LocalSignals()
        self._listening = Listening(lambda subscribed: carrier.hear(self._take, subscribed), over=carrier.name)
        self._unsent: dict[str, None] = {}
        self._sending: asyncio.Task[None] | None = None
        self._failures = 0
        self._closing = asyncio.Event()

    def open(self) -> None:
        """Carry words to other processes again, after `close`."""
        self._closing.clear()
        self._listening.resume()

    def announce(self, words: Collection[str]) -> None:
        """Let everybody who listens hear `words`: here at once, elsewhere within milliseconds."""
        self._here.announce(words)
        if self._closing.is_set() or not words:
            return
        for word in words:
            if len(self._unsent) < _UNSENT:
                self._unsent[word] = None
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    @asynccontextmanager
    async def listen(self, heard: Callable[[str], None]) -> AsyncIterator[None]:
        """Call `heard` with each word while the context is entered; that waits for a first attempt to subscribe."""
        async with self._here.listen(heard), self._listening.kept():
            yield

    async def close(self) -> None:
        """Send what was said, and let the carrier go. Who still listens hears what is announced here."""
        self._closing.set()
        if self._sending is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sending, _FAREWELL)
        await self._listening.stop()

    def _take(self, payload: str | bytes) -> None:
        """What came from the carrier; what was announced here was heard before."""
        try:
            speaker, words = from_json(payload)
        except (ValueError, TypeError):
            # Somebody else uses the channel.
            return
        if speaker != self._speaker and isinstance(words, list):
            self._here.announce([word for word in words if isinstance(word, str)])

    async def _send(self) -> None:
        # What is said in the same moment goes together; the first words do not wait for others, those after them do.
        await asyncio.sleep(0)
        while self._unsent:
            words, self._unsent = self._unsent, {}
            try:
                await self._carrier.publish(list(payloads_of(self._speaker, words, self._carrier.longest)))
                self._failures = 0
            except Exception as error:
                self._note_failure(error)
            await self._gather()

    async def _gather(self) -> None:
        """Let words come together: for long where there is nobody to send them to, for a moment else, and not at the end."""
        away = self._failures > 0
        seconds = RECONNECTING.delay(self._failures).total_seconds() if away else _GATHERED
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    def _note_failure(self, error: Exception) -> None:
        if not self._failures:
            said = str(error) or type(error).__name__
            logger.warning(
                "%s cannot be reached, and other processes find work by looking for it: %s", self._carrier.name, said
            )
        self._failures += 1


def payloads_of(speaker: str, words: Collection[str], longest: int) -> Iterator[str]:
    """The words in as few payloads as they fit in; one that fits in none is left out."""
    frame = len(_payload(speaker, []).encode())
    batch: list[str] = []
    size = frame
    for word in words:
        bytes_more = len(to_json(word)) + 1
        if frame + bytes_more > longest:
            continue
        if size + bytes_more > longest:
            yield _payload(speaker, batch)
            batch, size = [], frame
        batch.append(word)
        size += bytes_more
    if batch:
        yield _payload(speaker, batch)


def _payload(speaker: str, words: list[str]) -> str:
    return to_json([speaker, words]).decode()
