"""How time passes for a client; tests let it pass at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """What a client asks for the time, and how it lets time pass."""

    now: Callable[[], float] = time.monotonic
    """Seconds since whenever; never backwards."""
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep
    """Is over after so many seconds."""
