"""Ids made in Python, so that no id strategy of a database is needed."""

import os
import threading
import time
import uuid
from collections.abc import Callable

_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_RANDOM = 0xFFF << 64 | (1 << 62) - 1
"""The bits beside them that are not the time."""


class _Rising:
    """Makes ids of RFC 9562 version 7: 48 bits of Unix milliseconds, then 74 random bits around version and variant.

    Within a millisecond, and when the clock is put back, those of one process still rise: by one from the last.
    """

    def __init__(self) -> None:
        self._made = threading.Lock()
        self._last = 0

    def __call__(self) -> uuid.UUID:
        milliseconds = time.time_ns() // 1_000_000
        random = int.from_bytes(os.urandom(10), "big")
        value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | random & _RANDOM | _VERSION_AND_VARIANT
        with self._made:
            self._last = value = max(value, self._last + 1)
        return uuid.UUID(int=value)


_uuid7 = _Rising()

new_id: Callable[[], uuid.UUID] = getattr(uuid, "uuid7", _uuid7)
"""A new UUID version 7, ordered by time within a process (the standard library's where Python has it, 3.14 and later)."""


def as_id(value: uuid.UUID | str) -> uuid.UUID:
    """The UUID that `value` is or spells; raises `ValueError` when it spells none."""
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)
