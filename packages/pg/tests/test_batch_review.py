"""What the group commit owes its callers when something goes wrong: the truth, once, and soon."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import ClauseElement, text
from sqlalchemy.ext.asyncio import create_async_engine

from detent.errors import InstanceBusy, OutcomeUnknown, StoreUnavailable
from detent.store.change import Change, PutReceipt
from detent.store.protocol import Existing
from detent.store.records import Receipt, ReceiptKey, WorkflowInstance
from detent.testing.store_contract.samples import (
    advance,
    assert_whole,
    created,
    creation,
    creation_with,
    loaded,
    receipt,
    receipt_key,
    remembering,
    step,
)
from detent_pg import PgStore
from detent_pg.batch import Batch, Waiting, own_error
from detent_pg.births import Births
from detent_pg.contention import Contention
from detent_pg.decisions import Decision
from detent_pg.limits import Limits
from detent_pg.line import BorrowedLine
from detent_pg.own_line import OwnLine
from detent_pg.rows import Row
from detent_pg.transaction import Transactions
from detent_pg.unit import PgUnit
from packages.pg.tests.waiting import someone_waits
from packages.pg.tests.wire import Wire

Decided = tuple[Change | None, Any]


async def many(store: PgStore, number: int) -> list[WorkflowInstance]:
    return list(await asyncio.gather(*(created(store) for _ in range(number))))


@pytest.fixture
async def one(store: PgStore) -> AsyncIterator[PgStore]:
    """A store with a single committer, so that what is asked at once is flushed together."""
    one = PgStore(store.engine, committers=1)
    await one.open()
    yield one
    await one.close()


# --- committed, and told otherwise -----------------------------------------------------------------------------------------


async def test_a_step_beside_effects_that_are_refused_is_taken_once(one: PgStore) -> None:
    """One flush is two statements where some changes have no entries: the first is committed when the second fails."""
    good, bad = await many(one, 2)
    too_long = receipt(receipt_key("k" * 1000), bad.id)

    def only_effects(record: WorkflowInstance, _receipt: Receipt | None, _now: datetime) -> Decided:
        return Change(record, record.version, record.id, (), (PutReceipt(too_long),)), "never"

    told: list[int] = []
    answers = await asyncio.gather(
        one.apply(good.id, advance, after_commit=told.append),
        one.apply(bad.id, only_effects),
        return_exceptions=True,
    )
    assert isinstance(answers[1], Exception)
    assert await assert_whole(one, good.id) == 2
    assert answers[0] == 2
    assert told == [2]


async def test_an_unknown_outcome_of_a_fold_is_not_tried_again_step_by_step(store: PgStore) -> None:
    """The transaction of a contended row was committed, and nobody could be asked: its steps must not be decided again."""
    record = await created(store)

    class CutAtCommit:
        """Real transactions; after the first one's commit the database does not answer any more."""

        def __init__(self) -> None:
            self.cut = False

        @asynccontextmanager
        async def own(
            self, instance_id: UUID | None, key: ReceiptKey | None, now: datetime | None, *, wait: bool
        ) -> AsyncIterator[PgUnit]:
            async with store._transactions.own(instance_id, key, now, wait=wait) as unit:
                yield unit
            if not self.cut:
                self.cut = True
                raise OutcomeUnknown(record.id, record.version)

    contention = Contention(cast(Transactions, CutAtCommit()), Limits(lock=3.0, statement=5.0))
    steps: list[Waiting[Decision, Any]] = [
        Waiting(store._steps, Decision(record.id, advance, None, None, None), None) for _ in range(2)
    ]
    contention.put(record.id, steps)
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(step.answer() for step in steps), return_exceptions=True)
    assert await assert_whole(store, record.id) == 3
    assert [type(answer) for answer in answers] == [OutcomeUnknown, OutcomeUnknown]


