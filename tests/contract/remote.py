"""The client over each door, by a line that may be bad, in a time that passes at once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

import httpx

from detent import Retry
from detent.client import Timing, WorkflowClient
from tests.contract.doors import Door

AT_ONCE = Retry(attempts=3, initial=timedelta(0), jitter=0)

Trouble: TypeAlias = httpx.Response | Exception | None
"""What becomes of a request: another answer; an error in place of sending it; or `None`, its answer is lost."""


class Unsteady(httpx.AsyncBaseTransport):
    """Brings the requests to an application, but for those that meet with trouble: one item for each request."""

    def __init__(self, app: Any) -> None:
        self._app = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self.troubles: list[Trouble] = []
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if not self.troubles:
            return await self._app.handle_async_request(request)
        trouble = self.troubles.pop(0)
        if isinstance(trouble, Exception):
            raise trouble
        if trouble is not None:
            return trouble
        await self._app.handle_async_request(request)
        raise httpx.ReadError("the line went dead")

    def count(self, end: str) -> int:
        """How many requests had a path with this end."""
        return sum(request.url.path.endswith(end) for request in self.seen)


@dataclass
class PassingTime:
    """Each pause is over at once; what is in `meanwhile` happens in the next ones, one by one."""

    seconds: float = 0.0
    pauses: list[float] = field(default_factory=list)
    meanwhile: list[Callable[[], Awaitable[object]]] = field(default_factory=list)

    async def pause(self, seconds: float) -> None:
        self.seconds += seconds
        self.pauses.append(seconds)
        if self.meanwhile:
            await self.meanwhile.pop(0)()

    @property
    def timing(self) -> Timing:
        return Timing(now=lambda: self.seconds, pause=self.pause)


@dataclass(frozen=True)
class Remote:
    """A client of a running application, and what lies between them."""

    client: WorkflowClient
    line: Unsteady
    time: PassingTime


@asynccontextmanager
async def connected(door: Door, *, operators: bool = True, **parts: Any) -> AsyncIterator[Remote]:
    """Starts the application and a client of it."""
    async with door.serve(routes={"operators": operators}, **parts) as inside:
        line, time = Unsteady(inside.app), PassingTime()
        http = httpx.AsyncClient(transport=line, base_url="http://shop.test/workflows")
        async with http, WorkflowClient(http=http, retry=AT_ONCE, timing=time.timing) as client:
            yield Remote(client, line, time)
