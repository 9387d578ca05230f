"""The end of a run: one write where the instance is as it was claimed, and a step that holds the row where it is not. Whoever has
lost his lease writes nothing.
"""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from detent import MemoryStore, Outcome, RunStatus, SqliteStore, command
from detent.errors import StoreUnavailable

LEASE = timedelta(seconds=30)
ORDER: dict[str, Any] = {
    "name": "order",
    "publish": "order",
    "initial_state": "new",
    "states": {
        "new": {"events": {"pay": {"target": "paid", "commands": ["charge"]}}},
        "paid": {"context": {"paid": True}, "on_enter": {"target": "done"}},
        "done": {},
    },
}


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryStore(lock_timeout=0.2)
    return SqliteStore(tmp_path / "runs.db", synchronous="OFF")


@command("charge", durable=True)
async def charge(ctx):
    ctx.context["charge"] = {"by": ctx.run.key}


async def accepted(runtime):
    created = await runtime.create_instance("order")
    return await runtime.trigger_event(created.id, "pay")


async def assert_done_once(runtime, result):
    after = await runtime.get_instance(result.instance.id)
    run = await runtime.runs.get(result.run_id)
    assert (after.state, after.status, after.run_id, run.status) == ("done", "completed", None, RunStatus.COMPLETED)
    assert after.context == {"paid": True, "charge": {"by": f"{run.id}:0"}}
    history = await runtime.get_history(result.instance.id)
    assert [(entry.event, entry.outcome) for entry in history if entry.transition_id == run.id and entry.commands] == [
        ("pay", Outcome.SUCCESS)
    ]
    return history


async def seen(runtime, result, recorder):
    """All there is to be seen of an instance and its run."""
    await runtime.settled()
    there = (await runtime.get_instance(result.instance.id), await runtime.runs.get(result.run_id))
    return *there, await runtime.get_history(result.instance.id), list(recorder.heard)


def counted(store, monkeypatch):
    """Which ways the store was asked to write an instance."""
    asked, apply, transaction = [], store.apply, store.transaction

    async def applied(*given, **named):
        asked.append("apply")
        return await apply(*given, **named)

    @asynccontextmanager
    async def held(*given, **named):
        asked.append("transaction")
        async with transaction(*given, **named) as unit:
            yield unit

    monkeypatch.setattr(store, "apply", applied)
    monkeypatch.setattr(store, "transaction", held)
    return asked


async def test_an_end_without_commands_holds_no_row(running, store, monkeypatch):
    runtime = await running(ORDER, commands=[charge])
    result = await accepted(runtime)
    asked = counted(store, monkeypatch)
    assert (await runtime.process_runs()).completed == 1
    assert asked == ["apply"]
    history = await assert_done_once(runtime, result)
    assert [entry.event for entry in history] == ["$on_enter", "pay", "pay", "$created"]


async def test_an_end_whose_commands_belong_to_its_commit_holds_the_row(running, store, monkeypatch):
    ran = []

    @command("book")
    async def book(ctx):
        ran.append(ctx.context["paid"])

    states = {
        **ORDER["states"],
        "paid": {"context": {"paid": True}, "on_enter": {"commands": ["book"], "target": "done"}},
    }
    runtime = await running({**ORDER, "states": states}, commands=[charge, book])
    result = await accepted(runtime)
    asked = counted(store, monkeypatch)
    assert (await runtime.process_runs()).completed == 1
    assert (asked, ran) == (["transaction"], [True])
    assert (await runtime.get_instance(result.instance.id)).state == "done"


async def test_an_instance_that_was_written_since_the_claim_is_ended_as_it_is_now(running, store, monkeypatch):
    begun, go_on = asyncio.Event(), asyncio.Event()

    @command("charge", durable=True)
    async def slow(ctx):
        begun.set()
        await go_on.wait()
        ctx.context["charge"] = {"by": ctx.run.key}

    runtime = await running(ORDER, commands=[slow])
    result = await accepted(runtime)
    work = asyncio.create_task(runtime.process_runs())
    async with asyncio.timeout(5):
        await begun.wait()
        await runtime.pause(result.instance.id)
        await runtime.resume(result.instance.id)
        asked = counted(store, monkeypatch)
        go_on.set()
        assert (await work).completed == 1
    assert asked == ["apply", "transaction"]
    history = await assert_done_once(runtime, result)
    assert [entry.event for entry in history] == ["$on_enter", "pay", "$resumed", "$paused", "pay", "$created"]


async def test_a_worker_that_stalls_before_the_end_finds_that_another_has_committed_it(
    running, store, clock, monkeypatch
):
    runtime, other = await running(ORDER, commands=[charge]), await running(ORDER, commands=[charge])
    result = await accepted(runtime)
    apply = store.apply

    async def late(*given, **named):
        monkeypatch.setattr(store, "apply", apply)
        clock.advance(LEASE)
        assert (await other.process_runs()).completed == 1
        return await apply(*given, **named)

    monkeypatch.setattr(store, "apply", late)
    report = await runtime.process_runs()
    assert (report.lost, report.completed) == (1, 0)
    await assert_done_once(runtime, result)


