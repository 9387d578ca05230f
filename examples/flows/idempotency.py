"""One execution per idempotency key, for as long as the key is kept.

python -m examples.flows.idempotency
"""

import asyncio

from detent import Execution, FlowService, MemoryStore, WorkflowRuntime, WorkflowService
from detent.flows import FlowBook
from detent.testing import FakeClock
from examples.flows.approval import HANDLERS, expense


async def main() -> None:
    """Start the same expense three times, the third time when the key has expired."""
    book = FlowBook(flows=[expense], handlers=HANDLERS)
    clock = FakeClock()
    runtime = WorkflowRuntime(
        store=MemoryStore(), definitions=book.definitions, commands=book.commands, adopts=book.adopts, clock=clock
    )
    async with runtime:
        flows = FlowService(WorkflowService(runtime), book)
        first = await start(flows)
        again = await start(flows)
        if not again.created:
            print("execution exists already:", again.id == first.id)

        clock.advance("25h")
        later = await start(flows)
        print("a day later:", later.created, later.id == first.id)


async def start(flows: FlowService) -> Execution:
    """The execution for expense 12345: a new one, or the one that was started under its key within a day."""
    return await flows.start_flow("expense", {"id": "12345"}, idempotency_key="expense-12345", idempotency_ttl="24h")


if __name__ == "__main__":
    asyncio.run(main())
