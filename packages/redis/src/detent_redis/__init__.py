"""Redis beside a store, never in the place of one: everything here is a hint or a copy, and may be lost.

`RedisSignals` carry words between processes, `with_signals` lets a store use them; `CachedStore` reads instances and definitions
through Redis; `RedisLocks` are locks with fencing tokens.
"""

from detent_redis.cache import CachedStore
from detent_redis.errors import LockBusy, LockLost, LockUnavailable
from detent_redis.locks import Held, RedisLocks
from detent_redis.signalled import SignalledStore, with_signals
from detent_redis.signals import RedisSignals

__all__ = [
    "CachedStore",
    "Held",
    "LockBusy",
    "LockLost",
    "LockUnavailable",
    "RedisLocks",
    "RedisSignals",
    "SignalledStore",
    "with_signals",
]
