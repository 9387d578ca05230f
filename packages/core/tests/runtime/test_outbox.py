"""The outbox: what was published is delivered at least once, in order for each instance, or given up and reported."""

import asyncio
import logging
from datetime import timedelta

import pytest

from detent import (
    Delivery,
    DeliveryStatus,
    GiveUp,
    InvalidValue,
    OutboxReport,
    Retry,
    RetryAfter,
    Settings,
    Subscriber,
    WorkflowObserver,
    command,
    subscriber,
)
from detent.runtime import outbox
from detent.runtime.outbox import CONCURRENCY, GRACE

STEADY = Settings(outbox_retry=Retry(attempts=3, initial=timedelta(minutes=1), jitter=0))
WAIT = 5

LAMP = {
    "name": "lamp",
    "initial_state": "off",
    "publish": "lamp",
    "states": {
        "off": {"events": {"switch": {"target": "on"}, "say": {"internal": True, "commands": ["say"]}}},
        "on": {"events": {"switch": {"target": "off"}}},
    },
}


@command("say")
async def say(ctx):
    ctx.publish("said", ctx.payload)


class Post:
    """A subscriber that notes what it takes, and fails with what it is told to fail with."""

    def __init__(self, *answers, name="post", patterns=("*",), **options):
        self.taken: list[Delivery] = []
        self.answers = list(answers)
        self.subscriber = Subscriber(name, patterns, self.deliver, **options)

    async def deliver(self, delivery):
        self.taken.append(delivery)
        answer = self.answers.pop(0) if self.answers else None
        if callable(answer):
            answer = await answer()
        if isinstance(answer, BaseException):
            raise answer

    @property
    def topics(self):
        return [delivery.topic for delivery in self.taken]


class Mourner(WorkflowObserver):
    def __init__(self) -> None:
        self.given_up: list[Delivery] = []

    async def on_dead_delivery(self, delivery: Delivery) -> None:
        self.given_up.append(delivery)


def report(**counts):
    return OutboxReport(**{name: counts.get(name, 0) for name in ("delivered", "retrying", "dead", "lost")})


@pytest.fixture
def lit(running):
    """Starts a runtime for lamps with these subscribers."""

    async def start(*posts, settings=STEADY, **options):
        subscribers = [getattr(post, "subscriber", post) for post in posts]
        return await running(LAMP, commands=[say], subscribers=subscribers, settings=settings, **options)

    return start


async def switched(runtime, times=1, lamp=None):
    lamp = lamp or await runtime.create_instance("lamp")
    for _ in range(times):
        await runtime.trigger_event(lamp.id, "switch")
    return lamp


async def test_what_a_transition_and_its_commands_publish_is_delivered_once(lit):
    post = Post()
    runtime = await lit(post)
    lamp = await runtime.create_instance("lamp")
    await runtime.trigger_event(lamp.id, "say", payload={"word": "hello"})

    assert await runtime.process_outbox() == report(delivered=3)
    assert post.topics == ["lamp.created", "lamp.say", "said"]
    said = post.taken[-1]
    assert (said.payload, said.instance_id, said.key, said.attempts, said.subscriber) == (
        {"word": "hello"},
        lamp.id,
        str(lamp.id),
        1,
        "post",
    )
    assert await runtime.process_outbox() == report()
    assert {delivery.status for delivery in await runtime.outbox.list()} == {DeliveryStatus.DELIVERED}


async def test_a_runtime_without_subscribers_has_nothing_to_deliver(lit):
    runtime = await lit()
    await switched(runtime)
    assert await runtime.process_outbox() == report()


async def test_subscribers_hear_of_their_topics_only(lit):
    heard = []

    @subscriber("lamp.switch")
    async def switches(delivery):
        heard.append(delivery.topic)

    post = Post(patterns=("lamp.*",))
    runtime = await lit(post, switches)
    await switched(runtime)
    assert await runtime.process_outbox() == report(delivered=3)
    assert (heard, post.topics) == (["lamp.switch"], ["lamp.created", "lamp.switch"])


