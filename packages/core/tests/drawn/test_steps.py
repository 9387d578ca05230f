"""What a step is given, what becomes of what it answers, and how it fails."""

from typing import Any

import pytest

from detent import Retry, Settings, Status, WorkflowService
from detent.drawn import Failed
from detent.errors import InvalidValue

WAITING = """\
---
title: order
---
stateDiagram-v2
    [*] --> price
    price --> waiting
    waiting --> ship: pay
    waiting --> closed: cancel
    ship --> closed
    closed --> [*]
"""
FAILING = """\
stateDiagram-v2
    [*] --> charge
    charge --> shipped
    charge --> refused : on enter fails
    refused --> [*] : failure
    shipped --> [*] : end
"""
PYDANTIC = """\
from pydantic import BaseModel


class PricePayload(BaseModel):
    items: list[str]


class WaitingPayload(BaseModel):
    total: int


class ShipPayload(BaseModel):
    total: int
    address: str
"""
ONCE = Settings(run_retry=Retry(attempts=1))


def order(drawn: Any, payloads: str | None = None) -> Any:
    base = drawn(WAITING, name="order", payloads=payloads).OrderBase

    class Order(base):  # type: ignore[misc,valid-type]
        seen: Any = None

        async def price(self, payload):
            type(self).seen = payload
            return {"total": 3}

        async def ship(self, payload):
            type(self).seen = payload

    return Order


async def test_a_payload_that_comes_with_an_event_is_laid_over_what_the_step_before_answered(drawn, started):
    workflow = order(drawn)
    runtime = await started(workflow)
    handle = await workflow.submit(runtime, {"items": ["pen"]})
    await runtime.process_runs()
    waiting = await handle.get_instance()
    assert (waiting.state, waiting.context) == ("waiting", {"total": 3})
    await handle.trigger_event("pay", payload={"address": "here"})
    await runtime.process_runs()
    assert workflow.seen == {"total": 3, "address": "here"}
    ended = await handle.get_instance()
    assert (ended.status, ended.context) == (Status.COMPLETED, {"total": 3, "address": "here"})


async def test_an_event_without_an_object_leaves_the_payload_as_it_was(drawn, started):
    workflow = order(drawn)
    runtime = await started(workflow)
    handle = await workflow.submit(runtime, {"items": ["pen"]})
    await runtime.process_runs()
    await handle.trigger_event("pay", payload="cash")
    await runtime.process_runs()
    assert workflow.seen == {"total": 3}


async def test_pydantic_models_are_validated_before_a_step_and_written_after_it(drawn, started):
    module = drawn(WAITING, name="order", payloads=PYDANTIC)
    seen = []

    class Order(module.OrderBase):  # type: ignore[misc,name-defined]
        async def price(self, payload):
            seen.append(payload)
            return module.WaitingPayload(total=len(payload.items))

        async def ship(self, payload):
            seen.append(payload)

    runtime = await started(Order)
    handle = await Order.submit(runtime, module.PricePayload(items=["pen", "ink"]))
    await runtime.process_runs()
    await handle.trigger_event("pay", payload={"address": "here"})
    await runtime.process_runs()
    assert seen == [module.PricePayload(items=["pen", "ink"]), module.ShipPayload(total=2, address="here")]


async def test_a_model_with_other_names_outside_reads_what_it_has_written(drawn, started):
    renamed = PYDANTIC.replace("items: list[str]", 'items: list[str] = Field(alias="lines")')
    renamed = renamed.replace("address: str", 'address: str = Field(alias="shipTo")').replace(
        "import ", "import Field, "
    )
    module = drawn(WAITING, name="order", payloads=renamed)
    seen = []

    class Order(module.OrderBase):  # type: ignore[misc,name-defined]
        async def price(self, payload):
            return module.WaitingPayload(total=len(payload.items))

        async def ship(self, payload):
            seen.append(payload)

    runtime = await started(Order)
    handle = await Order.submit(runtime, module.PricePayload(lines=["pen", "ink"]))
    await runtime.process_runs()
    await handle.trigger_event("pay", payload={"shipTo": "here"})
    await runtime.process_runs()
    assert seen == [module.ShipPayload(total=2, shipTo="here")]


async def test_a_payload_that_does_not_fit_its_model_parks_the_step_at_once_and_says_why(drawn, started):
    workflow = order(drawn, PYDANTIC)
    runtime = await started(workflow)
    handle = await workflow.submit(runtime, {"items": 3})
    report = await runtime.process_runs()
    assert (report.retrying, report.parked) == (0, 1)
    assert "the payload does not fit PricePayload: items: " in str(await handle.explain())


