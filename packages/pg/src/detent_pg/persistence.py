"""Doing again what the database rolled back for its own reasons."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from detent.errors import StepRolledBack, StoreUnavailable
from detent.retry import Retry
from detent_pg.refusals import EffectLost, IdTaken, KeyHeld

T = TypeVar("T")

ATTEMPTS = Retry(attempts=5, initial=timedelta(milliseconds=50), maximum=timedelta(seconds=1), jitter=0.5)
"""How often a step is repeated, and how often it is asked what became of one."""


async def persist(step: Callable[[], Awaitable[T]]) -> T:
    """What `step` answers, done again while the database rolls it back for its own reasons; then it is `StoreUnavailable`."""
    attempt = 1
    while True:
        try:
            return await step()
        except (IdTaken, EffectLost):
            raise
        except KeyHeld as held:
            # It has waited already.
            raise StoreUnavailable(held.reason) from held
        except StepRolledBack as error:
            if ATTEMPTS.exhausted(attempt):
                raise StoreUnavailable(f"{ATTEMPTS.attempts} times {error.reason}") from error
            await asyncio.sleep(ATTEMPTS.delay(attempt).total_seconds())
            attempt += 1
