"""The worker: woken by signals, looking all the same, draining, and outliving the death of others."""

import asyncio
from datetime import timedelta

import pytest

from detent import MemoryStore, Message, RunStatus, Settings, Status, WorkflowDefinition, command, subscriber
from detent.errors import AlreadyStarted, InvalidValue, NotStarted, StoreUnavailable
from detent.store.signals import LocalSignals
from detent.workers import LoopHealth, Worker
from detent.workers.health import trouble_of
from detent.workers.stalls import StallWatch
from packages.core.tests.workers.orders import OFTEN, RARELY, Held, becomes_so, ends, order, paid


def is_idle(worker):
    """Whether it listens, and every loop has looked once."""
    health = worker.health()
    return health.listening and all(loop.last_round is not None for loop in health.loops.values())


async def test_an_accepted_event_is_finished_by_an_idle_worker_that_was_told(started):
    runtime = await started(order("charge"), commands=[Held.let_go().command])
    async with Worker(runtime, poll=RARELY) as worker:
        await becomes_so(lambda: is_idle(worker))
        made = await paid(runtime)
        assert (await ends(runtime, made)).state == "paid"


async def test_an_event_that_was_accepted_before_anybody_worked_is_finished(started):
    runtime = await started(order("charge"), commands=[Held.let_go().command])
    made = await paid(runtime)
    async with Worker(runtime, poll=RARELY):
        assert (await ends(runtime, made)).state == "paid"


class Mute(MemoryStore):
    """A store of which nobody hears anything."""

    class _Signals(LocalSignals):
        def announce(self, words):
            pass

    @property
    def signals(self):
        return self._Signals()


async def test_without_signals_work_is_found_by_looking(started):
    runtime = await started(order("charge"), commands=[Held.let_go().command], store=Mute())
    async with Worker(runtime, poll=OFTEN) as worker:
        await becomes_so(lambda: is_idle(worker))
        assert (await ends(runtime, await paid(runtime))).state == "paid"


class Deaf(MemoryStore):
    """A store to which nobody can listen at first."""

    def __init__(self):
        super().__init__()
        self.refused = 0

    @property
    def signals(self):
        if self.refused < 2:
            self.refused += 1
            raise ConnectionError("no connection left")
        return super().signals


async def test_listening_begins_anew_when_it_fails(started, caplog):
    store = Deaf()
    runtime = await started(order("charge"), commands=[Held.let_go().command], store=store)
    async with Worker(runtime, poll=RARELY) as worker:
        await becomes_so(lambda: worker.health().listening)
    assert store.refused == 2
    assert "signals are not heard" in caplog.text


async def test_it_holds_as_many_runs_as_it_has_room_for_and_takes_more_when_one_ends(started):
    charge = Held()
    runtime = await started(order("charge"), commands=[charge.command])
    orders = [await paid(runtime) for _ in range(5)]
    async with Worker(runtime, poll=RARELY, concurrency=2) as worker:
        for _ in range(2):
            await charge.begun.acquire()
        assert len(worker.running) == 2
        charge.go_on.set()
        for made in orders:
            await ends(runtime, made)
    assert (charge.ended, charge.most) == (5, 2)


async def test_what_has_a_higher_priority_is_taken_first(started):
    plain, urgent = Held.let_go("charge"), Held.let_go("refund", priority=5)
    runtime = await started(order("charge"), commands=[plain.command, urgent.command])
    first = [await paid(runtime) for _ in range(2)]
    other = await started(order("refund", version="2"), commands=[plain.command, urgent.command])
    second = await paid(other)
    ran: list[int] = []
    for held in (plain, urgent):
        held.instances = ran
    async with Worker(other, poll=RARELY, concurrency=1):
        for made in (*first, second):
            await ends(other, made)
    assert ran == [second.id, first[0].id, first[1].id]


