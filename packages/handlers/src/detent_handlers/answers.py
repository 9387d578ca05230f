"""What the status of an answer means, and when it asks to come again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from detent.registry.raises import GiveUp, RetryAfter
from detent_handlers.errors import WebhookRefused

RETRYABLE = frozenset({408, 425, 429})
"""The statuses below 500 after which another attempt may help."""

_SHORTEST_WAIT = timedelta(seconds=1)
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Answer:
    """As much of an answer as counts."""

    status: int
    retry_after: str | None = None
    """The header of that name, as it came."""


def failure(answer: Answer, origin: str, now: datetime, longest_wait: timedelta) -> Exception | None:
    """What to raise for this answer of `origin`; `None` where it is delivered.

    Only `410` is an end: whatever else a receiver answers may be a fault that its owner mends. A `Retry-After` beside `429` or a
    `5xx` is heeded, up to `longest_wait`; a redirect is a refusal like any other.
    """
    status = answer.status
    if 200 <= status < 300:
        return None
    if status == 410:
        return GiveUp(f"{origin} answered 410: it wants no more of these", code="webhook_gone")
    wait = asked_wait(answer.retry_after, now, longest_wait) if status == 429 or status >= 500 else None
    if wait is None:
        return WebhookRefused(origin, status)
    return RetryAfter(wait, f"{origin} answered {status} and asks for {wait}")


def may_help(status: int) -> bool:
    """Whether another attempt may help after an answer with this status."""
    return status >= 500 or status in RETRYABLE


def asked_wait(text: str | None, now: datetime, longest: timedelta) -> timedelta | None:
    """How long a `Retry-After` asks to wait, a second at least and `longest` at most; `None` where it says nothing."""
    wait = read_retry_after(text, now)
    return None if wait is None else min(max(wait, _SHORTEST_WAIT), longest)


def read_retry_after(text: str | None, now: datetime) -> timedelta | None:
    """How long a `Retry-After` asks to wait: seconds, or a date; `None` where it says nothing that can be read."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text)) if len(text) <= _MOST_DIGITS else timedelta.max
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
