"""An execution on the picture of its flow: by its steps, although it goes through the states that they are lowered to."""

from datetime import timedelta

import pytest

from detent import FlowService, MemoryStore, WorkflowRuntime, to_mermaid
from detent.flows import Flow, FlowBook, HandlerContext, Step, failure, handler, success, wait
from detent.testing.clock import FakeClock


@handler("do", targets=False)
async def do(ctx: HandlerContext, config):
    return failure("BUSY", "later") if config.get("fails") else success()


@handler("nap", targets=False)
async def nap(ctx: HandlerContext):
    return wait(timedelta(hours=5), "a nap")


TRIP = Flow(
    "trip",
    initial_step_id="price",
    steps={
        "price": Step("do", on_success="rest"),
        "rest": Step("nap", on_resume="pay"),
        "pay": Step("do", config={"fails": True}, retry={"max_attempts": 1}, on_failure="price", on_success="thank"),
        "thank": Step("do"),
    },
)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def running(clock):
    book = FlowBook(flows=[TRIP], handlers=[do, nap])
    async with WorkflowRuntime(
        store=MemoryStore(), definitions=book.definitions, commands=book.commands, clock=clock, adopts=book.adopts
    ) as runtime:
        yield runtime, FlowService(runtime, book)


async def test_an_execution_is_drawn_on_its_flow(running, clock):
    runtime, flows = running
    execution = await flows.run((await flows.start_flow("trip")).id)
    clock.advance("5h")
    await flows.run(execution.id)
    clock.advance("2h")
    drawn = to_mermaid(TRIP, marks=await runtime.get_marks(execution.id))
    lines = [line.strip() for line in drawn.splitlines()]
    assert "price --> rest : on_success (2 times)" in lines
    assert "rest --> pay : on_resume (once)" in lines
    assert "pay --> price : on_failure (once)" in lines
    assert "pay --> thank : on_success" in lines
    assert "rest : now, step 2, 5" in lines
    assert "rest : for 7h" in lines
    assert drawn.count(" in 3h") == 1
