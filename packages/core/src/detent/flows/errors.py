"""Errors of flows. Each carries its data, a stable code and a hint."""

from collections.abc import Iterable
from uuid import UUID

from detent.errors import Conflict, DetentError, NotFound
from detent.problems import Problem, did_you_mean, render


class FlowInvalid(DetentError):
    """A flow cannot be used as it was written; `problems` says why, all of it."""

    code = "flow_invalid"

    def __init__(self, flow: str, problems: Iterable[Problem]) -> None:
        self.flow = flow
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"flow {flow!r} has {count} problem{'s' if count != 1 else ''}:\n{render(self.problems)}")


class UnknownFlow(NotFound):
    """No flow of this name, or not in this version, is registered or saved."""

    code = "unknown_flow"

    def __init__(
        self, flow: str, version: str | None = None, known: Iterable[str] = (), *, hint: str | None = None
    ) -> None:
        said = f"flow {flow!r}" if version is None else f"flow {flow!r} in version {version}"
        super().__init__(f"there is no {said}", hint=hint or did_you_mean(version or flow, known))
        self.flow = flow
        self.version = version


class ContextTooLarge(DetentError):
    """The context of a flow would grow beyond a limit; nothing of it was kept."""

    code = "context_too_large"

    def __init__(self, limit: str, reason: str) -> None:
        super().__init__(
            f"the context is too large: {reason}", hint="keep large values elsewhere, and their address here"
        )
        self.limit = limit
        """Which limit: `CONTEXT_VALUE_TOO_LARGE`, `CONTEXT_SIZE_LIMIT`, `CONTEXT_KEY_LIMIT` or `CONTEXT_NESTING_LIMIT`."""
        self.reason = reason


class NotWaiting(Conflict):
    """The flow does not wait for anybody now, so that there is nothing to resume."""

    code = "not_waiting"

    def __init__(self, execution_id: UUID, status: str, reason: str | None = None) -> None:
        because = "" if reason is None else f" ({reason})"
        super().__init__(f"execution {execution_id} is {status}{because}, and waits for nobody")
        self.execution_id = execution_id
        self.status = status


class TokenRefused(Conflict):
    """A resume token is not good for anything: unknown, used, revoked, expired, or of another step."""

    code = "token_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the token is {reason}")
        self.reason = reason
