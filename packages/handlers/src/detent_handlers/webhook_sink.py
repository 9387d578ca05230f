"""A subscriber that posts messages to a URL, signed as Standard Webhooks."""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

import httpx

from detent.clock import Clock, SystemClock
from detent.definition.duration import read_duration
from detent.errors import InvalidValue
from detent.retry import Retry
from detent.runtime.subscribers import Subscriber
from detent.store.messages import Delivery
from detent_handlers.address_rules import AddressRules
from detent_handlers.addresses import Resolver, resolve
from detent_handlers.answers import Answer, failure
from detent_handlers.endpoint import read_endpoint
from detent_handlers.errors import TookTooLong, Unreachable, WebhookUnreachable
from detent_handlers.safe_client import SafeClient
from detent_handlers.signing import SigningKey, read_key, signed_headers
from detent_handlers.webhook_message import body_of, headers_of

ANSWER_LIMIT = 64 * 1024
"""How many bytes of an answer are read, so that the connection can be used again; what is longer ends it."""

_MARGIN = timedelta(seconds=5)


class WebhookSink:
    """Posts each delivery to one URL, and raises when it was not taken: a subscriber, at least once and in order per instance.

    ```python
    billing = WebhookSink("https://billing.example.com/hooks", secret=os.environ["BILLING_SECRET"])
    WorkflowRuntime(store, subscribers=[billing.subscriber("order.*", name="billing")])
    ```

    The receiver knows a repeated delivery by its `webhook-id`. A `2xx` is a success, `410` ends the delivery for good, a
    `Retry-After` is heeded up to `longest_wait`, anything else is tried again as the subscriber's policy says. Redirects are not
    followed.

    `secret` is the text that `new_secret()` makes, or several: each signs, so that a receiver may change from one to the next.
    `timeout` bounds an attempt from the name's resolution to the answer, `connect_timeout` each connection within it.
    A receiver inside a private network needs `allow_private=True`, and plain http `allow_http=True`. `tls` brings other
    certificates than the usual ones; what the environment says of proxies and certificates is not heeded. `resolve` replaces the
    operating system's resolver; its answers are checked all the same.

    The client behind it is made with the first delivery; `aclose()`, or leaving `async with`, closes it. Raises `InvalidValue`.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | Sequence[str],
        timeout: timedelta | str = "30s",
        connect_timeout: timedelta | str = "5s",
        longest_wait: timedelta | str = "1h",
        allow_http: bool = False,
        allow_private: bool = False,
        tls: ssl.SSLContext | None = None,
        resolve: Resolver = resolve,
        clock: Clock | None = None,
    ) -> None:
        self._endpoint = read_endpoint(url, allow_http=allow_http)
        self._keys = _read_keys(secret)
        self._timeout = _positive(timeout, "timeout")
        self._longest_wait = _positive(longest_wait, "longest_wait")
        self._clock = clock or SystemClock()
        self._client = SafeClient(
            rules=AddressRules(allow_private=allow_private),
            connect_timeout=_positive(connect_timeout, "connect_timeout"),
            tls=tls,
            resolve=resolve,
            keep=True,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._endpoint.origin}>"

    def subscriber(self, *patterns: str, name: str, retry: Retry | None = None) -> Subscriber:
        """This sink as a subscriber of these topics, to register by `subscribers=[it]`.

        `name` must stay the same as long as deliveries to it wait. The subscriber's timeout is a little longer than the sink's
        own, which tells more of what happened.
        """
        return Subscriber(name, patterns, self, retry, self._timeout + _MARGIN)

    async def __call__(self, delivery: Delivery) -> None:
        """Post `delivery` once.

        Raises `GiveUp`, `RetryAfter`, `WebhookRefused`, `WebhookUnreachable` or `AddressRefused`.
        """
        body = body_of(delivery)
        signed = signed_headers(self._keys, str(delivery.id), self._clock.now(), body)
        answer = await self._answer(headers_of(delivery) | signed, body)
        failed = failure(answer, self._endpoint.origin, self._clock.now(), self._longest_wait)
        if failed is not None:
            raise failed

    async def aclose(self) -> None:
        """Close the connections. A delivery after that opens new ones."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _answer(self, headers: dict[str, str], body: bytes) -> Answer:
        answer: Answer | None = None
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                response = await self._client.open("POST", self._endpoint, headers, body)
                answer = Answer(response.status_code, response.headers.get("retry-after"))
                await _drop(response)
        except (TimeoutError, httpx.TransportError, Unreachable) as error:
            # What breaks off behind the status changes nothing: the receiver has said it.
            if answer is None:
                raise WebhookUnreachable(self._endpoint.origin, self._reason(error)) from error
        return answer

    def _reason(self, error: Exception) -> str:
        if isinstance(error, Unreachable):
            return error.reason
        return TookTooLong(self._endpoint.origin, self._timeout).reason


async def _drop(response: httpx.Response) -> None:
    """Read a short answer to its end and leave a long one."""
    left = ANSWER_LIMIT
    try:
        async for chunk in response.aiter_raw():
            left -= len(chunk)
            if left <= 0:
                return
    finally:
        await response.aclose()


def _read_keys(secret: str | Sequence[str]) -> tuple[SigningKey, ...]:
    if isinstance(secret, str):
        return (read_key(secret),)
    if not secret:
        raise InvalidValue("secret", "is empty")
    return tuple(read_key(one, f"secret[{index}]") for index, one in enumerate(secret))


def _positive(duration: timedelta | str, path: str) -> timedelta:
    try:
        read = read_duration(duration)
    except ValueError as error:
        raise InvalidValue(path, f"cannot be read: {error}") from None
    if read <= timedelta():
        raise InvalidValue(path, "is not positive")
    return read
