"""Keys that a commit has made untrue, and the task that takes them out of Redis."""

import asyncio
import logging
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from redis.asyncio import Redis

from detent_redis.reach import Reach, Unreachable

logger = logging.getLogger("detent.redis")

HELD = b"l!"
"""What stands under a key that nobody may fill for a while: a lease that nobody has taken."""
_HELD_FOR = 10_000
"""For how many milliseconds: a commit whose end was not seen is visible by then, or never."""
# KEYS: the key. ARGV: what stands under a key that is held: whoever takes it out has not seen that other commit either.
_TAKE_OUT = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then redis.call('UNLINK', KEYS[1]) end"
_TOGETHER = 1000
"""How many keys are taken out in one round."""
_MARKS = 100_000
"""How many keys wait for Redis to come back; the oldest are left to end by themselves, and nothing is read until they have."""
_FAREWELL = 2.0
"""How many seconds the last round may take at the end."""


@dataclass(eq=False, slots=True)
class _Mark:
    """One reason to take a key out."""

    at: float
    """When it was given, on the clock of the loop."""
    held: bool
    """Whether the key shall stay empty for a while."""
    under_way: bool = False
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when Redis has done it, or was asked in vain."""


class Invalidations:
    """What this process knows to be untrue in Redis. Who reads asks here first, so that nobody reads behind his own commits.

    `lifetime` is after how many seconds an entry has ended by itself, and need not be taken out any more.
    """

    def __init__(self, client: Redis, reach: Reach, lifetime: float) -> None:
        self._client = client
        self._reach = reach
        self._lifetime = lifetime
        self._marks: dict[str, _Mark] = {}
        self._unknown_until = 0.0
        self._task: asyncio.Task[None] | None = None

    def __contains__(self, key: str) -> bool:
        return key in self._marks or (self._unknown_until > 0 and _now() < self._unknown_until)

    def note(self, keys: Iterable[str], *, held: bool = False) -> None:
        """Take these keys out, soon; never waits and never raises. With `held` the outcome of a commit is not known, and nobody
        may fill them for a while. Called from the event loop.
        """
        now = _now()
        for key in keys:
            mark = self._marks.get(key)
            if mark is None or mark.under_way:
                # What is under way may have reached Redis before this commit was visible.
                self._marks.pop(key, None)
                self._marks[key] = _Mark(now, held)
            else:
                mark.at, mark.held = now, mark.held or held
                mark.tried.clear()
        while len(self._marks) > _MARKS:
            self._marks.pop(next(iter(self._marks))).tried.set()
            self._unknown_until = now + self._lifetime
        self.resume()

    def resume(self) -> None:
        """Go on with what `finish` has left."""
        if self._marks and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work())

    async def carried_out(self, keys: Collection[str] | None = None) -> None:
        """Wait until these keys, or all, are out of Redis as of now; not where Redis cannot be reached."""
        wanted = list(self._marks) if keys is None else keys
        for mark in [self._marks[key] for key in wanted if key in self._marks]:
            if self._reach.is_lost:
                return
            await mark.tried.wait()

    async def finish(self) -> None:
        """Let the last round end, in bounded time. What it leaves in Redis ends by itself, or is taken out after `resume`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await self.carried_out()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if self._marks:
            logger.warning("%d entries in Redis may be out of date until they end", len(self._marks))

    async def _work(self) -> None:
        while self._marks:
            round_ = dict(islice(self._marks.items(), _TOGETHER))
            for mark in round_.values():
                mark.under_way = True
            try:
                async with self._reach.asking():
                    await self._take_out(round_)
            except Unreachable:
                self._drop_ended()
            else:
                self._forget(round_)
            finally:
                for mark in round_.values():
                    mark.under_way = False
                    mark.tried.set()
            await self._reach.recovered()

    async def _take_out(self, marks: dict[str, _Mark]) -> None:
        async with self._client.pipeline(transaction=False) as pipeline:
            for key, mark in marks.items():
                if mark.held:
                    pipeline.set(key, HELD, px=_HELD_FOR)
                else:
                    pipeline.eval(_TAKE_OUT, 1, key, HELD)
            await pipeline.execute()

    def _forget(self, done: dict[str, _Mark]) -> None:
        for key, mark in done.items():
            if self._marks.get(key) is mark:
                del self._marks[key]

    def _drop_ended(self) -> None:
        oldest = _now() - self._lifetime
        for key in [key for key, mark in self._marks.items() if mark.at < oldest]:
            del self._marks[key]


def _now() -> float:
    return asyncio.get_running_loop().time()
