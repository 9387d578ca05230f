"""Many created and many triggered in one call, and how many of them are under way, on every store that needs no server."""

# ruff: noqa: PT012 (that a whole block comes to nothing is what some of these tests are about)

import asyncio
from collections import Counter
from contextlib import aclosing
from itertools import count as numbers
from typing import Any

import pytest

from detent import (
    EventNotAvailable,
    IdempotencyConflict,
    InstanceNotFound,
    InvalidValue,
    MemoryStore,
    Refuse,
    RetentionPolicy,
    SqliteStore,
    UnknownWorkflow,
    VersionConflict,
    WorkflowRuntime,
    WorkflowService,
    WorkflowUnavailable,
    command,
    guard,
)
from detent.errors import NotStarted
from detent.ids import new_id
from detent.runtime.at_once import AT_ONCE, LOCKED_AT_ONCE

ORDER = {
    "name": "order",
    "initial_state": "open",
    "context_model": {"type": "object", "properties": {"total": {"type": "integer"}}},
    "states": {
        "open": {
            "events": {
                "pay": {"target": "paid", "guard": "enough"},
                "note": {"internal": True, "payload": {"type": "object"}},
                "pack": {"target": "packed", "commands": ["pack"]},
            }
        },
        "paid": {"events": {"ship": {"target": "shipped"}}},
        "packed": {},
        "shipped": {},
    },
}
PARCEL = {
    "name": "parcel",
    "initial_state": "new",
    "states": {"new": {"on_enter": {"commands": ["pack"], "target": "packed"}}, "packed": {}},
}


class Boom(Exception):
    pass


class Gate:
    """Lets calls in and counts them, and none out before it is opened."""

    def __init__(self) -> None:
        self.under_way = 0
        self.most = 0
        self._open = asyncio.Event()
        self._more = asyncio.Event()

    async def through(self) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self._more.set()
        try:
            await self._open.wait()
        finally:
            self.under_way -= 1

    async def crowded(self, wanted: int) -> None:
        """Wait until so many are inside, and until nobody else can come."""
        async with asyncio.timeout(20):
            while self.under_way < wanted:
                await self._more.wait()
                self._more.clear()
        for _ in range(50):
            await asyncio.sleep(0)

    def open(self) -> None:
        self._open.set()


class GatedStore(MemoryStore):
    """A store behind a gate, once it has one."""

    gate: Gate | None = None

    async def _wait(self) -> None:
        if self.gate is not None:
            await self.gate.through()

    async def create(self, change, **more):
        await self._wait()
        return await super().create(change, **more)

    async def apply(self, instance_id, decide, **more):
        await self._wait()
        return await super().apply(instance_id, decide, **more)

    async def remove(self, removals, **more):
        await self._wait()
        return await super().remove(removals, **more)

    async def history(self, instance_id, **more):
        await self._wait()
        return await super().history(instance_id, **more)


@guard("enough")
def enough(ctx):
    return ctx.context.get("total", 0) > 0 or Refuse("nothing to pay")


@command("pack")
async def pack(ctx):
    if ctx.context.get("broken"):
        raise Boom("the parcel is broken")
    if ctx.subject is not None:
        await ctx.subject.through()


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "detent.db")


@pytest.fixture
async def runtime(running):
    return await running(ORDER, PARCEL, commands=[pack], guards=[enough])


@pytest.fixture
def gated(running):
    """A runtime over a store with a gate, and the gate, which counts from its first use on."""

    async def start(**options):
        store = GatedStore()
        return await running(ORDER, PARCEL, commands=[pack], guards=[enough], store=store, **options), store

    return start


async def created(runtime, count, **fields):
    return [await runtime.create_instance("order", **fields) for _ in range(count)]


async def gone_through(answers):
    return [done async for done in answers]


# ------------------------------------------------------------------------------------------------ create_many


