"""A conversation with a mail server, held in a thread, that can be cut off from outside."""

import smtplib
import socket
import ssl
from contextlib import suppress
from typing import Any


class MailLine:
    """One connection. A thread talks over it, and nobody can stop a thread; once the line is `cut`, nothing more is sent."""

    def __init__(self) -> None:
        self._server: smtplib.SMTP | None = None
        self._is_cut = False

    def connect(
        self, host: str, port: int, local_hostname: str | None, *, timeout: float, tls: ssl.SSLContext | None
    ) -> smtplib.SMTP:
        """A client that has been greeted; `timeout` bounds, in seconds, each of its waits.

        Raises `OSError`, `ConnectionAbortedError` among it where the line was cut, and `SMTPException`.
        """
        self.require_whole()
        if tls is None:
            server: smtplib.SMTP = _Client(self, host, port, local_hostname, timeout=timeout)
        else:
            server = _TlsClient(self, host, port, local_hostname, timeout=timeout, context=tls)
        try:
            self.require_whole()
        except OSError:
            server.close()
            raise
        return server

    def require_whole(self) -> None:
        """Raise `ConnectionAbortedError` where the line was cut.

        To be asked after each change of the client's socket: whoever cuts says so first, and then closes the socket that he sees.
        """
        if self._is_cut:
            raise ConnectionAbortedError("the line was cut")

    def cut(self) -> None:
        """End the conversation: what is waited for ends, and nothing more is sent. Nothing happens where it has ended."""
        self._is_cut = True
        held = self._server.sock if self._server is not None else None
        if held is not None:
            with suppress(OSError):
                # Not the method of a TLS socket: that one goes on in clear text before it is shut.
                socket.socket.shutdown(held, socket.SHUT_RDWR)

    def taken_by(self, server: smtplib.SMTP) -> None:
        """Say who talks; before it connects, so that the line can be cut while it does."""
        self._server = server


class _Client(smtplib.SMTP):
    def __init__(self, line: MailLine, *args: Any, **options: Any) -> None:
        line.taken_by(self)
        super().__init__(*args, **options)


class _TlsClient(_Client, smtplib.SMTP_SSL):
    """The same over TLS from the start."""
