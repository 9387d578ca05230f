"""duraflows' behaviours 37 to 41 on every store: its durable queue, here durable commands and enqueued events.

See `test_duraflows.py` for the rest, and for what a number means.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from detent import Fail, Outcome, Retry, RunStatus, Settings, command
from detent.errors import InstanceBusy, LeaseLost
from detent.ids import new_id
from detent.store.change import Change
from detent.store.run_records import Checkpoint, Lease, Release
from tests.parity.ground import Gate
from tests.parity.workflows import bill, count

STEADY = Settings(run_retry=Retry(attempts=3, initial=timedelta(minutes=1), jitter=0))
LEASE, TICK = STEADY.lease, timedelta(microseconds=1)


async def accepted(runtime, **options):
    """An instance of `bill` whose event `pay` waits for a worker, and the run that it is."""
    instance = await runtime.create_instance("bill")
    result = await runtime.enqueue_event(instance.id, "pay", **options)
    assert result.outcome is Outcome.ACCEPTED
    return instance, result.run_id


async def test_37_a_worker_that_stalled_past_its_lease_changes_nothing_for_the_next_one(
    running, backend, store, clock, heard
):
    """B holds a live lease: heartbeat, progress and checkpoint of A are refused, and so is each write of its old lease.

    What B holds is untouched: run, instance, history, observers. Both told the world outside the same key.
    """
    stalled, taken_over, keys, refused = Gate(), Gate(), [], []

    @command("charge", durable=True)
    async def charge(ctx):
        keys.append(ctx.run.key)
        ctx.context["by"] = ctx.run.attempt
        if ctx.run.attempt == 2:
            return await taken_over.passed()
        await stalled.passed()
        for say in (ctx.run.heartbeat, lambda: ctx.run.progress(0.9), lambda: ctx.run.checkpoint("page", 7)):
            with pytest.raises(LeaseLost) as lost:
                await say()
            refused.append(lost.value.run_id)

    async with asyncio.timeout(10), backend.kit(store).second() as second:
        one = await running(bill(commands=["charge"]), commands=[charge])
        two = await running(bill(commands=["charge"]), commands=[charge], store=second)
        instance, run_id = await accepted(one)
        first = asyncio.create_task(one.process_runs())
        await stalled.reached.wait()
        old = Lease(run_id, (await one.runs.get(run_id)).lease_token)
        clock.advance(LEASE)
        other = asyncio.create_task(two.process_runs())
        await taken_over.reached.wait()

        async def untouched():
            await one.settled()
            await two.settled()
            stored = await one.get_instance(instance.id), await one.get_history(instance.id), await one.runs.get(run_id)
            return *stored, list(heard.texts)

        before = await untouched()
        assert (before[2].status, before[2].attempts, before[2].lease_token == old.token) == ("running", 2, False)
        stalled.open()
        assert ((await first).lost, refused) == (1, [run_id] * 3)
        now = clock.now()
        late = Checkpoint(old, {"command": "charge"}, 0, command="", queue="default", priority=0)
        assert await store.runs.checkpoint(late, now=now) is None
        assert run_id not in await store.runs.heartbeat([old], extend=LEASE, now=now)
        assert run_id not in await store.runs.release([Release(old)], now=now)
        assert await untouched() == before

        taken_over.open()
        assert (await other).completed == 1
    after = await one.get_instance(instance.id)
    assert (after.state, after.context, after.version) == ("paid", {"by": 2}, 3)
    await two.settled()
    assert heard.texts == ["$created None>open success", "pay open>open accepted", "pay open>paid success", "charge ok"]
    assert keys == [f"{run_id}:0"] * 2


@pytest.mark.parametrize(("late", "answer"), [(-TICK, "completed"), (timedelta(0), "lost")])
async def test_38_a_lease_that_ends_at_the_very_instant_has_ended(running, clock, late, answer):
    """A microsecond earlier the answer is saved. Refused, it is not kept: another attempt is made, under the same key."""
    keys = []

    @command("charge", durable=True)
    async def charge(ctx):
        keys.append(ctx.run.key)
        if len(keys) == 1:
            clock.advance(LEASE + late)

    runtime = await running(bill(commands=["charge"]), commands=[charge])
    instance, run_id = await accepted(runtime)
    report = await runtime.process_runs(limit=1)
    assert (getattr(report, answer), report.worked_on) == (1, 1)
    run = await runtime.runs.get(run_id)
    if answer == "lost":
        assert (run.status, run.attempts, run.journal, run.lease_until) == ("running", 1, (), clock.now())
        assert (await runtime.get_instance(instance.id)).state == "open"
        assert (await runtime.process_runs()).completed == 1
        assert keys == [f"{run_id}:0"] * 2
    assert (await runtime.get_instance(instance.id)).state == "paid"
    assert len((await runtime.runs.get(run_id)).journal) == 1


async def test_39_what_a_transactional_command_writes_shares_the_fate_of_its_checkpoint(running, kit, clock, story):
    """It writes and raises: rolled back, while the attempt and its error are kept. It answers `Fail`: both are there.

    The end of the event is another commit: that fails once here, and takes neither the writes nor the answer along.
    """
    answers = [OSError("disk is full"), Fail("sold_out")]
    ends = [OSError("still full")]

    @command("stock")
    async def stock(ctx):
        answer = answers.pop(0)
        ctx.context["stocked"] = len(answers)
        await kit.note(ctx.connection, f"stocked before {type(answer).__name__}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    @command("end")
    async def end(ctx):
        if ends:
            raise ends.pop()

    definition = bill(commands=["stock"], error="refunded")
    definition["states"]["refunded"]["on_enter"] = {"commands": ["end"]}
    runtime = await running(definition, commands=[stock, end], settings=STEADY)
    instance, run_id = await accepted(runtime)

    assert (await runtime.process_runs()).retrying == 1
    assert not await kit.noted("stocked before OSError")
    run = await runtime.runs.get(run_id)
    assert (run.status, run.attempts, run.command, run.journal) == (RunStatus.PENDING, 1, "stock", ())
    assert (run.error, run.available_at) == (
        {"code": "OSError", "message": "disk is full"},
        clock.now() + timedelta(minutes=1),
    )
    assert (await runtime.process_runs()).worked_on == 0

    clock.advance("1m")
    assert (await runtime.process_runs()).retrying == 1
    assert await kit.noted("stocked before Fail")
    run = await runtime.runs.get(run_id)
    assert (run.status, run.command, [entry["record"]["code"] for entry in run.journal]) == (
        "pending",
        "",
        ["sold_out"],
    )
    assert (await runtime.get_instance(instance.id)).state == "open"

    clock.advance("1m")
    assert (await runtime.process_runs()).completed == 1
    after = await runtime.get_instance(instance.id)
    assert (after.state, after.context, answers) == ("refunded", {"stocked": 0}, [])
    assert await story(runtime, instance) == [
        "1 $created None>open success",
        "2 pay open>open accepted",
        "3 pay open>refunded failure",
        "4 $on_enter refunded>refunded success",
    ]


async def test_39_a_failure_that_leads_nowhere_is_rolled_back_and_parked(running, kit):
    """duraflows keeps such an answer, and the event can then only be cancelled. Ours runs the command again on `retry`."""
    answers = [Fail("sold_out"), None]

    @command("stock")
    async def stock(ctx):
        answer = answers.pop(0)
        await kit.note(ctx.connection, f"stocked with {len(answers)} left")
        return answer

    runtime = await running(bill(commands=["stock"]), commands=[stock])
    instance, run_id = await accepted(runtime)
    assert (await runtime.process_runs()).parked == 1
    run = await runtime.runs.get(run_id)
    assert (run.status, run.journal, run.error["code"]) == (RunStatus.PARKED, (), "command_failed")
    assert not await kit.noted("stocked with 1 left")
    await runtime.runs.retry(run_id)
    assert (await runtime.process_runs()).completed == 1
    assert await kit.noted("stocked with 0 left")
    assert (await runtime.get_instance(instance.id)).state == "paid"


@pytest.mark.parametrize("policy", ["pinned", "latest"])
async def test_40_a_queued_event_ends_under_the_version_it_began_with(running, clock, policy):
    """A release comes in between that has only version 2. What answered before is not run again, and until the end of the run the
    instance is busy. Where the policy says `latest`, version 2 governs from the next event on.
    """
    ran = []

    @command("first", durable=True)
    async def first(ctx):
        ran.append("first")
        ctx.context["reference"] = 42

    @command("second", durable=True)
    async def second(ctx):
        ran.append(f"second after {ctx.context['reference']}")
        if len(ran) == 2:
            raise OSError("down")

    @command("third", durable=True)
    async def third(ctx):
        ran.append("third")

    old = bill(commands=["first", "second"]) | {"version_policy": policy}
    new = bill(commands=["third"]) | {"version_policy": policy, "version": 2}
    new["states"]["paid"]["events"] = {"refund": {"target": "open"}}
    before = await running(old, commands=[first, second], settings=STEADY)
    instance, run_id = await accepted(before)
    assert (await before.process_runs()).retrying == 1

    after = await running(new, commands=[first, second, third], settings=STEADY)
    for take in (after.trigger_event, after.enqueue_event):
        with pytest.raises(InstanceBusy) as busy:
            await take(instance.id, "see")
        assert busy.value.run_id == run_id
    clock.advance("1m")
    assert (await after.process_runs()).completed == 1
    assert ran == ["first", "second after 42", "second after 42"]
    ended, begun, _ = await after.get_history(instance.id)
    assert [(entry.event, entry.definition_version) for entry in (begun, ended)] == [("pay", "1")] * 2
    assert (ended.outcome, ended.to_state, [record.name for record in ended.commands]) == (
        "success",
        "paid",
        ["first", "second"],
    )
    moved = await after.trigger_event(instance.id, "refund")
    assert (moved.to_state, moved.instance.definition_version) == (
        ("open", "2") if policy == "latest" else ("refunded", "1")
    )


@pytest.mark.parametrize("change", [{"state": "paid"}, {"run_id": None}], ids=lambda change: next(iter(change)))
async def test_41_a_run_whose_instance_was_changed_behind_it_is_not_tried_for_ever(running, store, clock, change):
    """It is parked with the reason; where its instance does not know it any more it ends with the reason, for nobody could
    take it up again. No command runs. duraflows tries, and fails, for ever.
    """
    ran = []

    @command("charge", durable=True)
    async def charge(ctx):
        ran.append(True)

    runtime = await running(bill(commands=["charge"]), commands=[charge])
    instance, run_id = await accepted(runtime)

    def by_hand(record, *_):
        written = replace(record, version=record.version + 1, **change)
        return Change(written, record.version, new_id(), (entry_of(written),)), None

    def entry_of(written):
        return replace(last, sequence=written.version, event="by_hand", outcome=Outcome.SUCCESS)

    (last, _) = await runtime.get_history(instance.id)
    await store.apply(instance.id, by_hand, now=clock.now())
    assert (await runtime.process_runs()).parked == 1
    run = await runtime.runs.get(run_id)
    forgotten = "run_id" in change
    assert run.status is (RunStatus.CANCELLED if forgotten else RunStatus.PARKED)
    assert "changed behind its run" in run.reason
    after = await runtime.get_instance(instance.id)
    assert (after.parked_at is None) == forgotten
    clock.advance("30d")
    assert (await runtime.process_runs()).worked_on == 0
    assert ran == []
    if forgotten:
        assert (await runtime.enqueue_event(instance.id, "pay")).outcome is Outcome.ACCEPTED
        assert (await runtime.process_runs()).completed == 1
    else:
        await runtime.runs.cancel(run_id)
        assert (await runtime.get_instance(instance.id)).run_id is None


@pytest.mark.parametrize("commands", [[], ["count"]])
async def test_40_an_event_is_queued_whether_its_commands_are_durable_or_not(running, commands):
    """Also one without any command: a worker takes it, under the rules of the version it was accepted with."""
    runtime = await running(bill(commands=commands), commands=[count])
    instance, _ = await accepted(runtime, payload={"card": "x"})
    assert (await runtime.process_runs()).completed == 1
    ended, begun, _ = await runtime.get_history(instance.id)
    assert (ended.to_state, ended.payload, begun.payload) == ("paid", {"card": "x"}, {"card": "x"})
