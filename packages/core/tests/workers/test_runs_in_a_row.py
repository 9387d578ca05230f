"""A run whose end begins another: the worker that ended it goes on with that one, without giving it away and claiming it anew."""

import asyncio
from datetime import timedelta

import pytest

from detent import (
    MemoryStore,
    OnEnter,
    SqliteStore,
    State,
    WorkflowDefinition,
    WorkflowObserver,
    WorkflowRuntime,
    command,
)
from detent.errors import StoreUnavailable
from detent.runtime import runs as runs_at_work
from detent.store.run_records import RunQuery, RunStatus
from detent.workers import Queue, RunWorker, Worker

STEPS = ("one", "two", "three")


def chain(name="chain", steps=STEPS, **ref):
    following = dict(zip(steps, (*steps[1:], "done"), strict=True))
    states = {step: State(on_enter=OnEnter(target=following[step], commands=[{"name": step, **ref}])) for step in steps}
    return WorkflowDefinition(name=name, initial_state=steps[0], states={**states, "done": State()})


def doing(ran, steps=STEPS, **options):
    def made(name):
        @command(name, durable=True, **options)
        async def work(ctx):
            ran.append((name, ctx.run.attempt, ctx.context.get("said")))
            ctx.context["said"] = name

        return work

    return [made(step) for step in steps]


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "runs.db")


@pytest.fixture
def claims(store, monkeypatch):
    """What was claimed, by the commands."""
    claim, seen = store.runs.claim, list[str]()

    async def noted(*given, **named):
        claimed = await claim(*given, **named)
        seen.extend(one.run.command for one in claimed)
        return claimed

    monkeypatch.setattr(store.runs, "claim", noted)
    return seen


class Nosy(WorkflowObserver):
    """Edits what it is shown."""

    async def on_transition(self, seen):
        seen.instance.context["said"] = "nonsense"
        seen.entry.trigger_metadata["by"] = "nobody"


async def test_one_claim_is_enough_for_a_chain(store, claims):
    ran = list[tuple[str, int, str | None]]()
    async with (
        WorkflowRuntime(store=store, definitions=[chain()], commands=doing(ran), observers=[Nosy()]) as runtime,
        Worker(runtime),
    ):
        created = await runtime.create_instance("chain")
        ended = await runtime.wait(created.id, "done", timeout=5)
        history = await runtime.get_history(created.id)
        ended_runs = await store.runs.find(RunQuery(), limit=10)
    assert ran == [("one", 1, None), ("two", 1, "one"), ("three", 1, "two")]
    assert (claims, ended.context, ended.run_id) == (["one"], {"said": "three"}, None)
    assert [entry.sequence for entry in history] == [4, 3, 2, 1]
    assert [run.trigger_metadata for run in ended_runs] == [{}] * 3
    assert [(run.status, len(run.journal)) for run in ended_runs] == [(RunStatus.COMPLETED, 1)] * 3


async def test_what_may_be_tried_only_once_is_claimed(store, claims):
    ran = list[tuple[str, int, str | None]]()
    async with (
        WorkflowRuntime(store=store, definitions=[chain()], commands=doing(ran, retry="never")) as runtime,
        Worker(runtime),
    ):
        created = await runtime.create_instance("chain")
        await runtime.wait(created.id, "done", timeout=5)
    assert claims == ["one", "two", "three"]


async def test_a_limited_queue_is_asked_for_each(store, claims):
    async with (
        WorkflowRuntime(store=store, definitions=[chain()], commands=doing([], queue="narrow")) as runtime,
        Worker(runtime, queues=[Queue("narrow", concurrency=1)]),
    ):
        created = await runtime.create_instance("chain")
        await runtime.wait(created.id, "done", timeout=5)
    assert claims == ["one", "two", "three"]


async def test_now_and_then_others_have_their_turn(store, claims, monkeypatch):
    monkeypatch.setattr(runs_at_work, "IN_A_ROW", 2)
    async with WorkflowRuntime(store=store, definitions=[chain()], commands=doing([])) as runtime, Worker(runtime):
        created = await runtime.create_instance("chain")
        await runtime.wait(created.id, "done", timeout=5)
    assert claims == ["one", "three"]