async def test_deliveries_of_one_instance_keep_their_order_over_failures(lit, clock):
    post = Post(None, ConnectionError("down"), patterns=("lamp.*",))
    runtime = await lit(post)
    await switched(runtime, 3)

    assert await runtime.process_outbox() == report(delivered=1, retrying=1)
    assert await runtime.process_outbox() == report()
    clock.advance("1m")
    assert await runtime.process_outbox() == report(delivered=3)
    assert [delivery.sequence for delivery in post.taken] == [1, 2, 2, 3, 4]
    assert len({delivery.id for delivery in post.taken}) == 4, "an attempt that is repeated has the id of the first"


async def test_one_instance_that_fails_holds_up_no_other_and_no_other_subscriber(lit):
    failing, well = Post(*[ConnectionError("down")] * 10, name="failing"), Post(name="well")
    runtime = await lit(failing, well)
    for _ in range(3):
        await switched(runtime)
    assert await runtime.process_outbox() == report(delivered=6, retrying=3)


async def test_a_delivery_is_dead_when_its_attempts_are_used_up_and_those_behind_go_on(lit, clock, recorder, caplog):
    post = Post(*[ConnectionError("down")] * 3)
    mourner = Mourner()
    runtime = await lit(post)
    runtime._observers._observers += (mourner,)
    lamp = await switched(runtime)
    for minutes in (1, 2):
        assert await runtime.process_outbox() == report(retrying=1)
        clock.advance(minutes=minutes)

    assert await runtime.process_outbox() == report(dead=1, delivered=1)
    await runtime.settled()
    [dead] = await runtime.outbox.list(status="dead", instance=lamp)
    assert (dead.attempts, dead.error, dead.finished_at) == (
        3,
        {"code": "ConnectionError", "message": "down"},
        clock.now(),
    )
    assert [(one.id, one.status, one.error) for one in mourner.given_up] == [(dead.id, "dead", dead.error)]
    assert "given up: down" in caplog.text


async def test_a_subscriber_says_when_to_come_again_and_when_to_give_up(lit, clock):
    post = Post(RetryAfter(timedelta(hours=2), "closed"), GiveUp("no such address", code="gone"), patterns=("*switch",))
    runtime = await lit(post)
    await switched(runtime)
    assert await runtime.process_outbox() == report(retrying=1)
    clock.advance("119m")
    assert await runtime.process_outbox() == report()
    clock.advance("1m")
    assert await runtime.process_outbox() == report(dead=1)
    [dead] = await runtime.outbox.list(status=DeliveryStatus.DEAD)
    assert dead.error == {"code": "gone", "message": "no such address"}


async def test_a_subscribers_own_policy_wins(lit):
    post = Post(ValueError("never"), retry=Retry(give_up_on=(ValueError,)), patterns=("*switch",))
    runtime = await lit(post)
    await switched(runtime)
    assert await runtime.process_outbox() == report(dead=1)


async def test_an_attempt_that_takes_too_long_is_cancelled(lit):
    cancelled = []

    async def hang():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    post = Post(hang, timeout=timedelta(milliseconds=10), patterns=("*switch",))
    runtime = await lit(post)
    await switched(runtime)
    assert await runtime.process_outbox() == report(retrying=1)
    [delivery] = await runtime.outbox.list(topic="lamp.switch")
    assert (cancelled, delivery.error["code"]) == ([True], "timed_out")


async def test_a_subscriber_that_is_cancelled_from_within_fails_and_stops_no_other(lit, clock):
    async def cancelled():
        gone = asyncio.create_task(asyncio.Event().wait())
        gone.cancel()
        await gone

    torn, other = Post(cancelled, cancelled, name="torn"), Post(name="other")
    runtime = await lit(torn, other)
    await runtime.create_instance("lamp")
    assert await runtime.process_outbox() == report(delivered=1, retrying=1)
    (waiting,) = await runtime.outbox.list(status="pending")
    assert (waiting.subscriber, waiting.error["message"]) == ("torn", "it was cancelled from within")
    clock.advance("1h")
    assert (await runtime.process_outbox()).retrying == 1
    assert len(other.taken) == 1


