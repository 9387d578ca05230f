"""The wire is cut at every message of whatever makes a durable event happen, before the server gets it and after it answered.

The first round trip of an operation is cut, then the second, and so on to the last, each time on a fresh instance. After the
cut somebody else goes on, when the lease has ended or as the caller tries again. In the end everything has happened as if
nothing had been: once.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from uuid import UUID

import pytest
from sqlalchemy import text

from detent import (
    CommandContext,
    Delivery,
    GiveUp,
    Retry,
    RunStatus,
    Settings,
    WorkflowDefinition,
    WorkflowInstance,
    WorkflowRuntime,
    command,
    subscriber,
)
from detent.errors import DetentError, InstanceFinished, NothingToRetry, OutcomeUnknown, RunNotActive, StoreUnavailable
from detent.store.run_records import Run
from detent.testing.clock import FakeClock
from detent.testing.store_contract.samples import assert_whole
from detent_pg import PgStore
from packages.pg.tests.orm import Note
from packages.pg.tests.test_cuts import at
from packages.pg.tests.wire import Wire

BOTH = pytest.mark.parametrize("forward", [False, True], ids=["before", "after"])
RETRY = Retry(attempts=5, initial=timedelta(minutes=1), jitter=0)
SETTINGS = Settings(run_retry=RETRY, inbox_retry=RETRY, outbox_retry=RETRY, max_crashes=5)
ORDER = {
    "name": "order",
    "publish": "order",
    "initial_state": "new",
    "states": {
        "new": {
            "events": {
                "pay": {"target": "paid", "commands": ["reserve", "book", "charge"]},
                "go": {"target": "off"},
                "ring": {"target": "paid", "commands": ["ring", "ring"]},
            }
        },
        "paid": {"events": {"back": {"target": "new"}}},
        "off": {"outcome": "cancelled", "events": {}},
    },
}


@dataclass
class World:
    """A runtime behind the wire, another one beside it, and what commands and subscribers did."""

    wired: WorkflowRuntime
    beside: WorkflowRuntime
    store: PgStore
    clock: FakeClock
    effects: Counter[str] = field(default_factory=Counter)
    """Which attempts durable commands began, by their keys."""
    told: Counter[UUID] = field(default_factory=Counter)
    """Which deliveries subscribers took."""
    raising: dict[UUID, Exception] = field(default_factory=dict)
    """What the first attempt of `charge` raises, by instance."""

    async def created(self) -> WorkflowInstance:
        return await self.beside.create_instance("order")

    async def accepted(self) -> WorkflowInstance:
        created = await self.created()
        return (await self.beside.trigger_event(created.id, "pay")).instance

    async def run_of(self, instance: WorkflowInstance) -> Run:
        [run] = await self.beside.runs.for_instance(instance.id)
        return run

    async def settled(self) -> None:
        """Somebody else brings everything to its end, when leases and back-offs are over."""
        for _ in range(4):
            self.clock.advance(timedelta(hours=1))
            await self.beside.process_runs()
            await self.beside.process_inbox()
            await self.beside.process_outbox(limit=1000)

    async def events(self, instance: WorkflowInstance) -> list[str]:
        entries = await self.store.history(instance.id, limit=100)
        return [f"{entry.event} {entry.outcome}" for entry in reversed(entries)]


@pytest.fixture(name="world")
async def world_fixture(wired: PgStore, store: PgStore) -> AsyncIterator[World]:
    @command("reserve", durable=True)
    async def reserve(ctx: CommandContext) -> None:
        assert ctx.run is not None
        world.effects[ctx.run.key] += 1
        await ctx.run.checkpoint("half", 1)
        await ctx.run.progress(0.5)
        await ctx.run.heartbeat()
        ctx.context["reserved"] = ctx.run.key

    @command("book")
    async def book(ctx: CommandContext) -> None:
        ctx.connection.add(Note(note=f"booked {ctx.transition_id}"))
        ctx.context["booked"] = ctx.context["reserved"]
        ctx.publish("order.booked")

    @command("charge", durable=True)
    async def charge(ctx: CommandContext) -> None:
        assert ctx.run is not None
        world.effects[ctx.run.key] += 1
        error = world.raising.pop(ctx.instance_id, None)
        if error is not None:
            raise error

    @command("ring", durable=True)
    async def ring(ctx: CommandContext) -> None:
        assert ctx.run is not None
        world.effects[ctx.run.key] += 1

    @subscriber("*")
    async def ear(delivery: Delivery) -> None:
        world.told[delivery.id] += 1

    clock = FakeClock()

    def runtime(over: PgStore) -> WorkflowRuntime:
        return WorkflowRuntime(
            store=over,
            definitions=[WorkflowDefinition.from_dict(ORDER)],
            commands=[reserve, book, charge, ring],
            subscribers=[ear],
            clock=clock,
            settings=SETTINGS,
        )

    async with AsyncExitStack() as stack:
        beside = await stack.enter_async_context(runtime(store))
        behind = await stack.enter_async_context(runtime(wired))
        world = World(behind, beside, store, clock)
        yield world


Work = Callable[[World, WorkflowInstance], Awaitable[object]]
Prepare = Callable[[World], Awaitable[WorkflowInstance]]
Check = Callable[[World, WorkflowInstance, bool], Awaitable[None]]


async def each_cut(wire: Wire, world: World, forward: bool, prepare: Prepare, work: Work, check: Check) -> int:
    """Cut one round trip of `work` after the other until it has no further one, each time let others go on, and check what
    came of it; how many there were.
    """
    for place in count():
        # The connection that was cut is another one now, with nothing prepared.
        await work(world, await prepare(world))
        await world.settled()
        instance = await prepare(world)
        wire.cut(at(place), forward=forward)
        with wire.recording() as trips:
            answered = await works(world, instance, work)
        if not wire.was_cut.is_set():
            assert answered
            return place
        try:
            await world.settled()
            await check(world, instance, answered)
        except (AssertionError, DetentError) as error:
            error.add_note(f"cut {'after' if forward else 'before'} round trip {place}: {trips[place]}")
            raise
    raise AssertionError("counting does not end")


async def works(world: World, instance: WorkflowInstance, work: Work) -> bool:
    try:
        await work(world, instance)
    except (StoreUnavailable, OutcomeUnknown):
        return False
    return True


async def paid_once(world: World, instance: WorkflowInstance, *, attempts: int = 1) -> None:
    """The event was taken once: by its history, its run, its effects outside and in the database, and its news."""
    run = await world.run_of(instance)
    after = await world.beside.get_instance(instance.id)
    assert (after.state, after.run_id, run.status) == ("paid", None, RunStatus.COMPLETED)
    assert [entry["command"] for entry in run.journal] == ["reserve", "book", "charge"]
    assert after.context == {"reserved": f"{run.id}:0", "booked": f"{run.id}:0"}
    made = {key: count for key, count in world.effects.items() if key.startswith(str(run.id))}
    assert made == {f"{run.id}:0": 1, f"{run.id}:2": attempts}
    await assert_whole(world.store, instance.id)
    async with world.store.engine.connect() as connection:
        query = text("SELECT count(*) FROM notes WHERE note = :note")
        assert await connection.scalar(query, {"note": f"booked {run.id}"}) == 1
    deliveries = await world.beside.outbox.list(instance=instance)
    assert [delivery.topic for delivery in deliveries] == ["order.created", "order.pay", "order.booked"]
    assert [(delivery.status, world.told[delivery.id]) for delivery in deliveries] == [("delivered", 1)] * 3


# ------------------------------------------------------------------------------------------------ what begins a run


@BOTH
@pytest.mark.parametrize("verb", ["trigger_event", "enqueue_event"])
async def test_an_acceptance_that_is_cut_is_there_once_when_its_caller_asks_again(
    wire: Wire, world: World, verb: str, forward: bool
) -> None:
    async def accept(world: World, instance: WorkflowInstance) -> None:
        await getattr(world.wired, verb)(instance.id, "pay", idempotency_key="once")

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        again = await world.beside.trigger_event(instance.id, "pay", idempotency_key="once")
        assert again.replayed or not answered
        await world.settled()
        assert await world.events(instance) == ["$created success", "pay accepted", "pay success"]
        await paid_once(world, instance)

    assert await each_cut(wire, world, forward, World.created, accept, check) > 1


@BOTH
async def test_an_acceptance_without_a_key_tells_the_truth(wire: Wire, world: World, forward: bool) -> None:
    async def accept(world: World, instance: WorkflowInstance) -> None:
        await world.wired.trigger_event(instance.id, "pay")

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        assert len(await world.events(instance)) == (3 if answered else 1)
        assert len(await world.beside.runs.for_instance(instance.id)) == answered

    assert await each_cut(wire, world, forward, World.created, accept, check) > 1


# ------------------------------------------------------------------------------------------------ what advances it


async def work(world: World, instance: WorkflowInstance) -> None:
    await world.wired.process_runs()


@BOTH
async def test_a_run_that_is_cut_anywhere_ends_once(wire: Wire, world: World, forward: bool) -> None:
    """Its claim, what its commands keep, its checkpoints, the commit of its transactional command, and its end."""

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        assert await world.events(instance) == ["$created success", "pay accepted", "pay success"]
        await paid_once(world, instance)

    # The claim, three words and a checkpoint, the command in its transaction, a checkpoint, and the end.
    assert await each_cut(wire, world, forward, World.accepted, work, check) > 10


@BOTH
async def test_two_commands_that_answer_alike_are_told_apart(wire: Wire, world: World, forward: bool) -> None:
    """The same command twice: that the first answer is there does not say that the second one is."""

    async def prepare(world: World) -> WorkflowInstance:
        created = await world.created()
        return (await world.beside.trigger_event(created.id, "ring")).instance

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        run = await world.run_of(instance)
        assert (run.status, run.reason) == (RunStatus.COMPLETED, None)
        assert [entry["command"] for entry in run.journal] == ["ring", "ring"]
        assert [world.effects[f"{run.id}:{place}"] for place in range(3)] == [1, 1, 0]

    # The claim, a checkpoint, and the end with the second answer.
    assert await each_cut(wire, world, forward, prepare, work, check) > 3


@BOTH
async def test_a_run_that_is_given_back_after_an_error_is_tried_again_once(
    wire: Wire, world: World, forward: bool
) -> None:
    async def prepare(world: World) -> WorkflowInstance:
        instance = await world.accepted()
        world.raising[instance.id] = ConnectionError("down")
        return instance

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        assert await world.events(instance) == ["$created success", "pay accepted", "pay success"]
        await paid_once(world, instance, attempts=2)

    assert await each_cut(wire, world, forward, prepare, work, check) > 10


@BOTH
async def test_a_heartbeat_that_is_cut_keeps_the_lease_or_says_so(wire: Wire, world: World, forward: bool) -> None:
    async def beat(world: World, instance: WorkflowInstance) -> None:
        [claimed] = [one for one in await world.beside.running().runs.claim(10) if one.run.instance_id == instance.id]
        world.clock.advance(timedelta(seconds=20))
        runs, now = world.wired.running().parts.store.runs, world.clock.now()
        assert set(await runs.heartbeat([claimed.lease], extend=SETTINGS.lease, now=now)) == {claimed.run.id}
        world.clock.advance(timedelta(seconds=20))
        await world.beside.process_runs()
        assert (await world.run_of(instance)).lease_token == claimed.lease.token

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        assert answered
        await paid_once(world, instance)

    assert await each_cut(wire, world, forward, World.accepted, beat, check) == 1


# ------------------------------------------------------------------------------------------------ what operators do


async def parked(world: World) -> WorkflowInstance:
    instance = await world.accepted()
    world.raising[instance.id] = GiveUp("no such card")
    await world.beside.process_runs()
    assert (await world.run_of(instance)).status is RunStatus.PARKED
    return instance


@BOTH
async def test_a_run_whose_parking_is_cut_is_parked_once(wire: Wire, world: World, forward: bool) -> None:
    async def prepare(world: World) -> WorkflowInstance:
        instance = await world.accepted()
        world.raising[instance.id] = GiveUp("no such card")
        return instance

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        run = await world.run_of(instance)
        assert (run.status, run.reason) == (RunStatus.PARKED, "no such card")
        assert await world.events(instance) == ["$created success", "pay accepted", "$parked failed"]
        await world.beside.runs.retry(run.id)
        await world.settled()
        await paid_once(world, instance, attempts=2)

    assert await each_cut(wire, world, forward, prepare, work, check) > 10


@BOTH
async def test_a_retry_that_is_cut_is_done_once(wire: Wire, world: World, forward: bool) -> None:
    async def retry(world: World, instance: WorkflowInstance) -> None:
        await world.wired.runs.retry((await world.run_of(instance)).id)

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        if not answered:
            await retried(world, instance)
        await paid_once(world, instance, attempts=2)
        assert [event.partition(" ")[0] for event in await world.events(instance)].count("$run_retried") == 1

    async def retried(world: World, instance: WorkflowInstance) -> None:
        try:
            await world.beside.runs.retry((await world.run_of(instance)).id)
        except (NothingToRetry, RunNotActive):
            return
        await world.settled()

    assert await each_cut(wire, world, forward, parked, retry, check) > 1


@BOTH
@pytest.mark.parametrize("whole", [False, True], ids=["run", "instance"])
async def test_a_cancellation_that_is_cut_is_done_once(wire: Wire, world: World, forward: bool, whole: bool) -> None:
    async def cancel(world: World, instance: WorkflowInstance) -> None:
        if whole:
            await world.wired.cancel(instance.id)
        else:
            await world.wired.runs.cancel((await world.run_of(instance)).id)

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        if not answered:
            with suppress(InstanceFinished, RunNotActive):
                await cancel(world, instance)
        run, after = await world.run_of(instance), await world.beside.get_instance(instance.id)
        assert (run.status, after.run_id) == (RunStatus.CANCELLED, None)
        assert after.status == ("cancelled" if whole else "active")
        assert len(await world.events(instance)) == 4

    assert await each_cut(wire, world, forward, parked, cancel, check) > 1


# ------------------------------------------------------------------------------------------------ messages


@BOTH
async def test_a_message_whose_sending_is_cut_is_taken_once(wire: Wire, world: World, forward: bool) -> None:
    async def send(world: World, instance: WorkflowInstance) -> None:
        await world.wired.send(instance.id, "pay", idempotency_key="once")

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        if not answered:
            await world.beside.send(instance.id, "pay", idempotency_key="once")
            await world.settled()
        assert list(await world.beside.inbox.list(instance=instance)) == []
        assert await world.events(instance) == ["$created success", "pay accepted", "pay success"]
        await paid_once(world, instance)

    assert await each_cut(wire, world, forward, World.created, send, check) > 1


@BOTH
@pytest.mark.parametrize("event", ["pay", "go"])
async def test_a_message_whose_taking_is_cut_is_taken_once(wire: Wire, world: World, event: str, forward: bool) -> None:
    async def sent(world: World) -> WorkflowInstance:
        instance = await world.created()
        await world.beside.send(instance.id, event)
        return instance

    async def take(world: World, instance: WorkflowInstance) -> None:
        await world.wired.process_inbox()

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        assert list(await world.beside.inbox.list(instance=instance)) == []
        if event == "pay":
            await paid_once(world, instance)
        else:
            assert await world.events(instance) == ["$created success", "go success"]

    assert await each_cut(wire, world, forward, sent, take, check) > 3


@BOTH
async def test_deliveries_that_are_cut_are_made_and_noted(wire: Wire, world: World, forward: bool) -> None:
    """At least once is the promise. A cut at the claim or at the note of an outcome makes none of them twice."""

    async def published(world: World) -> WorkflowInstance:
        await world.beside.process_outbox(limit=1000)
        instance = await world.created()
        await world.beside.trigger_event(instance.id, "go")
        return instance

    async def deliver(world: World, instance: WorkflowInstance) -> None:
        await world.wired.process_outbox()

    async def check(world: World, instance: WorkflowInstance, answered: bool) -> None:
        deliveries = await world.beside.outbox.list(instance=instance)
        assert [delivery.topic for delivery in deliveries] == ["order.created", "order.go"]
        assert [(delivery.status, world.told[delivery.id]) for delivery in deliveries] == [("delivered", 1)] * 2

    assert await each_cut(wire, world, forward, published, deliver, check) > 3
