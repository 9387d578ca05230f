"""A bank on a port of this machine: takes charges over HTTP, each once per idempotency key."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Self


class Bank:
    """A server, running while it is entered. `closed_for` requests are answered 503 before it opens."""

    def __init__(self, *, closed_for: int = 0) -> None:
        self.charges: dict[str, int] = {}
        """What was charged, by idempotency key."""
        self.requests = 0
        """How often it was asked."""
        self.closed_for = closed_for
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _serving(self))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, key: str, asked: dict[str, int]) -> tuple[int, dict[str, object]]:
        """The status and the body for one request."""
        self.requests += 1
        if self.closed_for > 0:
            self.closed_for -= 1
            return 503, {"error": "the bank is closed"}
        if asked["amount"] > 1000:
            return 402, {"error": "there is not that much in the account"}
        amount = self.charges.setdefault(key, asked["amount"])
        return 201, {"charge": f"ch_{list(self.charges).index(key) + 1}", "amount": amount}


def _serving(bank: Bank) -> type[BaseHTTPRequestHandler]:
    class Counter(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, body = bank.answer(self.headers["idempotency-key"], asked)
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the same
            """Nothing is logged."""

    return Counter
