"""The contract of every store, through the cache and with signals over Redis."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from detent.store.protocol import Store
from detent.testing.store_contract import StoreContract, StoreKit
from detent.testing.store_contract.applying import ApplyContract
from detent.testing.store_contract.applying_inside import ApplyInsideContract
from detent.testing.store_contract.archiving import ArchiveContract
from detent.testing.store_contract.definitions import DefinitionContract
from detent.testing.store_contract.far_signals import FarSignalContract
from detent.testing.store_contract.instances import InstanceContract
from detent.testing.store_contract.joined import JoinedContract
from detent.testing.store_contract.runtime import RuntimeContract
from detent.testing.store_contract.sharing import SharingContract
from detent.testing.store_contract.signals import SignalContract
from detent.testing.store_contract.timers import TimerContract
from detent.testing.store_contract.transactions import TransactionContract
from detent_pg import PgStore
from detent_redis import CachedStore, RedisSignals, with_signals
from packages.redis.tests.kits import memory_kit, pg_kit, sqlite_kit


class TestCachedMemoryStore(StoreContract):
    @pytest.fixture
    async def kit(self, client: Redis, prefix: str) -> AsyncIterator[StoreKit]:
        async with memory_kit(lambda store: CachedStore(store, client, prefix=prefix)) as kit:
            yield kit


class TestCachedAndSignalledSqliteStore(StoreContract):
    """Two stores on one file share the cache, as two processes would, and hear each other."""

    @pytest.fixture
    async def kit(self, tmp_path: Path, client: Redis, redis_url: str, prefix: str) -> AsyncIterator[StoreKit]:
        def wrap(store: Store) -> Store:
            return with_signals(CachedStore(store, client, prefix=prefix), RedisSignals(redis_url, prefix=prefix))

        async with sqlite_kit(tmp_path / "orders.db", wrap, declines=frozenset({"row_locks"})) as kit:
            yield kit


class TestWithoutRedis(
    InstanceContract,
    DefinitionContract,
    ApplyContract,
    TransactionContract,
    JoinedContract,
    ArchiveContract,
    TimerContract,
    RuntimeContract,
    SignalContract,
):
    """Where nothing listens, all is as without this package."""

    @pytest.fixture
    async def kit(self, nowhere: str) -> AsyncIterator[StoreKit]:
        async with memory_kit(lambda store: with_signals(CachedStore(store, nowhere), RedisSignals(nowhere))) as kit:
            yield kit


class TestCachedAndSignalledPgStore(
    InstanceContract,
    ApplyInsideContract,
    JoinedContract,
    TimerContract,
    ArchiveContract,
    RuntimeContract,
    SharingContract,
    SignalContract,
    FarSignalContract,
):
    """The topics in which a commit is seen from elsewhere."""

    @pytest.fixture
    async def kit(self, pg_store: PgStore, client: Redis, redis_url: str, prefix: str) -> AsyncIterator[StoreKit]:
        def wrap(store: Store) -> Store:
            return with_signals(CachedStore(store, client, prefix=prefix), RedisSignals(redis_url, prefix=prefix))

        async with pg_kit(pg_store, wrap) as kit:
            yield kit