async def test_each_execution_has_an_object_of_its_own_and_knows_its_instance(drawn, started):
    base = drawn(WAITING, name="order").OrderBase
    made = []

    class Order(base):  # type: ignore[misc,valid-type]
        async def price(self, payload):
            made.append((self, self.ctx.instance_id))
            return {}

        async def ship(self, payload): ...

    runtime = await started(Order)
    handles = [await Order.submit(runtime, {}) for _ in range(3)]
    await runtime.process_runs()
    assert len({id(one) for one, _ in made}) == 3
    assert {instance_id for _, instance_id in made} == {handle.id for handle in handles}
    with pytest.raises(InvalidValue, match="while a step is at work"):
        _ = made[0][0].ctx


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"total": {1, 2}}, "answer of order.price.total"),
        (None, "answer of order.price"),
        ([1], "answer of order.price"),
    ],
)
async def test_what_a_step_answers_and_is_no_payload_fails_the_attempt_with_its_path(drawn, started, answer, told):
    class Order(order(drawn)):  # type: ignore[misc]
        async def price(self, payload):
            return answer

    runtime = await started(Order, settings=ONCE)
    handle = await Order.submit(runtime, {"items": []})
    await runtime.process_runs()
    instance = await handle.get_instance()
    assert (instance.state, instance.context) == ("price", {"items": []})
    assert told in str(await handle.explain())


async def test_an_answer_at_the_end_is_refused(drawn, started):
    class Order(order(drawn)):  # type: ignore[misc]
        async def ship(self, payload):
            return {"shipped": True}

    runtime = await started(Order, settings=ONCE)
    handle = await Order.submit(runtime, {"items": []})
    await runtime.process_runs()
    await handle.trigger_event("pay")
    await runtime.process_runs()
    assert "answered a dict" in str(await handle.explain())


async def test_a_step_that_failed_for_a_reason_takes_the_way_that_is_drawn_for_it(drawn, started):
    base = drawn(FAILING, name="charge").ChargeBase

    class Charge(base):  # type: ignore[misc,valid-type]
        async def charge(self, payload):
            raise Failed("declined", "no money")

    runtime = await started(Charge)
    handle = await Charge.submit(runtime, {"card": 1})
    await runtime.process_runs()
    ended = await handle.get_instance()
    assert (ended.state, ended.status, ended.context) == ("refused", Status.FAILED, {"card": 1})
    (command,) = (await handle.get_history(limit=1))[0].commands
    assert (command.code, command.message) == ("declined", "no money")


async def test_where_no_way_is_drawn_for_it_a_failure_is_parked_and_not_repeated(drawn, started):
    class Order(order(drawn)):  # type: ignore[misc]
        async def price(self, payload):
            raise Failed("declined")

    runtime = await started(Order)
    handle = await Order.submit(runtime, {"items": []})
    report = await runtime.process_runs()
    assert (report.retrying, report.parked) == (0, 1)
    assert "failed with declined" in str(await handle.explain())


FORKED = """\
---
title: shipping
---
stateDiagram-v2
    state both <<fork>>
    state met <<join>>
    [*] --> prepare
    prepare --> both
    both --> pick
    both --> bill
    pick --> pack
    pack --> met
    bill --> met
    met --> send
    send --> [*]
"""


async def test_branches_are_given_what_the_step_before_the_fork_answered_and_are_joined_by_name(drawn, started):
    base = drawn(FORKED, name="shipping").ShippingBase
    told = {}

    class Shipping(base):  # type: ignore[misc,valid-type]
        async def prepare(self, payload):
            return {**payload, "ready": True}

        async def pick(self, payload):
            told["pick"] = payload
            return {"shelf": 3}

        async def pack(self, payload):
            told["pack"] = payload
            return {"boxes": 2}

        async def bill(self, payload):
            told["bill"] = payload
            return {"total": 7}

        async def send(self, payload):
            told["send"] = payload

    runtime = await started(Shipping)
    handle = await Shipping.submit(runtime, {"order": 1})
    await runtime.process_runs()
    while (await runtime.process_inbox()).applied:
        await runtime.process_runs()
    prepared = {"order": 1, "ready": True}
    assert told == {
        "pick": prepared,
        "bill": prepared,
        "pack": {"shelf": 3},
        "send": {**prepared, "pick": {"boxes": 2}, "bill": {"total": 7}},
    }
    assert (await handle.get_instance()).status is Status.COMPLETED


async def test_a_service_submits_for_its_tenant_and_in_the_transaction_that_it_was_lent(drawn, started):
    workflow = order(drawn)
    runtime = await started(workflow)
    service = WorkflowService(runtime).for_tenant("acme")
    handle = await workflow.submit(service, {"items": []}, metadata={"from": "shop"}, trigger_metadata={"actor": "ada"})
    made = await handle.get_instance()
    assert (made.tenant, made.metadata) == ("acme", {"from": "shop"})
    assert (await handle.get_history())[0].trigger_metadata == {"actor": "ada"}
    async with runtime.store.begin() as transaction:
        await workflow.submit(runtime, {"items": []}, connection=transaction)
        transaction.rollback()
    assert await runtime.count_instances() == {(): 1}