async def test_leaving_lets_a_command_under_way_finish(started):
    charge = Held()
    runtime = await started(order("charge"), commands=[charge.command])
    made = await paid(runtime)
    async with asyncio.timeout(5), Worker(runtime, poll=RARELY):
        await charge.begun.acquire()
        asyncio.get_running_loop().call_soon(charge.go_on.set)
    assert (await runtime.get_instance(made.id)).state == "paid"


async def test_leaving_claims_nothing_more(started):
    charge = Held()
    runtime = await started(order("charge"), commands=[charge.command])
    for _ in range(3):
        await paid(runtime)
    async with asyncio.timeout(5), Worker(runtime, poll=RARELY, concurrency=1):
        await charge.begun.acquire()
        asyncio.get_running_loop().call_soon(charge.go_on.set)
    assert charge.ended == 1
    assert len(await runtime.runs.list(status="pending")) == 2


async def test_what_does_not_end_in_time_is_cancelled_and_given_back_uncounted(started):
    charge = Held()
    runtime = await started(order("charge"), commands=[charge.command])
    made = await paid(runtime)
    async with asyncio.timeout(5), Worker(runtime, poll=RARELY, drain=timedelta(milliseconds=20)):
        await charge.begun.acquire()
    (run,) = await runtime.runs.list()
    assert (run.status, run.attempts, run.crashes, charge.cancelled) == (RunStatus.PENDING, 0, 0, 1)
    charge.go_on.set()
    async with Worker(runtime, poll=RARELY):
        assert (await ends(runtime, made)).state == "paid"


async def test_to_abort_cancels_what_is_under_way_at_once(started):
    charge = Held()
    runtime = await started(order("charge"), commands=[charge.command])
    await paid(runtime)
    async with asyncio.timeout(5), Worker(runtime, poll=RARELY) as worker:
        await charge.begun.acquire()
        stopping = asyncio.create_task(worker.stop())
        await becomes_so(lambda: worker.health().detail == "it is stopping")
        worker.abort()
        await stopping
    (run,) = await runtime.runs.list()
    assert (run.status, run.attempts, charge.cancelled) == (RunStatus.PENDING, 0, 1)


async def test_cancelled_while_it_drains_it_aborts(started):
    charge = Held()
    runtime = await started(order("charge"), commands=[charge.command])
    await paid(runtime)
    worker = Worker(runtime, poll=RARELY)
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(5):
        await charge.begun.acquire()
        task.cancel()
        await becomes_so(lambda: worker.health().detail == "it is stopping")
        assert worker.running
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await runtime.runs.list())[0].status is RunStatus.PENDING


async def test_run_ends_when_it_is_asked_to_stop(started):
    runtime = await started(order())
    worker = Worker(runtime)
    task = asyncio.create_task(worker.run())
    await becomes_so(lambda: worker.health().ok)
    worker.ask_to_stop()
    async with asyncio.timeout(5):
        await task
    assert worker.health().detail == "it has stopped"


async def test_who_is_asked_to_stop_before_it_began_ends_at_once(started):
    worker = Worker(await started(order()))
    worker.ask_to_stop()
    async with asyncio.timeout(5):
        await worker.run()


async def test_stopping_twice_or_before_the_start_is_fine_and_it_may_start_again(started):
    runtime = await started(order("charge"), commands=[Held.let_go().command])
    worker = Worker(runtime, poll=RARELY)
    await worker.stop()
    async with asyncio.timeout(5), worker:
        await asyncio.gather(worker.stop(), worker.stop())
        await worker.stop()
    made = await paid(runtime)
    async with worker:
        assert (await ends(runtime, made)).state == "paid"


async def test_it_is_entered_once_and_only_over_a_runtime_at_work(started):
    runtime = await started(order())
    async with Worker(runtime) as worker:
        with pytest.raises(AlreadyStarted):
            await worker.__aenter__()
    cold = type(runtime)(store=MemoryStore(), definitions=[order()])
    with pytest.raises(NotStarted):
        await Worker(cold).__aenter__()


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"poll": timedelta(0)},
        {"drain": timedelta(-1)},
        {"poll": 1},
        {"drain": 30.0},
        {"queues": []},
    ],
)
async def test_settings_that_mean_nothing_are_refused(started, options):
    with pytest.raises(InvalidValue):
        Worker(await started(order()), **options)


