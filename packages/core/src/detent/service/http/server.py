"""The web server around the application, as far as answers that go on have to know of it."""

import signal


def is_stopping() -> bool:
    """Whether uvicorn, which serves this process, was told to stop.

    It waits for requests under way before the application hears of its end, so that an answer that goes on would hold up the
    worker's drain until somebody kills both. Of another server, and of one outside the main thread, nothing is known: `False`.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "should_exit", False) is True
