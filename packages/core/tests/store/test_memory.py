from collections.abc import AsyncIterator
from typing import Any

import pytest

from detent.errors import ConnectionNotSupported, InstanceBusy, InvalidValue
from detent.store.health import Health
from detent.store.memory import MemoryStore
from detent.store.protocol import Store
from detent.testing.store_contract import StoreContract, StoreKit
from detent.testing.store_contract.samples import advance, created, creation, removal, step


class TestMemoryStore(StoreContract):
    @pytest.fixture
    async def kit(self) -> AsyncIterator[StoreKit]:
        store = MemoryStore()

        async def note(connection: Any, text: str) -> None:
            connection.put("notes", text, True)

        async def noted(text: str) -> bool:
            async with store.begin() as transaction:
                return transaction.get("notes", text) is True

        await store.open()
        yield StoreKit(
            store=store,
            lend=store.begin,
            savepoint=lambda outside: outside.savepoint(),
            note=note,
            noted=noted,
            declines=frozenset({"sharing", "far_signals"}),
        )
        await store.close()


class Boom(Exception):
    pass


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lock_timeout=0.01)


def test_it_is_a_store():
    store: Store = MemoryStore()

    assert store.now().utcoffset() is not None


async def test_a_step_that_waits_too_long_for_its_row_is_busy(store: MemoryStore):
    record = await created(store)

    async with store.transaction(record.id):
        with pytest.raises(InstanceBusy):
            await store.apply(record.id, advance)

    assert await store.apply(record.id, advance) == 2


async def test_a_removal_that_waits_too_long_for_a_row_is_busy_and_removes_nothing(store: MemoryStore):
    free, held = await created(store), await created(store)

    async with store.transaction(held.id):
        with pytest.raises(InstanceBusy) as caught:
            await store.remove([removal(free), removal(held)])

    assert caught.value.instance_id == held.id
    assert await store.load(free.id) == free
    assert await store.apply(free.id, advance) == 2


async def test_a_removal_outside_that_is_busy_lets_go_of_the_rows_it_took(store: MemoryStore):
    free, held = sorted([await created(store), await created(store)], key=lambda record: record.id)

    async with store.transaction(held.id), store.begin() as outside:
        with pytest.raises(InstanceBusy):
            await store.remove([removal(free), removal(held)], outside=outside)
        assert await store.apply(free.id, advance) == 2


async def test_two_transactions_that_wait_for_each_other_do_not_wait_for_ever(store: MemoryStore):
    one, other = await created(store), await created(store)

    async with store.begin() as first, store.begin() as second:
        async with store.join(first, one.id), store.join(second, other.id):
            pass
        with pytest.raises(InstanceBusy):
            async with store.join(first, other.id):
                pass


async def test_an_undone_savepoint_lets_go_of_the_rows_it_took(store: MemoryStore):
    kept, let_go = await created(store), await created(store)

    async with store.begin() as transaction:
        async with store.join(transaction, kept.id):
            pass
        with pytest.raises(Boom):
            async with store.join(transaction, let_go.id):
                raise Boom
        assert await store.apply(let_go.id, advance) == 2
        with pytest.raises(InstanceBusy):
            await store.apply(kept.id, advance)


async def test_values_are_seen_by_their_own_transaction_until_it_commits(store: MemoryStore):
    async with store.begin() as first, store.begin() as second:
        first.put("orders", "17", {"total": [1]})
        assert first.get("orders", "17") == {"total": [1]}
        assert second.get("orders", "17") is None

    async with store.begin() as third:
        assert third.get("orders", "17") == {"total": [1]}
        assert third.get("orders", "18") is None


async def test_values_share_nothing_with_what_was_put_or_read(store: MemoryStore):
    value = {"list": [1]}
    async with store.begin() as transaction:
        transaction.put("orders", "17", value)
        value["list"].append(2)
        transaction.get("orders", "17")["list"].append(3)
        assert transaction.get("orders", "17") == {"list": [1]}


async def test_only_json_can_be_put(store: MemoryStore):
    async with store.begin() as transaction:
        with pytest.raises(InvalidValue):
            transaction.put("orders", "17", object())


async def test_a_transaction_that_has_ended_takes_nothing_more(store: MemoryStore):
    record = await created(store)
    async with store.begin() as ended:
        pass

    with pytest.raises(RuntimeError):
        ended.put("orders", "17", 1)
    with pytest.raises(RuntimeError):
        ended.get("orders", "17")
    with pytest.raises(ConnectionNotSupported):
        async with store.join(ended, record.id):
            pass


async def test_a_transaction_of_another_store_is_refused(store: MemoryStore):
    async with MemoryStore().begin() as foreign:
        with pytest.raises(ConnectionNotSupported):
            async with store.join(foreign, None):
                pass


async def test_a_step_can_be_joined_to_the_connection_of_another_step(store: MemoryStore):
    parent, child = await created(store), creation()

    async with store.transaction(parent.id) as unit:
        async with store.join(unit.connection, None) as nested:
            await nested.write(child)
        await unit.write(step(parent))

    assert await store.load(child.instance.id) == child.instance


async def test_a_callback_that_raises_is_logged_and_stops_nothing(store: MemoryStore, caplog: pytest.LogCaptureFixture):
    record = await created(store)
    called: list[str] = []

    def fail() -> None:
        raise Boom

    async with store.transaction(record.id) as unit:
        unit.after_commit(fail)
        unit.after_commit(lambda: called.append("second"))
        await unit.write(step(record))

    assert called == ["second"]
    assert "a callback after a commit raised" in caplog.text


async def test_it_is_well(store: MemoryStore):
    await created(store)

    assert await store.health() == Health(ok=True, detail="1 instances in memory")