async def test_deliveries_are_made_side_by_side_but_not_all_at_once(lit):
    at_once, most = 0, 0
    full = asyncio.Event()

    async def meet():
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if at_once == CONCURRENCY:
            full.set()
        await asyncio.wait_for(full.wait(), WAIT)
        at_once -= 1

    post = Post(*[meet] * (3 * CONCURRENCY), patterns=("*created",))
    runtime = await lit(post)
    for _ in range(3 * CONCURRENCY):
        await runtime.create_instance("lamp")
    assert await runtime.process_outbox() == report(delivered=3 * CONCURRENCY)
    assert most == CONCURRENCY


async def test_a_subscriber_that_hangs_takes_no_other_ones_place(lit):
    released, told = asyncio.Event(), asyncio.Event()
    many, hung = 2 * CONCURRENCY, 0

    async def hang():
        nonlocal hung
        hung += 1
        await released.wait()

    async def count():
        if len(well.taken) == many:
            told.set()

    stuck = Post(*[hang] * many, name="stuck", patterns=("*created",))
    well = Post(*[count] * many, name="well", patterns=("*created",))
    runtime = await lit(stuck, well)
    for _ in range(many):
        await runtime.create_instance("lamp")

    sweep = asyncio.create_task(runtime.process_outbox())
    await asyncio.wait_for(told.wait(), WAIT)
    assert hung <= CONCURRENCY
    assert not sweep.done()
    released.set()
    assert await asyncio.wait_for(sweep, WAIT) == report(delivered=2 * many)


async def test_what_is_published_while_a_subscriber_hangs_is_delivered_to_others(lit, monkeypatch):
    monkeypatch.setattr(outbox, "LOOK_AGAIN", timedelta(milliseconds=1))
    released, hanging, told = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hang():
        hanging.set()
        await released.wait()

    async def hear():
        told.set()

    stuck = Post(hang, name="stuck", patterns=("*created",))
    well = Post(hear, name="well", patterns=("*switch",))
    runtime = await lit(stuck, well)
    lamp = await runtime.create_instance("lamp")
    sweep = asyncio.create_task(runtime.process_outbox())
    await asyncio.wait_for(hanging.wait(), WAIT)
    await switched(runtime, lamp=lamp)
    await asyncio.wait_for(told.wait(), WAIT)
    assert not sweep.done()
    released.set()
    assert await asyncio.wait_for(sweep, WAIT) == report(delivered=2)


async def test_a_sweep_makes_no_more_deliveries_than_it_was_asked_to(lit):
    post = Post(patterns=("lamp.*",))
    runtime = await lit(post)
    await switched(runtime, 9)
    assert await runtime.process_outbox(limit=4) == report(delivered=4)
    assert await runtime.process_outbox() == report(delivered=6)
    assert [delivery.sequence for delivery in post.taken] == list(range(1, 11))


async def test_any_number_of_sweeps_at_once_deliver_each_once_and_in_order(lit):
    post = Post(patterns=("lamp.*",))
    runtime = await lit(post)
    lamps = [await switched(runtime, 5) for _ in range(6)]
    reports = await asyncio.gather(*(runtime.process_outbox() for _ in range(5)))
    reports.append(await runtime.process_outbox())

    assert sum(one.delivered for one in reports) == 36
    for lamp in lamps:
        assert [one.sequence for one in post.taken if one.instance_id == lamp.id] == [1, 2, 3, 4, 5, 6]


async def test_a_worker_that_dies_leaves_its_deliveries_to_others_when_the_lease_ends(lit, store, clock):
    post = Post(patterns=("*switch",), timeout=timedelta(seconds=30))
    runtime = await lit(post)
    await switched(runtime)
    lease = timedelta(seconds=30) + GRACE
    [claimed] = await store.outbox.claim(["post"], lease=lease, limit=10, now=clock.now())
    assert await runtime.process_outbox() == report()
    clock.advance(lease)
    assert await runtime.process_outbox() == report(delivered=1)
    assert (post.taken[0].id, post.taken[0].attempts) == (claimed.id, 2)