async def test_a_worker_that_leaves_begins_nothing_more(store, claims):
    begun, go_on = asyncio.Event(), asyncio.Event()

    @command("one", durable=True)
    async def one(ctx):
        begun.set()
        await go_on.wait()

    others = doing([], STEPS[1:])
    async with WorkflowRuntime(store=store, definitions=[chain()], commands=[one, *others]) as runtime:
        worker = RunWorker(runtime, drain=timedelta(seconds=5))
        async with asyncio.timeout(5):
            await worker.__aenter__()
            created = await runtime.create_instance("chain")
            await begun.wait()
            leaving = asyncio.create_task(worker.__aexit__(None, None, None))
            await worker._stopping.wait()
            go_on.set()
            await leaving
        after = await runtime.get_instance(created.id)
        assert after.run_id is not None
        run = await runtime.runs.get(after.run_id)
    assert (after.state, run.status, run.attempts) == ("two", RunStatus.PENDING, 0)


async def test_who_is_cancelled_while_the_end_is_committed_gives_the_next_run_back(store, monkeypatch):
    apply, committed = store.apply, asyncio.Event()

    async def slow(*given, **named):
        answer = await apply(*given, **named)
        committed.set()
        await asyncio.Event().wait()
        return answer

    async with WorkflowRuntime(store=store, definitions=[chain()], commands=doing([])) as runtime:
        created = await runtime.create_instance("chain")
        runs = runtime.running().runs
        [claimed] = await runs.claim(1)
        monkeypatch.setattr(store, "apply", slow)
        work = asyncio.create_task(through(runs, claimed))
        async with asyncio.timeout(5):
            await committed.wait()
        work.cancel()
        await asyncio.wait([work], timeout=5)
        monkeypatch.setattr(store, "apply", apply)
        after = await runtime.get_instance(created.id)
        assert after.run_id is not None
        run = await runtime.runs.get(after.run_id)
        assert (after.state, run.status, run.attempts) == ("two", RunStatus.PENDING, 0)
        assert (await runtime.process_runs()).completed == 2


async def through(runs, claimed):
    return await runs.work_through(claimed, serves=lambda _: True, begins=lambda _: True)


async def test_who_is_cancelled_before_the_end_is_committed_leaves_the_answer(store, monkeypatch):
    apply, reached = store.apply, asyncio.Event()
    ran = list[tuple[str, int, str | None]]()

    async def stuck(*given, **named):
        reached.set()
        await asyncio.Event().wait()

    async with WorkflowRuntime(store=store, definitions=[chain()], commands=doing(ran)) as runtime:
        await runtime.create_instance("chain")
        [claimed] = await runtime.running().runs.claim(1)
        monkeypatch.setattr(store, "apply", stuck)
        work = asyncio.create_task(through(runtime.running().runs, claimed))
        async with asyncio.timeout(5):
            await reached.wait()
        work.cancel()
        await asyncio.wait([work], timeout=5)
        monkeypatch.setattr(store, "apply", apply)
        assert (await runtime.process_runs()).completed == 3
    assert [name for name, _, _ in ran] == list(STEPS)


async def test_an_end_whose_answer_is_lost_is_gone_on_from(store, claims, monkeypatch):
    apply, ran = store.apply, list[tuple[str, int, str | None]]()

    async def cut_off(*given, **named):
        await apply(*given, **named)
        monkeypatch.setattr(store, "apply", apply)
        raise StoreUnavailable("the answer did not come through")

    async with WorkflowRuntime(store=store, definitions=[chain()], commands=doing(ran)) as runtime:
        created = await runtime.create_instance("chain")
        [claimed] = await runtime.running().runs.claim(1)
        monkeypatch.setattr(store, "apply", cut_off)
        async with asyncio.timeout(5):
            await through(runtime.running().runs, claimed)
        assert (await runtime.get_instance(created.id)).state == "done"
    assert (claims, ran) == (["one"], [("one", 1, None), ("two", 1, "one"), ("three", 1, "two")])
