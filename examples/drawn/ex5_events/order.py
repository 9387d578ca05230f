"""An order that waits to be paid: events from outside, a reminder after three days, and an end after two weeks.

python -m examples.drawn.ex5_events.order
"""

import asyncio

from detent import CommandContext, MemoryStore, WorkflowRuntime, command
from detent.workers import Worker
from examples.drawn.ex5_events.order_base import OrderBase
from examples.drawn.ex5_events.order_payloads import PricePayload, ShipPayload, WaitingPayload


class Order(OrderBase):
    async def price(self, payload: PricePayload) -> WaitingPayload:
        return {"items": payload["items"], "total": 10 * len(payload["items"])}

    async def ship(self, payload: ShipPayload) -> None:
        print(f"{', '.join(payload['items'])} to {payload['address']}")


@command("send_reminder")
def send_reminder(ctx: CommandContext) -> None:
    """Commands that the diagram names are registered as everywhere: this one is part of its event's commit."""
    ctx.publish("mail", {"remind": ctx.context["total"]})


async def main() -> None:
    runtime = WorkflowRuntime(store=MemoryStore(), commands=[send_reminder])
    runtime.register(Order)
    async with runtime, Worker(runtime):
        handle = await Order.submit(runtime, {"items": ["pen", "ink"]})
        print("to pay:", (await handle.wait("waiting")).context["total"])
        await handle.trigger_event("pay", payload={"address": "London"})
        print((await handle.wait(completed=True)).status)


if __name__ == "__main__":
    asyncio.run(main())
