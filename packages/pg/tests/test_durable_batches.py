"""Checkpoints and messages that are written together: what each caller is told, what a cut leaves, and in what order rows are
locked.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import text

from detent import CommandContext, WorkflowDefinition, WorkflowRuntime, command
from detent.errors import InstanceNotFound, StepRolledBack
from detent.ids import new_id
from detent.store.change import MoveRun
from detent.store.messages import InboxQuery
from detent.store.records import Status
from detent.store.run_records import ClaimedRun, Lease, Release, RunStatus
from detent.testing.store_contract.samples import (
    DAY,
    NOW,
    TICK,
    a_checkpoint,
    a_claim,
    a_message,
    accepted,
    assert_whole,
    created,
    creation_with,
    loaded_run,
    remembering,
    step,
)
from detent_pg import PgStore
from detent_pg.batch import COMMITTERS
from detent_pg.statements.writing import Rows
from packages.pg.tests.waiting import someone_waits
from packages.pg.tests.wire import Wire

BOTH = pytest.mark.parametrize("forward", [False, True], ids=["before", "after"])
HOLD = text("SELECT 1 FROM detent_runs WHERE id = :id FOR UPDATE")
UNSTORABLE = {"command": "charge", "says": "\0"}


async def claimed_runs(store: PgStore, number: int) -> Sequence[ClaimedRun]:
    """So many claimed runs, by rising id."""
    for _ in range(number):
        await accepted(store)
    return sorted(await store.runs.claim(a_claim(number), now=NOW), key=lambda one: one.run.id)


def saving(trips: Sequence[str]) -> list[str]:
    return [sql for sql in trips if "UPDATE detent_runs" in sql]


def sending(trips: Sequence[str]) -> list[str]:
    return [sql for sql in trips if "INSERT INTO detent_inbox" in sql]


# ------------------------------------------------------------------------------------------------ checkpoints


async def test_64_checkpoints_share_a_statement(wire: Wire, wired: PgStore) -> None:
    held = await claimed_runs(wired, 64)
    with wire.recording() as trips:
        answers = await asyncio.gather(*(wired.runs.checkpoint(a_checkpoint(one.lease), now=NOW) for one in held))
    assert answers == [Status.ACTIVE] * 64
    assert len(saving(trips)) <= COMMITTERS
    assert [len((await loaded_run(wired, one.run.id)).journal) for one in held] == [1] * 64


async def test_of_checkpoints_in_one_statement_each_is_answered_its_own(store: PgStore) -> None:
    """A lost lease, a journal of another length, an entry that cannot be stored, an instant behind the lease, and good ones."""
    held = await claimed_runs(store, 8)
    stolen = Lease(held[0].run.id, new_id())
    saved = [
        store.runs.checkpoint(a_checkpoint(stolen), now=NOW),
        store.runs.checkpoint(a_checkpoint(held[1].lease, position=1), now=NOW),
        store.runs.checkpoint(a_checkpoint(held[2].lease, entry=UNSTORABLE), now=NOW),
        store.runs.checkpoint(a_checkpoint(held[3].lease), now=NOW + DAY),
        *(store.runs.checkpoint(a_checkpoint(one.lease, command=str(n)), now=NOW) for n, one in enumerate(held[4:])),
    ]
    *lost, good = await asyncio.gather(*saved[:4], asyncio.gather(*saved[4:]), return_exceptions=True)

    assert [lost[0], lost[1], lost[3]] == [None] * 3
    assert isinstance(lost[2], asyncpg.DataError)
    assert good == [Status.ACTIVE] * 4
    after = [await loaded_run(store, one.run.id) for one in held]
    assert [len(run.journal) for run in after] == [0] * 4 + [1] * 4
    assert [run.command for run in after[4:]] == ["0", "1", "2", "3"]


async def test_the_same_checkpoint_twice_at_once_is_saved_once_and_answered_twice(store: PgStore) -> None:
    [held] = await claimed_runs(store, 1)
    checkpoint = a_checkpoint(held.lease)
    answers = await asyncio.gather(*(store.runs.checkpoint(checkpoint, now=NOW) for _ in range(3)))
    assert answers == [Status.ACTIVE] * 3
    assert len((await loaded_run(store, held.run.id)).journal) == 1


async def test_a_run_that_somebody_holds_keeps_no_other_checkpoint_waiting(store: PgStore) -> None:
    one, other = await claimed_runs(store, 2)
    async with store.engine.connect() as holder:
        await holder.execute(HOLD, {"id": one.run.id})
        waiting = asyncio.create_task(store.runs.checkpoint(a_checkpoint(one.lease), now=NOW))
        async with asyncio.timeout(5):
            assert await store.runs.checkpoint(a_checkpoint(other.lease), now=NOW) is Status.ACTIVE
        await someone_waits(store.engine)
        assert not waiting.done()
    assert await waiting is Status.ACTIVE


@BOTH
async def test_checkpoints_that_are_cut_together_are_each_taken_once(
    wire: Wire, wired: PgStore, store: PgStore, forward: bool
) -> None:
    held = await claimed_runs(wired, 12)
    gone = Lease(held[5].run.id, new_id())
    leases = [gone if one is held[5] else one.lease for one in held]

    wire.cut(lambda sql: "UPDATE detent_runs" in sql, forward=forward)
    answers = await asyncio.gather(*(wired.runs.checkpoint(a_checkpoint(lease), now=NOW) for lease in leases))

    assert wire.was_cut.is_set()
    assert answers == [None if lease is gone else Status.ACTIVE for lease in leases]
    lengths = [len((await loaded_run(store, one.run.id)).journal) for one in held]
    assert lengths == [0 if lease is gone else 1 for lease in leases]


async def test_a_checkpoint_whose_caller_went_away_is_saved_all_the_same(store: PgStore) -> None:
    [held] = await claimed_runs(store, 1)
    async with store.engine.connect() as holder:
        await holder.execute(HOLD, {"id": held.run.id})
        caller = asyncio.create_task(store.runs.checkpoint(a_checkpoint(held.lease), now=NOW))
        await someone_waits(store.engine)
        caller.cancel()
        await asyncio.wait([caller])
    await store.runs.finished()
    assert caller.cancelled()
    assert len((await loaded_run(store, held.run.id)).journal) == 1


# ------------------------------------------------------------------------------------------------ whole runs

PAID = {
    "name": "order",
    "initial_state": "new",
    "states": {"new": {"events": {"pay": {"target": "paid", "commands": ["charge"] * 5}}}, "paid": {}},
}


@command("charge", durable=True)
async def charge(ctx: CommandContext) -> None: ...


async def test_a_run_is_a_claim_a_checkpoint_for_each_command_but_the_last_and_a_write_which_many_share(
    wire: Wire, wired: PgStore
) -> None:
    async with WorkflowRuntime(
        store=wired, definitions=[WorkflowDefinition.from_dict(PAID)], commands=[charge]
    ) as runtime:

        async def trips_of(number: int) -> list[str]:
            for _ in range(number):
                await runtime.trigger_event((await runtime.create_instance("order")).id, "pay")
            with wire.recording() as trips:
                assert (await runtime.process_runs()).completed == number
            return [sql for sql in trips if "pg_notify" not in sql]

        await trips_of(2)
        # The last claim finds nothing.
        assert len(await trips_of(1)) == 1 + 4 + 1 + 1
        assert len(await trips_of(40)) <= 1 + (4 + 1) * COMMITTERS * 2 + 1


# ------------------------------------------------------------------------------------------------ messages


async def test_64_messages_share_a_statement_and_keep_their_order(wire: Wire, wired: PgStore) -> None:
    record, other = await created(wired), await created(wired)
    messages = [a_message(record if n % 2 else other, payload=n) for n in range(64)]
    with wire.recording() as trips:
        await asyncio.gather(*(wired.inbox.put(message) for message in messages))
    assert len(sending(trips)) <= COMMITTERS
    for receiver in (record, other):
        found = await wired.inbox.find(InboxQuery(instance_id=receiver.id), limit=100)
        wanted = [message for message in messages if message.instance_id == receiver.id]
        assert [message.id for message in found] == [message.id for message in wanted]


async def test_of_messages_in_one_statement_each_is_answered_its_own(store: PgStore) -> None:
    record = await created(store)
    nowhere = a_message(creation_with().instance)
    unstorable = a_message(record, payload={"says": "\0"})
    good = [a_message(record) for _ in range(6)]
    sent = [*good[:3], nowhere, unstorable, *good[3:], good[0]]
    answers = await asyncio.gather(*(store.inbox.put(message) for message in sent), return_exceptions=True)

    assert isinstance(answers[3], InstanceNotFound)
    assert isinstance(answers[4], asyncpg.DataError)
    assert [*answers[:3], *answers[5:]] == [None] * 7
    found = await store.inbox.find(InboxQuery(instance_id=record.id), limit=100)
    assert sorted(message.id for message in found) == sorted(message.id for message in good)


@BOTH
async def test_messages_that_are_cut_together_are_each_there_once(
    wire: Wire, wired: PgStore, store: PgStore, forward: bool
) -> None:
    record = await created(store)
    await wired.inbox.put(a_message(await created(store)))
    messages = [a_message(record, created_at=NOW + DAY) for _ in range(12)]
    nowhere = a_message(creation_with().instance)

    wire.cut(lambda sql: "INSERT INTO detent_inbox" in sql, forward=forward)
    sent = [*messages, nowhere]
    answers = await asyncio.gather(*(wired.inbox.put(message) for message in sent), return_exceptions=True)

    assert wire.was_cut.is_set()
    assert answers[:12] == [None] * 12
    assert isinstance(answers[12], InstanceNotFound)
    found = await store.inbox.find(InboxQuery(instance_id=record.id), limit=100)
    assert sorted(message.id for message in found) == sorted(message.id for message in messages)


# ------------------------------------------------------------------------------------------------ ends of runs


def ending(trips: Sequence[str]) -> list[str]:
    return [sql for sql in trips if "UPDATE detent_instances" in sql and "UPDATE detent_runs" in sql]


async def ended(store: PgStore, one: ClaimedRun, lease: Lease, now: datetime | None) -> int:
    """End a run under a lease; answers the version of its instance."""
    end = MoveRun(one.run.id, RunStatus.COMPLETED, NOW, lease=lease)
    decide = lambda record, *_: (step(record, effects=(end,)), record.version + 1)  # noqa: E731
    return await store.apply(one.instance.id, decide, now=now, known=remembering(one.instance))


async def test_64_ends_under_leases_share_a_statement_whatever_their_instants(wire: Wire, wired: PgStore) -> None:
    held = await claimed_runs(wired, 64)
    with wire.recording() as trips:
        answers = await asyncio.gather(*(ended(wired, one, one.lease, NOW + TICK * n) for n, one in enumerate(held)))
    assert answers == [2] * 64
    assert len(ending(trips)) <= COMMITTERS
    assert {(await loaded_run(wired, one.run.id)).status for one in held} == {RunStatus.COMPLETED}


async def test_ends_that_name_no_instant_are_judged_by_the_clock_of_the_database(store: PgStore) -> None:
    past, live = await claimed_runs(store, 2)
    for one, left in ((past, -DAY), (live, DAY)):
        await store.runs.heartbeat([one.lease], extend=datetime.now(UTC) + left - NOW, now=NOW)
    before = await loaded_run(store, past.run.id)
    answers = await asyncio.gather(
        *(ended(store, one, one.lease, None) for one in (past, live)), return_exceptions=True
    )
    assert isinstance(answers[0], StepRolledBack)
    assert answers[1] == 2
    assert await loaded_run(store, past.run.id) == before


@BOTH
async def test_ends_that_are_cut_together_are_each_written_once_or_lost(
    wire: Wire, wired: PgStore, store: PgStore, forward: bool
) -> None:
    held = await claimed_runs(wired, 12)
    leases = [Lease(one.run.id, new_id()) if n == 5 else one.lease for n, one in enumerate(held)]

    wire.cut(lambda sql: "UPDATE detent_instances" in sql, forward=forward)
    ends = (ended(wired, one, lease, NOW) for one, lease in zip(held, leases, strict=True))
    answers = await asyncio.gather(*ends, return_exceptions=True)

    assert wire.was_cut.is_set()
    assert isinstance(answers[5], StepRolledBack)
    assert [answer for n, answer in enumerate(answers) if n != 5] == [2] * 11
    after = [await loaded_run(store, one.run.id) for one in held]
    assert [run for run in after if run.status is not RunStatus.COMPLETED] == [held[5].run]
    assert [await assert_whole(store, one.instance.id) for one in held] == [1 if n == 5 else 2 for n in range(12)]


# ------------------------------------------------------------------------------------------------ the order of locks


async def moved_together(store: PgStore, held: Sequence[ClaimedRun]) -> None:
    """Steps on several instances in one statement, each of which ends a run."""
    ended = [(MoveRun(one.run.id, RunStatus.COMPLETED, NOW),) for one in held]
    changes = [step(one.instance, effects=move) for one, move in zip(held, ended, strict=True)]
    async with store._connections.line() as line:
        await store._pen.write(line, changes, Rows.AWAITED)


async def released_together(store: PgStore, held: Sequence[ClaimedRun]) -> None:
    await store.runs.release([Release(one.lease, delay=timedelta(0)) for one in held], now=NOW)


@pytest.mark.parametrize("write", [moved_together, released_together])
async def test_whoever_writes_several_runs_locks_them_by_rising_id(
    store: PgStore, write: Callable[[PgStore, Sequence[ClaimedRun]], Coroutine[None, None, None]]
) -> None:
    """The lowest one is held: whoever waits for it has none of the others, in whatever order he names them."""
    held = await claimed_runs(store, 6)
    async with store.engine.connect() as holder:
        await holder.execute(HOLD, {"id": held[0].run.id})
        writer = asyncio.create_task(write(store, held[::-1]))
        await someone_waits(store.engine)
        async with asyncio.timeout(5):
            kept = await store.runs.heartbeat([one.lease for one in held], extend=DAY, now=NOW)
        assert kept == {one.run.id for one in held}
        until = [(await loaded_run(store, one.run.id)).lease_until for one in held]
        assert until[1:] == [NOW + DAY] * 5
        assert until[0] != NOW + DAY
    await writer
    assert {(await loaded_run(store, one.run.id)).lease_token for one in held} == {None}


async def test_two_who_write_the_same_runs_the_other_way_round_do_not_deadlock(store: PgStore) -> None:
    held = await claimed_runs(store, 6)
    async with store.engine.connect() as holder:
        await holder.execute(HOLD, {"id": held[0].run.id})
        writers = [
            asyncio.create_task(moved_together(store, held)),
            asyncio.create_task(released_together(store, held[::-1])),
        ]
        await someone_waits(store.engine, sessions=2)
    async with asyncio.timeout(5):
        await asyncio.gather(*writers)
    assert {(await loaded_run(store, one.run.id)).status for one in held} == {RunStatus.COMPLETED}
