"""What keeps a change from being written, other than the database being away: what stands in its way, or what it is."""

from typing import NoReturn
from uuid import UUID

import asyncpg

from detent.errors import StepRolledBack, StoreError
from detent_pg.faults import EFFECT_LOST

_REFUSING_CLASSES = ("22", "23")
"""Data exceptions and constraints."""


class IdTaken(StepRolledBack):
    """There is an instance with the id of a creation: another one's, or the very same written by an attempt that was cut off."""

    def __init__(self, instance_id: UUID) -> None:
        super().__init__(f"there is an instance {instance_id} already")


class KeyAnswered(StepRolledBack):
    """An update found an unexpired receipt under its key, which somebody else put after it looked."""

    def __init__(self) -> None:
        super().__init__("its idempotency key was answered meanwhile")


class EffectLost(StepRolledBack):
    """What a change rests on is gone: a lease was lost, a message taken by somebody else. Trying again would not help."""

    def __init__(self, reason: str = "a lease was lost, or a message is gone") -> None:
        super().__init__(reason)


class KeyHeld(StepRolledBack):
    """A creation waited too long for something that is held: mostly its key, by another creation that is under way, or else the
    row of whoever it sends a message to. There is no instance yet that could be called busy.
    """

    def __init__(self) -> None:
        super().__init__("another creation with the same idempotency key is under way, or its receiver is held")


class Unstorable(StoreError):
    """A change breaks a constraint of the tables, or holds what no column can: a key that is too long, a receipt of an instance
    that is not there.
    """

    def __init__(self, error: asyncpg.PostgresError) -> None:
        super().__init__(f"the database refuses the change with {error.sqlstate}")


def raise_refused(error: asyncpg.PostgresError) -> NoReturn:
    """Raise what PostgreSQL means by refusing a change, or the error itself."""
    if error.sqlstate == EFFECT_LOST:
        raise EffectLost from error
    if (error.sqlstate or "").startswith(_REFUSING_CLASSES):
        raise Unstorable(error) from error
    raise error
