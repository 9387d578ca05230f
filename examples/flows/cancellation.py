"""Cancelling an execution that waits; and trying to cancel it again.

python -m examples.flows.cancellation
"""

import asyncio
from uuid import UUID

from detent import FlowService, MemoryStore, WorkflowRuntime, WorkflowService
from detent.flows import FlowBook
from examples.flows.approval import HANDLERS, expense


async def main() -> None:
    """Cancel an expense twice."""
    book = FlowBook(flows=[expense], handlers=HANDLERS)
    runtime = WorkflowRuntime(
        store=MemoryStore(), definitions=book.definitions, commands=book.commands, adopts=book.adopts
    )
    async with runtime:
        flows = FlowService(WorkflowService(runtime), book)
        waiting = await flows.run((await flows.start_flow("expense")).id)
        token = await flows.tokens.generate(waiting.id, "ask")
        await call_off(flows, waiting.id)
        await call_off(flows, waiting.id)
        print("its token:", (await flows.tokens.validate(token)).reason)
        print((await flows.get(waiting.id)).cancellation)


async def call_off(flows: FlowService, execution_id: UUID) -> None:
    """Cancel an execution, and say what came of it."""
    result = await flows.cancel(execution_id, source="user", reason="customer requested cancellation")
    if result.cancelled:
        print(f"cancelled, it was {result.previous_status}; tokens revoked: {result.tokens_revoked}")
    else:
        print("cannot be cancelled:", result.error)


if __name__ == "__main__":
    asyncio.run(main())