async def test_each_item_becomes_an_instance_or_an_error_in_the_order_of_the_items(runtime):
    items: list[Any] = [{"context": {"total": number}, "metadata": {"row": number}} for number in range(300)]
    items[7] = {"context": {"total": "much"}}
    items[8] = {"context": {"total": 8}, "label": {}}
    items[9] = "total 9"
    items[299] = {"parent": "nobody"}

    answers = await gone_through(runtime.create_many("order", iter(items)))

    assert [done.item for done in answers] == items
    assert [number for number, done in enumerate(answers) if done.error] == [7, 8, 9, 299]
    assert [type(answers[number].error) for number in (7, 8, 9, 299)] == [InvalidValue] * 4
    assert answers[7].result is None
    with pytest.raises(InvalidValue, match="label"):
        answers[8].get()
    made = [done.get() for done in answers if done.error is None]
    assert [instance.metadata["row"] for instance in made] == [
        number for number in range(299) if number not in (7, 8, 9)
    ]
    assert all(instance.created and instance.state == "open" for instance in made)
    assert (await runtime.get_instance(made[-1].id)).context == {"total": 298}
    assert await runtime.count_instances() == {(): 296}


async def test_a_key_makes_one_instance_however_often_it_comes(runtime):
    items: list[Any] = [
        {"idempotency_key": f"row {number % 5}", "idempotency_fingerprint": "a"} for number in range(40)
    ]
    items.append({"idempotency_key": "row 1", "idempotency_fingerprint": "b"})

    *answers, conflicting = await gone_through(runtime.create_many("order", items))

    assert isinstance(conflicting.error, IdempotencyConflict)
    made = [done.get() for done in answers]
    assert Counter(instance.created for instance in made) == {True: 5, False: 35}
    assert len({instance.id for instance in made}) == 5
    assert all(instance.id == made[number % 5].id for number, instance in enumerate(made))
    again = await gone_through(runtime.create_many("order", items))
    assert [done.result and done.result.id for done in again] == [*(instance.id for instance in made), None]


async def test_where_commands_run_at_the_entry_each_has_a_step_of_its_own(runtime):
    items = [{"context": {"broken": number == 3}} for number in range(20)]

    answers = await gone_through(runtime.create_many("parcel", items))

    assert [number for number, done in enumerate(answers) if done.error] == [3]
    assert isinstance(answers[3].error, Boom)
    assert {done.get().state for done in answers if done is not answers[3]} == {"packed"}
    assert await runtime.count_instances() == {(): 19}


async def test_what_can_be_said_at_once_is_said_at_once(running, store):
    with pytest.raises(NotStarted):
        WorkflowRuntime(store=MemoryStore(), definitions=[]).create_many("order", [])
    runtime = await running(ORDER, commands=[pack], guards=[enough])
    with pytest.raises(UnknownWorkflow):
        runtime.create_many("odrer", [])
    wrong: list[Any] = ["rows", {"context": {}}, None, 5]
    for items in wrong:
        with pytest.raises(InvalidValue, match="items"):
            runtime.create_many("order", items)
        with pytest.raises(InvalidValue, match="items"):
            runtime.trigger_many(items)
    for at_once in (0, 1001, True, 2.0):
        with pytest.raises(InvalidValue, match="at_once"):
            runtime.create_many("order", [], at_once=at_once)
        with pytest.raises(InvalidValue, match="at_once"):
            runtime.trigger_many([], at_once=at_once)
        with pytest.raises(InvalidValue, match="at_once"):
            await runtime.pause_instances(at_once=at_once)
    runtime.running().parts.machines.withdraw("order", ["it is ill"])
    with pytest.raises(WorkflowUnavailable):
        runtime.create_many("order", [])
    assert await gone_through(runtime.trigger_many([])) == []


async def test_who_and_why_is_said_of_all_and_more_of_one(runtime):
    service = WorkflowService(runtime).acting(actor="ana")
    items: list[Any] = [
        {},
        {"trigger_metadata": {"row": 2}},
        {"trigger_metadata": {"source": "hand"}},
        {"trigger_metadata": "x"},
    ]

    answers = await gone_through(service.create_many("order", items, trigger_metadata={"source": "file"}))

    said = [(await runtime.get_history(done.get().id))[0].trigger_metadata for done in answers[:3]]
    assert said == [
        {"actor": "ana", "source": "file"},
        {"actor": "ana", "source": "file", "row": 2},
        {"actor": "ana", "source": "hand"},
    ]
    assert answers[3].error is not None
    triggers = [{"instance_id": done.get(), "name": "note", "payload": {}} for done in answers[:2]]
    await gone_through(runtime.trigger_many(triggers, trigger_metadata={"source": "file"}))
    assert (await runtime.get_history(answers[0].get().id))[0].trigger_metadata == {"source": "file"}


