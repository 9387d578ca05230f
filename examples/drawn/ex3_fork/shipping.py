"""Two branches side by side, and a step that waits for both: with pydantic models for payloads.

python -m examples.drawn.ex3_fork.shipping
"""

import asyncio

from detent import MemoryStore, WorkflowRuntime
from detent.workers import Worker
from examples.drawn.ex3_fork.shipping_base import ShippingBase
from examples.drawn.ex3_fork.shipping_payloads import (
    BillPayload,
    BillResult,
    CheckPayload,
    PackPayload,
    PickPayload,
    PickResult,
    PreparePayload,
    SendPayload,
)


class Shipping(ShippingBase):
    async def check(self, payload: CheckPayload) -> PreparePayload:
        return PreparePayload(items=payload.items, price=payload.price)

    async def pick(self, payload: PickPayload) -> PackPayload:
        return PackPayload(picked=sorted(payload.items))

    async def pack(self, payload: PackPayload) -> PickResult:
        return PickResult(parcels=(len(payload.picked) + 1) // 2)

    async def bill(self, payload: BillPayload) -> BillResult:
        return BillResult(invoice=f"{payload.price} €")

    async def send(self, payload: SendPayload) -> None:
        print(f"{len(payload.items)} things in {payload.pick.parcels} parcels, with a bill of {payload.bill.invoice}")


async def main() -> None:
    runtime = WorkflowRuntime(store=MemoryStore())
    runtime.register(Shipping)
    async with runtime, Worker(runtime):
        handle = await Shipping.submit(runtime, CheckPayload(items=["pen", "ink", "map"], price=40))
        print((await handle.wait(completed=True)).status)


if __name__ == "__main__":
    asyncio.run(main())
