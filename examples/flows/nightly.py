"""A report every night at three in Berlin, once, however many processes there are; and what happens to nights that were missed.

python -m examples.flows.nightly
"""

import asyncio
from datetime import UTC, datetime

from detent import MemoryStore, TriggerBook, TriggerService, WorkflowRuntime, WorkflowService
from detent.flows import Flow, FlowBook, HandlerContext, Result, Step, handler, success
from detent.testing import FakeClock
from detent.triggers import CronTrigger


@handler("report", targets=False)
async def report(ctx: HandlerContext) -> Result:
    """Says what day it is about."""
    return success(ctx.now.isoformat())


nightly = Flow("nightly", initial_step_id="report", steps={"report": Step("report", output_key="at")})

EVERY_NIGHT = CronTrigger(
    name="every-night", flow="nightly", expression="0 3 * * *", timezone="Europe/Berlin", misfire="once"
)


async def main() -> None:
    """Let five nights pass, the last three of them while nobody works."""
    book = FlowBook(flows=[nightly], handlers=[report])
    triggers = TriggerBook()
    clock = FakeClock(datetime(2030, 3, 29, 12, tzinfo=UTC))
    runtime = WorkflowRuntime(
        store=MemoryStore(),
        definitions=[*book.definitions, *triggers.definitions],
        commands=[*book.commands, *triggers.commands],
        subscribers=triggers.subscribers,
        adopts=book.adopts,
        clock=clock,
    )
    async with runtime:
        service = TriggerService(WorkflowService(runtime), book, triggers)
        await service.register(EVERY_NIGHT)
        for hours in (24, 24, 72):
            clock.advance(hours=hours)
            # What a worker does by itself.
            await runtime.process_timeouts()
            started = (await runtime.count_instances(workflow="nightly"))[()]
            trigger = await service.get("every-night")
            print(f"{clock.now():%d %B}: {started} started, next at {trigger.next_at}")


if __name__ == "__main__":
    asyncio.run(main())
