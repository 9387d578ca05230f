"""Many calls at once, which a store may read, decide and write together: each ends as if it had come alone."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import pytest

from detent.errors import InstanceNotFound, StoreError
from detent.ids import new_id
from detent.json_values import JsonValue
from detent.store.change import AddRun, Change, Effect, Publish, PutReceipt, SaveStep, TakeMessage
from detent.store.messages import DeliveryQuery
from detent.store.protocol import Existing
from detent.store.records import Receipt, ReceiptKey, WorkflowInstance
from detent.store.run_records import Lease
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    a_checkpoint,
    a_delivery,
    a_run,
    advance,
    assert_untouched,
    assert_whole,
    created,
    creation,
    creation_with,
    keyed_step,
    loaded,
    receipt,
    receipt_key,
    receipt_of,
    remembered,
    remembering,
    removal,
    sequences,
    step,
    with_run,
    within,
)

Decision: TypeAlias = tuple[Change | None, Any]

# After how many turns of the event loop callers are cut off.
TURNS = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 100)

# Where in a batch the one stands that is unlike the others.
PLACES = (0, 31, 63)


class Refused(Exception):
    """What a decision may raise."""


def a_lost_message(_record: WorkflowInstance, _taken: ReceiptKey) -> Effect:
    """A message that is not in the inbox."""
    return TakeMessage(new_id())


def a_lost_lease(_record: WorkflowInstance, _taken: ReceiptKey) -> Effect:
    """A checkpoint under a lease that nobody gave."""
    return SaveStep(a_checkpoint(Lease(new_id(), new_id())))


def a_second_run(record: WorkflowInstance, _taken: ReceiptKey) -> Effect:
    """A run beside the one that is under way."""
    return AddRun(a_run(record))


def a_taken_key(record: WorkflowInstance, taken: ReceiptKey) -> Effect:
    """A receipt under a key that was answered."""
    return PutReceipt(receipt(taken, record.id))


POISONS = (a_lost_message, a_lost_lease, a_second_run, a_taken_key)
"""Effects that undo their change in every store; the instance has a run, and the key is another one's."""

Poison: TypeAlias = Callable[[WorkflowInstance, ReceiptKey], Effect]


