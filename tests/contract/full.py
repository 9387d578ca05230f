"""An application with everything that the contract has: workflows, flows, triggers, tokens and probes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from detent import FlowService, WorkflowService
from detent.flows import Flow, FlowBook, HandlerContext, Step, handler, success, wait_for_event
from detent.flows.results import Wait
from detent.service.trigger_book import TriggerBook
from detent.service.triggers import TriggerService
from detent.triggers import CronTrigger, HttpTrigger
from tests.contract.doors import ORDER, Client, Door, Keeper, charge, deliver

EVERYTHING = {"operators": True, "triggers": True, "tokens": True, "event_operations": True, "websockets": True}


@handler("ask", targets=False)
async def ask(ctx: HandlerContext) -> Wait:
    return wait_for_event("a name")


@handler("keep", targets=False)
async def keep(ctx, input):
    return success(input)


WELCOME = Flow(
    "welcome",
    initial_step_id="ask",
    steps={
        "ask": Step("ask", output_key="name", on_resume="keep"),
        "keep": Step("keep", input={"key": "name"}, output_key="greeted"),
    },
)
HOOK = HttpTrigger(name="hook", flow="welcome", description="For partners.")
NIGHTLY = CronTrigger(name="nightly", flow="welcome", expression="0 3 * * *", timezone="UTC")


@dataclass(frozen=True)
class Full:
    """The application, and what stands behind it."""

    client: Client
    workflows: WorkflowService
    flows: FlowService
    triggers: TriggerService

    async def waiting(self) -> str:
        """The path of an execution that waits for a name."""
        started = await self.flows.start_flow("welcome")
        waits = await self.flows.run(started.id)
        assert waits.status == "waiting"
        return f"/workflows/instances/{started.id}"


@asynccontextmanager
async def full(
    door: Door, *, keeper: Keeper | None = None, routes: Mapping[str, Any] | None = None, **parts: Any
) -> AsyncIterator[Full]:
    """A running one, with the triggers `hook` and `nightly`."""
    book, triggers = FlowBook(flows=[WELCOME], handlers=[ask, keep]), TriggerBook()
    made: list[tuple[WorkflowService, TriggerService]] = []

    def make(workflows: WorkflowService) -> TriggerService:
        made.append((workflows, TriggerService(workflows, book, triggers)))
        return made[0][1]

    whole: dict[str, Any] = {
        "definitions": [ORDER, *triggers.definitions],
        "commands": [charge, deliver, *triggers.commands],
        "flows": book,
        "triggers": make,
        "webhooks": {"info": True},
        "tokens": {},
        "probes": {},
    }
    async with door.serve(keeper=keeper, routes=EVERYTHING | dict(routes or {}), **(whole | parts)) as client:
        for trigger in (HOOK, NIGHTLY):
            await made[0][1].register(trigger)
        yield Full(client, made[0][0], FlowService(made[0][0], book), made[0][1])
