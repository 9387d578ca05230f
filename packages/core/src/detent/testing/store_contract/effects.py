"""Effects: the rows beside an instance are written with its change, or nothing of it is."""

# ruff: noqa: PT012 (that a whole block is undone is what these tests are about)

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

import pytest

from detent.errors import StoreError
from detent.ids import new_id
from detent.store.change import (
    AddMessage,
    AddRun,
    Change,
    Effect,
    MoveRun,
    Publish,
    PutBack,
    PutReceipt,
    SaveStep,
    TakeMessage,
)
from detent.store.messages import DeliveryQuery, InboxMessage, InboxQuery
from detent.store.records import ReceiptKey, WorkflowInstance
from detent.store.run_records import ClaimedRun, Lease, RunQuery, RunStatus
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    MINUTE,
    NOW,
    TICK,
    a_checkpoint,
    a_claim,
    a_delivery,
    a_message,
    a_run,
    accepted,
    advance,
    assert_untouched,
    assert_whole,
    claimed,
    created,
    creation,
    loaded,
    loaded_run,
    receipt,
    receipt_key,
    remembered,
    step,
    with_run,
    within,
    written,
)

Fenced: TypeAlias = Callable[[Lease], Effect]


def a_saved_step(lease: Lease) -> Effect:
    """The answer of a command."""
    return SaveStep(a_checkpoint(lease))


def an_end(lease: Lease) -> Effect:
    """The end of a run by whoever holds it."""
    return MoveRun(lease.run_id, RunStatus.COMPLETED, NOW, lease=lease)


fenced = pytest.mark.parametrize("effect", [a_saved_step, an_end])


class Boom(Exception):
    """What an application may raise."""


@dataclass(frozen=True)
class Everything:
    """A change with every effect that adds a row or takes one."""

    change: Change
    key: ReceiptKey
    taken: InboxMessage

    async def is_there(self, kit: StoreKit) -> list[bool]:
        """Of each effect in turn, whether it is seen."""
        record = self.change.instance
        receipt_seen = await remembered(kit.store, record.id, self.key)
        messages = await kit.store.inbox.find(InboxQuery(), limit=10)
        return [
            (await loaded(kit.store, record.id)) == record,
            receipt_seen is not None,
            len(await kit.store.runs.find(RunQuery(), limit=10)) == 1,
            [message.event for message in messages if message.event == "sent"] == ["sent"],
            self.taken.id not in [message.id for message in messages],
            len(await kit.store.outbox.find(DeliveryQuery(), limit=10)) == 1,
        ]


async def everything(kit: StoreKit) -> Everything:
    """A step of a new instance with a message in its inbox."""
    record = await created(kit.store)
    taken = a_message(record)
    await kit.store.inbox.put(taken)
    key = receipt_key(scope=str(record.id))
    effects = (
        PutReceipt(receipt(key, record.id)),
        AddMessage(a_message(record, event="sent")),
        Publish(a_delivery(record)),
        TakeMessage(taken.id),
    )
    return Everything(with_run(step(record, effects=effects)), key, taken)


