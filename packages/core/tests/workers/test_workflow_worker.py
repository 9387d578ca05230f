"""A worker that is asked: one waiting instance per call, how far it came, and what was put back."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import ClassVar

import pytest

from detent import (
    GiveUp,
    InvalidValue,
    OnEnter,
    Retry,
    RunStatus,
    Settings,
    State,
    Status,
    UnknownWorkflow,
    WorkflowDefinition,
    WorkflowUnavailable,
    command,
)
from detent.errors import RunNotActive
from detent.runtime import runs as runs_at_work
from detent.workers import Executed, FetchStrategy, Worker, WorkflowWorker, WorkOutcome
from packages.core.tests.workers.orders import RARELY, Held, becomes_so, order, paid

STEPS = ("one", "two", "three")


def chain(name="chain", steps=STEPS, **more):
    following = dict(zip(steps, (*steps[1:], "done"), strict=True))
    states = {step: State(on_enter=OnEnter(target=following[step], commands=[step])) for step in steps}
    return WorkflowDefinition(name=name, initial_state=steps[0], states={**states, "done": State()}, **more)


class Doing:
    """A command for each step, which raises what it is told to, in that order, before it succeeds."""

    def __init__(self, steps=STEPS, **options):
        self.ran = list[str]()
        self.raises = {step: list[Exception]() for step in steps}
        self.commands = [self._made(step, options) for step in steps]

    def _made(self, name, options):
        @command(name, durable=True, **{"retry": Retry(attempts=3, initial=timedelta(minutes=1), jitter=0), **options})
        async def work(ctx):
            self.ran.append(name)
            if self.raises[name]:
                raise self.raises[name].pop(0)

        return work


@pytest.fixture
def doing():
    return Doing()


# ------------------------------------------------------------------------------------------------ how far a call goes


async def test_an_instance_goes_from_step_to_step_until_it_has_ended(started, doing, store, monkeypatch):
    runtime = await started(chain(), commands=doing.commands)
    created = await runtime.create_instance("chain")
    claims, claim = [], store.runs.claim

    async def noted(*given, **named):
        claims.append(given)
        return await claim(*given, **named)

    monkeypatch.setattr(store.runs, "claim", noted)
    executed = await WorkflowWorker(runtime).execute_waiting(type="chain")

    assert (executed.outcome, executed.instance_id) == (WorkOutcome.COMPLETED, created.id)
    assert (executed.workflow, executed.state, executed.status, executed.error) == (
        "chain", "done", Status.COMPLETED, None,
    )  # fmt: skip
    assert (doing.ran, len(claims)) == (list(STEPS), 1)


async def test_of_a_step_that_is_named_only_that_is_done(started, doing):
    runtime = await started(chain(), commands=doing.commands)
    created = await runtime.create_instance("chain")
    worker = WorkflowWorker(runtime)

    assert (await worker.execute_waiting(step="two")).outcome is WorkOutcome.NONE
    answers = [await worker.execute_waiting(type="chain", step=step) for step in STEPS]

    assert [(one.outcome, one.state) for one in answers] == [
        (WorkOutcome.STOPPED, "two"),
        (WorkOutcome.STOPPED, "three"),
        (WorkOutcome.COMPLETED, "done"),
    ]
    assert {one.instance_id for one in answers} == {created.id}


@pytest.mark.parametrize("why", ["in a row", "once only"])
async def test_it_goes_on_with_the_same_instance_though_its_next_run_was_claimed_anew(started, monkeypatch, why):
    monkeypatch.setattr(runs_at_work, "IN_A_ROW", 2 if why == "in a row" else 50)
    doing = Doing(retry="never") if why == "once only" else Doing()
    runtime = await started(chain(), commands=doing.commands)
    created = [(await runtime.create_instance("chain")).id for _ in range(2)]
    worker = WorkflowWorker(runtime)
    answers = [await worker.execute_waiting() for _ in range(3)]
    assert [(one.outcome, one.instance_id) for one in answers] == [
        (WorkOutcome.COMPLETED, created[0]), (WorkOutcome.COMPLETED, created[1]), (WorkOutcome.NONE, None),
    ]  # fmt: skip
    assert doing.ran == [*STEPS, *STEPS]


async def test_an_attempt_that_is_repeated_later_stops_it(started, doing, clock):
    runtime = await started(chain(), commands=doing.commands)
    created = await runtime.create_instance("chain")
    worker = WorkflowWorker(runtime)
    doing.raises["two"] = [OSError("gone")]

    stopped = await worker.execute_waiting()
    assert (stopped.outcome, stopped.instance_id, stopped.state) == (WorkOutcome.STOPPED, created.id, "two")
    assert (stopped.status, stopped.error) == (Status.ACTIVE, None)
    clock.advance("59s")
    assert await worker.execute_waiting() == Executed(WorkOutcome.NONE)
    clock.advance("1s")
    assert (await worker.execute_waiting()).outcome is WorkOutcome.COMPLETED
    assert doing.ran == ["one", "two", "two", "three"]


async def test_an_instance_that_waits_for_an_event_has_stopped(started, doing):
    definition = WorkflowDefinition.from_dict(
        {
            "name": "letter",
            "initial_state": "one",
            "states": {
                "one": {"on_enter": {"target": "sealed", "commands": ["one"]}},
                "sealed": {"events": {"post": {"target": "posted"}}},
                "posted": {},
            },
        }
    )
    runtime = await started(definition, commands=doing.commands)
    letter = await runtime.create_instance("letter")
    stopped = await WorkflowWorker(runtime).execute_waiting()
    assert (stopped.outcome, stopped.instance_id, stopped.state) == (WorkOutcome.STOPPED, letter.id, "sealed")
    assert (await WorkflowWorker(runtime).execute_waiting()).outcome is WorkOutcome.NONE


async def test_used_up_attempts_are_unrecoverable_and_say_why(started, doing, clock):
    runtime = await started(chain(), commands=doing.commands)
    created = await runtime.create_instance("chain", context={"given": 1})
    worker = WorkflowWorker(runtime)
    doing.raises["two"] = [OSError("1"), OSError("2"), OSError("3")]
    answers = []
    for _ in range(3):
        answers.append(await worker.execute_waiting())
        clock.advance("10m")

    assert [one.outcome for one in answers] == [WorkOutcome.STOPPED, WorkOutcome.STOPPED, WorkOutcome.UNRECOVERABLE]
    parked = answers[-1]
    assert (parked.instance_id, parked.state, parked.status) == (created.id, "two", Status.ACTIVE)
    assert parked.error is not None
    assert (parked.error["code"], parked.error["message"]) == ("OSError", "3")
    assert "raise self.raises[name].pop(0)\nOSError: 3\n" in parked.error["traceback"]
    assert (await worker.execute_waiting()).outcome is WorkOutcome.NONE
    assert [run.id for run in await runtime.runs.list(status="parked")] == [parked.run_id]


async def test_an_instance_that_is_cancelled_meanwhile_has_ended(started, store):
    held = Held()
    runtime = await started(order("charge"), commands=[held.command], settings=Settings(lease=timedelta(seconds=1)))
    made = await paid(runtime)
    working = asyncio.create_task(WorkflowWorker(runtime).execute_waiting())
    async with asyncio.timeout(5):
        await held.begun.acquire()
        await runtime.cancel(made.id)
        executed = await working
    assert (executed.outcome, executed.status, executed.instance_id) == (
        WorkOutcome.COMPLETED, Status.CANCELLED, made.id,
    )  # fmt: skip
    assert held.cancelled == 1


async def test_an_instance_that_is_deleted_meanwhile_is_none(started, monkeypatch):
    held = Held.let_go()
    runtime = await started(order("charge"), commands=[held.command])
    made = await paid(runtime)
    through = runtime.running().runs.work_through

    async def then_deleted(*given, **named):
        answer = await through(*given, **named)
        await runtime.delete(made.id)
        return answer

    monkeypatch.setattr(runtime.running().runs, "work_through", then_deleted)
    assert await WorkflowWorker(runtime).execute_waiting() == Executed(WorkOutcome.NONE)


# ------------------------------------------------------------------------------------------------ what fits


async def test_only_what_is_asked_for_is_worked_on(started, doing):
    runtime = await started(chain(), chain("other"), commands=doing.commands)
    ours, others = await runtime.create_instance("chain"), await runtime.create_instance("other")
    worker = WorkflowWorker(runtime)

    class Drawn:
        definition: ClassVar[WorkflowDefinition] = chain("other")

    assert (await worker.execute_waiting(type=Drawn, step="one")).instance_id == others.id
    assert (await worker.execute_waiting(type=chain("other"), step="one")).outcome is WorkOutcome.NONE
    assert (await worker.execute_waiting(step="two")).instance_id == others.id
    assert (await worker.execute_waiting(type="chain")).instance_id == ours.id
    assert (await worker.execute_waiting(type="chain")).outcome is WorkOutcome.NONE
    assert (await worker.execute_waiting()).instance_id == others.id


@pytest.mark.parametrize("strategy", [*FetchStrategy, "newest"])
async def test_a_strategy_says_which_of_them_comes_first(started, doing, clock, strategy):
    runtime = await started(chain(), commands=doing.commands)
    created = []
    for _ in range(4):
        created.append((await runtime.create_instance("chain")).id)
        clock.advance("1s")
    worker = WorkflowWorker(runtime)
    done = [(await worker.execute_waiting(strategy=strategy)).instance_id for _ in created]
    assert set(done) == set(created)
    if strategy != "random":
        assert done == (created if strategy == "oldest" else created[::-1])


async def test_a_workflow_that_is_not_registered_is_never_received(started, doing):
    elsewhere = await started(chain("other"), commands=doing.commands)
    theirs = await elsewhere.create_instance("other")
    runtime = await started(chain(), commands=doing.commands)
    worker = WorkflowWorker(runtime)
    assert (await worker.execute_waiting()).outcome is WorkOutcome.NONE
    assert (await worker.recover()).changed == ()
    with pytest.raises(UnknownWorkflow, match="other"):
        await worker.execute_waiting(type="other")
    assert (await WorkflowWorker(elsewhere).execute_waiting()).instance_id == theirs.id


async def test_what_cannot_run_here_is_left_and_others_go_on(started, doing):
    older = await started(chain(), commands=doing.commands)
    theirs = await older.create_instance("chain")
    newest = await started(
        chain(steps=("new",), version="2"), commands=Doing(("new",)).commands, settings=Settings(unresolvable="warn")
    )
    ours = await newest.create_instance("chain")
    worker = WorkflowWorker(newest)
    assert [(await worker.execute_waiting()).instance_id for _ in range(2)] == [ours.id, None]
    run = (await older.runs.for_instance(theirs))[0]
    assert (run.status, run.attempts) == (RunStatus.PENDING, 0)
    assert (await WorkflowWorker(older).execute_waiting()).instance_id == theirs.id


async def test_a_workflow_that_is_withdrawn_says_so(started, doing):
    older = await started(chain(), commands=doing.commands)
    await older.create_instance("chain")
    newest = await started(chain(steps=("new",), version="2"), commands=Doing(("new",)).commands)
    with pytest.raises(WorkflowUnavailable):
        await WorkflowWorker(newest).execute_waiting(type="chain")
    assert (await WorkflowWorker(newest).execute_waiting()).outcome is WorkOutcome.NONE


async def test_a_worker_of_a_tenant_works_for_that_alone(started, doing):
    everybodys = await started(chain(), commands=doing.commands)
    await everybodys.create_instance("chain", tenant="globex")
    mine = await everybodys.create_instance("chain", tenant="acme")
    worker = WorkflowWorker(await started(chain(), commands=doing.commands, tenant="acme"))
    assert [(await worker.execute_waiting()).instance_id for _ in range(2)] == [mine.id, None]


async def test_a_paused_instance_waits_for_nobody(started, doing):
    runtime = await started(chain(), commands=doing.commands)
    created = await runtime.create_instance("chain")
    await runtime.pause(created.id)
    assert (await WorkflowWorker(runtime).execute_waiting()).outcome is WorkOutcome.NONE
    await runtime.resume(created.id)
    assert (await WorkflowWorker(runtime).execute_waiting()).instance_id == created.id


# ------------------------------------------------------------------------------------------------ how long it is waited for


@pytest.mark.parametrize("timeout", ["0.06s", timedelta(milliseconds=60), 0.06])
async def test_where_nothing_fits_it_waits_as_long_as_it_was_told_to(started, doing, timeout):
    runtime = await started(chain(), commands=doing.commands)
    await runtime.create_instance("chain")
    time = asyncio.get_running_loop().time
    began = time()
    executed = await WorkflowWorker(runtime).execute_waiting(step="two", timeout=timeout)
    assert executed == Executed(WorkOutcome.NONE)
    assert time() - began >= 0.06


async def test_what_comes_while_it_waits_is_worked_on_at_once(started, doing, monkeypatch):
    runtime = await started(chain(), commands=doing.commands)
    worker = WorkflowWorker(runtime)
    looks, claim = [], runtime.running().runs.claim

    async def noted(*given, **named):
        looks.append(given)
        return await claim(*given, **named)

    monkeypatch.setattr(runtime.running().runs, "claim", noted)
    async with asyncio.timeout(10):
        waiting = asyncio.create_task(worker.execute_waiting(timeout="1h"))
        await becomes_so(lambda: looks)
        created = await runtime.create_instance("chain")
        assert (await waiting).instance_id == created.id


async def test_what_no_signal_tells_of_is_found_by_looking(started, doing, store, monkeypatch):
    runtime = await started(chain(), commands=doing.commands)
    monkeypatch.setattr(store.signals, "announce", lambda words: None)
    async with asyncio.timeout(10):
        waiting = asyncio.create_task(WorkflowWorker(runtime).execute_waiting(timeout="1h"))
        created = await runtime.create_instance("chain")
        assert (await waiting).instance_id == created.id


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": "60ms"}, r"write 0\.06s"),
        ({"timeout": "-1s"}, "timeout"),
        ({"timeout": None}, "timeout"),
        ({"step": "tow"}, "two"),
        ({"type": "chain", "step": "done!"}, "no state of workflow 'chain'"),
        ({"strategy": "oldset"}, "oldest"),
        ({"type": 7}, "type"),
        ({"type": WorkflowDefinition}, "type"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_a_hint(started, doing, asked, told):
    runtime = await started(chain(), commands=doing.commands)
    await runtime.create_instance("chain")
    with pytest.raises(InvalidValue, match=told) as refused:
        await WorkflowWorker(runtime).execute_waiting(**asked)
    assert refused.value.hint
    assert doing.ran == []


# ------------------------------------------------------------------------------------------------ beside others


async def test_of_two_who_ask_for_one_step_one_does_it(started):
    held = Held()
    runtimes = [await started(order("charge"), commands=[held.command]) for _ in range(2)]
    made = await paid(runtimes[0])
    async with asyncio.timeout(5):
        first = asyncio.create_task(WorkflowWorker(runtimes[0]).execute_waiting(type="order", step="new"))
        await held.begun.acquire()
        assert await WorkflowWorker(runtimes[1]).execute_waiting(type="order", step="new") == Executed(WorkOutcome.NONE)
        held.go_on.set()
        assert (await first).outcome is WorkOutcome.COMPLETED
    assert (held.instances, (await runtimes[0].get_instance(made.id)).state) == ([made.id], "paid")


async def test_it_works_beside_a_worker_of_the_same_runtime(started, doing):
    runtime = await started(chain(), commands=doing.commands)
    async with Worker(runtime, poll=RARELY), asyncio.timeout(10):
        created = [await runtime.create_instance("chain") for _ in range(5)]
        while (await WorkflowWorker(runtime).execute_waiting()).outcome is not WorkOutcome.NONE:
            pass
        for each in created:
            await runtime.wait(each, "done")
    assert sorted(doing.ran) == sorted(STEPS * 5)


async def test_who_is_cancelled_gives_the_run_back_at_once(started):
    held = Held()
    runtime = await started(order("charge"), commands=[held.command])
    made = await paid(runtime)
    async with asyncio.timeout(5):
        working = asyncio.create_task(WorkflowWorker(runtime).execute_waiting(timeout="1h"))
        await held.begun.acquire()
        working.cancel()
        await asyncio.wait([working])
    assert working.cancelled()
    [run] = await runtime.runs.for_instance(made)
    assert (run.status, run.attempts, held.cancelled) == (RunStatus.PENDING, 0, 1)


async def test_who_is_cancelled_while_he_claims_gives_back_what_he_never_heard_of(started, store, monkeypatch):
    held = Held.let_go()
    runtime = await started(order("charge"), commands=[held.command])
    made = await paid(runtime)
    claim, claimed, go_on = store.runs.claim, asyncio.Event(), asyncio.Event()

    async def slow(*given, **named):
        answer = await claim(*given, **named)
        claimed.set()
        await go_on.wait()
        return answer

    monkeypatch.setattr(store.runs, "claim", slow)
    async with asyncio.timeout(5):
        working = asyncio.create_task(WorkflowWorker(runtime).execute_waiting())
        await claimed.wait()
        working.cancel()
        go_on.set()
        await asyncio.wait([working])
    assert working.cancelled()
    [run] = await runtime.runs.for_instance(made)
    assert (run.status, run.attempts, held.ended) == (RunStatus.PENDING, 0, 0)


async def test_who_is_cancelled_when_his_wait_has_just_ended_gives_back_what_he_waited_for(started, store, monkeypatch):
    held, ending = Held.let_go(), asyncio.Event()
    runtime = await started(order("charge"), commands=[held.command])
    listen, looks, claim = store.signals.listen, [], runtime.running().runs.claim

    @asynccontextmanager
    async def slow_to_end(heard):
        async with listen(heard):
            try:
                yield
            finally:
                ending.set()
                await becomes_so(lambda: working.cancelling())

    async def noted(*given, **named):
        looks.append(given)
        return await claim(*given, **named)

    monkeypatch.setattr(store.signals, "listen", slow_to_end)
    monkeypatch.setattr(runtime.running().runs, "claim", noted)
    async with asyncio.timeout(10):
        working = asyncio.create_task(WorkflowWorker(runtime).execute_waiting(timeout="1h"))
        await becomes_so(lambda: len(looks) > 1)
        made = await paid(runtime)
        await ending.wait()
        working.cancel()
        await asyncio.wait([working])
    assert working.cancelled()
    [run] = await runtime.runs.for_instance(made)
    assert (run.status, run.attempts, held.ended) == (RunStatus.PENDING, 0, 0)


# ------------------------------------------------------------------------------------------------ timeouts and messages


PATIENT = {
    "name": "patient",
    "initial_state": "waiting",
    "states": {
        "waiting": {"events": {"lapse": {"target": "lapsed", "timeout": "1h", "commands": ["one"]}}},
        "lapsed": {},
    },
}


async def test_where_nothing_waits_it_fires_what_is_due(started, doing, clock):
    runtime = await started(WorkflowDefinition.from_dict(PATIENT), commands=doing.commands)
    patient = await runtime.create_instance("patient")
    clock.advance("1h")
    assert (await WorkflowWorker(runtime, timeouts=False).execute_waiting()).outcome is WorkOutcome.NONE
    executed = await WorkflowWorker(runtime).execute_waiting()
    assert (executed.instance_id, executed.state) == (patient.id, "lapsed")


async def test_an_instance_goes_on_when_its_branches_have_ended(started, doing):
    @command("fork", durable=True)
    async def fork(ctx):
        for _ in range(2):
            await ctx.start_child("chain", on_end="joined", wait_for="all")

    parent = WorkflowDefinition.from_dict(
        {
            "name": "parent",
            "initial_state": "forking",
            "states": {
                "forking": {"on_enter": {"target": "apart", "commands": ["fork"]}},
                "apart": {"events": {"joined": {"target": "joining"}}},
                "joining": {"on_enter": {"target": "done", "commands": ["one"]}},
                "done": {},
            },
        }
    )
    runtime = await started(parent, chain(), commands=[fork, *doing.commands])
    made = await runtime.create_instance("parent")
    worker = WorkflowWorker(runtime)
    answers = [await worker.execute_waiting() for _ in range(5)]
    assert [(one.workflow, one.outcome.value) for one in answers] == [
        ("parent", "stopped"),
        ("chain", "completed"),
        ("chain", "completed"),
        ("parent", "completed"),
        (None, "none"),
    ]
    assert answers[0].state == "apart"
    assert answers[3].instance_id == made.id


async def test_a_call_that_finds_nothing_delivers_what_follows_from_what_it_delivered(started, doing):
    """The end of a branch within a branch joins the inner fork, and so the outer ones."""
    forks = {
        "outer": {"on_enter": {"fork": ["middle"], "target": "end"}},
        "middle": {"on_enter": {"fork": ["inner"], "target": "end"}},
        "inner": {"on_enter": {"fork": ["work"], "target": "end"}},
        "work": {"on_enter": {"commands": ["one"], "target": "end"}},
        "end": {},
    }
    nested = WorkflowDefinition.from_dict({"name": "nested", "initial_state": "outer", "states": forks})
    runtime = await started(nested, commands=doing.commands)
    made = await runtime.create_instance("nested")
    worker = WorkflowWorker(runtime)
    assert [(await worker.execute_waiting()).outcome.value for _ in range(2)] == ["completed", "none"]
    assert (await runtime.get_instance(made.id)).state == "end"


# ------------------------------------------------------------------------------------------------ recovery


async def parked(runtime, worker, doing, workflow, step):
    made = await runtime.create_instance(workflow)
    doing.raises[step] = [GiveUp("no use")]
    assert (await worker.execute_waiting(type=workflow)).outcome is WorkOutcome.UNRECOVERABLE
    return made.id


async def test_what_is_put_back_begins_with_no_attempt_and_ends(started, doing, clock):
    runtime = await started(chain(), chain("other"), commands=doing.commands)
    worker = WorkflowWorker(runtime)
    asked = [("chain", "one"), ("chain", "two"), ("other", "two"), ("chain", "two")]
    made = [await parked(runtime, worker, doing, workflow, step) for workflow, step in asked]

    recovered = await worker.recover(type="chain", step="two", limit=1, reason="mended")
    assert (recovered.changed, recovered.failed) == ((made[3],), ())
    [run] = await runtime.runs.list(status="pending")
    assert (run.instance_id, run.attempts, run.state) == (made[3], 0, "two")
    assert (await runtime.get_history(made[3]))[0].reason == "mended"
    assert len(await runtime.runs.list(status="parked")) == 3

    assert (await worker.recover(type="chain", step="two")).changed == (made[1],)
    assert (await worker.recover(step="two")).changed == (made[2],)
    assert (await worker.recover()).changed == (made[0],)
    assert (await worker.recover()).changed == ()
    clock.advance("1s")
    done = [await worker.execute_waiting() for _ in made]
    assert {(one.outcome, one.instance_id) for one in done} == {(WorkOutcome.COMPLETED, one) for one in made}


async def test_what_cannot_be_put_back_is_told_and_stops_nothing(started, doing, store, monkeypatch):
    runtime = await started(chain(), commands=doing.commands)
    worker = WorkflowWorker(runtime)
    gone, left = [await parked(runtime, worker, doing, "chain", "one") for _ in range(2)]
    find = store.runs.find

    async def found_and_moved(*given, **named):
        found = await find(*given, **named)
        monkeypatch.setattr(store.runs, "find", find)
        await runtime.cancel(gone)
        return found

    monkeypatch.setattr(store.runs, "find", found_and_moved)
    recovered = await worker.recover()
    assert recovered.changed == (left,)
    [failed] = recovered.failed
    assert (failed.instance_id, failed.code) == (gone, RunNotActive.code)


@pytest.mark.parametrize("limit", [0, -1, 1001, "3", True])
async def test_a_limit_that_is_none_is_refused(started, doing, limit):
    runtime = await started(chain(), commands=doing.commands)
    with pytest.raises(InvalidValue, match="limit"):
        await WorkflowWorker(runtime).recover(limit=limit)