class TogetherContract:
    """None of a batch is in the way of another."""

    # -------------------------------------------------------------------------------------------- many instances

    @pytest.mark.parametrize("poison", POISONS)
    @pytest.mark.parametrize("place", [0, 25, 49])
    async def test_of_50_one_is_poisoned_one_lost_its_version_one_raises_and_47_are_as_if_alone(
        self, kit: StoreKit, place: int, poison: Poison
    ) -> None:
        taken = receipt_key()
        await created(kit.store, creation(key=taken))
        poisoned = await created(kit.store, with_run(creation()))
        outrun, refusing, *others = [await created(kit.store) for _ in range(49)]
        await kit.store.apply(outrun.id, advance)
        refusal = Refused()

        def decide(current: WorkflowInstance, _receipt: Receipt | None, now: datetime) -> Decision:
            if current.id == refusing.id:
                raise refusal
            effects = (poison(current, taken),) if current.id == poisoned.id else ()
            return step(current, now=now, effects=(Publish(a_delivery(current)), *effects)), current.version + 1

        records = [outrun, refusing, *others]
        records.insert(place, poisoned)
        async with within():
            answers = await asyncio.gather(
                *(kit.store.apply(record.id, decide, known=remembering(record)) for record in records),
                return_exceptions=True,
            )

        told = dict(zip((record.id for record in records), answers, strict=True))
        assert isinstance(told.pop(poisoned.id), StoreError)
        assert told.pop(refusing.id) is refusal
        assert told.pop(outrun.id) == 3
        assert list(told.values()) == [2] * 47
        for record in (poisoned, refusing):
            await assert_untouched(kit.store, record)
        assert await assert_whole(kit.store, outrun.id) == 3
        for record in others:
            assert await assert_whole(kit.store, record.id) == 2
        published = await kit.store.outbox.find(DeliveryQuery(), limit=100)
        assert {delivery.instance_id for delivery in published} == {outrun.id, *(record.id for record in others)}

    @pytest.mark.parametrize(
        "value", ["a NUL: \0", "a lone surrogate: \ud800", object()], ids=["NUL", "surrogate", "object"]
    )
    async def test_what_is_no_json_may_be_refused_and_is_so_alone(self, kit: StoreKit, value: JsonValue) -> None:
        poisoned, *others = [await created(kit.store) for _ in range(16)]

        def decide(current: WorkflowInstance, *_: object) -> Decision:
            context = {"value": value} if current.id == poisoned.id else None
            return step(current, context=context), current.version + 1

        async with within():
            answers = await asyncio.gather(
                *(kit.store.apply(record.id, decide) for record in (*others, poisoned)), return_exceptions=True
            )

        # The runtime lets none of these through, so that a store need not look for them.
        assert answers[:-1] == [2] * 15
        assert answers[-1] == 2 or isinstance(answers[-1], Exception)
        for record in others:
            assert await assert_whole(kit.store, record.id) == 2
        if answers[-1] != 2:
            await assert_untouched(kit.store, poisoned)

    async def test_one_that_is_not_there_is_told_so_and_the_others_are_applied(self, kit: StoreKit) -> None:
        *others, gone = [await created(kit.store) for _ in range(9)]
        await kit.store.remove([removal(gone)])
        asked = [*(record.id for record in others), gone.id, new_id()]

        async with within():
            answers = await asyncio.gather(
                *(kit.store.apply(instance_id, advance) for instance_id in asked), return_exceptions=True
            )

        assert answers[:8] == [2] * 8
        assert [type(answer) for answer in answers[8:]] == [InstanceNotFound] * 2

    async def test_applies_and_creations_of_many_workflows_are_all_served(self, kit: StoreKit) -> None:
        busy = [await created(kit.store) for _ in range(100)]
        rare = await created(kit.store, creation_with(workflow="return"))
        lanes = [(record, "order") for record in (*busy, *busy)] + [(rare, "return")]

        async with within():
            answers = await asyncio.gather(
                *(kit.store.apply(record.id, advance, workflow=workflow) for record, workflow in lanes),
                *(kit.store.create(creation_with(workflow=f"workflow {number}")) for number in range(5)),
            )

        assert Counter(answers) == {2: 101, 3: 100, None: 5}
        for record in busy:
            assert await assert_whole(kit.store, record.id) == 3

    # -------------------------------------------------------------------------------------------- one instance

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("how", ["raises", "writes nothing", *POISONS])
    async def test_64_on_one_instance_are_applied_but_for_the_one_that_cannot_be(
        self, kit: StoreKit, how: str | Poison, place: int
    ) -> None:
        taken = receipt_key()
        await created(kit.store, creation(key=taken))
        record = await created(kit.store, with_run(creation()))
        refusal = Refused()

        def other(current: WorkflowInstance, *_: object) -> Decision:
            if how == "raises":
                raise refusal
            if not callable(how):
                return None, f"at {current.version}"
            return step(current, effects=(how(current, taken),)), current.version + 1

        decisions: list[Any] = [advance] * 63
        decisions.insert(place, other)
        async with within():
            answers: list[Any] = await asyncio.gather(
                *(kit.store.apply(record.id, decide) for decide in decisions), return_exceptions=True
            )

        answer = answers.pop(place)
        assert sorted(answers) == list(range(2, 65))
        assert await assert_whole(kit.store, record.id) == 64
        if how == "raises":
            assert answer is refusal
        elif how == "writes nothing":
            assert answer in {f"at {version}" for version in range(1, 65)}
        else:
            assert isinstance(answer, StoreError)

    async def test_each_of_many_on_one_instance_decides_over_what_the_one_before_left(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(context={"by": []}))

        async def add(number: int) -> tuple[int, WorkflowInstance]:
            def decide(current: WorkflowInstance, *_: object) -> Decision:
                change = step(current, context={"by": [*current.context["by"], number]}, entries=1 + number % 3)
                return change, (current.version, change.instance)

            return await kit.store.apply(record.id, decide)

        async with within():
            answers = await asyncio.gather(*(add(number) for number in range(32)))

        answers.sort(key=lambda answer: answer[0])
        after = await loaded(kit.store, record.id)
        assert sorted(after.context["by"]) == list(range(32))
        assert [instance.context["by"] for _, instance in answers] == [
            after.context["by"][:count] for count in range(1, 33)
        ]
        assert [seen for seen, _ in answers] == [1, *(instance.version for _, instance in answers[:-1])]
        assert answers[-1][1] == after
        await assert_whole(kit.store, record.id)
        entries = list(reversed(await kit.store.history(record.id, limit=1000)))
        assert [entry.to_state for entry in entries[1:]] == [
            instance.state for seen, instance in answers for _ in range(instance.version - seen)
        ]

    async def test_of_those_who_share_a_key_one_is_applied_and_the_others_see_its_receipt(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        keys = [receipt_key(scope=str(record.id)) for _ in range(4)]

        async def once(key: ReceiptKey) -> tuple[str, Receipt | None]:
            def decide(current: WorkflowInstance, seen: Receipt | None, _now: datetime) -> Decision:
                if seen is not None:
                    return None, ("replayed", seen)
                change = keyed_step(current, key)
                return change, ("written", receipt_of(change))

            return await kit.store.apply(record.id, decide, key=key)

        async with within():
            answers = await asyncio.gather(*(once(key) for _ in range(8) for key in keys))

        assert Counter(how for how, _ in answers) == {"written": 4, "replayed": 28}
        assert await assert_whole(kit.store, record.id) == 5
        for key in keys:
            kept = await remembered(kit.store, record.id, key)
            assert kept is not None
            assert [seen for _, seen in answers if seen is not None and seen.key == key] == [kept] * 8

    # -------------------------------------------------------------------------------------------- creations

    async def test_creations_at_once_are_written_or_find_their_key_each_for_itself(self, kit: StoreKit) -> None:
        present = await created(kit.store)
        keys = [receipt_key() for _ in range(5)]
        changes = [creation(key=key) for _ in range(5) for key in keys] + [creation() for _ in range(5)]
        again = creation(key=receipt_key())
        changes.insert(7, replace(again, instance=replace(again.instance, id=present.id)))
        told = Counter[UUID]()

        def telling(change: Change) -> Callable[[], None]:
            return lambda: told.update([change.transition_id])

        async with within():
            answers = await asyncio.gather(
                *(kit.store.create(change, after_commit=telling(change)) for change in changes), return_exceptions=True
            )

        assert isinstance(answers.pop(7), StoreError)
        del changes[7]
        written = [change for change, answer in zip(changes, answers, strict=True) if answer is None]
        by_key = {receipt_of(change).key: change for change in written if change.effects}
        assert len(written) == 10
        assert set(by_key) == set(keys)
        for change, answer in zip(changes, answers, strict=True):
            if answer is not None:
                winner = by_key[receipt_of(change).key]
                assert answer == Existing(receipt_of(winner), winner.instance)
            assert (await kit.store.load(change.instance.id) is not None) == (answer is None)
        assert told == {change.transition_id: 1 for change in written}
        await assert_untouched(kit.store, present)

    # -------------------------------------------------------------------------------------------- cut off

    @pytest.mark.parametrize("turns", TURNS)
    async def test_those_who_are_cut_off_take_nobody_of_their_batch_with_them(self, kit: StoreKit, turns: int) -> None:
        records, one = [await created(kit.store) for _ in range(12)], await created(kit.store)
        changes = [creation() for _ in range(6)]
        calls: list[asyncio.Future[Any]] = [
            *(asyncio.ensure_future(kit.store.apply(record.id, advance)) for record in records),
            *(asyncio.ensure_future(kit.store.apply(one.id, advance)) for _ in range(12)),
            *(asyncio.ensure_future(kit.store.create(change)) for change in changes),
        ]
        await _turn(turns)
        await _cancelled(calls[::3])

        async with within():
            answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)

        stayed = [answer for number, answer in enumerate(answers) if number % 3]
        steps = stayed[8:16]
        assert stayed[:8] == [2] * 8
        assert stayed[16:] == [None] * 4
        assert len(set(steps)) == 8
        for number, record in enumerate(records):
            assert await _whole(kit, record) in ((2,) if number % 3 else (1, 2))
        assert max(steps) <= await _whole(kit, one) <= 13
        for number, change in enumerate(changes):
            found = await kit.store.load(change.instance.id)
            assert found in ((change.instance,) if number % 3 else (None, change.instance))


async def _whole(kit: StoreKit, record: WorkflowInstance) -> int:
    """The version that record and history tell of, while steps may still be on their way to their end."""
    before = (await loaded(kit.store, record.id)).version
    entries = await sequences(kit.store, record.id)
    after = (await loaded(kit.store, record.id)).version
    assert entries == list(range(len(entries), 0, -1))
    assert before <= len(entries) <= after
    return after


async def _turn(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def _cancelled(calls: Sequence[asyncio.Future[Any]]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