async def test_a_read_that_fails_in_a_later_round_does_not_answer_for_who_waits_for_a_row(
    wired: PgStore, wire: Wire, store: PgStore
) -> None:
    held, raced = await many(wired, 2)
    outdated = raced
    await wired.apply(raced.id, advance)
    await loaded(wired, raced.id)
    reads = 0

    def second_read(sql: str) -> bool:
        nonlocal reads
        reads += sql.startswith("SELECT") and "detent_instances" in sql
        return reads == 2

    async with store.transaction(held.id):
        wire.cut(second_read, forward=False)
        wire.refusing = True
        on_held = asyncio.ensure_future(wired.apply(held.id, advance))
        on_raced = asyncio.ensure_future(wired.apply(raced.id, advance, known=remembering(outdated)))
        with pytest.raises(StoreUnavailable):
            await on_raced
        await someone_waits(store.engine)
        wire.refusing = False
    await wired.close()
    answer = (await asyncio.gather(on_held, return_exceptions=True))[0]
    version = await assert_whole(store, held.id)
    assert (answer, version) == (2, 2), "it was committed, and whoever asked was told that nothing was applied"


class HeldLine:
    """A line whose writes are answered by the server, and whose answers stay on their way."""

    def __init__(self, line: BorrowedLine, arrived: asyncio.Event) -> None:
        self._line = line
        self._arrived = arrived

    async def fetch(
        self, statement: ClauseElement, parameters: Mapping[str, object], *, timeout: float | None = None
    ) -> Sequence[Row]:
        found = await self._line.fetch(statement, parameters, timeout=timeout)
        if "changed_id" in parameters:
            self._arrived.set()
            await asyncio.Event().wait()
        return found


class HoldingLine(OwnLine):
    def __init__(self, store: PgStore, arrived: asyncio.Event) -> None:
        super().__init__(store.engine)
        self._arrived = arrived

    async def ready(self) -> BorrowedLine:
        return cast(BorrowedLine, HeldLine(await super().ready(), self._arrived))


async def test_a_committer_that_is_cut_off_does_not_say_that_nothing_was_applied(one: PgStore, store: PgStore) -> None:
    record = await created(store)
    arrived = asyncio.Event()
    batch = Batch(lambda: HoldingLine(one, arrived), committers=1)
    caller = asyncio.ensure_future(
        batch.do(one._steps, Decision(record.id, advance, None, None, None), instance_id=record.id)
    )
    async with asyncio.timeout(5):
        await arrived.wait()
        task = batch._committers[0]._task
        assert task is not None
        task.cancel()
        answer = (await asyncio.gather(caller, return_exceptions=True))[0]
        await batch.close()
    assert await assert_whole(store, record.id) == 2
    assert not isinstance(answer, StoreUnavailable), "StoreUnavailable says that nothing was applied"


# --- never answered --------------------------------------------------------------------------------------------------------


class Stuck:
    """Work that does not come to an end."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def commit(self, waiting: Sequence[Waiting[str, str]], line: OwnLine) -> None:
        self.begun.set()
        await asyncio.Event().wait()


async def test_of_a_committer_that_is_cut_off_everyone_is_answered(store: PgStore) -> None:
    """Also those of the second kind in the flush, which had not begun."""
    batch, first, second = Batch(lambda: OwnLine(store.engine), committers=1), Stuck(), Stuck()
    callers = [asyncio.ensure_future(batch.do(kind, "", instance_id=UUID(int=0))) for kind in (first, second)]
    async with asyncio.timeout(5):
        await first.begun.wait()
    task = batch._committers[0]._task
    assert task is not None
    task.cancel()
    done, left = await asyncio.wait(callers, timeout=1)
    for caller in left:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    assert len(done) == 2


async def test_of_a_wait_for_a_row_that_is_cut_off_everyone_is_answered(store: PgStore, one: PgStore) -> None:
    record = await created(store)
    async with store.transaction(record.id):
        callers = [asyncio.ensure_future(one.apply(record.id, advance)) for _ in range(2)]
        await someone_waits(store.engine)
        for task in set(one._contention._tasks):
            task.cancel()
        done, left = await asyncio.wait(callers, timeout=1)
        for caller in left:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    assert len(done) == 2


async def test_a_creation_that_goes_its_own_way_and_is_cut_off_is_answered(store: PgStore, one: PgStore) -> None:
    key = receipt_key("wanted", scope="workflow:sample")
    async with store.transaction(None) as unit:
        await unit.write(creation(key=key))
        caller = asyncio.ensure_future(one.create(creation(key=key)))
        async with asyncio.timeout(5):
            while not one._births._strays._tasks:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
        for task in set(one._births._strays._tasks):
            task.cancel()
        done, _ = await asyncio.wait([caller], timeout=1)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
    assert done


class Stop(BaseException):
    """As pytest and trio raise them: no `Exception`."""


async def test_a_callback_that_raises_takes_the_answer_from_nobody(one: PgStore) -> None:
    first, second = await many(one, 2)

    def stop(_answer: int) -> None:
        raise Stop

    answers = await asyncio.gather(
        one.apply(first.id, advance, after_commit=stop), one.apply(second.id, advance), return_exceptions=True
    )
    assert await assert_whole(one, second.id) == 2
    assert answers[1] == 2


# --- isolation -------------------------------------------------------------------------------------------------------------


async def test_a_row_that_cannot_be_read_fails_alone(one: PgStore) -> None:
    """`claim` knows rows that somebody wrote by hand, and wrongly; a flush reads them too."""
    records = await many(one, 10)
    async with one.engine.begin() as connection:
        broken = {"id": records[3].id}
        await connection.execute(text("UPDATE detent_instances SET timers = '[{}]' WHERE id = :id"), broken)
    answers = await asyncio.gather(*(one.apply(record.id, advance) for record in records), return_exceptions=True)
    assert isinstance(answers.pop(3), Exception)
    assert answers == [2] * 9


_FUNCTION = """CREATE FUNCTION unlucky() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.metadata ? 'unlucky' THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;
  RETURN NEW;
