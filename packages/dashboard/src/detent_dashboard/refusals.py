"""What a request may be refused for, each with the status and the words of its page."""

import logging

from detent.errors import (
    CommandFailed,
    Conflict,
    DetentError,
    InvalidValue,
    NotFound,
    NotStarted,
    StoreUnavailable,
    UnknownVersion,
    WorkflowUnavailable,
)

logger = logging.getLogger("detent.dashboard")


class Refusal(Exception):
    """A request that gets a page with a reason, and nothing else happens."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


def not_allowed() -> Refusal:
    """The answer to those who may not."""
    return Refusal(403, "Not allowed", "You may not do this, or not with this instance.")


def not_there() -> Refusal:
    """The answer where nothing is, and to those who may not know whether something is."""
    return Refusal(404, "Not found", "There is nothing here that you may see.")


_STATUSES: tuple[tuple[type[DetentError], int], ...] = (
    (UnknownVersion, 409),
    (NotFound, 404),
    (Conflict, 409),
    (InvalidValue, 400),
    (CommandFailed, 422),
    (NotStarted, 503),
    (StoreUnavailable, 503),
    (WorkflowUnavailable, 503),
)


def status_of(error: DetentError) -> int:
    """The HTTP status of an error of the runtime; 500 for what no request can cause."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def told(error: Exception) -> tuple[int, str]:
    """The status and the words for somebody who asked for what ended in `error`; what a command raised is logged, and named."""
    if isinstance(error, DetentError):
        return status_of(error), str(error)
    logger.error("a command raised for the dashboard", exc_info=error)
    return 500, f"A command raised {type(error).__name__}, and nothing was applied."
