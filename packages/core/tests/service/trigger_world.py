"""A runtime with triggers for tests: one flow that keeps what it was started with, and a shop that publishes messages."""

import hashlib
import hmac

from detent import (
    CommandContext,
    Event,
    FlowService,
    State,
    WorkflowDefinition,
    WorkflowInstance,
    WorkflowRuntime,
    WorkflowService,
    command,
)
from detent.flows import Flow, FlowBook, Step, handler, success
from detent.json_values import JsonObject
from detent.service.trigger_book import TriggerBook
from detent.service.triggers import TriggerService

SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}


@handler("keep", targets=False)
async def keep(ctx, input):
    return success(input)


ORDER = Flow("order", initial_step_id="keep", steps={"keep": Step("keep", input={"full": True}, output_key="seen")})

SHOP = WorkflowDefinition(
    name="shop",
    initial_state="open",
    states={
        "open": State(events={"sell": Event(internal=True, commands=["sell"]), "close": Event(target="shut")}),
        "shut": State(),
    },
)


@command("sell")
def sell(ctx: CommandContext) -> None:
    ctx.publish("order.paid", ctx.payload)


class World:
    """A runtime with triggers, and what a test asks of it."""

    def __init__(self, runtime: WorkflowRuntime, book: FlowBook, triggers: TriggerBook, **options) -> None:
        self.runtime, self.book, self.triggers = runtime, book, triggers
        self.workflows = WorkflowService(runtime)
        self.flows = FlowService(self.workflows, book)
        self.service = TriggerService(self.workflows, book, triggers, **options)

    async def executions(self) -> list[WorkflowInstance]:
        page = await self.workflows.find_instances(workflow="order", order="created_at", limit=1000)
        return list(page)

    async def contexts(self) -> list[JsonObject]:
        return [{key: value for key, value in one.context.items() if key != "$flow"} for one in await self.executions()]


def signed(body: bytes) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()}


async def statuses(world: World, name: str) -> list[str]:
    return [invocation.status for invocation in reversed(await world.service.history(name))]
