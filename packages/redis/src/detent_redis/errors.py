"""What locks raise. The signals and the cache raise nothing of their own: without Redis they stand aside.

DetentError
├── LockBusy              somebody else holds the lock
│   └── LockUnavailable   nobody knows who holds it: Redis cannot be reached
└── LockLost              it was held, and is not held any more
"""

from detent.errors import DetentError


class LockBusy(DetentError):
    """The lock was not had in time."""

    code = "lock_busy"

    def __init__(self, name: str, seconds: float, *, reason: str = "somebody else holds it") -> None:
        hint = "leave the work to whoever holds it, or wait longer"
        super().__init__(f"lock {name!r} was not had within {seconds:g} s: {reason}", hint=hint)
        self.name = name
        self.seconds = seconds
        """How long it was waited for."""


class LockUnavailable(LockBusy):
    """Redis cannot be reached, so nobody knows who holds the lock. What needs no lock to be right may go on without it."""

    code = "lock_unavailable"

    def __init__(self, name: str, seconds: float, reason: str) -> None:
        super().__init__(name, seconds, reason=f"Redis cannot be reached: {reason}")
        self.reason = reason


class LockLost(DetentError):
    """The lock ended while it was held: Redis forgot it, or could not be reached before its time was up."""

    code = "lock_lost"

    def __init__(self, name: str, token: int) -> None:
        super().__init__(
            f"lock {name!r} with token {token} ended while it was held",
            hint="somebody else may have done the same work meanwhile; write under a fence: a version, or the token",
        )
        self.name = name
        self.token = token
