"""A flow of five steps from its start to its end, each step a commit with a lease, a journal and an entry of history."""

from typing import Any

from benchmarks.case import Case
from benchmarks.given import Given
from benchmarks.load import closed_loop
from benchmarks.reading import Reading
from benchmarks.workflows import CONTEXT, on_postgres
from detent import FlowService, WorkflowService
from detent.flows import Flow, FlowBook, HandlerContext, Result, Step, handler, success
from detent.workers import Worker

STEPS = 5
FLOWS = 64
"""How many are under way at once, and how many the worker takes at once."""


@handler("echo", targets=False)
async def echo(ctx: HandlerContext, input: Any) -> Result:
    """Answers at once, with what it was given."""
    return success(input)


CHAIN = Flow(
    "chain",
    initial_step_id="step1",
    steps={
        f"step{number}": Step(
            "echo",
            input={"path": "customer"},
            output_key=f"outputs.step{number}",
            on_success=f"step{number + 1}" if number < STEPS else None,
        )
        for number in range(1, STEPS + 1)
    },
)


async def measure(given: Given) -> Reading:
    book = FlowBook(flows=[CHAIN], handlers=[echo])
    async with (
        on_postgres(given.url, book.definitions, commands=book.commands) as runtime,
        Worker(runtime, concurrency=FLOWS),
    ):
        flows = FlowService(WorkflowService(runtime), book)

        async def run() -> None:
            execution = await flows.start_flow("chain", CONTEXT)
            await runtime.wait(execution.id, completed=True)

        load = await closed_loop([run] * FLOWS, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return load.reading()


FLOW = Case("flow-5", f"flow of {STEPS} steps, {FLOWS} at once", "executions", measure)
