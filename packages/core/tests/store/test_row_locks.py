import asyncio

import pytest

from detent.store.row_locks import RowLocks


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_row_is_held_by_one_at_a_time():
    locks = RowLocks()

    assert locks.take("row")
    assert not locks.take("row")
    assert locks.take("another row")


async def test_rows_are_handed_on_first_come_first_served():
    locks = RowLocks()
    locks.take("row")
    order: list[int] = []

    async def hold(number: int) -> None:
        await locks.wait("row")
        order.append(number)
        locks.release("row")

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(hold(number))
        await turns()
        locks.release("row")

    assert order == [0, 1, 2, 3, 4]
    assert not locks.held("row")


async def test_nobody_overtakes_the_one_whose_turn_has_come():
    locks = RowLocks()
    locks.take("row")
    waiting = asyncio.create_task(locks.wait("row"))
    await turns()

    locks.release("row")

    assert not locks.take("row")
    await waiting
    locks.release("row")
    assert locks.take("row")


@pytest.mark.parametrize("released_first", [True, False])
async def test_one_who_is_cancelled_passes_the_turn_on(released_first: bool):
    locks = RowLocks()
    locks.take("row")
    cancelled, next_one = (asyncio.create_task(locks.wait("row")) for _ in range(2))
    await turns()

    # The turn and the cancellation may come in the same turn of the loop, in either order.
    if released_first:
        locks.release("row")
        cancelled.cancel()
    else:
        cancelled.cancel()
        locks.release("row")

    async with asyncio.timeout(5):
        await next_one
    assert cancelled.cancelled()
    locks.release("row")
    assert not locks.held("row")


async def test_one_who_gives_up_leaves_nothing_behind():
    locks = RowLocks()
    locks.take("row")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await locks.wait("row")

    locks.release("row")
    assert not locks.held("row")
