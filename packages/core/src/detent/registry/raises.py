"""What a durable command may raise to say how it wants to be repeated; any other exception is repeated as its policy says."""

from datetime import timedelta


class RetryAfter(Exception):
    """The attempt failed and is to be repeated after this time, instead of after the policy's delay. It counts as an attempt."""

    def __init__(self, after: timedelta | float, message: str = "") -> None:
        self.after = after if isinstance(after, timedelta) else timedelta(seconds=after)
        super().__init__(message or f"again after {self.after}")


class GiveUp(Exception):
    """The attempt failed and repeating it is no use: what follows is what follows the last attempt."""

    def __init__(self, message: str, *, code: str = "gave_up") -> None:
        super().__init__(message)
        self.code = code
