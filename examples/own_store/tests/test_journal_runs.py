# ruff: noqa: ASYNC240 (a test may wait for its small file)
# ruff: noqa: PT012 (that a whole block is refused is what some of these tests are about)

import os
from dataclasses import replace
from pathlib import Path

import pytest

from detent import WorkflowDefinition, WorkflowRuntime, command
from detent.errors import OutcomeUnknown, StepRolledBack, StoreUnavailable
from detent.ids import new_id
from detent.store.change import Publish, SaveStep
from detent.store.messages import DeliveryQuery, DeliveryResult, DeliveryStatus, InboxQuery
from detent.store.records import Status
from detent.store.run_records import Lease, Release, RunQuery, RunStatus, Throttle
from detent.testing.store_contract.samples import (
    DAY,
    MINUTE,
    NOW,
    a_checkpoint,
    a_claim,
    a_delivery,
    a_message,
    accepted,
    claimed,
    created,
    loaded,
    loaded_run,
    removal,
    step,
    written,
)
from examples.own_store.journal_store import JournalStore
from examples.own_store.tests.journals import killed_after_printing, opened

# ------------------------------------------------------------------------------------------------ a new object, the same file


async def test_a_run_and_its_lease_are_there_when_the_file_is_opened_again(path: Path):
    async with opened(path) as store:
        await accepted(store)
        held = await claimed(store)
        await store.runs.checkpoint(a_checkpoint(held.lease), now=NOW)
        await store.runs.keep(held.lease, kept={"page": 3}, progress={"fraction": 0.5}, extend=MINUTE, now=NOW)
        await store.runs.heartbeat([held.lease], extend=2 * MINUTE, now=NOW)
        before = await loaded_run(store, held.run.id)

    async with opened(path) as store:
        assert await loaded_run(store, held.run.id) == before
        assert list(await store.runs.claim(a_claim(), now=NOW + MINUTE)) == []
        assert await store.runs.checkpoint(a_checkpoint(held.lease, position=1), now=NOW + MINUTE) is Status.ACTIVE
        again = await claimed(store, now=NOW + DAY)

    async with opened(path) as store:
        assert await loaded_run(store, held.run.id) == again.run
        assert (again.run.crashes, len(again.run.journal)) == (1, 2)
        assert list(await store.runs.release([Release(held.lease)], now=NOW + DAY)) == []


async def test_messages_and_deliveries_are_there_when_the_file_is_opened_again(path: Path):
    async with opened(path) as store:
        record = await created(store)
        await store.inbox.put(a_message(record, dead_at=NOW))
        await store.inbox.put(a_message(record))
        await written(store, record.id, Publish(a_delivery(record)), Publish(a_delivery(record)))
        [first] = await store.outbox.claim(["mail"], lease=MINUTE, limit=9, now=NOW)
        messages = await store.inbox.find(InboxQuery(), limit=9)
        deliveries = await store.outbox.find(DeliveryQuery(), limit=9)

    async with opened(path) as store:
        assert await store.inbox.find(InboxQuery(), limit=9) == messages
        assert await store.outbox.find(DeliveryQuery(), limit=9) == deliveries
        assert list(await store.outbox.claim(["mail"], lease=MINUTE, limit=9, now=NOW)) == []
        await store.inbox.revive([messages[0].id], now=NOW)
        assert first.lease_token is not None
        await store.outbox.settle([DeliveryResult(first.id, first.lease_token, DeliveryStatus.DELIVERED)], now=NOW)

    async with opened(path) as store:
        assert list(await store.inbox.find(InboxQuery(dead=True), limit=9)) == []
        [second] = await store.outbox.claim(["mail"], lease=MINUTE, limit=9, now=NOW)
        assert second.id == deliveries[1].id


