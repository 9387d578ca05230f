"""litestar-workflows with its database engine: 16 callers complete the human tasks of workflows that have five of them.

Each completion has an engine and a session of its own, as the engine of a request has, and is over when the workflow waits for
the next human, which the engine sees to in a task that it starts. The completions are counted, the starts of workflows are not.
Nothing is locked and no version is checked, so that two completions at once may both win; what runs in the engine's task is
lost with the process. Ours is an event that is fenced and whole.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from uuid import UUID

from litestar_workflows import (
    BaseHumanStep,
    BaseMachineStep,
    Edge,
    WorkflowContext,
    WorkflowDefinition,
    WorkflowRegistry,
)
from litestar_workflows.db import PersistentExecutionEngine
from litestar_workflows.db.models import WorkflowInstanceModel
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from benchmarks.given import Given
from benchmarks.load import closed_loop

CALLERS = 16
TASKS = 5


class Approval(BaseHumanStep):
    def __init__(self, number: int) -> None:
        super().__init__(f"approve_{number}", title="Approve")


class End(BaseMachineStep):
    async def execute(self, context: WorkflowContext) -> None:
        """Answers at once."""


class Approvals:
    """The workflow, in the form in which it is registered."""

    __workflow_name__ = "approvals"
    __workflow_version__ = "1.0.0"

    @classmethod
    def get_definition(cls) -> WorkflowDefinition:
        steps = [Approval(number) for number in range(TASKS)]
        names = [*(step.name for step in steps), "end"]
        return WorkflowDefinition(
            name=cls.__workflow_name__,
            version=cls.__workflow_version__,
            description="Five approvals",
            steps={**{step.name: step for step in steps}, "end": End("end")},
            edges=[Edge(names[place], names[place + 1]) for place in range(TASKS)],
            initial_step=names[0],
            terminal_steps={"end"},
        )


async def settled(engine: PersistentExecutionEngine) -> None:
    """Wait for the tasks that the engine has started; there is no public way to."""
    await asyncio.gather(*engine._running.values())


def approver(registry: WorkflowRegistry, sessions: "async_sessionmaker") -> Callable[[], Awaitable[None]]:
    waiting: list[tuple[UUID, int]] = []

    async def begin() -> None:
        async with sessions() as session:
            engine = PersistentExecutionEngine(registry, session)
            instance = await engine.start_workflow(Approvals, {"customer": "Ada", "amount": 40})
            await settled(engine)
        waiting.extend((instance.id, number) for number in reversed(range(TASKS)))

    async def approve() -> None:
        if not waiting:
            await begin()
        identity, number = waiting.pop()
        async with sessions() as session:
            engine = PersistentExecutionEngine(registry, session)
            await engine.complete_human_task(identity, f"approve_{number}", "ada", {"approved": True})
            await settled(engine)

    return approve


async def measure(given: Given) -> None:
    engine = create_async_engine(given.url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=CALLERS)
    async with engine.begin() as connection:
        await connection.run_sync(WorkflowInstanceModel.metadata.create_all)
    registry = WorkflowRegistry()
    registry.register(Approvals)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    # The first one stores the definition, which would otherwise be stored by all at once.
    await approver(registry, sessions)()
    callers = [approver(registry, sessions) for _ in range(CALLERS)]
    load = await closed_loop(callers, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    print(load.reading().to_json(), flush=True)
    await engine.dispose()


if __name__ == "__main__":
    assert sys.argv[1] == "tasks"
    asyncio.run(measure(Given.from_environment()))
