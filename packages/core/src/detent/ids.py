"""Ids made in Python, so that no id strategy of a database is needed."""

import os
import time
import uuid
from collections.abc import Callable

_RANDOM_BITS = (1 << 74) - 1


def _uuid7() -> uuid.UUID:
    """RFC 9562 version 7: 48 bits of Unix milliseconds, then 74 random bits around version and variant."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big") & _RANDOM_BITS
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76
    value |= (random >> 62) << 64
    value |= 0b10 << 62
    value |= random & ((1 << 62) - 1)
    return uuid.UUID(int=value)


new_id: Callable[[], uuid.UUID] = getattr(uuid, "uuid7", _uuid7)
"""A new UUID version 7, roughly ordered by time (the standard library's where Python has it, 3.14 and later)."""


def as_id(value: uuid.UUID | str) -> uuid.UUID:
    """The UUID that `value` is or spells; raises `ValueError` when it spells none."""
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)