END $$"""
_TRIGGER = "CREATE TRIGGER unlucky BEFORE UPDATE ON detent_instances FOR EACH ROW EXECUTE FUNCTION unlucky()"


@pytest.fixture
async def unlucky(store: PgStore) -> AsyncIterator[None]:
    """A trigger that has every update of some instances rolled back."""
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql(_FUNCTION)
        await connection.exec_driver_sql(_TRIGGER)
    yield
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql("DROP FUNCTION unlucky CASCADE")


@pytest.mark.usefixtures("unlucky")
async def test_a_step_that_is_rolled_back_each_time_fails_alone(one: PgStore) -> None:
    """Being out of attempts is no sign that the database cannot be reached."""
    records = await many(one, 4)
    bad = creation_with(metadata={"unlucky": True})
    await one.create(bad)
    ids = [record.id for record in records] + [bad.instance.id]
    answers = await asyncio.gather(*(one.apply(instance_id, advance) for instance_id in ids), return_exceptions=True)
    assert isinstance(answers.pop(), StoreUnavailable)
    assert answers == [2] * 4


async def test_who_writes_nothing_is_not_answered_with_what_the_next_is_answered_with(one: PgStore) -> None:
    record = await created(one, creation(context={"list": []}))

    def look(current: WorkflowInstance, _receipt: Receipt | None, _now: datetime) -> Decided:
        return None, current

    first, second = await asyncio.gather(*(one.apply(record.id, look) for _ in range(2)))
    first.context["list"].append("mine")
    assert second.context == {"list": []}


class Turned:
    """The clock of a process, which somebody set."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


async def test_the_clock_is_learnt_also_where_nothing_is_read(one: PgStore) -> None:
    record = await created(one)
    turned = Turned()
    one._clock._clock = turned
    await one.apply(record.id, advance)
    known = await loaded(one, record.id)
    # The host was suspended, or its clock was set: half an hour ago by now.
    turned.by = -timedelta(hours=1)
    instants: list[datetime] = []

    def note(current: WorkflowInstance, _receipt: Receipt | None, now: datetime) -> Decided:
        change = step(current)
        instants.append(now)
        return change, change.instance

    for _ in range(3):
        known = await one.apply(record.id, note, known=remembering(known))
    assert abs(datetime.now(UTC) - instants[-1]) < timedelta(minutes=1)


# --- who waits for whom ----------------------------------------------------------------------------------------------------


async def test_a_row_that_is_free_again_does_not_wait_for_others(store: PgStore) -> None:
    mine = PgStore(store.engine, lock_timeout=20.0, committers=1)
    *others, free = await many(mine, 5)
    async with AsyncExitStack() as stack:
        for record in others:
            await stack.enter_async_context(store.transaction(record.id))
        behind = [asyncio.ensure_future(mine.apply(record.id, advance)) for record in others]
        await someone_waits(store.engine, sessions=len(others))
        async with store.transaction(free.id):
            caller = asyncio.ensure_future(mine.apply(free.id, advance))
            # Its flush is over when the next one is.
            await created(mine)
        done, _ = await asyncio.wait([caller], timeout=2)
    assert await asyncio.gather(caller, *behind) == [2] * 5
    await mine.close()
    assert done, "its row was free, and it waited for the rows of others"


