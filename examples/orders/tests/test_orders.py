"""What an order and its parcel promise each other, on both databases."""

import pytest
from litestar import Litestar

from detent.testing.clock import FakeClock
from detent_litestar import WorkflowPlugin
from examples.orders.client import Shop, ShopError, shop_inside
from examples.orders.gateway import Message, RecordingGateway

ADDRESS = "12 St James's Square, London"


async def paid_order(shop: Shop) -> str:
    order_id = str((await shop.place("Ada Lovelace", ADDRESS))["id"])
    await shop.pay(order_id)
    return order_id


async def parcels(shop: Shop, order_id: str) -> list[str]:
    return [shipment["address"] for shipment in await shop.shipments() if shipment["order_id"] == order_id]


async def test_exporting_books_the_parcel_and_tells_the_customer(app: Litestar, gateway: RecordingGateway):
    async with shop_inside(app) as shop:
        order_id = await paid_order(shop)
        result = await shop.trigger(order_id, "Export")
        assert (result["from_state"], result["to_state"]) == ("exportable", "in_transit")
        assert await parcels(shop, order_id) == [ADDRESS]
    assert gateway.sent == [Message("Ada Lovelace", "Your order is on its way.")]


async def test_exporting_and_the_hop_after_it_are_one_commit(app: Litestar):
    async with shop_inside(app) as shop:
        order_id = await paid_order(shop)
        await shop.trigger(order_id, "Export")
        hop, export, *_ = await shop.history(order_id)
    assert [entry["to_state"] for entry in (export, hop)] == ["exported", "in_transit"]
    assert export["transition_id"] == hop["transition_id"]
    assert [command["name"] for command in export["commands"]] == ["send_order_to_warehouse"]


async def test_a_warehouse_that_refuses_takes_the_order_to_export_failed(app: Litestar):
    async with shop_inside(app) as shop:
        order_id = await paid_order(shop)
        await shop.open_warehouse(is_open=False)
        result = await shop.trigger(order_id, "Export")
        latest = (await shop.history(order_id))[0]
        assert (result["outcome"], result["to_state"]) == ("failure", "export_failed")
        assert (latest["outcome"], latest["reason"]) == ("failure", "the warehouse is closed today")
        assert await parcels(shop, order_id) == []


async def test_a_gateway_that_fails_undoes_the_parcel_and_the_step(app: Litestar, gateway: RecordingGateway):
    async with shop_inside(app) as shop:
        order_id = await paid_order(shop)
        gateway.broken = True
        with pytest.raises(ShopError, match="500"):
            await shop.trigger(order_id, "Export")
        latest = (await shop.history(order_id))[0]
        assert (await shop.order(order_id))["state"] == "exportable"
        assert await parcels(shop, order_id) == []
        assert (latest["outcome"], latest["error"]["message"]) == ("failed", "the gateway does not answer")


async def test_a_step_that_was_undone_can_be_taken_again(app: Litestar, gateway: RecordingGateway):
    async with shop_inside(app) as shop:
        order_id = await paid_order(shop)
        gateway.broken = True
        with pytest.raises(ShopError):
            await shop.trigger(order_id, "Export")
        gateway.broken = False
        await shop.trigger(order_id, "Export")
        assert await parcels(shop, order_id) == [ADDRESS]


async def test_a_delivered_order_closes_after_two_weeks_and_not_before(app: Litestar, clock: FakeClock):
    async with shop_inside(app) as shop:
        order_id = await paid_order(shop)
        for event in ("Export", "Deliver"):
            await shop.trigger(order_id, event)
        runtime = app.plugins.get(WorkflowPlugin).runtime
        clock.advance(days=13, hours=23)
        await runtime.process_timeouts()
        assert (await shop.order(order_id))["state"] == "delivered"
        clock.advance(hours=1)
        await runtime.process_timeouts()
        assert (await shop.order(order_id))["state"] == "closed"


async def test_history_says_that_the_bank_paid(app: Litestar):
    async with shop_inside(app) as shop:
        order_id = await paid_order(shop)
        latest = (await shop.history(order_id))[0]
    assert (latest["event"], latest["trigger_metadata"]) == ("PaymentReceived", {"actor": "bank"})


async def test_history_says_what_each_step_changed_in_the_context(app: Litestar):
    async with shop_inside(app) as shop:
        latest = (await shop.history(await paid_order(shop)))[0]
    told = [(change["path"], change["was"], change["value"]) for change in latest["changes"]]
    assert told == [("/payment_status", "pending", "paid")]


async def test_a_cancelled_order_takes_no_payment(app: Litestar):
    async with shop_inside(app) as shop:
        order_id = str((await shop.place("Grace Hopper", "Arlington, Virginia"))["id"])
        await shop.trigger(order_id, "Cancel")
        with pytest.raises(ShopError, match="409"):
            await shop.pay(order_id)
        assert not (await shop.order(order_id))["is_active"]


async def test_a_payment_moves_the_context_with_the_state(app: Litestar):
    async with shop_inside(app) as shop:
        placed = await shop.place("Ada Lovelace", ADDRESS)
        paid = await shop.pay(placed["id"])
    assert (placed["payment_status"], paid["payment_status"]) == ("pending", "paid")