async def test_a_lease_outlasts_the_longest_attempt(lit, clock, store):
    post = Post(patterns=("*switch",), timeout=timedelta(minutes=5))
    runtime = await lit(post)
    await switched(runtime)
    await runtime.process_outbox()
    assert post.taken[0].lease_until == clock.now() + timedelta(minutes=5) + GRACE


async def test_an_outcome_after_the_lease_has_ended_and_others_took_over_is_lost(lit, store, clock, caplog):
    async def be_overtaken():
        clock.advance("1h")
        await store.outbox.claim(["post"], lease=timedelta(minutes=1), limit=10, now=clock.now())

    post = Post(be_overtaken, patterns=("*switch",))
    runtime = await lit(post)
    await switched(runtime)
    assert await runtime.process_outbox() == report(lost=1)
    clock.advance("1m")
    assert await runtime.process_outbox() == report(delivered=1)


async def test_a_crash_before_the_outcome_is_noted_delivers_again(lit, store, clock, monkeypatch):
    post = Post(patterns=("*switch",))
    runtime = await lit(post)
    await switched(runtime)

    async def crash(self, results, *, now=None):
        raise ConnectionError("the database is gone")

    with monkeypatch.context() as broken:
        broken.setattr(type(store.outbox), "settle", crash)
        with pytest.raises(ConnectionError):
            await runtime.process_outbox()
    assert await runtime.process_outbox() == report(), "the lease has not ended"
    clock.advance("1h")
    assert await runtime.process_outbox() == report(delivered=1)
    assert [delivery.attempts for delivery in post.taken] == [1, 2]
    assert len({delivery.id for delivery in post.taken}) == 1


async def test_a_sweep_that_is_cancelled_gives_back_what_is_under_way(lit):
    under_way = asyncio.Event()

    async def hang():
        under_way.set()
        await asyncio.Event().wait()

    post = Post(None, hang, patterns=("lamp.*",))
    runtime = await lit(post)
    await switched(runtime)
    sweep = asyncio.create_task(runtime.process_outbox())
    await asyncio.wait_for(under_way.wait(), WAIT)
    sweep.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweep

    [first, second] = await runtime.outbox.list()
    assert (first.status, second.status, second.lease_until) == (DeliveryStatus.DELIVERED, DeliveryStatus.PENDING, None)
    assert await runtime.process_outbox() == report(delivered=1), "others need not wait for the lease"


async def test_dead_deliveries_are_replayed_with_their_attempts_forgotten(lit, store):
    post = Post(GiveUp("no"), GiveUp("no"), patterns=("*created",))
    runtime = await lit(post)
    for _ in range(3):
        await runtime.create_instance("lamp")
    assert await runtime.process_outbox() == report(dead=2, delivered=1)
    words: list[str] = []
    async with store.signals.listen(words.append):
        assert len(await runtime.outbox.replay(subscriber="post")) == 2
    assert words == ["outbox"]
    assert await runtime.process_outbox() == report(delivered=2)
    assert [delivery.attempts for delivery in post.taken] == [1] * 5


async def test_delivered_ones_are_replayed_when_asked_for_by_id_or_status(lit):
    post = Post()
    runtime = await lit(post)
    await switched(runtime)
    await runtime.process_outbox()
    first, second = await runtime.outbox.list()

    assert await runtime.outbox.replay(first) == {first.id}
    assert await runtime.outbox.replay([str(first.id)]) == set(), "it is pending already"
    assert await runtime.outbox.replay(subscriber="post") == set(), "none of them is dead"
    assert await runtime.outbox.replay(subscriber="post", status="delivered", limit=5) == {second.id}
    with pytest.raises(InvalidValue):
        await runtime.outbox.replay()
    with pytest.raises(InvalidValue, match="did you mean"):
        await runtime.outbox.list(status="ded")


