"""Waiting until an instance on a server is where a caller wants it: it is looked at, less and less often."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from detent.client.problems import AnswerRefused, ServerUnreachable
from detent.client.timing import Timing
from detent.errors import DetentError, InstanceFinished, InvalidValue, RunParked, StoreUnavailable, WaitTimeout
from detent.retry import Retry
from detent.runtime.finding_verbs import names_of
from detent.service.schemas import InstanceView
from detent.store.records import FINISHED

_PAUSE = Retry(
    initial=timedelta(milliseconds=100), factor=1.5, maximum=timedelta(seconds=2), jitter=0.1, attempts=1_000_000
)
"""How long until the next look."""
_LOOK = 5.0
"""For how many seconds the last look may go on when the time is over."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Where an instance is to be."""

    states: frozenset[str] | None
    """In one of these; in any for `None`."""
    ended: bool
    """Whether it has to be completed, failed or cancelled."""

    @classmethod
    def of(cls, state: str | Iterable[str] | None, *, ended: bool) -> "Goal":
        """The goal as a caller says it. Raises `InvalidValue`."""
        names = names_of(state, "state")
        if names == ():
            raise InvalidValue("state", "must be the name of a state or a list of names")
        return cls(None if names is None else frozenset(names), ended)

    def reached_by(self, instance: InstanceView) -> bool:
        """Whether it is there, and no run is under way that would take it elsewhere."""
        there = self.states is None or instance.state in self.states
        return there and instance.run_id is None and (not self.ended or instance.status in FINISHED)


class Waiting:
    """One caller's wait for one instance."""

    def __init__(
        self,
        instance_id: UUID,
        goal: Goal,
        *,
        timing: Timing,
        look: Callable[[], Awaitable[InstanceView]],
        parked: Callable[[InstanceView], Awaitable[RunParked | None]],
    ) -> None:
        self._instance_id = instance_id
        self._goal = goal
        self._timing = timing
        self._look = look
        self._parked = parked
        self._seen: InstanceView | None = None
        self._failed: DetentError | None = None

    async def until(self, timeout: timedelta) -> InstanceView:
        """The instance once it has reached the goal. Raises as `RemoteHandle.wait` does."""
        looks, deadline = 0, self._timing.now() + timeout.total_seconds()
        while True:
            left = deadline - self._timing.now()
            arrived = await self._arrived(left)
            if arrived is not None:
                return arrived
            left = deadline - self._timing.now()
            if left <= 0:
                raise self._failed or self._too_late(timeout)
            looks += 1
            await self._timing.pause(min(_PAUSE.delay(looks).total_seconds(), left))

    async def _arrived(self, left: float) -> InstanceView | None:
        """The instance, if it is there. Trouble that may pass, such as a server that restarts, is raised at the end only."""
        try:
            async with asyncio.timeout(max(left, _LOOK)):
                self._seen, self._failed = await self._look(), None
                if self._goal.reached_by(self._seen):
                    return self._seen
                await self._refuse_standstill(self._seen)
        except TimeoutError:
            pass
        except (ServerUnreachable, StoreUnavailable, AnswerRefused) as error:
            if isinstance(error, AnswerRefused) and error.status < 500:
                raise
            self._failed = error
        return None

    async def _refuse_standstill(self, instance: InstanceView) -> None:
        """Raise what says that waiting is in vain, when it is."""
        if parked := await self._parked(instance):
            raise parked
        if instance.status in FINISHED:
            raise InstanceFinished(instance.id, instance.status)

    def _too_late(self, timeout: timedelta) -> WaitTimeout:
        state = "" if self._seen is None else self._seen.state
        return WaitTimeout(self._instance_id, state, timeout.total_seconds())
