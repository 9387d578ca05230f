"""An order whose payment is durable work, and commands that tests hold and let go."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from detent import Ok, WorkflowDefinition, WorkflowInstance, WorkflowRuntime, command

RARELY = timedelta(seconds=60)
OFTEN = timedelta(milliseconds=5)


def order(*commands: str, version: str = "1") -> WorkflowDefinition:
    """A workflow whose only event runs these commands."""
    return WorkflowDefinition.from_dict(
        {
            "name": "order",
            "version": version,
            "initial_state": "new",
            "states": {
                "new": {"events": {"pay": {"target": "paid", "commands": list(commands)}}},
                "paid": {},
            },
        }
    )


class Held:
    """A durable command that tells when it has begun, and ends when it is let go."""

    def __init__(self, name: str = "charge", **options: Any) -> None:
        self.begun = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()
        self.under_way = self.most = self.ended = self.cancelled = 0
        self.instances: list[Any] = []

        @command(name, durable=True, **options)
        async def run(ctx: Any) -> Ok:
            self.instances.append(ctx.instance_id)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.begun.release()
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            finally:
                self.under_way -= 1
            self.ended += 1
            return Ok()

        self.command = run

    @classmethod
    def let_go(cls, name: str = "charge", **options: Any) -> "Held":
        """One that does not wait."""
        held = cls(name, **options)
        held.go_on.set()
        return held


async def becomes_so(condition: Callable[[], object]) -> None:
    """Return once `condition` holds; a test that waits in vain fails."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(5):
        while not condition():
            turn = asyncio.Event()
            loop.call_later(0.001, turn.set)
            await turn.wait()


async def paid(runtime: WorkflowRuntime, workflow: str = "order") -> WorkflowInstance:
    """An order whose payment was accepted."""
    made = await runtime.create_instance(workflow)
    await runtime.trigger_event(made.id, "pay")
    return made


async def ends(runtime: WorkflowRuntime, instance: WorkflowInstance) -> WorkflowInstance:
    """The instance, once it has ended."""
    return await runtime.wait(instance.id, completed=True, timeout=5)
