"""Runs and messages on PostgreSQL: what goes over the wire, who may go on at the same time, and what a cut leaves."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from detent import CommandContext, WorkflowDefinition, WorkflowRuntime, command
from detent.errors import StepRolledBack, StoreUnavailable
from detent.store.change import AddMessage, AddRun, Change, MoveRun, Publish, PutBack, SaveStep, TakeMessage
from detent.store.messages import InboxQuery
from detent.store.records import Status, WorkflowInstance
from detent.store.run_records import ClaimedRun, Release, Run, RunStatus, Throttle
from detent.testing.clock import FakeClock
from detent.testing.store_contract.samples import (
    DAY,
    MINUTE,
    NOW,
    a_checkpoint,
    a_claim,
    a_delivery,
    a_message,
    a_run,
    accepted,
    assert_whole,
    claimed,
    created,
    effects_only,
    loaded_run,
    step,
)
from detent_pg import PgStore
from detent_pg.schema import tables
from detent_pg.statements import writing
from detent_pg.throttling import Taken, remembered, room
from packages.pg.tests.wire import Wire

BOTH = pytest.mark.parametrize("forward", [False, True], ids=["before", "after"])
ENDS = ("BEGIN", "COMMIT", "ROLLBACK")

WRITES: dict[str, Callable[[PgStore, ClaimedRun], Awaitable[object]]] = {
    "checkpoint": lambda store, held: store.runs.checkpoint(a_checkpoint(held.lease), now=NOW),
    "heartbeat": lambda store, held: store.runs.heartbeat([held.lease], extend=MINUTE, now=NOW),
    "keep": lambda store, held: store.runs.keep(held.lease, kept={"a": 1}, extend=MINUTE, now=NOW),
    "release": lambda store, held: store.runs.release([Release(held.lease)], now=NOW),
    "claim": lambda store, held: store.runs.claim(a_claim(9), now=NOW),
    "put": lambda store, held: store.inbox.put(a_message(held.instance)),
    "due": lambda store, held: store.inbox.due(limit=9, now=NOW),
    "deliver": lambda store, held: store.outbox.claim(["mail"], lease=MINUTE, limit=9, now=NOW),
    "backlog": lambda store, held: store.backlog(now=NOW),
}


@pytest.mark.parametrize("verb", WRITES)
async def test_a_write_of_a_worker_is_one_round_trip(wire: Wire, wired: PgStore, verb: str) -> None:
    async def once() -> list[str]:
        await accepted(wired)
        held = await claimed(wired)
        with wire.recording() as trips:
            await WRITES[verb](wired, held)
        return trips

    await once()
    [only] = await once()

    assert not only.startswith(ENDS)


async def test_a_step_with_effects_is_no_more_round_trips_than_one_without(wire: Wire, wired: PgStore) -> None:
    async def go_on() -> list[str]:
        run = await accepted(wired, queue="mine")
        held = await claimed(wired, queues=("mine",))
        message = a_message(held.instance)
        await wired.inbox.put(message)
        with wire.recording() as trips:
            await wired.apply(run.instance_id, lambda record, *_: (everything(record, held, message.id), None), now=NOW)
        return trips

    await go_on()
    assert len(await go_on()) == 2


def everything(record: WorkflowInstance, held: ClaimedRun, message_id: object) -> Change:
    """A step with every kind of effect: it ends one run and begins the next."""
    following = a_run(record)
    effects = (
        SaveStep(a_checkpoint(held.lease, command="")),
        MoveRun(held.run.id, RunStatus.COMPLETED, NOW),
        AddRun(following),
        AddMessage(a_message(record)),
        TakeMessage(message_id),  # type: ignore[arg-type]
        PutBack(a_message(record)),
        Publish(a_delivery(record)),
    )
    return step(record, effects=effects)


async def test_the_last_checkpoint_and_the_end_of_its_run_are_one_write(store: PgStore) -> None:
    run = await accepted(store)
    held = await claimed(store)
    message = a_message(held.instance)
    await store.inbox.put(message)

    await store.apply(run.instance_id, lambda record, *_: (everything(record, held, message.id), None), now=NOW)

    ended = await loaded_run(store, run.id)
    assert (ended.status, ended.finished_at, ended.lease_token) == (RunStatus.COMPLETED, NOW, None)
    assert ended.journal == (a_checkpoint(held.lease).entry,)
    assert len(await store.runs.claim(a_claim(9), now=NOW)) == 1
    assert [each.id == message.id for each in await store.inbox.find(InboxQuery(), limit=9)] == [False]


def test_a_statement_without_effects_has_no_part_for_them(store: PgStore) -> None:
    found = tables(store.names)
    plain = str(writing.write(found, writing.Rows.AWAITED))

    assert plain == str(writing.write(found, writing.Rows.AWAITED, kinds=frozenset()))
    assert not any(table in plain for table in ("detent_runs", "detent_inbox", "detent_outbox"))
    assert "detent_outbox" in str(writing.write(found, writing.Rows.AWAITED, kinds=frozenset({Publish})))
    assert "detent_inbox" not in str(writing.write(found, writing.Rows.AWAITED, kinds=frozenset({Publish})))


async def test_eight_who_claim_at_once_take_disjoint_runs(store: PgStore) -> None:
    runs = {(await accepted(store)).id for _ in range(40)}

    batches = await asyncio.gather(*(store.runs.claim(a_claim(5, worker=str(n)), now=NOW) for n in range(8)))
    taken = [one.run.id for batch in batches for one in batch]
    taken += [one.run.id for one in await store.runs.claim(a_claim(40), now=NOW)]

    assert len(taken) == len(set(taken)) == 40
    assert set(taken) == runs


async def test_a_throttle_holds_over_two_stores(store: PgStore) -> None:
    for _ in range(30):
        await accepted(store)
    second = PgStore.from_url(store.engine.url, pool_size=4)
    await second.open()
    claim = a_claim(3, queues=("default",), throttle=Throttle(concurrency=7, rate=5, per=MINUTE))

    async def taken_at(now: object) -> int:
        batches = await asyncio.gather(*(each.runs.claim(claim, now=now) for each in (store, second) * 4))  # type: ignore[arg-type]
        return sum(map(len, batches))

    assert await taken_at(NOW) == 5
    assert await taken_at(NOW + MINUTE / 2) == 0
    # The rate would let five through, and two places are left.
    await store.runs.heartbeat([one.lease for one in await held_by(store)], extend=DAY, now=NOW)
    assert await taken_at(NOW + MINUTE) == 2
    await second.close()


async def held_by(store: PgStore) -> list[ClaimedRun]:
    async with store.engine.connect() as connection:
        ids = (await connection.execute(text("SELECT id FROM detent_runs WHERE status = 'running'"))).scalars().all()
    runs = [await loaded_run(store, run_id) for run_id in ids]
    return [ClaimedRun(run, await loaded_instance(store, run)) for run in runs]


async def loaded_instance(store: PgStore, run: Run) -> WorkflowInstance:
    found = await store.load(run.instance_id)
    assert found is not None
    return found


async def test_a_heartbeat_does_not_wait_for_a_run_that_a_step_holds(store: PgStore) -> None:
    for _ in range(2):
        await accepted(store)
    one, other = await store.runs.claim(a_claim(2), now=NOW)

    async with asyncio.timeout(5), store.transaction(one.run.instance_id, now=NOW) as unit:
        assert await unit.lock_run(one.run.id) is not None
        still = await store.runs.heartbeat([one.lease, other.lease], extend=DAY, now=NOW)

    assert set(still) == {one.run.id, other.run.id}
    assert (await loaded_run(store, other.run.id)).lease_until == NOW + DAY


@BOTH
@pytest.mark.parametrize("release", [None, timedelta(0)], ids=["kept", "released"])
async def test_a_checkpoint_that_is_cut_is_taken_once(
    wire: Wire, wired: PgStore, store: PgStore, forward: bool, release: timedelta | None
) -> None:
    await accepted(store)
    held = await claimed(wired)

    wire.cut(lambda sql: "UPDATE detent_runs" in sql, forward=forward)
    status = await wired.runs.checkpoint(a_checkpoint(held.lease, release=release), now=NOW)

    assert wire.was_cut.is_set()
    # One that gave the run back and was taken cannot be told from one that lost its lease: others go on with it in any case.
    assert status is (None if forward and release is not None else Status.ACTIVE)
    assert (await loaded_run(store, held.run.id)).journal == (a_checkpoint(held.lease).entry,)


async def test_a_checkpoint_that_nobody_answers_is_unavailable(wire: Wire, wired: PgStore, store: PgStore) -> None:
    await accepted(store)
    held = await claimed(wired)

    def refuse(sql: str) -> bool:
        wire.refusing = "UPDATE detent_runs" in sql
        if wire.refusing:
            wire.cut_all()
        return wire.refusing

    wire.cut(refuse, forward=True)
    with pytest.raises(StoreUnavailable):
        await wired.runs.checkpoint(a_checkpoint(held.lease), now=NOW)
    wire.refusing = False


@BOTH
@pytest.mark.parametrize("key", [None, "once"])
async def test_a_message_that_is_cut_is_there_once(
    wire: Wire, wired: PgStore, store: PgStore, forward: bool, key: str | None
) -> None:
    record = await created(store)
    await wired.inbox.put(a_message(await created(store)))
    message = a_message(record, key=key, created_at=NOW + DAY)

    wire.cut(lambda sql: "INSERT INTO detent_inbox" in sql, forward=forward)
    await wired.inbox.put(message)

    assert wire.was_cut.is_set()
    assert [each.id for each in await store.inbox.find(InboxQuery(instance_id=record.id), limit=9)] == [message.id]


EFFECTS: dict[str, Callable[[WorkflowInstance, ClaimedRun], object]] = {
    "a run moves": lambda record, held: MoveRun(held.run.id, RunStatus.PARKED, NOW),
    "a step is saved": lambda record, held: SaveStep(a_checkpoint(held.lease)),
    "a message is sent": lambda record, held: AddMessage(a_message(record)),
    "a message is published": lambda record, held: Publish(a_delivery(record)),
}


@BOTH
@pytest.mark.parametrize("kind", EFFECTS)
async def test_effects_alone_that_are_cut_are_written_once(
    wire: Wire, wired: PgStore, store: PgStore, kind: str, forward: bool
) -> None:
    await accepted(store)
    held = await claimed(wired)
    effect = EFFECTS[kind](held.instance, held)

    wire.cut(lambda sql: "held AS MATERIALIZED" in sql, forward=forward)
    change = effects_only(held.instance, effect)  # type: ignore[arg-type]
    await wired.apply(held.run.instance_id, lambda *_: (change, None), now=NOW)

    assert wire.was_cut.is_set()
    run = await loaded_run(store, held.run.id)
    backlog = await store.backlog(now=NOW)
    written = (run.status is RunStatus.PARKED, len(run.journal) == 1, backlog.inbox == 1, backlog.outbox == 1)
    assert written == tuple(kind == each for each in EFFECTS)


@BOTH
async def test_a_step_that_is_cut_is_not_taken_for_an_equal_one_before_it(
    wire: Wire, wired: PgStore, store: PgStore, forward: bool
) -> None:
    await accepted(store)
    held = await claimed(wired)
    await store.runs.checkpoint(a_checkpoint(held.lease), now=NOW)

    wire.cut(lambda sql: "held AS MATERIALIZED" in sql, forward=forward)
    change = effects_only(held.instance, SaveStep(a_checkpoint(held.lease, position=1)))
    await wired.apply(held.run.instance_id, lambda *_: (change, None), now=NOW)

    assert wire.was_cut.is_set()
    assert len((await loaded_run(store, held.run.id)).journal) == 2


@pytest.mark.parametrize("others", [0, 1], ids=["nobody", "another"])
async def test_an_end_that_comes_late_is_refused_whoever_holds_the_run(
    store: PgStore, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """A worker stands still between its last answer and the end of the run, past its lease, while nobody writes the instance."""

    @command("charge", durable=True)
    async def charge(ctx: CommandContext) -> None:
        ctx.context["charged"] = True

    definition = WorkflowDefinition.from_dict(
        {
            "name": "order",
            "initial_state": "new",
            "states": {"new": {"events": {"pay": {"target": "paid", "commands": ["charge"]}}}, "paid": {}},
        }
    )
    clock, apply = FakeClock(), store.apply
    before: list[tuple[WorkflowInstance | None, Run]] = []
    async with WorkflowRuntime(store=store, definitions=[definition], commands=[charge], clock=clock) as runtime:
        order = await runtime.create_instance("order")
        run_id = (await runtime.trigger_event(order.id, "pay")).run_id
        assert run_id is not None

        async def late(*given: Any, **named: Any) -> Any:
            monkeypatch.setattr(store, "apply", apply)
            clock.advance("30s")
            assert len(await store.runs.claim(a_claim(others), now=clock.now())) == others
            before.append((await store.load(order.id), await loaded_run(store, run_id)))
            return await apply(*given, **{**named, "now": clock.now()})

        monkeypatch.setattr(store, "apply", late)
        report = await runtime.process_runs(limit=1)
        assert (report.lost, report.completed) == (1, 0)
        assert [(await store.load(order.id), await loaded_run(store, run_id))] == before
        assert await assert_whole(store, order.id) == 2
        clock.advance("2m")
        assert (await runtime.process_runs()).completed == 1
        assert await assert_whole(store, order.id) == 3


async def test_a_message_that_is_gone_undoes_the_step_at_once(store: PgStore) -> None:
    record = await created(store)
    gone = TakeMessage(a_message(record).id)

    with pytest.raises(StepRolledBack):
        await store.apply(record.id, lambda current, *_: (step(current, effects=(gone,)), None))

    assert await store.load(record.id) == record


def test_a_rate_is_kept_in_any_window() -> None:
    throttle = Throttle(rate=10, per=MINUTE)
    taken: list[Taken] = []
    claims: list[tuple[int, int]] = []
    for second in range(300):
        now = NOW + timedelta(seconds=second)
        free = min(1, room(throttle, taken, 0, now) or 0)
        if free:
            taken = remembered(taken, free, now, MINUTE)
            claims.append((second, free))

    assert all(sum(n for at, n in claims if start <= at < start + 60) <= 10 for start in range(300))
    assert sum(n for _, n in claims) == 50


def test_what_is_remembered_of_a_queue_is_bounded_and_errs_on_the_slow_side() -> None:
    taken: list[Taken] = []
    for number in range(1000):
        taken = remembered(taken, 1, NOW + timedelta(milliseconds=number), MINUTE)

    assert len(taken) <= 100
    assert sum(each.runs for each in taken) == 1000
    assert room(Throttle(rate=1000, per=MINUTE), taken, 0, NOW + MINUTE) == 0
