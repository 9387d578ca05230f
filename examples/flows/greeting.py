"""FlowMonkey's quick start: one handler, one flow, one run.

python -m examples.flows.greeting
"""

import asyncio

from pydantic import BaseModel

from detent import FlowService, MemoryStore, WorkflowRuntime, WorkflowService
from detent.flows import Flow, FlowBook, HandlerContext, Result, Step, handler, success


class User(BaseModel):
    """What the step's input is validated as."""

    name: str


# 1. A handler
@handler("greet", category="data", targets=False)
async def greet(ctx: HandlerContext, input: User) -> Result:
    """Says hello."""
    return success({"message": f"Hello, {input.name}!"})


# 2. A flow
greeting = Flow(
    "greeting",
    version="1.0.0",
    name="Greeting flow",
    initial_step_id="say-hello",
    steps={"say-hello": Step("greet", input={"key": "user"}, output_key="greeting")},
)


async def main() -> None:
    """Run it once."""
    # 3. A runtime that knows both, and the verbs
    book = FlowBook(flows=[greeting], handlers=[greet])
    runtime = WorkflowRuntime(
        store=MemoryStore(), definitions=book.definitions, commands=book.commands, adopts=book.adopts
    )
    async with runtime:
        flows = FlowService(WorkflowService(runtime), book)

        # 4. A run
        started = await flows.start_flow("greeting", {"user": {"name": "World"}})
        ended = await flows.run(started.id)
        print(ended.status)
        print(ended.context["greeting"])


if __name__ == "__main__":
    asyncio.run(main())
