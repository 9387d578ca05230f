"""A client of what goes on: server-sent events and websockets, over ASGI, message by message."""

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

PATIENCE = 20
"""For how many seconds a test waits for what has to come."""


class Connection:
    """One connection to an application, open while its context is entered."""

    kind = "http"
    first: ClassVar[Mapping[str, Any]] = {"type": "http.request", "body": b"", "more_body": False}
    last: ClassVar[Mapping[str, Any]] = {"type": "http.disconnect"}

    def __init__(self, app: Any, url: str, headers: Mapping[str, str] | None = None) -> None:
        path, _, query = url.partition("?")
        self._app = app
        self._scope = {
            "type": self.kind,
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http" if self.kind == "http" else "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"shop.test")]
            + [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "client": ("test", 1),
            "server": ("shop.test", 80),
            "subprotocols": [],
            "state": {},
            "extensions": {},
        } | ({"method": "GET"} if self.kind == "http" else {})
        self.said = [self.first]
        """What the client says, the last first."""
        self._gone = asyncio.Event()
        self._sent = asyncio.Queue[Mapping[str, Any] | None]()

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gone.set()
        await asyncio.wait_for(self._running, PATIENCE)

    async def sent(self) -> Mapping[str, Any] | None:
        """The next thing that the application sends; `None` once it has nothing more to say."""
        return await asyncio.wait_for(self._sent.get(), PATIENCE)

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._sent.put)
        finally:
            await self._sent.put(None)

    async def _receive(self) -> Mapping[str, Any]:
        if self.said:
            return self.said.pop()
        await self._gone.wait()
        return self.last


class Stream(Connection):
    """Server-sent events."""

    status = 0
    _left = b""

    async def chunk(self) -> str | None:
        """The next event or comment, as it is written; `None` at the end."""
        while b"\n\n" not in self._left:
            message = await self.sent()
            if message is None:
                return None
            self.status = message.get("status", self.status)
            self._left += message.get("body", b"")
            if not message.get("more_body", True):
                # Some frameworks wait for the client to leave, as it does now.
                return None
        told, _, self._left = self._left.partition(b"\n\n")
        return told.decode()

    async def event(self) -> tuple[int, dict[str, Any]] | None:
        """The next event: its id, and its data; `None` at the end."""
        while (told := await self.chunk()) is not None:
            fields = dict(line.split(": ", 1) for line in told.splitlines() if not line.startswith(":"))
            if "data" in fields:
                return int(fields["id"]), json.loads(fields["data"])
        return None

    async def rest(self) -> list[int]:
        """The ids of the events until the end."""
        found = []
        while (event := await self.event()) is not None:
            found.append(event[0])
        return found


class Socket(Connection):
    """A websocket."""

    kind = "websocket"
    first: ClassVar[Mapping[str, Any]] = {"type": "websocket.connect"}
    last: ClassVar[Mapping[str, Any]] = {"type": "websocket.disconnect", "code": 1000}

    async def message(self) -> dict[str, Any] | None:
        """The next message; `None` at the end."""
        while (told := await self.sent()) is not None:
            if told["type"] == "websocket.send":
                found: dict[str, Any] = json.loads(told["text"])
                return found
        return None

    async def refusal(self) -> int | None:
        """The code or the status by which it is turned away; `None` where it is not."""
        told = await self.sent()
        if told is None or told["type"] == "websocket.accept":
            return None
        return int(told.get("status", told.get("code", 0)))