@pytest.mark.parametrize("others", [0, 1], ids=["nobody", "another"])
async def test_an_end_that_comes_late_is_refused_whoever_holds_the_run(
    running, store, clock, recorder, monkeypatch, others
):
    """The instance is as it was claimed, so that nothing but the lease speaks against it."""
    runtime, other = await running(ORDER, commands=[charge]), await running(ORDER, commands=[charge])
    result = await accepted(runtime)
    apply, before = store.apply, []

    async def late(*given, **named):
        monkeypatch.setattr(store, "apply", apply)
        clock.advance(LEASE)
        assert len(await other.running().runs.claim(others)) == others
        before.append(await seen(runtime, result, recorder))
        return await apply(*given, **{**named, "now": clock.now()})

    monkeypatch.setattr(store, "apply", late)
    report = await runtime.process_runs(limit=1)
    assert (report.lost, report.completed) == (1, 0)
    assert [await seen(runtime, result, recorder)] == before
    clock.advance(LEASE)
    assert (await other.process_runs()).completed == 1
    await assert_done_once(runtime, result)


async def test_an_end_up_to_the_last_instant_of_its_lease_is_committed(running, store, clock, monkeypatch):
    runtime = await running(ORDER, commands=[charge])
    result = await accepted(runtime)
    apply = store.apply

    async def late(*given, **named):
        clock.advance(LEASE - timedelta(microseconds=1))
        return await apply(*given, **{**named, "now": clock.now()})

    monkeypatch.setattr(store, "apply", late)
    assert (await runtime.process_runs()).completed == 1
    await assert_done_once(runtime, result)


async def test_of_many_ends_those_are_lost_that_another_has_claimed(running, store, clock, monkeypatch):
    runtime, other = await running(ORDER, commands=[charge]), await running(ORDER, commands=[charge])
    results = [await accepted(runtime) for _ in range(6)]
    apply, ready = store.apply, asyncio.Barrier(6)
    stalled = {result.run_id for result in results[:2]}

    async def late(*given, **named):
        await ready.wait()
        monkeypatch.setattr(store, "apply", apply)
        if given[0] == results[0].instance.id:
            # Who stalls has a lease that is as old as his claim; the others' begins a moment before its end.
            lively = [(await store.runs.load(result.run_id)).lease for result in results[2:]]
            await store.runs.heartbeat(lively, extend=LEASE, now=clock.now() + LEASE - timedelta(microseconds=1))
            clock.advance(LEASE)
            assert {one.run.id for one in await other.running().runs.claim(9)} == stalled
        await ready.wait()
        return await apply(*given, **{**named, "now": clock.now()})

    monkeypatch.setattr(store, "apply", late)
    async with asyncio.timeout(5):
        report = await runtime.process_runs(limit=6)
    assert (report.lost, report.completed) == (2, 4)
    statuses = [(await runtime.runs.get(result.run_id)).status for result in results]
    assert statuses == [RunStatus.RUNNING] * 2 + [RunStatus.COMPLETED] * 4
    clock.advance(LEASE)
    assert (await other.process_runs()).completed == 2
    for result in results:
        await assert_done_once(runtime, result)


async def test_a_sign_of_life_right_behind_the_end_does_not_pass_for_a_lost_lease(running, store, monkeypatch):
    runtime = await running(ORDER, commands=[charge])
    result = await accepted(runtime)
    apply, heartbeat, heard = store.apply, store.runs.heartbeat, asyncio.Event()

    async def beaten(*given, **named):
        kept = await heartbeat(*given, **named)
        asyncio.get_running_loop().call_soon(heard.set)
        return kept

    async def slow(*given, **named):
        answer = await apply(*given, **named)
        runtime.running().runs.leases.doubt(result.run_id)
        await heard.wait()
        return answer

    monkeypatch.setattr(store.runs, "heartbeat", beaten)
    monkeypatch.setattr(store, "apply", slow)
    async with asyncio.timeout(5):
        report = await runtime.process_runs()
    assert (report.lost, report.completed) == (0, 1)


@pytest.mark.parametrize("committed", [False, True])
async def test_an_end_that_nobody_answered_for_is_there_once(running, store, monkeypatch, committed):
    runtime = await running(ORDER, commands=[charge])
    result = await accepted(runtime)
    apply = store.apply

    async def hiccup(*given, **named):
        monkeypatch.setattr(store, "apply", apply)
        if committed:
            await apply(*given, **named)
        raise StoreUnavailable("the answer did not come through")

    monkeypatch.setattr(store, "apply", hiccup)
    report = await runtime.process_runs()
    assert (report.completed, report.lost) == ((0, 1) if committed else (1, 0))
    await assert_done_once(runtime, result)