async def test_values_are_there_when_the_file_is_opened_again(path: Path):
    async with opened(path) as store:
        record, gone = await created(store), await created(store)
        await store.values.put(record.id, "a", {"list": [1]})
        await store.values.put(record.id, "a", "the same ref")
        await store.values.put(record.id, "b", 1)
        await store.values.put(record.id, "b", 2, overwrite=True)
        await store.values.put(record.id, "c", 3)
        await store.values.delete(record.id, ["c"])
        await store.values.put(gone.id, "a", 1)
        await store.remove([removal(gone)])

    async with opened(path) as store:
        assert await store.values.load(record.id, ["a", "b", "c"]) == {"a": {"list": [1]}, "b": 2}
        assert await store.values.sizes(gone.id) == {}
        before = path.read_bytes()
        assert await store.values.delete(record.id, ["c"]) == 0
        await store.values.put(record.id, "a", "the same ref")
        assert path.read_bytes() == before


async def test_a_number_is_not_given_again_after_a_restart(path: Path):
    async with opened(path) as store:
        record = await created(store)
        message = a_message(record)
        await store.inbox.put(message)
        [taken] = await store.inbox.find(InboxQuery(), limit=1)
        await store.inbox.discard([message.id])

    async with opened(path) as store:
        await store.inbox.put(message)
        [again] = await store.inbox.find(InboxQuery(), limit=1)
        assert again.number > taken.number


async def test_what_was_taken_out_stays_out(path: Path):
    async with opened(path) as store:
        gone = await loaded(store, (await accepted(store)).instance_id)
        await store.inbox.put(a_message(gone))
        await store.remove([removal(gone)])
        await accepted(store, status=RunStatus.CANCELLED, finished_at=NOW)
        record = await created(store)
        await store.inbox.put(a_message(record, dead_at=NOW))
        made = a_delivery(record, status=DeliveryStatus.DELIVERED, finished_at=NOW)
        await written(store, record.id, Publish(made))
        for part in (store.runs, store.inbox, store.outbox):
            assert await part.prune(before=NOW + DAY, limit=9) == 1

    async with opened(path) as store:
        assert list(await store.runs.find(RunQuery(), limit=9)) == []
        assert list(await store.inbox.find(InboxQuery(), limit=9)) == []
        assert list(await store.outbox.find(DeliveryQuery(), limit=9)) == []


async def test_a_restart_does_not_let_more_runs_be_claimed_than_a_throttle_says(path: Path):
    claim = a_claim(9, queues=("default",), throttle=Throttle(rate=2, per=MINUTE))
    async with opened(path) as store:
        for _ in range(5):
            await accepted(store)
        assert len(await store.runs.claim(replace(claim, limit=1), now=NOW)) == 1

    async with opened(path) as store:
        assert len(await store.runs.claim(claim, now=NOW)) == 1
        assert len(await store.runs.claim(claim, now=NOW + MINUTE)) == 2


async def test_a_runtime_goes_on_with_a_run_after_a_restart(path: Path):
    charged = []

    @command("charge", durable=True)
    async def charge(ctx):
        charged.append(ctx.run.key)

    order = WorkflowDefinition.from_dict(
        {
            "name": "order",
            "initial_state": "new",
            "states": {"new": {"events": {"pay": {"target": "paid", "commands": ["charge"]}}}, "paid": {}},
        }
    )
    async with WorkflowRuntime(store=JournalStore(path), definitions=[order], commands=[charge]) as runtime:
        instance = await runtime.create_instance("order")
        await runtime.trigger_event(instance.id, "pay")
        assert charged == []

    async with WorkflowRuntime(store=JournalStore(path), definitions=[order], commands=[charge]) as runtime:
        assert (await runtime.process_runs()).completed == 1
        assert (await runtime.get_instance(instance.id)).state == "paid"
    assert len(charged) == 1


# ------------------------------------------------------------------------------------------------ the lines


