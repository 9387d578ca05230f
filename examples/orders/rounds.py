"""What the shop does by the clock: every morning somebody looks whether the gate of the warehouse is open."""

from dishka import FromDishka

from detent import TriggerBook
from detent.flows import Flow, FlowBook, HandlerContext, Result, Step, handler, success
from detent.triggers import CronTrigger
from examples.orders.warehouse import Warehouse


@handler("look_at_gate", targets=False)
async def look_at_gate(ctx: HandlerContext, warehouse: FromDishka[Warehouse]) -> Result:
    """Whether the gate is open."""
    return success({"open": warehouse.open})


rounds = Flow("rounds", initial_step_id="gate", steps={"gate": Step("look_at_gate", output_key="gate")})

morning_rounds = CronTrigger(
    name="morning-rounds",
    flow="rounds",
    expression="0 7 * * *",
    timezone="Europe/London",
    description="Whoever comes first looks at the gate.",
)


def flow_book() -> FlowBook:
    """The flows of the shop, for one runtime."""
    return FlowBook(flows=[rounds], handlers=[look_at_gate])


def trigger_book() -> TriggerBook:
    """The triggers of the shop, for one runtime."""
    return TriggerBook()
