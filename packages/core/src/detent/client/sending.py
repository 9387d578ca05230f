"""Requests that are sent again where no answer came: safely, because what changes something has an idempotency key."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from detent.client.problems import AnswerRefused, ServerUnreachable, error_in
from detent.json_values import JsonValue
from detent.retry import Retry

KEY = "Idempotency-Key"
_AGAIN = frozenset({502, 503, 504})
"""Answers after which the same request may be sent again."""
_LONGEST_WAIT = 30.0
"""Up to how many seconds a server's word is heeded on when to come again."""


class Sender:
    """Sends requests, and answers what came back where it is no error."""

    def __init__(self, http: httpx.AsyncClient, retry: Retry) -> None:
        self._http = http
        self._retry = retry

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, JsonValue] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer. Raises what it tells of as an error of ours, and `ServerUnreachable`."""
        # httpx writes texts of headers as ASCII; keys are UTF-8.
        sent = {name.encode(): value.encode() for name, value in (headers or {}).items()}
        attempts = 0
        while True:
            attempts += 1
            try:
                answer = await self._http.request(method, path, params=params, json=body, headers=sent)
            except httpx.TransportError as error:
                if self._retry.exhausted(attempts):
                    url, key = str(self._http.base_url.join(path)), (headers or {}).get(KEY)
                    raise ServerUnreachable(url, str(error) or type(error).__name__, key) from error
                await self._pause(attempts, None)
                continue
            if answer.status_code in _AGAIN and not self._retry.exhausted(attempts):
                await self._pause(attempts, answer.headers.get("Retry-After"))
                continue
            return _checked(answer)

    async def _pause(self, attempts: int, wanted: str | None) -> None:
        """Wait as long as the policy says, or as the server wants."""
        seconds = self._retry.delay(attempts).total_seconds()
        if wanted is not None and wanted.isdigit():
            seconds = min(max(seconds, float(wanted)), _LONGEST_WAIT)
        await asyncio.sleep(seconds)


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise AnswerRefused(answer.status_code, {})
    raise error_in(answer.status_code, told)
