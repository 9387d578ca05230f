"""What a receiver's answer means for the delivery."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from detent.registry.raises import GiveUp, RetryAfter
from detent_handlers.errors import WebhookRefused

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
    wait = read_retry_after(answer.retry_after, now) if status == 429 or status >= 500 else None
    if wait is None:
        return WebhookRefused(origin, status)
    bounded = min(max(wait, _SHORTEST_WAIT), longest_wait)
    return RetryAfter(bounded, f"{origin} answered {status} and asks for {bounded}")


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