async def test_a_tenant_sees_and_replays_its_own_deliveries_only(lit, running):
    post = Post()
    runtime = await lit(post)
    for tenant in ("a", "b"):
        await runtime.create_instance("lamp", tenant=tenant)
    await runtime.process_outbox()
    ours = await running(LAMP, commands=[say], subscribers=[post.subscriber], tenant="a")
    everything = await runtime.outbox.list()
    mine = await ours.outbox.list(subscriber="post")
    assert (len(everything), [delivery.tenant for delivery in mine]) == (2, ["a"])
    assert await ours.outbox.replay(everything) == {mine[0].id}


async def test_a_runtime_bound_to_a_tenant_delivers_what_its_instances_publish_only(lit, running):
    post = Post()
    runtime = await lit(post)
    for tenant in ("a", "b", None):
        await runtime.create_instance("lamp", tenant=tenant)
    ours = await running(LAMP, commands=[say], subscribers=[post.subscriber], tenant="a")

    assert await ours.process_outbox() == report(delivered=1)
    assert [delivery.tenant for delivery in post.taken] == ["a"]
    assert await ours.process_outbox() == report()
    assert await runtime.process_outbox() == report(delivered=2)
    assert [delivery.tenant for delivery in post.taken[1:]] == ["b", ""]


async def test_deliveries_are_listed_page_by_page(lit):
    post = Post()
    runtime = await lit(post)
    await switched(runtime, 3)
    first = await runtime.outbox.list(limit=2)
    assert [delivery.sequence for delivery in first] == [1, 2]
    assert [delivery.sequence for delivery in await runtime.outbox.list(after=first[-1])] == [3, 4]
    assert await runtime.outbox.list(subscriber="nobody") == []


async def test_a_rolled_back_transition_publishes_nothing(lit, store):
    post = Post()
    runtime = await lit(post)
    lamp = await runtime.create_instance("lamp")
    await runtime.process_outbox()
    with pytest.raises(ZeroDivisionError):
        await _switch_and_fail(runtime, store, lamp)
    assert await runtime.process_outbox() == report()


async def test_an_observer_that_fails_on_a_dead_delivery_harms_nothing(lit, caplog):
    class Broken(WorkflowObserver):
        async def on_dead_delivery(self, delivery):
            raise RuntimeError("broken")

    post = Post(GiveUp("no"), patterns=("*created",))
    runtime = await lit(post)
    runtime._observers._observers += (Broken(),)
    await runtime.create_instance("lamp")
    caplog.set_level(logging.ERROR)
    assert await runtime.process_outbox() == report(dead=1)
    await runtime.settled()
    assert "observer Broken failed on 'lamp.created'" in caplog.text


async def test_retention_forgets_ended_runs_deliveries_and_dead_letters_that_are_old(lit, clock, running):
    @command("work", durable=True)
    async def work(ctx):
        pass

    definition = {
        "name": "job",
        "initial_state": "new",
        "states": {
            "new": {"events": {"go": {"target": "new", "commands": ["work"]}, "end": {"target": "ended"}}},
            "ended": {},
        },
    }
    keep = Settings(keep_runs=timedelta(days=1), keep_delivered=timedelta(days=2), keep_dead=timedelta(days=3))
    post = Post(GiveUp("no"))
    runtime = await running(
        {**definition, "publish": "job"}, commands=[work], subscribers=[post.subscriber], settings=keep
    )
    job = await runtime.create_instance("job")
    await runtime.trigger_event(job.id, "go")
    await runtime.process_runs()
    await runtime.send(job.id, "go", expires="1s")
    clock.advance("1s")
    await runtime.process_inbox()
    assert (await runtime.process_outbox()).dead == 1

    forgotten = []
    for _ in range(4):
        done = await runtime.apply_retention()
        forgotten.append((done.runs, done.deliveries, done.dead_letters))
        clock.advance("24h")
        clock.advance("1s")
    assert forgotten == [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert [delivery.status for delivery in await runtime.outbox.list()] == [DeliveryStatus.DEAD]


async def _switch_and_fail(runtime, store, lamp):
    async with store.begin() as transaction:
        await runtime.trigger_event(lamp.id, "switch", connection=transaction)
        raise ZeroDivisionError
