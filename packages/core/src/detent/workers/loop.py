"""The one shape of every background loop: a round, a wait, until told to stop; then the round under way is finished."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import ClassVar, Self

from detent.errors import OutcomeUnknown, StoreUnavailable
from detent.retry import Retry

logger = logging.getLogger("detent.workers")

_JITTER = 0.1
# A store that is away costs little to ask again, and everything waits for it.
_OUTAGE = Retry(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2) / (1 + _JITTER), jitter=_JITTER)


@dataclass(frozen=True, slots=True)
class LoopHealth:
    """How a loop is doing."""

    alive: bool
    """Whether it runs, or has ended because it was told to."""
    failures: int
    """How many rounds in a row have failed."""
    failing_for: timedelta
    """For how long no round has succeeded since one failed; zero while all is well."""
    last_error: str | None
    """What the last round raised, if it failed."""
    last_round: timedelta | None
    """How long ago a round succeeded last; `None` before the first."""


class Loop:
    """Runs `round` again and again while it is entered. Sub-classes say what a round is.

    Between rounds it waits for its `interval`, a tenth more or less so that processes do not fall into step, or until it is
    woken. A round that fails is logged and the loop goes on, later and later up to `slowest`; up to two seconds when the
    store cannot be reached. Leaving lets the round under way finish within `drain`, and cancels it after that.
    """

    slowest: ClassVar[timedelta] = timedelta(seconds=30)
    """The longest pause after failures in a row."""

    def __init__(self, *, interval: timedelta, drain: timedelta = timedelta(seconds=30)) -> None:
        self._interval = interval
        self._drain = drain
        self._stopping = asyncio.Event()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing_since: float | None = None
        self._last_error: Exception | None = None
        self._last_round: float | None = None
        self.failures = 0
        """How many rounds in a row have failed."""

    async def round(self) -> bool:
        """Do what is there to do; `True` asks for the next round at once."""
        raise TypeError(f"{type(self).__name__} does not say what a round is")

    def wake(self) -> None:
        """Let the next round begin now, or right after the one under way. After failures the pause is kept."""
        self._woken.set()

    def abort(self) -> None:
        """Leave the round under way where it is; for who cannot wait for `drain`."""
        self._stop()
        if self._task is not None:
            self._task.cancel()

    def health(self) -> LoopHealth:
        """How it is doing."""
        now = asyncio.get_running_loop().time()
        return LoopHealth(
            alive=self._stopping.is_set() or (self._task is not None and not self._task.done()),
            failures=self.failures,
            failing_for=timedelta(seconds=0 if self._failing_since is None else now - self._failing_since),
            last_error=None if self._last_error is None else _told(self._last_error),
            last_round=None if self._last_round is None else timedelta(seconds=now - self._last_round),
        )

    async def __aenter__(self) -> Self:
        self._stopping.clear()
        self._task = asyncio.create_task(self._run(), name=type(self).__name__)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        if task is None:
            return
        self._stop()
        done, _ = await asyncio.wait([task], timeout=self._drain.total_seconds())
        if not done:
            logger.warning("%s did not finish its round in %s and is cancelled", type(self).__name__, self._drain)
            task.cancel()
            await asyncio.wait([task])
        self._task = None

    def _stop(self) -> None:
        self._stopping.set()
        self._woken.set()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            # Cleared before the round looks, so that who wakes it meanwhile is not overheard.
            self._woken.clear()
            again = await self._round_contained()
            if not again:
                await self._pause()

    async def _round_contained(self) -> bool:
        try:
            again = await self.round()
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            self._fail(RuntimeError("it was cancelled from within"), error)
            return False
        except Exception as error:
            self._fail(error, error)
            return False
        self.failures, self._failing_since, self._last_error = 0, None, None
        self._last_round = asyncio.get_running_loop().time()
        return again

    def _fail(self, error: Exception, cause: BaseException) -> None:
        self.failures += 1
        self._last_error = error
        if self._failing_since is None:
            self._failing_since = asyncio.get_running_loop().time()
        told_before = self.failures > 1 and _is_outage(error)
        trace = None if told_before else cause
        logger.error("a round of %s failed: %s", type(self).__name__, _told(error), exc_info=trace)

    async def _pause(self) -> None:
        event, seconds = (self._stopping, self._until_repeated()) if self.failures else (self._woken, self._until_due())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    def _until_due(self) -> float:
        return Retry(initial=self._interval, maximum=self._interval, jitter=_JITTER).delay(1).total_seconds()

    def _until_repeated(self) -> float:
        if self._last_error is not None and _is_outage(self._last_error):
            return _OUTAGE.delay(self.failures).total_seconds()
        initial = min(self._interval, timedelta(seconds=1), self.slowest)
        return Retry(initial=initial, maximum=self.slowest, jitter=_JITTER).delay(self.failures).total_seconds()


def going_on(drain: timedelta) -> timedelta:
    """The part of `drain` in which work under way may go on; in the rest it is cancelled and given back."""
    return drain - min(drain / 10, timedelta(seconds=3))


def _is_outage(error: Exception) -> bool:
    return isinstance(error, StoreUnavailable | OutcomeUnknown | OSError)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
