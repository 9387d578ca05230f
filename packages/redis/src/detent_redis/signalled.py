"""A store whose words go over Redis instead of its own ways."""

from detent.store.protocol import Store
from detent_redis.around import StoreAround
from detent_redis.signals import RedisSignals


def with_signals(store: Store, signals: RedisSignals) -> "SignalledStore":
    """`store` with `signals` in the place of its own: pass what comes back to the runtime."""
    return SignalledStore(store, signals)


class SignalledStore(StoreAround):
    """A `Store` that asks another one for everything but `signals`, which it opens and closes with it.

    Around the store and not inside it, because nothing in a store announces: the runtime and the workers do, by the store that
    they were given. A `PgStore` that nobody listens to holds no connection for `LISTEN`.
    """

    def __init__(self, store: Store, signals: RedisSignals) -> None:
        super().__init__(store)
        self._signals = signals
        self._opened = 0

    @property
    def signals(self) -> RedisSignals:
        """Words that reach every process on the same Redis and prefix."""
        return self._signals

    async def open(self) -> None:
        """Open the store; Redis need not be there."""
        await self._store.open()
        self._opened += 1
        self._signals.open()

    async def close(self) -> None:
        """Send the last words, and close the store."""
        self._opened = max(0, self._opened - 1)
        if not self._opened:
            await self._signals.close()
        await self._store.close()
