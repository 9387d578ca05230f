"""What `apply` and `create` take and tell beside the change: what the caller has seen, and that it is committed."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import pytest

from detent.errors import InstanceNotFound
from detent.ids import new_id
from detent.store.change import Change, TakeMessage
from detent.store.protocol import Existing
from detent.store.records import Receipt, WorkflowInstance
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    advance,
    assert_untouched,
    assert_whole,
    created,
    creation,
    keyed_step,
    loaded,
    receipt_key,
    receipt_of,
    remembering,
    removal,
    step,
    within,
)

Decision: TypeAlias = tuple[Change | None, Any]

# After how many turns of the event loop callers are cut off.
TURNS = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 100)

caller: ContextVar[int | None] = ContextVar("caller", default=None)


class Refused(Exception):
    """What a decision or a callback may raise."""


class ApplyContract:
    """Nobody is told what is not so."""

    # -------------------------------------------------------------------------------------------- after the commit

    async def test_the_caller_of_a_committed_change_is_told_once_before_he_goes_on(self, kit: StoreKit) -> None:
        records = [await created(kit.store) for _ in range(4)]
        loop, heard = asyncio.get_running_loop(), list[tuple[UUID, str, bool]]()

        async def go(record: WorkflowInstance) -> None:
            def told(answer: int) -> None:
                heard.append((record.id, f"told {answer}", asyncio.get_running_loop() is loop))

            answer = await kit.store.apply(record.id, advance, after_commit=told)
            heard.append((record.id, f"answered {answer}", True))

        async with within():
            await asyncio.gather(*(go(record) for record in records for _ in range(4)))

        for record in records:
            mine = [(said, inside) for instance_id, said, inside in heard if instance_id == record.id]
            assert all(inside for _, inside in mine)
            assert sorted(said for said, _ in mine) == sorted(
                f"{how} {version}" for how in ("told", "answered") for version in range(2, 6)
            )
            order = [said for said, _ in mine]
            assert all(order.index(f"told {version}") < order.index(f"answered {version}") for version in range(2, 6))

    async def test_nobody_is_told_of_what_was_not_written(self, kit: StoreKit) -> None:
        record, told = await created(kit.store, creation(key=receipt_key())), list[object]()
        taken = creation(key=receipt_key())
        await created(kit.store, taken)

        def refuse(*_: object) -> Decision:
            raise Refused

        def lose(current: WorkflowInstance, *_: object) -> Decision:
            return step(current, effects=(TakeMessage(new_id()),)), "lost"

        async with within():
            answers = await asyncio.gather(
                *(
                    kit.store.apply(record.id, decide, after_commit=told.append)
                    for decide in (lambda *_: (None, "nothing"), refuse, lose)
                ),
                kit.store.apply(new_id(), advance, after_commit=told.append),
                kit.store.create(creation(key=receipt_of(taken).key), after_commit=lambda: told.append("found")),
                kit.store.create(taken, after_commit=lambda: told.append("there already")),
                return_exceptions=True,
            )

        assert answers[0] == "nothing"
        assert isinstance(answers[4], Existing)
        assert told == []
        await assert_untouched(kit.store, record)

    async def test_a_callback_that_raises_is_no_matter_of_the_others(self, kit: StoreKit) -> None:
        records, told = [await created(kit.store) for _ in range(5)], list[int]()

        def fail(_answer: int) -> None:
            raise Refused

        async with within():
            answers = await asyncio.gather(
                *(
                    kit.store.apply(record.id, advance, after_commit=told.append if record is not records[2] else fail)
                    for record in records
                ),
                return_exceptions=True,
            )

        # Whether the one whose callback raised hears of that is the store's affair: the commit stands.
        del answers[2]
        assert answers == told == [2] * 4
        for record in records:
            assert await assert_whole(kit.store, record.id) == 2

    @pytest.mark.parametrize("turns", TURNS)
    async def test_whoever_is_cut_off_is_told_of_what_was_committed_all_the_same(
        self, kit: StoreKit, turns: int
    ) -> None:
        record, other = await created(kit.store), creation()
        told = list[str]()
        calls = [
            asyncio.ensure_future(kit.store.apply(record.id, advance, after_commit=lambda _: told.append("applied"))),
            asyncio.ensure_future(kit.store.create(other, after_commit=lambda: told.append("created"))),
        ]
        await _turn(turns)
        await _cancelled(calls)

        async with within():
            async with kit.store.transaction(record.id):
                pass
            # A step that goes on without its caller may still be on its way.
            while sorted(told) != await _committed(kit, record, other):  # noqa: ASYNC110 (its end is seen in the store)
                await asyncio.sleep(0)

    # -------------------------------------------------------------------------------------------- what a caller has seen

    async def test_with_a_record_as_it_is_all_goes_as_without(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        refusal = Refused()

        def refuse(*_: object) -> Decision:
            raise refusal

        assert await kit.store.apply(record.id, lambda now, *_: (None, now.version), known=remembering(record)) == 1
        with pytest.raises(Refused) as caught:
            await kit.store.apply(record.id, refuse, known=remembering(record))
        assert caught.value is refusal
        await assert_untouched(kit.store, record)
        for version in (2, 3, 4):
            change = step(record)
            assert (
                await kit.store.apply(record.id, _taking(change), known=remembering(record), workflow="order")
                == "taken"
            )
            record = await loaded(kit.store, record.id)
            assert (record, record.version) == (change.instance, version)
        await assert_whole(kit.store, record.id)

    @pytest.mark.parametrize("at_once", [1, 8])
    async def test_an_outdated_record_is_never_what_an_answer_speaks_of(self, kit: StoreKit, at_once: int) -> None:
        old = await created(kit.store)
        await kit.store.apply(old.id, advance)

        async with within():
            answers = await asyncio.gather(
                *(
                    kit.store.apply(
                        old.id, lambda current, *_: (None, current), known=remembering(old), workflow="order"
                    )
                    for _ in range(at_once)
                )
            )

        assert answers == [await loaded(kit.store, old.id)] * at_once

    async def test_an_outdated_record_is_never_what_an_error_speaks_of(self, kit: StoreKit) -> None:
        old = await created(kit.store)
        await kit.store.apply(old.id, advance)

        def only_later(current: WorkflowInstance, *_: object) -> Decision:
            if current.version == old.version:
                raise Refused
            return step(current), current.version + 1

        def only_before(current: WorkflowInstance, *_: object) -> Decision:
            if current.version != old.version:
                raise Refused
            return step(current), current.version + 1

        assert await kit.store.apply(old.id, only_later, known=remembering(old)) == 3
        with pytest.raises(Refused):
            await kit.store.apply(old.id, only_before, known=remembering(old))
        assert await assert_whole(kit.store, old.id) == 3

    async def test_whoever_decides_over_an_outdated_record_loses_no_race(self, kit: StoreKit) -> None:
        old = await created(kit.store)
        told = list[int]()
        await kit.store.apply(old.id, advance)

        async with within():
            answers = await asyncio.gather(
                *(
                    kit.store.apply(old.id, advance, known=remembering(old), workflow="order", after_commit=told.append)
                    for _ in range(16)
                )
            )

        assert sorted(answers) == sorted(told) == list(range(3, 19))
        assert await assert_whole(kit.store, old.id) == 18

    async def test_what_is_known_of_an_instance_that_is_gone_does_not_bring_it_back(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        await kit.store.remove([removal(record)])

        for decide in (advance, lambda *_: (None, "as it was")):
            with pytest.raises(InstanceNotFound):
                await kit.store.apply(record.id, decide, known=remembering(record))
        assert await kit.store.load(record.id) is None

    @pytest.mark.parametrize("current", [True, False], ids=["as it is", "outdated"])
    async def test_a_key_that_was_answered_is_seen_whatever_record_is_known(self, kit: StoreKit, current: bool) -> None:
        old = await created(kit.store)
        key = receipt_key(scope=str(old.id))
        first = keyed_step(old, key)
        await kit.store.apply(old.id, lambda *_: (first, None), key=key)
        known = first.instance if current else old

        def once(record: WorkflowInstance, seen: Receipt | None, _now: datetime) -> Decision:
            return (None, seen) if seen else (keyed_step(record, key), None)

        assert await kit.store.apply(old.id, once, key=key, known=remembering(known)) == receipt_of(first)
        assert await assert_whole(kit.store, old.id) == 2

    # -------------------------------------------------------------------------------------------- deciding

    async def test_a_decision_is_made_in_the_context_of_its_caller_and_no_two_at_a_time(self, kit: StoreKit) -> None:
        records, under_way = [await created(kit.store) for _ in range(4)], list[None]()

        async def go(number: int) -> tuple[int, int | None, int]:
            caller.set(number)

            def decide(current: WorkflowInstance, *_: object) -> Decision:
                under_way.append(None)
                decided = step(current), (number, caller.get(), len(under_way))
                under_way.clear()
                return decided

            return await kit.store.apply(records[number % 4].id, decide)

        async with within():
            answers = await asyncio.gather(*(go(number) for number in range(32)))

        assert answers == [(number, number, 1) for number in range(32)]
        assert caller.get() is None


def _taking(change: Change) -> Callable[..., tuple[Change, str]]:
    return lambda *_: (change, "taken")


async def _committed(kit: StoreKit, record: WorkflowInstance, other: Change) -> list[str]:
    """What there is to tell of a step on `record` and of the creation `other`."""
    applied = (await loaded(kit.store, record.id)).version > record.version
    return ["applied"] * applied + ["created"] * (await kit.store.load(other.instance.id) is not None)


async def _turn(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def _cancelled(calls: Sequence[asyncio.Future[Any]]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