async def test_a_write_for_many_runs_is_one_line_and_what_changes_nothing_is_none(path: Path):
    async with opened(path) as store:
        for _ in range(2):
            await accepted(store)
        taken = await store.runs.claim(a_claim(2), now=NOW)
        await store.runs.heartbeat([one.lease for one in taken], extend=MINUTE, now=NOW)
        assert path.read_bytes().count(b"\n") == 4

        stale = Lease(taken[0].run.id, new_id())
        assert await store.runs.checkpoint(a_checkpoint(stale), now=NOW) is None
        assert list(await store.runs.claim(a_claim(2), now=NOW)) == []
        assert list(await store.outbox.claim(["mail"], lease=MINUTE, limit=9, now=NOW)) == []
        assert path.read_bytes().count(b"\n") == 4


async def test_a_change_whose_lease_is_lost_writes_no_line(path: Path):
    async with opened(path) as store:
        run = await accepted(store)
        record = await loaded(store, run.instance_id)
        before = path.read_bytes()
        lost = SaveStep(a_checkpoint(Lease(run.id, new_id())))
        async with store.transaction(record.id) as unit:
            with pytest.raises(StepRolledBack):
                await unit.write(step(record, effects=(Publish(a_delivery(record)), lost)))
        assert path.read_bytes() == before


async def test_a_worker_does_not_wait_for_ever_for_the_writer(path: Path):
    async with opened(path, lock_timeout=0.01) as store:
        run = await accepted(store)
        await written(store, run.instance_id, Publish(a_delivery(await loaded(store, run.instance_id))))
        async with store.begin():
            assert list(await store.runs.claim(a_claim(), now=NOW)) == []
            assert list(await store.outbox.claim(["mail"], lease=MINUTE, limit=9, now=NOW)) == []
            with pytest.raises(StoreUnavailable):
                await store.runs.heartbeat([Lease(run.id, new_id())], extend=MINUTE, now=NOW)
        assert await loaded_run(store, run.id) == run


async def test_a_claim_that_the_disk_refuses_is_no_claim(path: Path, monkeypatch: pytest.MonkeyPatch):
    real, failures = os.fsync, iter([True])

    def fail_once(descriptor: int) -> None:
        if next(failures, False):
            raise OSError("the disk is full")
        real(descriptor)

    async with opened(path) as store:
        run = await accepted(store)
        with monkeypatch.context() as patched, pytest.raises(StoreUnavailable, match="full"):
            patched.setattr(os, "fsync", fail_once)
            await store.runs.claim(a_claim(), now=NOW)
        assert await loaded_run(store, run.id) == run
        assert (await claimed(store)).run.attempts == 1


async def test_a_checkpoint_that_cannot_be_taken_back_leaves_the_outcome_unknown(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(_descriptor: int) -> None:
        raise OSError("the disk is gone")

    async with opened(path) as store:
        await accepted(store)
        held = await claimed(store)
        with monkeypatch.context() as patched, pytest.raises(OutcomeUnknown) as caught:
            patched.setattr(os, "fsync", fail)
            await store.runs.checkpoint(a_checkpoint(held.lease), now=NOW)
        assert (caught.value.instance_id, caught.value.version_before) == (held.run.instance_id, 1)

    async with opened(path) as store:
        assert len((await loaded_run(store, held.run.id)).journal) in {0, 1}


# ------------------------------------------------------------------------------------------------ a process that dies


@pytest.mark.parametrize(
    ("last", "how", "lengths"),
    [("committing", "half written", {1}), ("committing", "written", {1, 2}), ("20", "never", None)],
)
async def test_a_killed_worker_loses_no_checkpoint_that_was_answered_and_another_goes_on(
    path: Path, last: str, how: str, lengths: set[int] | None
):
    instance_id = new_id()

    printed = await killed_after_printing(last, path, instance_id, how, what="checkpoints")

    answered = max(int(line) for line in printed if line != "committing")
    async with opened(path) as store:
        [run] = await store.runs.find(RunQuery(instance_id=instance_id), limit=9)
        assert [entry["number"] for entry in run.journal] == list(range(len(run.journal)))
        assert len(run.journal) in lengths if lengths else len(run.journal) >= answered
        assert list(await store.runs.claim(a_claim(), now=NOW)) == []
        again = await claimed(store, now=NOW + MINUTE)
        assert (again.run.journal, again.run.crashes) == (run.journal, 1)
