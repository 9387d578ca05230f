"""What happens on the way: a command as a class, made by the container, and one as a function with an injected parameter."""

from dishka import FromDishka

from detent import CommandContext, Fail, Ok, command
from examples.orders.gateway import CustomerGateway, Message
from examples.orders.shipments import Shipment, Shipments
from examples.orders.warehouse import Warehouse


@command("send_order_to_warehouse")
class SendOrderToWarehouse:
    """Books the shipment, in the transaction that moves the order."""

    def __init__(self, shipments: Shipments, warehouse: Warehouse) -> None:
        self._shipments = shipments
        self._warehouse = warehouse

    async def __call__(self, ctx: CommandContext) -> Ok | Fail:
        refusal = self._warehouse.refusal()
        if refusal is not None:
            return Fail("warehouse_refused", refusal)
        await self._shipments.add(Shipment(ctx.instance_id, str(ctx.context["address"]), ctx.now))
        return Ok(message="handed to the warehouse")


@command("notify_customer")
async def notify_customer(ctx: CommandContext, gateway: FromDishka[CustomerGateway]) -> None:
    """Tells the customer that the parcel is on its way. If that raises, the order was never exported."""
    await gateway.send(Message(str(ctx.context["customer"]), "Your order is on its way."))
