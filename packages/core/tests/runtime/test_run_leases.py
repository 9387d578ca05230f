"""Leases: whoever died, froze or was cut off from a run loses it, and what he still does is not kept."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from detent import GiveUp, Ok, Outcome, Retry, RunStatus, Settings, command
from detent.errors import InstanceBusy, LeaseLost, OutcomeUnknown, StoreUnavailable
from detent.ids import new_id
from detent.store.change import Change

LEASE = timedelta(seconds=30)


def order(*commands, **event):
    return {
        "name": "order",
        "initial_state": "new",
        "states": {
            "new": {"events": {"pay": {"target": "paid", "commands": list(commands), **event}}},
            "paid": {},
            "failed": {},
        },
    }


async def accepted(runtime):
    created = await runtime.create_instance("order")
    return await runtime.trigger_event(created.id, "pay")


async def died(runtime):
    """A worker claims what there is and is never heard of again."""
    return await runtime.running().runs.claim(10)


async def test_a_run_whose_worker_died_is_taken_over_when_its_lease_has_ended(running, clock):
    ran = []

    @command("charge", durable=True)
    async def charge(ctx):
        ran.append((ctx.run.key, ctx.run.attempt))

    runtime = await running(order("charge"), commands=[charge])
    result = await accepted(runtime)
    (claimed,) = await died(runtime)
    clock.advance(LEASE - timedelta(microseconds=1))
    assert (await runtime.process_runs()).worked_on == 0
    assert await runtime.runs.stalled() == []
    clock.advance(timedelta(microseconds=1))
    assert [run.id for run in await runtime.runs.stalled(clock.now() + timedelta(seconds=1))] == [result.run_id]
    assert (await runtime.process_runs()).completed == 1
    assert ran == [(f"{result.run_id}:0", 2)]
    assert claimed.run.attempts == 1


async def test_a_worker_that_stalls_past_its_lease_finds_everything_refused(running, clock):
    """Behaviour 37 of duraflows: its heartbeat and its checkpoint are refused, and nothing of it is visible."""
    stalled, go_on, refused, keys = asyncio.Event(), asyncio.Event(), [], []

    @command("charge", durable=True)
    async def charge(ctx):
        keys.append(ctx.run.key)
        ctx.context["by"] = f"attempt {ctx.run.attempt}"
        if ctx.run.attempt == 1:
            stalled.set()
            await go_on.wait()
            for said in (ctx.run.heartbeat(), ctx.run.progress(0.9), ctx.run.checkpoint("a", 1)):
                with pytest.raises(LeaseLost):
                    await said
                refused.append(True)
        else:
            await ctx.run.progress(0.1)
        return Ok(data=ctx.run.attempt)

    runtime = await running(order("charge"), commands=[charge])
    other = await running(order("charge"), commands=[charge])
    result = await accepted(runtime)
    first = asyncio.create_task(runtime.process_runs())
    async with asyncio.timeout(5):
        await stalled.wait()
        clock.advance(LEASE)
        assert (await other.process_runs()).completed == 1
        before = (await runtime.get_instance(result.instance.id), await runtime.runs.get(result.run_id))
        go_on.set()
        report = await first
    assert (report.lost, report.completed) == (1, 0)
    assert refused == [True] * 3
    after = (await runtime.get_instance(result.instance.id), await runtime.runs.get(result.run_id))
    assert after == before
    assert after[0].context == {"by": "attempt 2"}
    assert [entry.event for entry in await runtime.get_history(result.instance.id)] == ["pay", "pay", "$created"]
    assert len(set(keys)) == 1


async def test_a_stalled_worker_does_not_touch_the_live_lease_of_the_next_one(running, clock):
    begun, both, go_on, finish = asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    @command("charge", durable=True)
    async def charge(ctx):
        if ctx.run.attempt == 2:
            both.set()
            await finish.wait()
            return
        begun.set()
        await go_on.wait()

    runtime = await running(order("charge"), commands=[charge])
    other = await running(order("charge"), commands=[charge])
    result = await accepted(runtime)
    first = asyncio.create_task(runtime.process_runs())
    async with asyncio.timeout(5):
        await begun.wait()
        clock.advance(LEASE)
        second = asyncio.create_task(other.process_runs())
        await both.wait()
        held = await runtime.runs.get(result.run_id)
        go_on.set()
        assert (await first).lost == 1
        assert await runtime.runs.get(result.run_id) == held
        finish.set()
        assert (await second).completed == 1


async def test_what_kills_its_worker_is_parked_and_kills_no_more(running, clock):
    ran = []

    @command("bomb", durable=True)
    async def bomb(ctx):
        ran.append(ctx.run.attempt)

    runtime = await running(order("bomb"), commands=[bomb], settings=Settings(max_crashes=3))
    result = await accepted(runtime)
    for _ in range(3):
        assert len(await died(runtime)) == 1
        clock.advance(LEASE)
    assert (await runtime.process_runs()).parked == 1
    run = await runtime.runs.get(result.run_id)
    assert (run.status, run.crashes, run.error["code"]) == (RunStatus.PARKED, 3, "run_stuck")
    assert "died" in run.reason
    assert ran == []
    await runtime.runs.retry(result.run_id)
    assert (await runtime.process_runs()).completed == 1
    assert ran == [1]


async def test_at_most_once_means_that_nobody_tries_again_after_a_death(running, clock):
    ran = []

    @command("launch", durable=True, retry="never")
    async def launch(ctx):
        ran.append(True)

    runtime = await running(order("launch", error="failed"), commands=[launch])
    result = await accepted(runtime)
    await died(runtime)
    clock.advance(LEASE)
    assert (await runtime.process_runs()).parked == 1
    assert ran == []
    assert "not known" in (await runtime.runs.get(result.run_id)).reason


async def test_at_most_once_holds_when_the_worker_is_stopped_in_between(running):
    begun, ran = asyncio.Event(), []

    @command("launch", durable=True, retry="never")
    async def launch(ctx):
        ran.append(True)
        begun.set()
        await asyncio.Event().wait()

    runtime = await running(order("launch"), commands=[launch])
    await accepted(runtime)
    work = asyncio.create_task(runtime.process_runs())
    async with asyncio.timeout(5):
        await begun.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert (await runtime.process_runs()).parked == 1
    assert ran == [True]


async def test_at_most_once_holds_when_the_command_finds_another_instance_busy(running, clock):
    ran = []

    @command("launch", durable=True, retry="never")
    async def launch(ctx):
        ran.append(True)
        raise InstanceBusy(new_id())

    runtime = await running(order("launch"), commands=[launch])
    await accepted(runtime)
    assert (await runtime.process_runs()).parked == 1
    clock.advance(LEASE)
    assert (await runtime.process_runs()).worked_on == 0
    assert ran == [True]


@pytest.mark.parametrize(
    "error", [InstanceBusy(new_id()), StoreUnavailable("another one"), OutcomeUnknown(new_id(), 1), LeaseLost(new_id())]
)
async def test_what_a_command_raises_about_something_else_is_a_failed_attempt_of_it(running, clock, error):
    ran = []

    @command("charge", durable=True, retry=Retry(attempts=2, jitter=0))
    async def charge(ctx):
        ran.append(ctx.run.attempt)
        raise error

    runtime = await running(order("charge", error="failed"), commands=[charge])
    result = await accepted(runtime)
    assert (await runtime.process_runs()).retrying == 1
    clock.advance(timedelta(seconds=1))
    assert (await runtime.process_runs()).completed == 1
    assert (ran, (await runtime.get_instance(result.instance.id)).state) == ([1, 2], "failed")


async def test_a_worker_that_is_stopped_gives_its_run_back_uncounted(running):
    begun, ran = asyncio.Event(), []

    @command("charge", durable=True, retry=Retry(attempts=2))
    async def charge(ctx):
        ran.append(ctx.run.attempt)
        if len(ran) == 1:
            begun.set()
            await asyncio.Event().wait()

    runtime = await running(order("charge"), commands=[charge])
    result = await accepted(runtime)
    work = asyncio.create_task(runtime.process_runs())
    async with asyncio.timeout(5):
        await begun.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        run = await runtime.runs.get(result.run_id)
        assert (run.status, run.attempts, run.crashes) == (RunStatus.PENDING, 0, 0)
        assert (await runtime.process_runs()).completed == 1
    assert ran == [1, 1]


class Hiccups:
    """A store whose verb fails a few times before it works."""

    def __init__(self, verb, times):
        self.verb, self.left = verb, times

    async def __call__(self, *given, **named):
        if self.left:
            self.left -= 1
            raise StoreUnavailable("a hiccup")
        return await self.verb(*given, **named)


@pytest.mark.parametrize("first", [False, True], ids=["the last answer", "the first answer"])
async def test_a_hiccup_of_the_store_repeats_no_command_that_answered(running, store, monkeypatch, first):
    ran = []

    @command("charge", durable=True)
    async def charge(ctx):
        ran.append(ctx.run.attempt)

    runtime = await running(order("charge", "charge") if first else order("charge"), commands=[charge])
    await accepted(runtime)
    # The last answer is written with the end of the run.
    place, verb = (store.runs, "checkpoint") if first else (store, "apply")
    hiccups = Hiccups(getattr(place, verb), 2)
    monkeypatch.setattr(place, verb, hiccups)
    assert (await runtime.process_runs()).completed == 1
    assert (ran, hiccups.left) == ([1, 1] if first else [1], 0)


async def test_a_checkpoint_whose_answer_is_lost_is_there_once_and_repeats_no_command(running, store, monkeypatch):
    ran, lost = [], []

    @command("first", durable=True)
    async def first(ctx):
        ran.append(ctx.run.key)

    @command("second", durable=True)
    async def second(ctx):
        ran.append(ctx.run.key)

    save = store.runs.checkpoint

    async def cut_off(checkpoint, *, now=None):
        saved = await save(checkpoint, now=now)
        if checkpoint.position not in lost:
            lost.append(checkpoint.position)
            raise StoreUnavailable("the answer did not come through")
        return saved

    runtime = await running(order("first", "second"), commands=[first, second])
    monkeypatch.setattr(store.runs, "checkpoint", cut_off)
    result = await accepted(runtime)
    assert (await runtime.process_runs()).completed == 1
    assert (lost, len(set(ran)), len(ran)) == ([0], 2, 2)
    assert len((await runtime.runs.get(result.run_id)).journal) == 2


async def test_a_transactional_command_whose_commit_nobody_answered_for_is_not_run_again(running, store, monkeypatch):
    ran: list[str] = []
    lost: list[bool] = []

    @command("write")
    async def write(ctx):
        ran.append("write")
        ctx.connection.put("notes", "a", len(ran))

    @command("call", durable=True)
    async def call(ctx):
        ran.append("call")

    opened = store.transaction

    @asynccontextmanager
    async def cut_off(instance_id, **more):
        async with opened(instance_id, **more) as unit:
            yield unit
        if ran == ["write"] and not lost:
            lost.append(True)
            raise OutcomeUnknown(instance_id, 2)

    runtime = await running(order("write", "call"), commands=[write, call])
    result = await accepted(runtime)
    monkeypatch.setattr(store, "transaction", cut_off)
    assert (await runtime.process_runs()).completed == 1
    assert (ran, lost) == (["write", "call"], [True])
    assert [entry["command"] for entry in (await runtime.runs.get(result.run_id)).journal] == ["write", "call"]


async def test_a_run_that_ends_with_its_last_answer_saved_is_only_committed_by_the_next_worker(running, clock):
    ran = []

    @command("charge", durable=True)
    async def charge(ctx):
        ran.append(ctx.run.attempt)

    @command("boom")
    async def boom(ctx):
        if len(ran) == 1 and not ctx.context.get("later"):
            ran.append("boom")
            raise OSError("no disk")

    definition = order("charge")
    definition["states"]["paid"] = {"on_enter": {"commands": ["boom"], "target": "failed"}}
    runtime = await running(
        definition,
        commands=[charge, boom],
        settings=Settings(run_retry=Retry(attempts=5, initial=timedelta(minutes=1), jitter=0)),
    )
    result = await accepted(runtime)
    assert (await runtime.process_runs()).retrying == 1
    run = await runtime.runs.get(result.run_id)
    assert (run.command, len(run.journal)) == ("", 1)
    assert (await runtime.get_instance(result.instance.id)).state == "new"
    clock.advance("1m")
    assert (await runtime.process_runs()).completed == 1
    assert ran == [1, "boom"]
    assert (await runtime.get_instance(result.instance.id)).state == "failed"


async def test_a_cancelled_instance_takes_its_run_along(running):
    begun, ended = asyncio.Event(), []

    @command("charge", durable=True)
    async def charge(ctx):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    runtime = await running(order("charge"), commands=[charge])
    result = await accepted(runtime)
    work = asyncio.create_task(runtime.process_runs())
    async with asyncio.timeout(5):
        await begun.wait()
        after = await runtime.cancel(result.instance.id, reason="changed my mind")
        runtime.running().runs.leases.doubt(result.run_id)
        assert (await work).lost == 1
    assert (after.status, after.run_id, ended) == ("cancelled", None, [True])
    run = await runtime.runs.get(result.run_id)
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "changed my mind")
    history = await runtime.get_history(result.instance.id)
    assert [entry.event for entry in history] == ["$cancelled", "pay", "$created"]


async def test_a_cancellation_is_heard_of_while_a_sign_of_life_is_under_way(running, store, monkeypatch):
    begun, beating, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @command("charge", durable=True)
    async def charge(ctx):
        begun.set()
        await asyncio.Event().wait()

    runtime = await running(order("charge"), commands=[charge])
    result = await accepted(runtime)
    leases, heartbeat = runtime.running().runs.leases, store.runs.heartbeat

    async def slow(*args, **options):
        kept = await heartbeat(*args, **options)
        beating.set()
        await go_on.wait()
        return kept

    work = asyncio.create_task(runtime.process_runs())
    async with asyncio.timeout(5):
        await begun.wait()
        monkeypatch.setattr(store.runs, "heartbeat", slow)
        leases.doubt(result.run_id)
        await beating.wait()
        await runtime.cancel(result.instance.id)
        leases.doubt(result.run_id)
        go_on.set()
        assert (await work).lost == 1


async def test_whatever_a_sign_of_life_raises_the_next_one_is_given(running, store, monkeypatch):
    begun, go_on, again, said = asyncio.Event(), asyncio.Event(), asyncio.Event(), []

    @command("charge", durable=True)
    async def charge(ctx):
        begun.set()
        await go_on.wait()

    runtime = await running(order("charge"), commands=[charge])
    result = await accepted(runtime)
    leases, heartbeat = runtime.running().runs.leases, store.runs.heartbeat

    async def refused_once(*args, **options):
        said.append(True)
        if len(said) == 1:
            leases.doubt(result.run_id)
            raise InstanceBusy(result.instance.id)
        again.set()
        return await heartbeat(*args, **options)

    monkeypatch.setattr(store.runs, "heartbeat", refused_once)
    work = asyncio.create_task(runtime.process_runs())
    async with asyncio.timeout(5):
        await begun.wait()
        leases.doubt(result.run_id)
        await again.wait()
        go_on.set()
        assert (await work).completed == 1


async def test_a_lease_is_given_up_in_time_when_a_sign_of_life_hangs(running, store, monkeypatch):
    length, stopped, asked = 0.9, [], []
    time = asyncio.get_running_loop().time

    @command("charge", durable=True)
    async def charge(ctx):
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(time())

    async def away(*args, **options):
        asked.append(time())
        if len(asked) == 1:
            raise StoreUnavailable("the connection was refused")
        await asyncio.Event().wait()

    runtime = await running(order("charge"), commands=[charge], settings=Settings(lease=timedelta(seconds=length)))
    await accepted(runtime)
    monkeypatch.setattr(store.runs, "heartbeat", away)
    begun = time()
    async with asyncio.timeout(5):
        await runtime.process_runs()
    assert stopped[0] - begun < length


async def test_a_run_whose_instance_was_deleted_is_lost(running):
    begun, go_on = asyncio.Event(), asyncio.Event()

    @command("charge", durable=True)
    async def charge(ctx):
        begun.set()
        await go_on.wait()
        raise GiveUp("no such account")

    runtime = await running(order("charge"), commands=[charge])
    result = await accepted(runtime)
    work = asyncio.create_task(runtime.process_runs())
    async with asyncio.timeout(5):
        await begun.wait()
        await runtime.delete(result.instance.id, force=True)
        go_on.set()
        assert (await work).lost == 1


async def test_what_stops_one_run_of_a_sweep_leaves_none_of_the_others_behind(running, store, monkeypatch):
    blocked, go_on, ended = asyncio.Event(), asyncio.Event(), []

    @command("charge", durable=True)
    async def charge(ctx):
        if ctx.context.get("slow"):
            blocked.set()
            await go_on.wait()
            ended.append(True)

    async def away(*args, **options):
        await blocked.wait()
        go_on.set()
        raise StoreUnavailable("it is away")

    runtime = await running(order("charge"), commands=[charge], settings=Settings(lease=timedelta(milliseconds=100)))
    for context in ({}, {"slow": True}):
        created = await runtime.create_instance("order", context=context)
        await runtime.trigger_event(created.id, "pay")
    monkeypatch.setattr(store, "apply", away)
    with pytest.raises((StoreUnavailable, LeaseLost)):
        await runtime.process_runs()
    assert runtime.running().runs.leases.held == []


async def test_the_lease_holds_its_whole_length_from_the_end_of_a_transactional_command(running, clock):
    left: list[timedelta] = []

    @command("note")
    async def note(ctx):
        pass

    @command("charge", durable=True)
    async def charge(ctx):
        run = await runtime.runs.get(ctx.run.id)
        left.append(run.lease_until - clock.now())

    runtime = await running(order("note", "charge"), commands=[note, charge])
    await accepted(runtime)
    assert (await runtime.process_runs()).completed == 1
    # The clock of the store stands still; what the command took is measured, and added.
    assert LEASE < left[0] < LEASE + timedelta(seconds=5)


async def test_a_paused_instance_may_save_an_answer_and_starts_no_next_command(running):
    begun, go_on, ran = asyncio.Event(), asyncio.Event(), []

    @command("first", durable=True)
    async def first(ctx):
        begun.set()
        await go_on.wait()
        ctx.context["first"] = True

    @command("second", durable=True)
    async def second(ctx):
        ran.append(ctx.context["first"])

    runtime = await running(order("first", "second"), commands=[first, second])
    result = await accepted(runtime)
    work = asyncio.create_task(runtime.process_runs())
    async with asyncio.timeout(5):
        await begun.wait()
        await runtime.pause(result.instance.id)
        go_on.set()
        assert (await work).released == 1
        assert (await runtime.process_runs()).worked_on == 0
        assert len((await runtime.runs.get(result.run_id)).journal) == 1
        await runtime.resume(result.instance.id)
        assert (await runtime.process_runs()).completed == 1
    assert ran == [True]


async def test_a_run_ends_under_the_version_it_began_with(running):
    @command("old", durable=True)
    async def old(ctx):
        ctx.context["old"] = True

    @command("new", durable=True)
    async def new(ctx):
        ctx.context["new"] = True

    first = await running(order("old"), commands=[old, new])
    result = await accepted(first)
    second = await running({**order("new"), "version": 2, "version_policy": "latest"}, commands=[old, new])
    assert (await second.process_runs()).completed == 1
    assert (await second.get_instance(result.instance.id)).context == {"old": True}


async def test_a_version_that_cannot_run_here_is_left_to_others(running):
    @command("old", durable=True)
    async def old(ctx):
        ctx.context["old"] = True

    first = await running(order("old"), commands=[old])
    result = await accepted(first)
    stranger = await running({**order(), "version": 2}, settings=Settings(unresolvable="warn"))
    assert (await stranger.process_runs()).released == 1
    assert (await stranger.process_runs()).worked_on == 0
    run = await first.runs.get(result.run_id)
    assert (run.status, run.attempts) == (RunStatus.PENDING, 0)
    assert (await first.process_runs()).completed == 1


async def test_a_version_that_cannot_run_anywhere_is_parked_where_the_settings_say_so(running):
    @command("old", durable=True)
    async def old(ctx):
        ctx.context["old"] = True

    first = await running(order("old"), commands=[old])
    result = await accepted(first)
    newest = await running({**order(), "version": 2}, settings=Settings(unresolvable="park"))
    assert newest.unavailable == {}
    assert (await newest.process_runs()).parked == 1
    run = await newest.runs.get(result.run_id)
    assert (run.status, run.attempts) == (RunStatus.PARKED, 1)
    assert "workflow 'order' in version 1 cannot run: no command 'old' is registered" in run.reason
    assert [found.id for found in await newest.find_parked()] == [result.instance.id]
    await first.retry(result.instance.id)
    assert (await first.process_runs()).completed == 1


async def test_an_instance_that_is_changed_behind_its_run_parks_it_with_a_reason(running, store):
    """Behaviour 41 of duraflows, which fails for ever there."""

    @command("charge", durable=True)
    async def charge(ctx):
        pass

    runtime = await running(order("charge"), commands=[charge])
    result = await accepted(runtime)
    (claimed,) = await died(runtime)
    moved = await moved_by_hand(store, result.instance.id)
    held = runtime.running().runs
    assert (await held.work_on(claimed_again(claimed, moved), serves=lambda _: True)).value == "parked"
    run = await runtime.runs.get(result.run_id)
    assert (run.status, "'paid'" in run.reason) == (RunStatus.PARKED, True)
    assert (await runtime.get_history(result.instance.id))[0].outcome is Outcome.FAILED


async def moved_by_hand(store, instance_id):
    """What somebody does who writes the row with SQL of his own."""
    record = await store.load(instance_id)
    written = replace(record, state="paid", version=record.version + 1)
    (last,) = await store.history(instance_id, limit=1)
    entry = replace(last, sequence=written.version, event="by_hand", to_state="paid", transition_id=new_id())
    await store.create(Change(written, record.version, entry.transition_id, (entry,)))
    return written


def claimed_again(claimed, instance):
    return replace(claimed, instance=instance)