async def test_the_run_of_a_worker_that_died_is_taken_over_after_its_lease(started, clock):
    charge = Held.let_go()
    doomed = await started(order("charge"), commands=[charge.command])
    made = await paid(doomed)
    (claimed,) = await doomed.running().runs.claim(1)
    other = await started(order("charge"), commands=[charge.command])
    async with Worker(other, poll=OFTEN) as worker:
        await becomes_so(lambda: is_idle(worker))
        assert (await other.runs.get(claimed.run.id)).lease_token == claimed.run.lease_token
        clock.advance(Settings().lease)
        assert (await ends(other, made)).state == "paid"
    assert charge.ended == 1


async def test_a_worker_without_the_command_leaves_the_run_to_another(started, caplog):
    charge = Held.let_go()
    other = await started(order(version="2"))
    runtime = await started(order("charge"), commands=[charge.command])
    made = await paid(runtime)
    async with Worker(other, poll=OFTEN):
        await becomes_so(lambda: "is left to others" in caplog.text)
        async with Worker(runtime, poll=OFTEN):
            assert (await ends(runtime, made)).state == "paid"


async def test_a_paused_instance_runs_its_next_command_when_it_is_resumed(started):
    charge, ship = Held(), Held.let_go("ship")
    runtime = await started(order("charge", "ship"), commands=[charge.command, ship.command])
    made = await paid(runtime)
    async with Worker(runtime, poll=OFTEN) as worker:
        await charge.begun.acquire()
        await runtime.pause(made.id)
        charge.go_on.set()
        await becomes_so(lambda: charge.ended and not worker.running)
        assert ship.ended == 0
        await runtime.resume(made.id)
        assert (await ends(runtime, made)).state == "paid"


async def test_cancelling_an_instance_cancels_its_command_at_once(started):
    charge = Held()
    runtime = await started(order("charge"), commands=[charge.command])
    made = await paid(runtime)
    async with asyncio.timeout(5), Worker(runtime, poll=RARELY) as worker:
        await charge.begun.acquire()
        await runtime.cancel(made.id)
        await becomes_so(lambda: not worker.running)
    assert charge.cancelled == 1
    assert (await runtime.get_instance(made.id)).status is Status.CANCELLED


class Away(MemoryStore):
    """A store that may be away."""

    away = False

    @property
    def runs(self):
        if self.away:
            raise StoreUnavailable("away")
        return super().runs


async def test_after_an_outage_of_the_store_it_goes_on_soon(started, caplog):
    store = Away()
    runtime = await started(order("charge"), commands=[Held.let_go().command], store=store)
    made = await paid(runtime)
    store.away = True
    async with Worker(runtime, poll=RARELY, retention=False) as worker:
        await becomes_so(lambda: worker.health().loops["runs"].failures == 2)
        assert worker.health().loops["timeouts"].failures == 0
        store.away = False
        assert (await ends(runtime, made)).state == "paid"
        await becomes_so(lambda: worker.health().loops["runs"].failures == 0)
    # Asked again at once it would have failed a thousand times, and said so each time with a traceback.
    assert caplog.text.count("a round of RunWorker failed") < 5
    assert caplog.text.count("Traceback") == 1


async def test_one_loop_that_fails_does_not_stop_the_others(started, caplog):
    class Broken(MemoryStore):
        async def fire_due(self, *arguments, **options):
            raise RuntimeError("a bug")

    runtime = await started(order("charge"), commands=[Held.let_go().command], store=Broken())
    async with Worker(runtime, poll=OFTEN) as worker:
        await becomes_so(lambda: worker.health().loops["timeouts"].failures)
        assert (await ends(runtime, await paid(runtime))).state == "paid"
    assert "a bug" in caplog.text


