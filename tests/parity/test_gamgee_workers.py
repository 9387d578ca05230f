"""gamgee's behaviours 6, 7, 9, 10, 12, 13 and 18 on every store: who works on what waits, what is repeated, put back and traced.

The number in a name is that of the behaviour in its inventory. The workflow is the one of gamgee's README: a step that decides,
and one of two that follow.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from detent import Goto, Retry, RunStatus, Settings, UnknownWorkflow, WorkflowDefinition, WorkflowRuntime, command
from detent.observe.otel import OpenTelemetry
from detent.workers import Executed, FetchStrategy, WorkflowWorker, WorkOutcome
from packages.core.tests.observe.spans import Spans
from packages.core.tests.workers.orders import Held, becomes_so
from tests.parity.ground import Heard

TICK = timedelta(microseconds=1)
NONE = Executed(WorkOutcome.NONE)
DRAWN_RETRY = {"attempts": 3, "initial": "0.05s", "factor": 4, "jitter": 1}
"""`attempts=3` and `backoffMs=100`: a wait is anything up to 100 ms, and then up to 400, as gamgee draws it for the first two."""


def conditions(name: str = "conditions", **more: Any) -> dict[str, Any]:
    def step(target: str, of: str) -> dict[str, Any]:
        return {"on_enter": {"target": target, "commands": [{"name": of, "retry": DRAWN_RETRY}]}}

    decide = {
        "on_enter": {"commands": [{"name": "decide", "retry": DRAWN_RETRY}]},
        "events": {"go_left": {"target": "left"}, "go_right": {"target": "right"}},
    }
    states = {"decide": decide, "left": step("done", "left"), "right": step("done", "right"), "done": {}}
    return {"name": name, "initial_state": "decide", "states": states, **more}


class Methods:
    """The three methods, which raise what they are told to before they succeed."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.raises: dict[str, list[Exception]] = {"decide": [], "left": [], "right": []}
        self.commands = [self._made(name) for name in self.raises]

    def _made(self, name: str) -> Any:
        @command(name, durable=True)
        async def method(ctx: Any) -> Goto | None:
            self.ran.append(name)
            if self.raises[name]:
                raise self.raises[name].pop(0)
            return Goto(f"go_{ctx.context.get('side', 'left')}") if name == "decide" else None

        return method


@pytest.fixture
def methods() -> Methods:
    return Methods()


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
async def process(kit, clock):
    """Starts runtimes that share nothing but what is stored."""
    async with AsyncExitStack() as stack:

        async def start(*definitions, commands, **options):
            store = await stack.enter_async_context(kit.second())
            read = [WorkflowDefinition.from_dict(each) for each in definitions]
            options = {"clock": clock, "observers": [Heard()], **options}
            return await stack.enter_async_context(
                WorkflowRuntime(store=store, definitions=read, commands=commands, **options)
            )

        yield start


# ------------------------------------------------------------------------------------------------ 6


async def test_06_of_workers_on_one_waiting_step_one_runs_it_and_the_others_are_answered_none(process):
    held = Held("decide")
    others = [command(name, durable=True)(lambda ctx: None) for name in ("left", "right")]
    runtimes = [await process(conditions(), commands=[held.command, *others]) for _ in range(3)]
    made = await runtimes[0].create_instance("conditions")
    async with asyncio.timeout(20):
        asked = [
            asyncio.create_task(WorkflowWorker(each).execute_waiting(type="conditions", step="decide"))
            for each in runtimes
        ]
        await held.begun.acquire()
        await becomes_so(lambda: sum(task.done() for task in asked) == 2)
        assert [task.result() for task in asked if task.done()] == [NONE, NONE]
        held.go_on.set()
        [winner] = [each for each in await asyncio.gather(*asked) if each != NONE]
    assert (winner.instance_id, held.instances) == (made.id, [made.id])
    assert (await runtimes[1].get_instance(made.id)).run_id is None


