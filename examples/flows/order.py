"""FlowMonkey's order: checked, charged over HTTP, confirmed. The bank is a server on a port of this machine.

python -m examples.flows.order
"""

import asyncio
from typing import Any

from pydantic import BaseModel, Field

from detent import FlowService, MemoryStore, WorkflowRuntime, WorkflowService
from detent.flows import Flow, FlowBook, HandlerContext, Result, Step, failure, handler, success
from detent.json_values import JsonObject
from detent_handlers import log
from detent_handlers.address_rules import AddressRules
from detent_handlers.http import HttpHandler
from examples.flows.bank import Bank

process_order = Flow(
    "process-order",
    version="1.0.0",
    initial_step_id="validate",
    steps={
        "validate": Step(
            "validate-order",
            input={"key": "order"},
            output_key="validated",
            on_success="charge-payment",
            on_failure="notify-invalid",
        ),
        "charge-payment": Step(
            "http",
            config={"method": "POST", "pick": {"status": "status", "charge": "body.charge"}},
            input={"template": {"url": "${bank:?no bank}/v1/charges", "json": {"amount": "${validated.total}"}}},
            output_key="payment",
            retry={"max_attempts": 3, "backoff_ms": 50},
            on_success="send-confirmation",
            on_failure="notify-invalid",
        ),
        "send-confirmation": Step("email", input={"full": True}),
        "notify-invalid": Step("log", input={"template": "order ${order.id}: ${error.code}, ${error.message}"}),
    },
)


class Order(BaseModel):
    """An order as it comes in."""

    id: str
    prices: list[int] = Field(min_length=1)


@handler("validate-order", category="data", targets=False)
async def validate_order(ctx: HandlerContext, input: Order) -> Result:
    """Adds up the prices of an order; one that is negative is a failure that no repetition mends."""
    if min(input.prices) < 0:
        return failure("INVALID_ORDER", "a price is negative", retryable=False)
    return success({"id": input.id, "total": sum(input.prices)})


@handler("email", category="external", targets=False)
class Mailbox:
    """Writes a mail, which is kept here; one per key, however often the step is tried.

    In its place an application has `detent_handlers.email.EmailHandler`, and a mail server.
    """

    def __init__(self) -> None:
        self.mails: dict[str, str] = {}

    async def __call__(self, ctx: HandlerContext, input: JsonObject) -> Result:
        self.mails[ctx.key] = f"order {input['order']['id']} is paid: {input['payment']['charge']}"
        return success()


def order_book(mailbox: Mailbox) -> FlowBook:
    """The flow, and what its steps are done by. Of private addresses, only this machine may be called."""
    http = HttpHandler(rules=AddressRules(allow=["127.0.0.1"]))
    return FlowBook(flows=[process_order], handlers=[validate_order, http, mailbox, log])


async def main() -> None:
    """Three orders: one is paid though the bank is closed at first, one is nonsense, one is too much."""
    mailbox = Mailbox()
    book = order_book(mailbox)
    runtime = WorkflowRuntime(
        store=MemoryStore(), definitions=book.definitions, commands=book.commands, adopts=book.adopts
    )
    orders: list[dict[str, Any]] = [
        {"id": "A1", "prices": [40, 2]},
        {"id": "A2", "prices": [-1]},
        {"id": "A3", "prices": [5000]},
    ]
    async with runtime:
        flows = FlowService(WorkflowService(runtime), book)
        with Bank(closed_for=2) as bank:
            for order in orders:
                started = await flows.start_flow("process-order", {"order": order, "bank": bank.url})
                ended = await flows.run(started.id, simulate_time=True)
                print(ended.status, ended.error and ended.error.code, ended.context.get("payment"))
            print(f"{bank.requests} requests, {list(bank.charges.values())} charged")
        print(*mailbox.mails.values(), sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