async def test_a_service_of_a_tenant_makes_and_touches_its_own(runtime):
    acme, other = (WorkflowService(runtime).for_tenant(name) for name in ("acme", "other"))

    mine, foreign = await gone_through(acme.create_many("order", [{}, {"tenant": "other"}]))

    assert mine.get().tenant == "acme"
    assert isinstance(foreign.error, InvalidValue)
    [seen] = await gone_through(other.trigger_many([{"instance_id": mine.get().id, "name": "pack"}]))
    assert isinstance(seen.error, InstanceNotFound)


# ------------------------------------------------------------------------------------------------ trigger_many


async def test_each_event_ends_as_if_it_had_come_alone(runtime):
    paying, poor, packing, broken, noted, stale = [
        await runtime.create_instance("order", context=context)
        for context in ({"total": 5}, {}, {}, {"broken": True}, {}, {"total": 5})
    ]
    items = [
        {"instance_id": paying, "name": "pay"},
        {"instance_id": str(poor.id), "name": "pay"},
        {"instance_id": packing.id, "name": "pack", "workflow": "order"},
        {"instance_id": broken.id, "name": "pack"},
        {"instance_id": noted.id, "name": "note", "payload": 5},
        {"instance_id": stale.id, "name": "pay", "expected_version": 9},
        {"instance_id": poor.id, "name": "ship"},
        {"instance_id": new_id(), "name": "pay"},
        {"instance_id": "no id", "name": "pay"},
        {"instance_id": poor.id},
        {"instance_id": poor.id, "name": "pay", "connection": object()},
        {"instance_id": poor.id, "name": ["pay"]},
    ]

    answers = await gone_through(runtime.trigger_many(item for item in items))

    assert [done.item for done in answers] == items
    assert [done.get().outcome for done in answers[:3]] == ["success", "refused", "success"]
    assert [done.get().to_state for done in answers[:3]] == ["paid", "open", "packed"]
    assert [type(done.error) for done in answers[3:8]] == [
        Boom,
        InvalidValue,
        VersionConflict,
        EventNotAvailable,
        InstanceNotFound,
    ]
    assert [type(done.error) for done in answers[8:11]] == [InvalidValue] * 3
    assert answers[11].error is not None
    assert [entry.outcome for entry in await runtime.get_history(broken.id)] == ["failed", "success"]
    assert (await runtime.get_instance(stale.id)).version == 1


async def test_events_of_one_instance_are_taken_in_their_order(runtime):
    made = await created(runtime, 30, context={"total": 5})
    items = [{"instance_id": instance.id, "name": name} for name in ("note", "pay", "ship") for instance in made]
    for item in items[:30]:
        item["payload"] = {}

    answers = await gone_through(runtime.trigger_many(items))

    assert [done.error for done in answers] == [None] * 90
    assert [done.get().to_state for done in answers] == ["open"] * 30 + ["paid"] * 30 + ["shipped"] * 30
    one = made[0]
    again = [{"instance_id": one, "name": name} for name in ("note", "pack")] * 8
    assert [done.error is None for done in await gone_through(runtime.trigger_many(again))] == [False] * 16


async def test_a_repeated_call_is_answered_by_its_keys(runtime):
    items = [
        {"instance_id": instance, "name": "pay", "idempotency_key": "monday"}
        for instance in await created(runtime, 20, context={"total": 5})
    ]

    first = await gone_through(runtime.trigger_many(items + items))
    second = await gone_through(runtime.trigger_many(items))

    assert [done.get().replayed for done in first] == [False] * 20 + [True] * 20
    assert all(done.get().replayed and done.get().to_state == "paid" for done in second)


# ------------------------------------------------------------------------------------------------ how many at once