async def test_06_who_was_too_slow_neither_fails_nor_removes_what_another_has_done(process, clock, methods):
    """In gamgee his refused update counted as a failure of the step, and the live workflow was deleted."""
    held, ran = Held("left"), list[str]()
    commands = [methods.commands[0], methods.commands[2]]

    @command("left", durable=True)
    async def left(ctx):
        ran.append("left")

    slow = await process(conditions(), commands=[*commands, held.command])
    quick = await process(conditions(), commands=[*commands, left])
    made = await slow.create_instance("conditions")
    async with asyncio.timeout(20):
        late = asyncio.create_task(WorkflowWorker(slow).execute_waiting())
        await held.begun.acquire()
        clock.advance("31s")
        done = await WorkflowWorker(quick).execute_waiting()
        held.go_on.set()
        told = await late
    assert (done.outcome, done.instance_id, ran) == (WorkOutcome.COMPLETED, made.id, ["left"])
    assert (told.outcome, told.instance_id) == (WorkOutcome.COMPLETED, made.id)
    after = await slow.get_instance(made.id)
    history = [entry.to_state for entry in reversed(await slow.get_history(made.id))]
    assert (after.state, after.parked_at, history) == ("done", None, ["decide", "left", "done"])


async def test_06_a_worker_that_is_cancelled_at_any_moment_leaves_what_waits_to_others(process, methods):
    """No clock moves, so that a run which nobody has given back would stay away."""
    runtime = await process(conditions(), commands=methods.commands)
    for turns in range(40):
        made = await runtime.create_instance("conditions")
        working = asyncio.create_task(WorkflowWorker(runtime).execute_waiting(timeout="1h"))
        for _ in range(turns):
            await asyncio.sleep(0)
        working.cancel()
        async with asyncio.timeout(20):
            await asyncio.wait([working])
            await becomes_so(lambda: not runtime.running().parts.tasks)
        waits = (await runtime.get_instance(made.id)).state != "done"
        executed = await WorkflowWorker(runtime).execute_waiting()
        assert executed.instance_id == (made.id if waits else None)
        assert (await runtime.get_instance(made.id)).state == "done"


# ------------------------------------------------------------------------------------------------ 7


def test_07_the_waits_are_drawn_from_all_of_what_is_drawn():
    retry = Retry(attempts=3, initial=timedelta(milliseconds=50), factor=4, jitter=1)
    bounds = [[retry.delay(attempt, chance=chance) for chance in (0.0, 0.25, 1.0)] for attempt in (1, 2)]
    assert bounds == [[timedelta(milliseconds=each) for each in row] for row in ([0, 25, 100], [0, 100, 400])]


async def test_07_two_failures_and_then_success_are_three_attempts_and_none_comes_earlier(process, clock, methods):
    runtime = await process(conditions(), commands=methods.commands)
    made = await runtime.create_instance("conditions", context={"side": "right"})
    worker = WorkflowWorker(runtime)
    methods.raises["decide"] = [OSError("1"), OSError("2")]
    for most in (100, 400):
        stopped = await worker.execute_waiting()
        assert (stopped.outcome, stopped.state) == (WorkOutcome.STOPPED, "decide")
        [run] = await runtime.runs.for_instance(made)
        wait = run.available_at - clock.now()
        assert timedelta(0) <= wait <= timedelta(milliseconds=most)
        if wait > TICK:
            clock.advance(wait - TICK)
            assert await worker.execute_waiting() == NONE
            clock.advance(TICK)
    assert (await worker.execute_waiting()).outcome is WorkOutcome.COMPLETED
    assert methods.ran == ["decide"] * 3 + ["right"]


# ------------------------------------------------------------------------------------------------ 9, 10


async def unrecoverable(worker, runtime, methods, clock, workflow, step, **context):
    made = await runtime.create_instance(workflow, context=context)
    methods.raises[step] = [OSError(f"{number} of 3") for number in (1, 2, 3)]
    for _ in range(2):
        assert (await worker.execute_waiting(type=workflow)).outcome is WorkOutcome.STOPPED
        clock.advance("1s")
    parked = await worker.execute_waiting(type=workflow)
    assert (parked.outcome, parked.instance_id) == (WorkOutcome.UNRECOVERABLE, made.id)
    return parked


async def test_09_after_the_last_attempt_an_instance_keeps_all_that_tells_why_and_is_listed(process, clock, methods):
    runtime = await process(conditions(), commands=methods.commands)
    worker = WorkflowWorker(runtime)
    parked = await unrecoverable(worker, runtime, methods, clock, "conditions", "left", given=[1, "two"])

    other = await process(conditions(), commands=methods.commands)
    [listed] = await other.runs.list(status="parked", workflow="conditions", state="left")
    assert (listed.id, listed.attempts, listed.error) == (parked.run_id, 3, parked.error)
    assert (listed.error["code"], listed.error["message"]) == ("OSError", "3 of 3")
    assert "in method\n    raise self.raises[name].pop(0)\nOSError: 3 of 3\n" in listed.error["traceback"]
    [found] = await other.find_parked(workflow="conditions")
    assert (found.id, found.state, found.context) == (parked.instance_id, "left", {"given": [1, "two"]})
    assert methods.ran == ["decide", *["left"] * 3]
    assert "OSError: 3 of 3" in str(await other.explain(found.id))