async def test_those_who_wait_for_one_row_are_sent_away_together(store: PgStore, wire: Wire) -> None:
    mine = PgStore.from_url(wire.url(store.engine.url), lock_timeout=0.1, committers=1)
    await mine.open()
    record = await created(mine)
    async with store.transaction(record.id):
        with wire.recording() as trips:
            answers = await asyncio.gather(*(mine.apply(record.id, advance) for _ in range(8)), return_exceptions=True)
    await mine.close()
    assert {type(answer) for answer in answers} == {InstanceBusy}
    waits = [sql for sql in trips if "locked AS MATERIALIZED" in sql]
    assert len(waits) <= 2, "each waits for the row once more, one after the other"


async def test_keys_of_those_who_wait_for_a_row_are_looked_up_together(
    store: PgStore, wired: PgStore, wire: Wire
) -> None:
    record = await created(store)
    async with store.transaction(record.id):
        callers = [
            asyncio.ensure_future(wired.apply(record.id, advance, key=receipt_key(scope=str(record.id))))
            for _ in range(20)
        ]
        await someone_waits(store.engine)
        recording = wire.recording()
        trips = recording.__enter__()
    assert len(await asyncio.gather(*callers)) == 20
    recording.__exit__(None, None, None)
    assert len(trips) < 10, "a round trip for each key, while the row is held"


async def test_creations_that_want_a_key_which_is_held_keep_nobody_waiting(store: PgStore, one: PgStore) -> None:
    key = receipt_key("wanted", scope="workflow:sample")
    async with store.transaction(None) as unit:
        await unit.write(creation(key=key))
        rivals = [asyncio.ensure_future(one.create(creation(key=key))) for _ in range(20)]
        await asyncio.sleep(0)
        other = asyncio.ensure_future(one.create(creation()))
        done, _ = await asyncio.wait([other], timeout=1)
    assert None not in await asyncio.gather(*rivals)
    assert await other is None
    assert done, "each rival waited a tenth of a second in the flush"


async def test_creations_that_want_several_held_keys_keep_nobody_waiting(store: PgStore, one: PgStore) -> None:
    keys = [receipt_key(f"wanted-{place:02}", scope="workflow:sample") for place in range(8)]
    async with AsyncExitStack() as stack:
        for key in keys:
            unit = await stack.enter_async_context(store.transaction(None))
            await unit.write(creation(key=key))
        rivals = [asyncio.ensure_future(one.create(creation(key=key))) for key in keys]
        free = [asyncio.ensure_future(one.create(creation(key=receipt_key()))) for _ in range(24)]
        await asyncio.sleep(0)
        other = asyncio.ensure_future(one.create(creation()))
        done, _ = await asyncio.wait([other], timeout=1)
    assert await asyncio.gather(*free) == [None] * 24
    assert None not in await asyncio.gather(*rivals)
    assert await other is None
    assert done


class Unreachable(OwnLine):
    """A database that cannot be reached, which takes its time to find out."""

    asked = 0

    async def ready(self) -> BorrowedLine:
        self.asked += 1
        raise StoreUnavailable("nobody answers")