class EffectContract:
    """All of a change or nothing."""

    async def test_all_effects_of_a_change_are_written_with_it(self, kit: StoreKit) -> None:
        all_of_it = await everything(kit)

        await kit.store.apply(all_of_it.change.instance.id, lambda *_: (all_of_it.change, None))

        assert await all_of_it.is_there(kit) == [True] * 6

    async def test_all_effects_of_a_step_are_seen_together_when_it_commits(self, kit: StoreKit) -> None:
        all_of_it = await everything(kit)

        async with kit.store.transaction(all_of_it.change.instance.id) as unit:
            await unit.write(all_of_it.change)
            assert list(await kit.store.runs.find(RunQuery(), limit=10)) == []
            assert len(await kit.store.inbox.find(InboxQuery(), limit=10)) == 1
            assert list(await kit.store.outbox.find(DeliveryQuery(), limit=10)) == []

        assert await all_of_it.is_there(kit) == [True] * 6

    async def test_all_effects_of_a_joined_step_are_seen_together_when_the_caller_commits(self, kit: StoreKit) -> None:
        all_of_it = await everything(kit)

        async with kit.lend() as outside:
            async with kit.store.join(outside, all_of_it.change.instance.id) as unit:
                await unit.write(all_of_it.change)
            assert list(await kit.store.runs.find(RunQuery(), limit=10)) == []
            assert len(await kit.store.runs.find(RunQuery(), limit=10, outside=outside)) == 1
            assert len(await kit.store.inbox.find(InboxQuery(), limit=10)) == 1
            assert len(await kit.store.outbox.find(DeliveryQuery(), limit=10, outside=outside)) == 1

        assert await all_of_it.is_there(kit) == [True] * 6

    async def test_nothing_of_a_step_that_raises_is_there(self, kit: StoreKit) -> None:
        all_of_it = await everything(kit)

        with pytest.raises(Boom):
            async with kit.store.transaction(all_of_it.change.instance.id) as unit:
                await unit.write(all_of_it.change)
                raise Boom

        assert await all_of_it.is_there(kit) == [False] * 6

    async def test_nothing_of_a_joined_step_is_there_when_the_caller_rolls_back(self, kit: StoreKit) -> None:
        all_of_it = await everything(kit)

        with pytest.raises(Boom):
            async with kit.lend() as outside:
                async with kit.store.join(outside, all_of_it.change.instance.id) as unit:
                    await unit.write(all_of_it.change)
                raise Boom

        assert await all_of_it.is_there(kit) == [False] * 6

    async def test_nothing_of_a_change_from_an_old_version_is_there(self, kit: StoreKit) -> None:
        all_of_it = await everything(kit)
        record_id = all_of_it.change.instance.id
        await kit.store.apply(record_id, advance)

        with pytest.raises(StoreError):
            async with kit.store.transaction(record_id) as unit:
                await unit.write(all_of_it.change)

        assert await all_of_it.is_there(kit) == [False] * 6

    async def test_a_creation_brings_its_effects_with_it(self, kit: StoreKit) -> None:
        change = creation()
        effects = (AddMessage(a_message(change.instance)), Publish(a_delivery(change.instance)))
        change = with_run(replace(change, effects=effects))

        record = await created(kit.store, change)

        assert record.run_id is not None
        assert (await loaded_run(kit.store, record.run_id)).instance_id == record.id
        assert len(await kit.store.inbox.find(InboxQuery(instance_id=record.id), limit=10)) == 1
        assert len(await kit.store.outbox.find(DeliveryQuery(instance_id=record.id), limit=10)) == 1

    async def test_a_creation_whose_key_is_taken_brings_no_effects(self, kit: StoreKit) -> None:
        key = receipt_key()
        await created(kit.store, creation(key=key))
        for _ in range(2):
            again = creation(key=key)
            effects = (AddMessage(a_message(again.instance)), Publish(a_delivery(again.instance)))
            assert await kit.store.create(with_run(replace(again, effects=again.effects + effects))) is not None

        assert list(await kit.store.runs.find(RunQuery(), limit=10)) == []
        assert list(await kit.store.inbox.find(InboxQuery(), limit=10)) == []
        assert list(await kit.store.outbox.find(DeliveryQuery(), limit=10)) == []

    async def test_a_sweep_writes_the_effects_of_what_it_decides(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(due=NOW))
        change = with_run(step(record, effects=(Publish(a_delivery(record)),)))

        await kit.store.fire_due(lambda *_: (change, None), limit=10, now=NOW)

        assert (await loaded(kit.store, record.id)).run_id == change.instance.run_id
        assert len(await kit.store.runs.find(RunQuery(instance_id=record.id), limit=10)) == 1
        assert len(await kit.store.outbox.find(DeliveryQuery(), limit=10)) == 1

    async def test_many_steps_at_once_each_write_their_own_effects(self, kit: StoreKit) -> None:
        records = [await created(kit.store) for _ in range(12)]

        async def go(record: WorkflowInstance) -> None:
            effects = (AddMessage(a_message(record)), Publish(a_delivery(record)))
            change = with_run(step(record, effects=effects))
            await kit.store.apply(record.id, lambda *_: (change, None))

        async with within():
            await asyncio.gather(*(go(record) for record in records))

        for record in records:
            assert len(await kit.store.runs.find(RunQuery(instance_id=record.id), limit=10)) == 1
            assert len(await kit.store.inbox.find(InboxQuery(instance_id=record.id), limit=10)) == 1
            assert len(await kit.store.outbox.find(DeliveryQuery(instance_id=record.id), limit=10)) == 1

    async def test_steps_of_one_instance_at_once_all_leave_their_effects(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        def decide(current: WorkflowInstance, *_: object) -> tuple[Change, None]:
            return step(current, effects=(Publish(a_delivery(current)), AddMessage(a_message(current)))), None

        async with within():
            await asyncio.gather(*(kit.store.apply(record.id, decide) for _ in range(9)))

        published = await kit.store.outbox.find(DeliveryQuery(), limit=99)
        assert [delivery.sequence for delivery in published] == list(range(1, 10))
        assert len(await kit.store.inbox.find(InboxQuery(), limit=99)) == 9

    # -------------------------------------------------------------------------------------------- the step of a command

    async def test_a_saved_step_goes_on_with_the_commit_of_its_command(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)
        held = await claimed(kit.store)
        record = await loaded(kit.store, run.instance_id)
        checkpoint = a_checkpoint(held.lease, entry={"command": "book"}, command="ship", queue="parcels", priority=2)

        async with kit.store.transaction(record.id, now=NOW + TICK) as unit:
            await kit.note(unit.connection, f"by a command {record.id}")
            await unit.write(step(record, effects=(SaveStep(checkpoint),)))
            assert await loaded_run(kit.store, run.id) == held.run

        after = await loaded_run(kit.store, run.id)
        assert (after.journal, after.command, after.queue, after.priority) == (
            ({"command": "book"},),
            "ship",
            "parcels",
            2,
        )
        assert (after.status, after.attempts, after.lease_until) == (RunStatus.RUNNING, 1, NOW + TICK + MINUTE)
        assert await kit.noted(f"by a command {record.id}")
        assert await assert_whole(kit.store, record.id) == 2

    async def test_a_saved_step_may_give_the_run_to_others(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)
        held = await claimed(kit.store)

        await written(kit.store, run.instance_id, SaveStep(a_checkpoint(held.lease, release=MINUTE)), now=NOW + TICK)

        after = await loaded_run(kit.store, run.id)
        assert (after.status, after.attempts, after.available_at) == (RunStatus.PENDING, 0, NOW + TICK + MINUTE)
        assert not await kit.store.runs.keep(held.lease, kept={"page": 1}, extend=MINUTE, now=NOW + TICK)

    @fenced
    @pytest.mark.parametrize("lost", ["ended", "replaced", "never given", "stopped"])
    @pytest.mark.parametrize("entries", [0, 1], ids=["effects only", "a step"])
    async def test_a_step_whose_lease_is_lost_is_undone_with_what_a_command_wrote(
        self, kit: StoreKit, lost: str, entries: int, effect: Fenced
    ) -> None:
        run = await accepted(kit.store)
        lease = await _lost_lease(kit, lost)
        record, before = await loaded(kit.store, run.instance_id), await loaded_run(kit.store, run.id)
        effects = (effect(lease), Publish(a_delivery(record)), AddMessage(a_message(record)))

        with pytest.raises(StoreError):
            async with kit.store.transaction(record.id, now=NOW + MINUTE) as unit:
                await kit.note(unit.connection, f"stale {record.id}")
                await unit.write(step(record, entries=entries, effects=effects))

        assert not await kit.noted(f"stale {record.id}")
        await assert_untouched(kit.store, record)
        assert await loaded_run(kit.store, run.id) == before
        assert list(await kit.store.outbox.find(DeliveryQuery(), limit=10)) == []
        assert list(await kit.store.inbox.find(InboxQuery(), limit=10)) == []

    @fenced
    @pytest.mark.parametrize("lost", ["ended", "replaced", "never given", "stopped"])
    async def test_an_applied_change_whose_lease_is_lost_is_undone(
        self, kit: StoreKit, lost: str, effect: Fenced
    ) -> None:
        run = await accepted(kit.store)
        lease = await _lost_lease(kit, lost)
        record, before = await loaded(kit.store, run.instance_id), await loaded_run(kit.store, run.id)
        change = step(record, effects=(Publish(a_delivery(record)), effect(lease)))

        with pytest.raises(StoreError):
            await kit.store.apply(record.id, lambda *_: (change, None), now=NOW + MINUTE)

        await assert_untouched(kit.store, record)
        assert await loaded_run(kit.store, run.id) == before
        assert list(await kit.store.outbox.find(DeliveryQuery(), limit=10)) == []

    @fenced
    async def test_a_joined_step_whose_lease_is_lost_leaves_the_callers_transaction_as_it_was(
        self, kit: StoreKit, effect: Fenced
    ) -> None:
        run = await accepted(kit.store)
        lease = await _lost_lease(kit, "replaced")
        record, before = await loaded(kit.store, run.instance_id), await loaded_run(kit.store, run.id)

        async with kit.lend() as outside:
            await kit.note(outside, f"before {record.id}")
            with pytest.raises(StoreError):
                async with kit.store.join(outside, record.id, now=NOW + MINUTE) as unit:
                    await kit.note(unit.connection, f"inside {record.id}")
                    await unit.write(step(record, effects=(effect(lease),)))
            await kit.note(outside, f"after {record.id}")

        noted = [await kit.noted(f"{when} {record.id}") for when in ("before", "inside", "after")]
        assert noted == [True, False, True]
        await assert_untouched(kit.store, record)
        assert await loaded_run(kit.store, run.id) == before

    async def test_the_end_of_a_run_under_its_lease_is_written_up_to_the_instant_of_its_end(
        self, kit: StoreKit
    ) -> None:
        run = await accepted(kit.store)
        held = await claimed(kit.store)

        await written(kit.store, run.instance_id, an_end(held.lease), now=NOW + MINUTE - TICK)

        after = await loaded_run(kit.store, run.id)
        assert (after.status, after.lease, after.finished_at) == (RunStatus.COMPLETED, None, NOW)

    async def test_of_many_ends_at_once_each_is_judged_by_its_own_lease_and_at_its_own_instant(
        self, kit: StoreKit
    ) -> None:
        for _ in range(8):
            await accepted(kit.store)
        held = list(await kit.store.runs.claim(a_claim(8), now=NOW))
        replaced, late, ended, *good = held
        await kit.store.runs.heartbeat([one.lease for one in (late, ended, *good)], extend=2 * MINUTE, now=NOW)
        await claimed(kit.store, now=NOW + MINUTE)
        await written(kit.store, ended.run.instance_id, MoveRun(ended.run.id, RunStatus.CANCELLED, NOW))
        before = {one.run.id: await loaded_run(kit.store, one.run.id) for one in (replaced, late)}

        async def end(one: ClaimedRun, effect: Effect, now: datetime) -> None:
            await kit.store.apply(one.instance.id, lambda record, *_: (step(record, effects=(effect,)), None), now=now)

        async with within():
            answers = await asyncio.gather(
                *(end(one, an_end(one.lease), NOW + MINUTE) for one in good[:3]),
                end(replaced, an_end(replaced.lease), NOW + MINUTE),
                end(late, an_end(late.lease), NOW + 2 * MINUTE),
                # Without a lease it may find the run ended, and that keeps nobody from anything.
                end(ended, MoveRun(ended.run.id, RunStatus.COMPLETED, NOW), NOW + MINUTE),
                *(end(one, an_end(one.lease), NOW + 2 * MINUTE - TICK) for one in good[3:]),
                return_exceptions=True,
            )

        assert [isinstance(answer, StoreError) for answer in answers] == [False] * 3 + [True] * 2 + [False] * 3
        for one in (replaced, late):
            await assert_untouched(kit.store, one.instance)
            assert await loaded_run(kit.store, one.run.id) == before[one.run.id]
        assert (await loaded_run(kit.store, ended.run.id)).status is RunStatus.CANCELLED
        for one in (ended, *good):
            assert await assert_whole(kit.store, one.instance.id) == 2
        assert {(await loaded_run(kit.store, one.run.id)).status for one in good} == {RunStatus.COMPLETED}

    async def test_the_end_of_a_run_and_its_transition_are_one_commit(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)
        held = await claimed(kit.store)
        record = await loaded(kit.store, run.instance_id)
        ended = MoveRun(run.id, RunStatus.COMPLETED, NOW)
        change = step(replace(record, run_id=None), effects=(ended, Publish(a_delivery(record))))

        with pytest.raises(Boom):
            async with kit.store.transaction(record.id) as unit:
                await unit.lock_run(run.id)
                await unit.write(change)
                raise Boom
        assert await loaded_run(kit.store, run.id) == held.run
        await assert_untouched(kit.store, record)

        async with kit.store.transaction(record.id) as unit:
            await unit.lock_run(run.id)
            await unit.write(change)
        assert (await loaded_run(kit.store, run.id)).status is RunStatus.COMPLETED
        assert (await loaded(kit.store, record.id)).run_id is None

    # -------------------------------------------------------------------------------------------- messages

    async def test_a_message_is_taken_once(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        message = a_message(record)
        await kit.store.inbox.put(message)
        await kit.store.apply(record.id, lambda current, *_: (step(current, effects=(TakeMessage(message.id),)), None))
        before = await loaded(kit.store, record.id)
        again = step(before, effects=(Publish(a_delivery(before)), TakeMessage(message.id)))

        with pytest.raises(StoreError):
            await kit.store.apply(record.id, lambda *_: (again, None))
        with pytest.raises(StoreError):
            async with kit.store.transaction(record.id) as unit:
                await kit.note(unit.connection, f"taken twice {record.id}")
                await unit.write(again)

        assert before.version == 2
        await assert_untouched(kit.store, before)
        assert list(await kit.store.outbox.find(DeliveryQuery(), limit=10)) == []
        assert not await kit.noted(f"taken twice {record.id}")

    async def test_of_many_who_take_one_message_at_once_one_does(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        message = a_message(record)
        await kit.store.inbox.put(message)

        def decide(current: WorkflowInstance, *_: object) -> tuple[Change, None]:
            return step(current, effects=(TakeMessage(message.id),)), None

        async with within():
            answers = await asyncio.gather(
                *(kit.store.apply(record.id, decide) for _ in range(5)), return_exceptions=True
            )

        assert answers.count(None) == 1
        assert [type(answer) for answer in answers if not isinstance(answer, StoreError)] == [type(None)]
        assert await assert_whole(kit.store, record.id) == 2

    async def test_a_message_that_is_not_there_undoes_a_change_that_others_do_not_notice(self, kit: StoreKit) -> None:
        poisoned, *others = [await created(kit.store) for _ in range(5)]

        def decide(current: WorkflowInstance, *_: object) -> tuple[Change, int]:
            effects = (TakeMessage(new_id()),) if current.id == poisoned.id else ()
            return step(current, effects=effects), current.version + 1

        async with within():
            answers = await asyncio.gather(
                *(kit.store.apply(record.id, decide) for record in (*others, poisoned)), return_exceptions=True
            )

        assert answers[:-1] == [2] * 4
        assert isinstance(answers[-1], StoreError)
        await assert_untouched(kit.store, poisoned)

    async def test_a_message_to_another_is_sent_in_the_same_commit(self, kit: StoreKit) -> None:
        sender, other = await created(kit.store), await created(kit.store)
        message = a_message(other, event="child ended", key="once", trace={"traceparent": "00"})

        async with kit.store.transaction(sender.id) as unit:
            await unit.write(step(sender, effects=(AddMessage(message),)))
            assert list(await kit.store.inbox.find(InboxQuery(), limit=10)) == []

        [found] = await kit.store.inbox.find(InboxQuery(instance_id=other.id), limit=10)
        assert found == replace(message, number=found.number)
        assert await kit.store.load(other.id) == other

    async def test_a_message_to_one_that_is_gone_goes_with_it(self, kit: StoreKit) -> None:
        sender, other = await created(kit.store), await created(kit.store)
        nobody = creation().instance
        effects = (AddMessage(a_message(nobody)), AddMessage(a_message(other)), Publish(a_delivery(sender)))
        change = step(sender, effects=effects)

        await kit.store.apply(sender.id, lambda *_: (change, None))

        assert await assert_whole(kit.store, sender.id) == 2
        [found] = await kit.store.inbox.find(InboxQuery(), limit=10)
        assert found.instance_id == other.id
        assert len(await kit.store.outbox.find(DeliveryQuery(), limit=10)) == 1

    async def test_two_that_send_to_each_other_at_once_both_do(self, kit: StoreKit) -> None:
        one, other = await created(kit.store), await created(kit.store)

        async def send(sender: WorkflowInstance, receiver: WorkflowInstance) -> int:
            def decide(current: WorkflowInstance, *_: object) -> tuple[Change, int]:
                return step(current, effects=(AddMessage(a_message(receiver)),)), current.version + 1

            return await kit.store.apply(sender.id, decide)

        async with within():
            answers = await asyncio.gather(*(send(*pair) for _ in range(4) for pair in ((one, other), (other, one))))

        assert sorted(answers) == [2, 2, 3, 3, 4, 4, 5, 5]
        assert len(await kit.store.inbox.find(InboxQuery(), limit=99)) == 8

    async def test_a_message_that_was_not_taken_is_put_back_in_its_place(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        for event in ("first", "second"):
            await kit.store.inbox.put(a_message(record, event=event))
        first, second = await kit.store.inbox.find(InboxQuery(), limit=10)
        back = replace(
            first,
            attempts=3,
            seen_version=7,
            available_at=NOW + MINUTE,
            dead_at=NOW + 2 * MINUTE,
            reason="the guard said no",
        )

        await written(kit.store, record.id, PutBack(replace(back, number=0)))

        # The place in the order of arrival is the store's to say.
        assert list(await kit.store.inbox.find(InboxQuery(), limit=10)) == [back, second]

    async def test_one_run_after_another_may_be_added_in_the_order_of_effects(self, kit: StoreKit) -> None:
        first = await accepted(kit.store)
        record = await loaded(kit.store, first.instance_id)
        second = a_run(record, command="other")
        effects = (MoveRun(first.id, RunStatus.CANCELLED, NOW), AddRun(second))

        async with kit.store.transaction(record.id) as unit:
            await unit.write(step(replace(record, run_id=second.id), effects=effects))

        assert (await loaded_run(kit.store, first.id)).status is RunStatus.CANCELLED
        assert await loaded_run(kit.store, second.id) == second


async def _lost_lease(kit: StoreKit, how: str) -> Lease:
    """A lease on the one run there is, which at a minute after `NOW` holds no more."""
    held = await claimed(kit.store)
    if how == "replaced":
        await claimed(kit.store, now=NOW + MINUTE)
    elif how == "stopped":
        await written(kit.store, held.run.instance_id, MoveRun(held.run.id, RunStatus.PARKED, NOW))
    return Lease(held.run.id, new_id()) if how == "never given" else held.lease