async def test_10_recovering_by_type_step_and_limit_puts_exactly_those_back_and_they_complete(process, clock, methods):
    """In gamgee it never works: it updates what was deleted before."""
    definitions = conditions(), conditions("copies")
    runtime = await process(*definitions, commands=methods.commands)
    worker = WorkflowWorker(runtime)
    asked = [("conditions", "left"), ("conditions", "decide"), ("copies", "left"), ("conditions", "left")]
    made = [
        (await unrecoverable(worker, runtime, methods, clock, workflow, step)).instance_id for workflow, step in asked
    ]

    recovering = WorkflowWorker(await process(*definitions, commands=methods.commands))
    for asks, back in (
        ({"type": "conditions", "step": "left", "limit": 1}, made[3]),
        ({"type": "copies"}, made[2]),
        ({"step": "left"}, made[0]),
        ({}, made[1]),
    ):
        recovered = await recovering.recover(**asks)
        assert (recovered.changed, recovered.failed) == ((back,), ())
        [run] = [run for run in await runtime.runs.for_instance(back) if run.status is RunStatus.PENDING]
        assert run.attempts == 0
        done = await worker.execute_waiting()
        assert (done.outcome, done.instance_id, done.state) == (WorkOutcome.COMPLETED, back, "done")
    assert (await recovering.recover()).changed == ()


# ------------------------------------------------------------------------------------------------ 12


@pytest.mark.parametrize("strategy", FetchStrategy)
async def test_12_the_oldest_the_newest_or_any_of_them_is_fetched(process, clock, methods, strategy):
    runtime = await process(conditions(), commands=methods.commands)
    made = []
    for _ in range(6):
        made.append((await runtime.create_instance("conditions")).id)
        clock.advance("1s")
    worker = WorkflowWorker(runtime)
    done = [(await worker.execute_waiting(strategy=strategy)).instance_id for _ in made]
    orders = {FetchStrategy.OLDEST: made, FetchStrategy.NEWEST: made[::-1]}
    assert done == orders.get(strategy, done)
    assert sorted(map(str, done)) == sorted(map(str, made))
    assert await worker.execute_waiting(strategy=strategy) == NONE


async def test_12_a_query_by_type_and_by_step_fetches_what_fits(process, methods):
    runtime = await process(conditions(), conditions("copies"), commands=methods.commands)
    one, two = await runtime.create_instance("conditions"), await runtime.create_instance("copies")
    worker = WorkflowWorker(runtime)
    assert await worker.execute_waiting(type="copies", step="left") == NONE
    first = await worker.execute_waiting(type="copies", step="decide")
    assert (first.instance_id, first.outcome, first.state) == (two.id, WorkOutcome.STOPPED, "left")
    assert (await worker.execute_waiting(step="left")).instance_id == two.id
    assert (await worker.execute_waiting(type="conditions")).instance_id == one.id
    assert await worker.execute_waiting() == NONE


async def test_12_an_unmatched_fetch_waits_up_to_its_timeout_and_is_answered_none(process, methods):
    runtime = await process(conditions(), commands=methods.commands)
    await runtime.create_instance("conditions")
    time = asyncio.get_running_loop().time
    began = time()
    assert await WorkflowWorker(runtime).execute_waiting(type="conditions", step="right", timeout="0.1s") == NONE
    assert time() - began >= 0.1


async def test_12_what_another_process_submits_meanwhile_ends_the_wait(process, methods):
    runtime, other = [await process(conditions(), commands=methods.commands) for _ in range(2)]
    async with asyncio.timeout(20):
        waiting = asyncio.create_task(WorkflowWorker(runtime).execute_waiting(timeout="1h"))
        made = await other.create_instance("conditions")
        assert (await waiting).instance_id == made.id


# ------------------------------------------------------------------------------------------------ 13


