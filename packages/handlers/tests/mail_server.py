"""A mail server on loopback that keeps what it is sent and answers what it is told to."""

import asyncio
import ssl
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self


@dataclass
class Received:
    sender: str
    recipients: list[str]
    content: bytes
    login: str | None
    secure: bool

    @property
    def message(self) -> EmailMessage:
        read = message_from_bytes(self.content, policy=default)
        assert isinstance(read, EmailMessage)
        return read


@dataclass
class Session:
    secure: bool
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    login: str | None = None


class MailServer:
    """`replies` are what it answers instead of yes: by command (`DATA`, `AUTH`) or by recipient.

    `None` is silence, until it is `released`: then it goes on as usual.
    """

    def __init__(
        self,
        replies: Mapping[str, str | None] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        password: str | None = None,
    ) -> None:
        self.replies = dict(replies or {})
        self.received: list[Received] = []
        self.connections = 0
        self.stalled = asyncio.Event()
        self.released = asyncio.Event()
        self._tls = tls
        self._starttls = starttls
        self._password = password
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        # A caller that gave up may have left a connection behind that is taken only now.
        self._ended = True
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self._ended:
                await self._talk(reader, writer, Session(secure=self._tls is not None))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: Session) -> None:
        await self._stall_at("CONNECT")
        writer.write(self._said("CONNECT", "220 mail.test"))
        while line := (await reader.readuntil(b"\r\n")).decode().rstrip():
            verb = line.split()[0].upper()
            await self._stall_at(verb)
            told = self.replies.get(verb)
            if told is not None:
                writer.write(f"{told}\r\n".encode())
            elif verb == "STARTTLS":
                writer.write(b"220 go ahead\r\n")
                await writer.drain()
                assert self._starttls is not None
                await writer.start_tls(self._starttls)
                session = Session(secure=True)
            elif verb == "DATA":
                writer.write(b"354 go ahead\r\n")
                content = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
                self.received.append(
                    Received(session.sender, session.recipients, content, session.login, session.secure)
                )
                await self._stall_at("END")
                writer.write(self._said("END", "250 taken"))
            else:
                writer.write(self._answer(verb, line, session))
            await writer.drain()
            if verb == "QUIT":
                return

    def _answer(self, verb: str, line: str, session: Session) -> bytes:
        match verb:
            case "EHLO":
                offered = ["mail.test", *(["STARTTLS"] if self._starttls and not session.secure else []), "AUTH PLAIN"]
                return "".join(f"250{'-' if name != offered[-1] else ' '}{name}\r\n" for name in offered).encode()
            case "AUTH":
                _, user, password = b64decode(line.split()[2]).decode().split("\0")
                session.login = user
                return b"235 welcome\r\n" if password == self._password else f"535 not with {password}\r\n".encode()
            case "MAIL":
                session.sender = _address(line)
                return b"250 ok\r\n"
            case "RCPT":
                address = _address(line)
                session.recipients.append(address)
                return self._said(address, "250 ok")
            case _:
                return b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n"

    async def ended(self) -> None:
        """Once every conversation that was begun is over."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _stall_at(self, what: str) -> None:
        if what in self.replies and self.replies[what] is None:
            self.stalled.set()
            await self.released.wait()

    def _said(self, what: str, usual: str) -> bytes:
        return f"{self.replies.get(what) or usual}\r\n".encode()


def _address(line: str) -> str:
    return line[line.index("<") + 1 : line.index(">")]
