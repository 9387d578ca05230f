"""Durable runs from creation to their end: create, let the event be accepted, let a worker run the commands, hear of the end."""

from functools import partial

from benchmarks.case import Case
from benchmarks.given import Given
from benchmarks.load import closed_loop
from benchmarks.reading import Reading
from benchmarks.workflows import CONTEXT, on_postgres
from detent import CommandContext, WorkflowDefinition, command
from detent.workers import Worker

RUNS = 64
"""How many are under way at once, and how many the worker takes at once."""


@command("step", durable=True)
async def step(ctx: CommandContext) -> None:
    """Answers at once."""


def errand(steps: int) -> WorkflowDefinition:
    """One event with so many durable commands."""
    return WorkflowDefinition.from_dict(
        {
            "name": "errand",
            "initial_state": "new",
            "states": {"new": {"events": {"go": {"target": "done", "commands": ["step"] * steps}}}, "done": {}},
        }
    )


async def measure(given: Given, *, steps: int) -> Reading:
    async with (
        on_postgres(given.url, [errand(steps)], commands=[step]) as runtime,
        Worker(runtime, concurrency=RUNS),
    ):

        async def run() -> None:
            handle = runtime.get_handle(await runtime.create_instance("errand", context=CONTEXT))
            await handle.trigger_event("go")
            await handle.wait(completed=True)

        load = await closed_loop([run] * RUNS, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return load.reading(each=steps)


ONE_STEP = Case("durable-1", f"durable run of 1 command, {RUNS} at once", "runs", partial(measure, steps=1))
FIVE_STEPS = Case("durable-5", f"durable run of 5 commands, {RUNS} at once", "steps", partial(measure, steps=5))
