"""What a flow is told of a call that came to nothing."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from detent.errors import DetentError, InvalidValue
from detent.flows.results import TIMEOUT, Failure, failure
from detent_handlers.answers import asked_wait, may_help
from detent_handlers.errors import AddressRefused, TookTooLong, TooManyRedirects, Unreachable
from detent_handlers.safe_client import SafeAnswer

UNREACHABLE = "HTTP_UNREACHABLE"
ADDRESS_REFUSED = "ADDRESS_REFUSED"
INVALID_URL = "INVALID_URL"
INVALID_HEADER = "INVALID_HEADER"
TOO_MANY_REDIRECTS = "TOO_MANY_REDIRECTS"
UNKNOWN_SECRET = "UNKNOWN_SECRET"  # noqa: S105 - the code of a failure
ANSWER_TOO_LARGE = "ANSWER_TOO_LARGE"

CALL_ERRORS = (InvalidValue, AddressRefused, Unreachable, TooManyRedirects)
"""What a request raises, and `call_failure` tells."""

_EXCERPT = 1000
_LONGEST_REQUEST = 200
_SHORTEST_SECRET = 4
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def call_failure(error: DetentError) -> Failure:
    """The failure that one of `CALL_ERRORS` is to a step."""
    match error:
        case TookTooLong():
            return failure(TIMEOUT, str(error))
        case Unreachable():
            return failure(UNREACHABLE, str(error))
        case AddressRefused(host=host):
            return failure(ADDRESS_REFUSED, str(error), {"host": host}, retryable=False)
        case TooManyRedirects():
            return failure(TOO_MANY_REDIRECTS, str(error), retryable=False)
        case InvalidValue(path=path) if path.startswith("headers"):
            return failure(INVALID_HEADER, str(error), retryable=False)
        case _:
            return failure(INVALID_URL, str(error), retryable=False)


def status_failure(
    answer: SafeAnswer,
    now: datetime,
    longest_wait: timedelta,
    hidden: Iterable[str] = (),
    *,
    code: str = "HTTP_ERROR",
    asked: str = "",
) -> Failure:
    """The failure that an answer is to a step because of its status, with the start of the answer's body.

    `hidden` are texts that are not shown, wherever the answer repeats them. `asked` is what may be told of the request.
    """
    helps = may_help(answer.status)
    request = f" to {excerpt(asked, hidden)[:_LONGEST_REQUEST]}" if asked else ""
    return failure(
        code,
        f"{answer.origin} answered {answer.status}{request}",
        {"status": answer.status, "body": excerpt(answer.body, hidden)},
        retryable=helps,
        retry_after=asked_wait(answer.headers.get("retry-after"), now, longest_wait) if helps else None,
    )


def too_large(origin: str, limit: int) -> Failure:
    """The failure for an answer that goes on behind `limit` bytes."""
    return failure(ANSWER_TOO_LARGE, f"the answer of {origin} is longer than {limit:,} bytes", retryable=False)


def unknown_secret(name: str) -> Failure:
    """The failure for a secret that the application did not give the handler."""
    return failure(UNKNOWN_SECRET, f"the handler was given no secret {name!r}", retryable=False)


def excerpt(said: bytes | str, hidden: Iterable[str] = ()) -> str:
    """The start of what somebody said, fit to be stored: without control characters, and without what is `hidden`."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    for secret in sorted(_words(hidden), key=len, reverse=True):
        text = text.replace(secret, "***")
    return _CONTROL.sub(" ", text[:_EXCERPT]).encode(errors="replace").decode()


def _words(hidden: Iterable[str]) -> set[str]:
    """The texts, and each word of them: who repeats `Bearer t0ken` may leave the first word out."""
    return {word for text in hidden for word in (text, *text.split()) if len(word) >= _SHORTEST_SECRET}