async def test_timeouts_and_messages_are_its_work_too(started, clock):
    heard: asyncio.Queue[str] = asyncio.Queue()

    @subscriber("news.*")
    async def hear(delivery):
        heard.put_nowait(delivery.topic)

    @command("tell")
    async def tell(ctx):
        ctx.publish(Message("news.today"))

    case = WorkflowDefinition.from_dict(
        {
            "name": "case",
            "initial_state": "open",
            "states": {
                "open": {"events": {"close": {"target": "closed", "timeout": "1h"}, "tell": {"commands": ["tell"]}}},
                "closed": {},
            },
        }
    )
    runtime = await started(case, commands=[tell], subscribers=[hear])
    first, second, third = [await runtime.create_instance("case") for _ in range(3)]
    async with asyncio.timeout(5), Worker(runtime, poll=RARELY) as worker:
        await becomes_so(lambda: is_idle(worker))
        await runtime.send(first.id, "close")
        await ends(runtime, first)
        await runtime.trigger_event(second.id, "tell")
        assert await heard.get() == "news.today"
    clock.advance("1h")
    async with Worker(runtime, poll=OFTEN):
        await ends(runtime, third)


async def test_it_does_only_what_it_is_told_to(started):
    runtime = await started(order())
    worker = Worker(runtime, timeouts=False, inbox=False, outbox=False, retention=False, name="one")
    assert worker.loops == ["runs"]
    assert worker.name == "one"
    async with worker:
        assert runtime.running().runs.worker == "one"


async def test_its_health_tells_what_it_does(started):
    charge = Held()
    runtime = await started(order("charge"), commands=[charge.command])
    await paid(runtime)
    worker = Worker(runtime, poll=RARELY, name="one")
    assert (worker.health().ok, worker.health().detail) == (False, "it was not started")
    async with worker:
        await charge.begun.acquire()
        await becomes_so(lambda: is_idle(worker))
        health = worker.health()
        assert (health.ok, health.detail, health.listening) == (True, "it works", True)
        assert [str(one) for one in health.running] == health.to_dict()["running"]
        assert list(health.loops) == ["runs", "timeouts", "inbox", "outbox", "retention"]
        assert health.to_dict()["loops"]["runs"]["failures"] == 0
        charge.go_on.set()
    assert (worker.health().ok, worker.health().detail) == (False, "it has stopped")


@pytest.mark.parametrize(
    ("alive", "failing", "told"),
    [
        (True, 0, []),
        (True, 30, []),
        (True, 31, ["the loop 'runs' has failed for 31 s: no"]),
        (False, 0, ["the loop 'runs' has died"]),
    ],
)
def test_a_loop_that_fails_for_half_a_minute_or_has_died_is_trouble(alive, failing, told):
    loop = LoopHealth(alive, 3, timedelta(seconds=failing), "no", None)
    assert trouble_of({"runs": loop}) == told


async def test_an_event_loop_that_stands_still_is_told_of(caplog):
    times, over = iter([0.0, 1.0, 1.0, 12.5]), asyncio.Event()

    async def sleep(_seconds):
        if caplog.text:
            over.set()
            await asyncio.Event().wait()

    watch = StallWatch(timedelta(seconds=10), time=lambda: next(times, 12.5), sleep=sleep)
    async with asyncio.timeout(5), watch:
        await over.wait()
    assert "the event loop stood still for 10.5 s" in caplog.text
    assert watch.longest == timedelta(seconds=10.5)


async def test_a_word_that_makes_no_sense_does_no_harm(started, store, caplog):
    runtime = await started(order("charge"), commands=[Held.let_go().command])
    async with Worker(runtime, poll=RARELY) as worker:
        await becomes_so(lambda: is_idle(worker))
        store.signals.announce(["withdrawn:nonsense", "what"])
        assert (await ends(runtime, await paid(runtime))).state == "paid"
    assert "withdrawn:nonsense" in caplog.text
