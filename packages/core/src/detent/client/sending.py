"""Requests that are sent again where no answer came, as far as that cannot do anything twice."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import httpx

from detent.client.problems import AnswerRefused, ServerUnreachable, Told, error_in
from detent.client.timing import Timing
from detent.errors import DetentError, InstanceFinished, VersionConflict
from detent.json_values import JsonValue
from detent.retry import Retry

Answer: TypeAlias = httpx.Response | httpx.TransportError
"""What became of one attempt."""

KEY = "Idempotency-Key"
_AGAIN = frozenset({502, 503, 504})
"""Answers after which the same request may be sent again."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Errors that come before anything of a request has left."""
_LONGEST_WAIT = 30.0
"""Up to how many seconds a server's word is heeded on when to come again."""
_NOT_THERE = (
    "this is no answer of the routes: the client's URL is where they are mounted, such as https://shop.example/workflows, "
    "and some are mounted only where the application asks for them"
)
_BY_ITSELF = "an attempt of this request before got no answer, and may be what moved the instance: read its history"


class Sender:
    """Sends requests, and answers what came back where it is no error."""

    def __init__(self, http: httpx.AsyncClient, retry: Retry, timing: Timing) -> None:
        self.timing = timing
        self._http = http
        self._retry = retry

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, JsonValue] | None = None,
        key: str | None = None,
        at_most_once: bool = False,
        stream: bool = False,
    ) -> httpx.Response:
        """The answer; as a `stream` it is to be read, and closed. Raises what it tells of as an error of ours, and
        `ServerUnreachable`.

        What `at_most_once` says of is sent again only where it was surely not carried out. Everything else has to be such
        that a second request does nothing more than the first.
        """
        # httpx writes texts of headers as ASCII; keys are UTF-8.
        headers = None if key is None else {KEY.encode(): key.encode()}
        request = self._http.build_request(method, path, params=params, json=body, headers=headers)
        attempts, lost = 0, False
        while True:
            attempts += 1
            answer = await self._attempt(request, stream)
            lost = lost or _may_be_done(answer)
            last = self._retry.exhausted(attempts) or (at_most_once and lost)
            if last or not _is_passing(answer):
                return _checked(answer, request, key, lost=lost)
            await self._pause(attempts, answer)

    async def rest(self) -> None:
        """Wait as long as before a second attempt."""
        await self.timing.pause(self._retry.delay(1).total_seconds())

    async def _attempt(self, request: httpx.Request, stream: bool) -> Answer:
        try:
            answer = await self._http.send(request, stream=stream)
            if stream and answer.status_code != 200:
                await answer.aread()
            return answer
        except httpx.TransportError as error:
            return error

    async def _pause(self, attempts: int, answer: Answer) -> None:
        """Wait as long as the policy says, or as the server wants."""
        seconds = self._retry.delay(attempts).total_seconds()
        wanted = answer.headers.get("Retry-After", "") if isinstance(answer, httpx.Response) else ""
        if wanted.isdigit():
            seconds = min(max(seconds, float(wanted)), _LONGEST_WAIT)
        await self.timing.pause(seconds)


def _is_passing(answer: Answer) -> bool:
    """Whether it tells of trouble between here and there, which may be over soon."""
    return isinstance(answer, httpx.TransportError) or answer.status_code in _AGAIN


def _may_be_done(answer: Answer) -> bool:
    """Whether a request that met with this trouble may have been carried out all the same."""
    if isinstance(answer, httpx.TransportError):
        return not isinstance(answer, _NEVER_SENT)
    # A 503 of the routes themselves says that nothing was applied; one of a proxy says nothing.
    return answer.status_code in _AGAIN and not (answer.status_code == 503 and _is_ours(answer))


def _is_ours(answer: httpx.Response) -> bool:
    return str(_told(answer).get("type")).startswith("urn:detent:problem:")


def _checked(answer: Answer, request: httpx.Request, key: str | None, *, lost: bool) -> httpx.Response:
    if isinstance(answer, httpx.TransportError):
        reason = str(answer) or type(answer).__name__
        maybe_done = lost and request.method != "GET"
        raise ServerUnreachable(str(request.url), reason, key, maybe_done=maybe_done) from answer
    if answer.is_success:
        return answer
    raise _error(answer, lost=lost)


def _error(answer: httpx.Response, *, lost: bool) -> DetentError:
    told = _told(answer)
    error = error_in(answer.status_code, told) if told else AnswerRefused(answer.status_code, {})
    if lost and isinstance(error, VersionConflict | InstanceFinished):
        error.hint = _BY_ITSELF
    if answer.status_code in (404, 405) and not _is_ours(answer):
        error.hint = _NOT_THERE
    return error


def _told(answer: httpx.Response) -> Told:
    """The members of the problem in an answer; none where it holds no object."""
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