async def test_a_database_that_cannot_be_reached_is_asked_once_for_all(store: PgStore, one: PgStore) -> None:
    line = Unreachable(store.engine)
    batch = Batch(lambda: line, committers=1)
    kind: Births = one._births
    changes = [creation() for _ in range(32)]
    answers: list[Existing | BaseException | None] = await asyncio.gather(
        *(batch.do(kind, change, instance_id=change.instance.id) for change in changes), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert line.asked <= 2, "the flush was split although no creation was the reason; each attempt may take seconds"


async def test_creations_whose_keys_are_answered_are_looked_up_together(wired: PgStore, wire: Wire) -> None:
    keys = [receipt_key() for _ in range(20)]
    assert await asyncio.gather(*(wired.create(creation(key=key)) for key in keys)) == [None] * 20
    with wire.recording() as trips:
        found = await asyncio.gather(*(wired.create(creation(key=key)) for key in keys))
    assert None not in found
    assert len(trips) < 6, "a round trip for each, while everybody else waits for the committer"


async def test_those_who_want_one_held_key_wait_on_one_connection(store: PgStore) -> None:
    mine = PgStore.from_url(store.engine.url, pool_size=2, max_overflow=0, committers=1)
    await mine.open()
    key = receipt_key("wanted", scope="workflow:sample")
    async with store.transaction(None) as unit:
        await unit.write(creation(key=key))
        rivals = [asyncio.ensure_future(mine.create(creation(key=key))) for _ in range(20)]
        await created(mine)
        await someone_waits(store.engine)
        # Those who come now do not even wait in the flush.
        rivals += [asyncio.ensure_future(mine.create(creation(key=key))) for _ in range(20)]
        await created(mine)
        async with asyncio.timeout(1):
            assert await mine.load(UUID(int=0)) is None
        assert mine.pool_stats().in_use == 1
    assert None not in await asyncio.gather(*rivals)
    await mine.close()


async def test_those_who_want_one_held_key_are_sent_away_together(store: PgStore) -> None:
    mine = PgStore(store.engine, lock_timeout=0.3, committers=1)
    key = receipt_key("wanted", scope="workflow:sample")
    async with store.transaction(None) as unit:
        await unit.write(creation(key=key))
        rivals = [mine.create(creation(key=key)) for _ in range(20)]
        async with asyncio.timeout(2):
            answers = await asyncio.gather(*rivals, return_exceptions=True)
    await mine.close()
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert len({id(answer) for answer in answers}) == 20


async def test_who_has_no_turn_to_wait_for_a_row_is_told_that_it_is_busy(store: PgStore) -> None:
    mine = PgStore(store.engine, lock_timeout=0.6, committers=1)
    records = await many(mine, 6)
    async with AsyncExitStack() as stack:
        for record in records:
            await stack.enter_async_context(store.transaction(record.id))
        async with asyncio.timeout(3):
            answers = await asyncio.gather(
                *(mine.apply(record.id, advance) for record in records), return_exceptions=True
            )
    await mine.close()
    assert {type(answer) for answer in answers} == {InstanceBusy}


async def test_each_gets_an_error_of_his_own() -> None:
    errors = [InstanceBusy(UUID(int=1)), OutcomeUnknown(UUID(int=1), 3), StoreUnavailable("it is gone", hint="wait")]
    for error in errors:
        error.add_note("a note of somebody else's")
        own = own_error(error)
        assert own is not error
        assert (type(own), str(own)) == (type(error), str(error))
        assert vars(own) == {name: value for name, value in vars(error).items() if name != "__notes__"}
        assert own.__cause__ is error


# --- connections -----------------------------------------------------------------------------------------------------------


async def test_what_is_asked_while_the_store_closes_leaves_no_connection(store: PgStore) -> None:
    mine = PgStore(store.engine, committers=1)
    await mine.open()
    held, other = await many(mine, 2)

    async def two_steps() -> None:
        await mine.apply(held.id, advance)
        await mine.apply(other.id, advance)

    async with store.transaction(held.id):
        caller = asyncio.ensure_future(two_steps())
        await someone_waits(store.engine)
        closing = asyncio.ensure_future(mine.close())
        await asyncio.sleep(0)
    await asyncio.gather(caller, closing)
    assert mine._batch._committers[0]._line._kept is None


async def test_a_statement_that_cannot_be_prepared_does_not_keep_everybody_waiting(store: PgStore) -> None:
    """Parsing waits for a table that is being altered; the engine of an application bounds no statement by itself."""
    engine = create_async_engine(store.engine.url)
    mine = PgStore(engine, statement_timeout=0.2, committers=1)
    record = await created(store)
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql("LOCK TABLE detent_instances IN ACCESS EXCLUSIVE MODE")
        caller = asyncio.ensure_future(mine.apply(record.id, advance))
        done, _ = await asyncio.wait([caller], timeout=6)
    await asyncio.gather(caller, return_exceptions=True)
    await mine.close()
    await engine.dispose()
    assert done