async def test_13_a_worker_never_receives_a_type_it_has_not_registered(process, methods):
    theirs = await process(conditions("theirs"), commands=methods.commands)
    waits = await theirs.create_instance("theirs")
    ours = await process(conditions(), commands=methods.commands)
    worker = WorkflowWorker(ours)
    assert await worker.execute_waiting() == NONE
    with pytest.raises(UnknownWorkflow):
        await worker.execute_waiting(type="theirs")
    made = await ours.create_instance("conditions")
    assert (await worker.execute_waiting()).instance_id == made.id
    assert (await WorkflowWorker(theirs).execute_waiting()).instance_id == waits.id


async def test_13_an_instance_whose_step_is_gone_is_parked_with_the_reason_and_others_go_on(process, methods):
    """In gamgee it is a TypeError out of the worker, again at each call: nothing behind it is reached."""
    released = await process(conditions(), commands=methods.commands)
    stranded = await released.create_instance("conditions")
    assert (await WorkflowWorker(released).execute_waiting(step="decide")).state == "left"

    changed = conditions(version=2)
    del changed["states"]["left"], changed["states"]["decide"]["events"]["go_left"]
    kept = [each for each in methods.commands if each is not methods.commands[1]]
    newest = await process(changed, commands=kept, settings=Settings(unresolvable="park"))
    fine = await newest.create_instance("conditions", context={"side": "right"})
    worker = WorkflowWorker(newest)

    parked = await worker.execute_waiting()
    assert (parked.outcome, parked.instance_id, parked.state) == (
        WorkOutcome.UNRECOVERABLE, stranded.id, "left",
    )  # fmt: skip
    told = "workflow 'conditions' in version 1 cannot run: no command 'left' is registered"
    assert parked.error is not None
    assert told in parked.error["message"]
    assert told in str(await newest.explain(stranded.id))
    done = await worker.execute_waiting()
    assert (done.outcome, done.instance_id) == (WorkOutcome.COMPLETED, fine.id)
    assert await worker.execute_waiting() == NONE

    assert (await WorkflowWorker(released).recover()).changed == (stranded.id,)
    assert (await WorkflowWorker(released).execute_waiting()).outcome is WorkOutcome.COMPLETED


# ------------------------------------------------------------------------------------------------ 18


async def test_18_each_attempt_is_a_span_under_the_step_before_whichever_process_made_it(
    process, clock, methods, spans
):
    runtimes = [
        await process(conditions(), commands=methods.commands, instrument=OpenTelemetry(spans.provider))
        for _ in range(4)
    ]
    with spans.provider.get_tracer("app").start_as_current_span("submit"):
        await runtimes[0].create_instance("conditions")
    methods.raises["decide"] = [OSError("gone")]
    methods.raises["left"] = [OSError("lost"), OSError("lost")]
    outcomes = []
    for number, step in enumerate(["decide", "decide", "left", "left", "left"]):
        worker = WorkflowWorker(runtimes[number % len(runtimes)])
        outcomes.append((await worker.execute_waiting(type="conditions", step=step)).outcome.value)
        clock.advance("1s")
    assert outcomes == ["stopped", "stopped", "stopped", "stopped", "completed"]

    first, second, *left = attempts = [span for span in spans.all if span.name.startswith("conditions.")]
    assert [span.name for span in attempts] == ["conditions.decide"] * 2 + ["conditions.left"] * 3
    created = spans.one("conditions $created")
    assert {span.parent.span_id for span in (first, second)} == {created.context.span_id}
    assert {span.parent.span_id for span in left} == {second.context.span_id}
    assert len({span.context.trace_id for span in spans.all}) == 1
    codes = [span.status.status_code for span in attempts]
    assert codes == [StatusCode.ERROR, StatusCode.OK, StatusCode.ERROR, StatusCode.ERROR, StatusCode.OK]
    raised = [[event.attributes["exception.message"] for event in span.events] for span in attempts]
    assert raised == [["gone"], [], ["lost"], ["lost"], []]


async def test_18_the_attempt_that_is_the_last_says_so(process, clock, methods, spans):
    runtime = await process(conditions(), commands=methods.commands, instrument=OpenTelemetry(spans.provider))
    await unrecoverable(WorkflowWorker(runtime), runtime, methods, clock, "conditions", "decide")
    attempts = [span for span in spans.all if span.name == "conditions.decide"]
    assert [span.status.status_code for span in attempts] == [StatusCode.ERROR] * 3
    assert [span.status.description for span in attempts] == ["OSError", "OSError", "unrecoverable: OSError"]
    assert [span.attributes["detent.command"] for span in attempts] == ["decide"] * 3