@pytest.mark.parametrize(("said", "expected"), [({}, AT_ONCE), ({"at_once": 5}, 5), ({"at_once": 1}, 1)])
async def test_never_more_are_under_way_than_said(gated, said, expected):
    runtime, store = await gated()
    made = await created(runtime, 300)
    store.gate = gate = Gate()

    async with asyncio.TaskGroup() as tasks:
        creations = tasks.create_task(gone_through(runtime.create_many("order", [{}] * 300, **said)))
        await gate.crowded(expected)
        gate.open()
    assert (gate.most, len(creations.result())) == (expected, 300)

    store.gate = gate = Gate()
    items = [{"instance_id": instance.id, "name": "note", "payload": {}} for instance in made]
    async with asyncio.TaskGroup() as tasks:
        events = tasks.create_task(gone_through(runtime.trigger_many(items, **said)))
        await gate.crowded(expected)
        gate.open()
    assert (gate.most, [done.error for done in events.result()]) == (expected, [None] * 300)


@pytest.mark.parametrize("known", [True, False], ids=["of a known workflow", "of an unknown workflow"])
async def test_of_events_that_lock_a_row_a_few_are_under_way(running, known):
    runtime = await running(ORDER, PARCEL, commands=[pack], guards=[enough], store=MemoryStore())
    made, gate = await created(runtime, 40), Gate()
    items = [{"instance_id": instance if known else instance.id, "name": "pack", "subject": gate} for instance in made]

    async with asyncio.TaskGroup() as tasks:
        events = tasks.create_task(gone_through(runtime.trigger_many(items)))
        await gate.crowded(LOCKED_AT_ONCE)
        gate.open()

    assert gate.most == LOCKED_AT_ONCE
    assert {done.get().to_state for done in events.result()} == {"packed"}


async def test_items_are_taken_as_there_is_room_and_any_number_can_be_streamed(runtime):
    taken = list[int]()

    def rows():
        for number in numbers():
            taken.append(number)
            yield {"metadata": {"row": number}}

    async with aclosing(runtime.create_many("order", rows(), at_once=10)) as answers:
        async for done in answers:
            assert len(taken) <= done.get().metadata["row"] + 11
            if done.get().metadata["row"] == 500:
                break

    assert len(taken) <= 511
    assert 501 <= (await runtime.count_instances())[()] <= 511


async def test_what_a_source_raises_is_raised_behind_what_was_done_before(runtime):
    def rows():
        for number in range(25):
            yield {"metadata": {"row": number}}
        raise Boom("line 26 cannot be read")

    seen = []
    with pytest.raises(Boom):
        async for done in runtime.create_many("order", rows(), at_once=10):
            seen.append(done.get().metadata["row"])

    assert seen == list(range(25))
    assert await runtime.count_instances() == {(): 25}


