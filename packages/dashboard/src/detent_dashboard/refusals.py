"""What a request may be refused for, each with the status and the words of its page."""

import logging

from detent.errors import DetentError
from detent.service.http.meanings import meaning_of

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


def status_of(error: DetentError) -> int:
    """The HTTP status of an error of the runtime, the same as at the other doors."""
    return meaning_of(error).status


def told(error: Exception) -> tuple[int, str]:
    """The status and the words for somebody who asked for what ended in `error`; what a command raised is logged, and named."""
    if isinstance(error, DetentError):
        return status_of(error), str(error)
    logger.error("a command raised for the dashboard", exc_info=error)
    return 500, f"A command raised {type(error).__name__}, and nothing was applied."
