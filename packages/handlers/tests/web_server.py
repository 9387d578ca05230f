"""A web server on loopback for any request, whose answer may depend on what it was asked."""

import asyncio
import json
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from packages.handlers.tests.receiver import Reaction, Receiver, Request, answering

App = Callable[[Request], bytes | Reaction]


class WebServer(Receiver):
    """Answers what `app` says to a request; without one 204, or each of the answers in turn."""

    def __init__(self, *answers: bytes | Reaction, app: App | None = None, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(*answers, tls=tls)
        self._ended = False
        self._app = app or (lambda request: self.answers.pop(0) if self.answers else answering(204))

    async def __aexit__(self, *_: object) -> None:
        # A caller that gave up may have left a connection behind that is taken only now.
        self._ended = True
        await super().__aexit__()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while not self._ended:
                request = await _read(reader)
                self.requests.append(request)
                answer = self._app(request)
                if not isinstance(answer, bytes):
                    await answer(writer)
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.ended.set()
            writer.close()


class Hosts:
    """A resolver that knows these hosts, and keeps for which it was asked."""

    def __init__(self, **addresses: str | Sequence[str]) -> None:
        self.addresses = {name.replace("_", "."): found for name, found in addresses.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        found = self.addresses.get(host, host)
        return [found] if isinstance(found, str) else found


def as_json(value: Any, status: int = 200, **headers: str) -> bytes:
    return answering(status, json.dumps(value).encode(), content_type="application/json", **headers)


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    return Request(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
