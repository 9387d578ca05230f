"""Waiting, and going on with what somebody says: by a resume token, by the execution's id, or after seven days by nobody.

python -m examples.flows.approval
"""

import asyncio
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from detent import FlowService, SqliteStore, WorkflowRuntime, WorkflowService
from detent.flows import Flow, FlowBook, HandlerContext, Result, Step, TokenRefused, handler, success, wait
from detent_handlers import condition

expense = Flow(
    "expense",
    version="1.0.0",
    initial_step_id="ask",
    steps={
        "ask": Step("wait-for-approval", output_key="decision", on_resume="decide"),
        "decide": Step(
            "condition",
            input={"key": "decision"},
            config={
                "conditions": [{"path": "approved", "op": "eq", "value": True, "target": "pay"}],
                "default": "turn-down",
            },
        ),
        "pay": Step("note", input={"template": "paid, approved by ${decision.by}"}, output_key="outcome"),
        "turn-down": Step(
            "note", input={"template": "not paid: ${decision.by:-nobody answered}"}, output_key="outcome"
        ),
    },
)


@handler("wait-for-approval", category="control", targets=False)
async def wait_for_approval(ctx: HandlerContext) -> Result:
    """Waits for a manager, but for no longer than seven days."""
    return wait(timedelta(days=7), "manager approval")


@handler("note", category="utility", targets=False)
async def note(ctx: HandlerContext, input: str) -> Result:
    """Answers what it is given."""
    return success(input)


HANDLERS = [wait_for_approval, note, condition]


async def main(path: Path | None = None) -> None:
    """Two expenses on a SQLite file: one process asks, another one hears the answer."""
    with TemporaryDirectory() as folder:
        file = path or Path(folder) / "expenses.db"
        token = await ask(file)
        await answer(file, token)


async def ask(file: Path) -> str:
    """Start an expense, and answer the token that goes into the mail to the manager. It is told once: only its hash is kept."""
    book = FlowBook(flows=[expense], handlers=HANDLERS)
    runtime = WorkflowRuntime(
        store=SqliteStore(file), definitions=book.definitions, commands=book.commands, adopts=book.adopts
    )
    async with runtime:
        flows = FlowService(WorkflowService(runtime), book)
        started = await flows.start_flow("expense", {"amount": 120})
        waiting = await flows.run(started.id)
        print(waiting.status, waiting.current_step, waiting.wait_reason)
        return await flows.tokens.generate(waiting.id, "ask", expires_in="7d", metadata={"to": "manager@co.com"})


async def answer(file: Path, token: str) -> None:
    """Resume it by the token, which is good once; and another one by its id."""
    book = FlowBook(flows=[expense], handlers=HANDLERS)
    runtime = WorkflowRuntime(
        store=SqliteStore(file), definitions=book.definitions, commands=book.commands, adopts=book.adopts
    )
    async with runtime:
        flows = FlowService(WorkflowService(runtime), book)
        resumed = await flows.resume(token, {"approved": True, "by": "manager@co.com"})
        print((await flows.run(resumed.id)).context["outcome"])
        try:
            await flows.resume(token, {"approved": True, "by": "somebody else"})
        except TokenRefused as refused:
            print(refused)

        other = await flows.start_flow("expense", {"amount": 9000})
        await flows.run(other.id)
        await flows.resume(other.id, {"approved": False, "by": "too much"})
        print((await flows.run(other.id)).context["outcome"])


if __name__ == "__main__":
    asyncio.run(main())