async def test_who_is_cancelled_leaves_each_item_whole_or_absent(gated):
    runtime, store = await gated()
    made = await created(runtime, 50, context={"total": 5})
    store.gate = gate = Gate()
    items = [{"instance_id": instance, "name": "pay"} for instance in made]

    task = asyncio.create_task(gone_through(runtime.trigger_many(items, at_once=10)))
    await gate.crowded(10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    gate.open()
    await runtime.running().parts.drained()

    assert task.cancelled()
    states = Counter([(await runtime.get_instance(instance.id)).state for instance in made])
    assert states["open"] >= 40
    assert set(states) <= {"open", "paid"}


async def test_who_lends_a_transaction_gets_one_after_the_other_in_it(running):
    store = MemoryStore()
    runtime = await running(ORDER, PARCEL, commands=[pack], guards=[enough], store=store)
    made = await created(runtime, 20, context={"total": 5})

    async def all_of_it(transaction):
        service = WorkflowService(runtime).within(transaction)
        events = [{"instance_id": instance, "name": "pay"} for instance in made] + [{"instance_id": made[0]}]
        answers = await gone_through(service.trigger_many(events))
        assert [done.error is None for done in answers] == [True] * 20 + [False]
        assert len(await gone_through(service.create_many("order", [{}] * 20))) == 20
        report = await service.pause_instances(ids=made)
        assert report.changed == tuple(sorted(instance.id for instance in made))

    with pytest.raises(Boom):
        async with store.begin() as transaction:
            await all_of_it(transaction)
            raise Boom
    assert await runtime.count_instances(group_by=["state", "status"]) == {("open", "active"): 20}
    async with store.begin() as transaction:
        await all_of_it(transaction)
    assert await runtime.count_instances(group_by=["state", "status"]) == {
        ("paid", "paused"): 20,
        ("open", "active"): 20,
    }


# ------------------------------------------------------------------------------------------------ verbs of operators


@pytest.mark.parametrize(
    ("verb", "said", "expected"),
    [
        ("pause_instances", {}, AT_ONCE),
        ("pause_instances", {"at_once": 3}, 3),
        ("cancel_instances", {}, AT_ONCE),
        ("patch_contexts", {"patch": {"total": 1}}, AT_ONCE),
        ("delete_instances", {"force": True}, LOCKED_AT_ONCE),
        ("delete_instances", {"force": True, "at_once": 2}, 2),
        ("retry_instances", {}, LOCKED_AT_ONCE),
    ],
)
async def test_verbs_of_operators_take_many_at_once_and_report_in_the_order_of_ids(gated, verb, said, expected):
    runtime, store = await gated()
    made = await created(runtime, 150)
    store.gate = gate = Gate()

    async with asyncio.TaskGroup() as tasks:
        going = tasks.create_task(getattr(runtime, verb)(**said))
        await gate.crowded(expected)
        gate.open()

    report = going.result()
    handled = report.changed or tuple(failure.instance_id for failure in report.failed)
    assert gate.most == expected
    assert handled == tuple(sorted(instance.id for instance in made))
    assert report.cursor is None


async def test_states_that_are_forced_lock_a_few_rows_at_once(gated):
    runtime, store = await gated()
    made = await created(runtime, 40)
    store.gate = gate = Gate()

    async with asyncio.TaskGroup() as tasks:
        going = tasks.create_task(runtime.force_instances("paid", reason="by hand"))
        await gate.crowded(LOCKED_AT_ONCE)
        gate.open()

    assert gate.most == LOCKED_AT_ONCE
    assert len(going.result().changed) == len(made)


async def test_what_fails_among_many_is_reported_in_its_place(runtime):
    made = await created(runtime, 60)
    for instance in made[::3]:
        await runtime.cancel(instance)

    report = await runtime.pause_instances()

    assert report.changed == tuple(instance.id for number, instance in enumerate(made) if number % 3)
    assert [(failure.instance_id, failure.code) for failure in report.failed] == [
        (instance.id, "instance_finished") for instance in made[::3]
    ]
    assert (await runtime.pause_instances(status="paused")).unchanged == report.changed


async def test_retention_reads_what_it_archives_a_few_at_once(gated, clock):
    runtime, store = await gated(retention=[RetentionPolicy("order", after="1d", action="archive")])
    made = await created(runtime, 40)
    for instance in made:
        await runtime.trigger_event(instance, "pack")
    clock.advance(days=2)
    store.gate = gate = Gate()

    async with asyncio.TaskGroup() as tasks:
        going = tasks.create_task(runtime.apply_retention(batch=20))
        await gate.crowded(LOCKED_AT_ONCE)
        gate.open()

    assert gate.most == LOCKED_AT_ONCE
    assert going.result().archived == 40
    for instance in made:
        assert (await runtime.get_archived(instance.id)).document is not None


async def test_an_upgrade_moves_many_at_once_and_reports_in_the_order_of_ids(gated, running):
    first, store = await gated()
    made = [instance.id for instance in await created(first, 150)]
    second = await running(ORDER, {**ORDER, "version": 2}, commands=[pack], guards=[enough], store=store)
    store.gate = gate = Gate()

    async with asyncio.TaskGroup() as tasks:
        going = tasks.create_task(WorkflowService(second).upgrade_instances("order"))
        await gate.crowded(AT_ONCE)
        gate.open()

    assert gate.most == AT_ONCE
    assert [moved.instance_id for moved in going.result().upgraded] == made
    async with store.begin() as transaction:
        service = WorkflowService(second).within(transaction)
        back = await service.upgrade_instances("order", from_version=2, to_version=1)
    assert [moved.instance_id for moved in back.upgraded] == made
    assert await second.count_instances(group_by="definition_version") == {"1": 150}
