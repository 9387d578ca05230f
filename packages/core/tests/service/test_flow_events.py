"""What happened to an execution, in the words of flows: from history, and as observers hear of it."""

from datetime import timedelta

import pytest

from detent import (
    FlowEventType,
    FlowObserver,
    FlowService,
    InvalidValue,
    MemoryStore,
    Timeouts,
    WorkflowRuntime,
    WorkflowService,
)
from detent.flows import (
    Flow,
    FlowBook,
    HandlerContext,
    Step,
    failure,
    goto,
    handler,
    success,
    wait,
    wait_for_event,
)
from detent.testing.clock import FakeClock


@handler("do", targets=False)
async def do(ctx: HandlerContext, config):
    if ctx.attempt <= config.get("failing", 0):
        return failure("BUSY", "later")
    return success()


@handler("nap", targets=False)
async def nap(ctx: HandlerContext):
    return wait(timedelta(hours=1), "a nap")


@handler("ask", targets=False)
async def ask(ctx: HandlerContext):
    return wait_for_event("an answer")


@handler("jump")
async def jump(ctx: HandlerContext, config):
    return goto(config["to"])


FLOWS = [
    Flow("two", initial_step_id="a", steps={"a": Step("do", on_success="b"), "b": Step("do")}),
    Flow("napping", initial_step_id="a", steps={"a": Step("nap")}),
    Flow("asking", initial_step_id="a", steps={"a": Step("ask", on_resume="b"), "b": Step("do")}),
    Flow(
        "jumping",
        initial_step_id="a",
        steps={"a": Step("jump", config={"to": "b"}), "b": Step("jump", config={"to": None})},
    ),
    Flow(
        "failing",
        initial_step_id="a",
        steps={
            "a": Step("do", config={"failing": 3}, retry={"max_attempts": 1, "backoff_ms": 1000}, on_failure="b"),
            "b": Step("do", config={"failing": 1}),
        },
    ),
    Flow("endless", initial_step_id="a", steps={"a": Step("do", on_success="a")}, max_steps=3),
]


class Hearing(FlowObserver):
    def __init__(self, flow_of):
        super().__init__(flow_of)
        self.heard = []

    async def on_event(self, event):
        self.heard.append((str(event.type), event.step_id))


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def book():
    return FlowBook(flows=FLOWS, handlers=[do, nap, ask, jump])


@pytest.fixture
def hearing(book):
    return Hearing(book.flow_of)


@pytest.fixture
async def runtime(book, clock, hearing):
    async with WorkflowRuntime(
        store=MemoryStore(),
        definitions=book.definitions,
        commands=book.commands,
        clock=clock,
        observers=[hearing],
        adopts=book.adopts,
    ) as runtime:
        yield runtime


@pytest.fixture
def flows(runtime, book):
    return FlowService(WorkflowService(runtime), book)


async def told(flows, execution):
    return [f"{event.type} {event.step_id}" for event in await flows.events(execution.id)]


async def test_steps_and_the_end(flows):
    execution = await flows.run((await flows.start_flow("two")).id)
    assert await told(flows, execution) == [
        "execution.created None",
        "step.completed a",
        "step.completed b",
        "execution.completed b",
    ]


async def test_a_wait_that_ends_by_itself_and_one_that_is_ended(flows, clock):
    napping, asking = [await flows.run((await flows.start_flow(name)).id) for name in ("napping", "asking")]
    clock.advance("1h")
    await flows.run(napping.id)
    await flows.resume(asking.id, "yes")
    await flows.run(asking.id)
    waited = ["execution.created None", "execution.waiting a", "execution.resumed a"]
    assert await told(flows, napping) == [*waited, "execution.completed a"]
    assert await told(flows, asking) == [*waited, "step.completed b", "execution.completed b"]


async def test_a_step_that_goes_elsewhere(flows):
    execution = await flows.run((await flows.start_flow("jumping")).id)
    events = await flows.events(execution.id)
    assert [(event.type, event.details["to_step"]) for event in events][1:] == [
        (FlowEventType.STEP_COMPLETED, "b"),
        (FlowEventType.STEP_COMPLETED, None),
        (FlowEventType.COMPLETED, None),
    ]


async def test_failures_and_repetitions(runtime, flows, hearing):
    execution = await flows.run((await flows.start_flow("failing")).id, simulate_time=True)
    assert await told(flows, execution) == [
        "execution.created None",
        "step.failed a",
        "step.failed b",
        "execution.failed b",
    ]
    events = await flows.events(execution.id, types=["step.failed"])
    assert [event.details["reason"] for event in events] == ["later", "later"]
    await runtime.settled()
    assert ("step.retry", "a") in hearing.heard
    assert [heard for heard in hearing.heard if heard[0] != "step.retry"] == [
        ("execution.created", None),
        ("step.failed", "a"),
        ("step.failed", "b"),
        ("execution.failed", "b"),
    ]


async def test_too_many_steps(flows):
    execution = await flows.run((await flows.start_flow("endless")).id)
    assert (await told(flows, execution))[-2:] == ["step.failed a", "execution.failed a"]


async def test_a_cancellation_says_who_it_was(flows, clock):
    by_user = await flows.run((await flows.start_flow("asking")).id)
    await flows.cancel(by_user.id, reason="enough")
    late = await flows.run((await flows.start_flow("asking", timeouts=Timeouts(wait="1m"))).id)
    clock.advance("1m")
    await flows.run(late.id)
    for execution, source in ((by_user, "user"), (late, "timeout")):
        last = (await flows.events(execution.id))[-1]
        assert (last.type, last.step_id, last.details["source"]) == (FlowEventType.CANCELLED, "a", source)


async def test_what_an_operator_does_is_told_too(flows):
    execution = await flows.run((await flows.start_flow("asking")).id)
    await flows.tokens.generate(execution.id, "a")
    assert (await told(flows, execution))[-1] == "execution.operated a"


async def test_events_are_found_by_type_and_by_time(flows, clock):
    begun = clock.now()
    execution = await flows.run((await flows.start_flow("napping")).id)
    clock.advance("1h")
    await flows.run(execution.id)
    later = begun + timedelta(minutes=30)
    found = await flows.events(execution.id, types=[FlowEventType.WAITING, "execution.completed"])
    assert [event.type for event in found] == ["execution.waiting", "execution.completed"]
    assert [event.type for event in await flows.events(execution.id, since=later)] == [
        "execution.resumed",
        "execution.completed",
    ]
    assert [event.type for event in await flows.events(execution.id, until=later)] == [
        "execution.created",
        "execution.waiting",
    ]
    assert [event.sequence for event in await flows.events(execution.id)] == [1, 2, 3, 3]
    with pytest.raises(InvalidValue, match=r"execution\.complete"):
        await flows.events(execution.id, types=["execution.complete"])


async def test_an_observer_hears_of_flows_that_were_saved_later_and_of_nothing_else(runtime, flows, hearing):
    await flows.flows.save({"id": "late", "initialStepId": "a", "steps": {"a": {"type": "do"}}})
    await flows.run((await flows.start_flow("late")).id)
    await runtime.settled()
    assert ("execution.completed", "a") in hearing.heard
