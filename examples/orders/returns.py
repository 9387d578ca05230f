"""What comes back: the life of a return, in two versions, which waits for the gate of the warehouse."""

from typing import Any

from dishka import FromDishka

from detent import CommandContext, Event, GuardContext, Ok, Refuse, State, WorkflowDefinition, command, guard
from examples.orders.warehouse import Warehouse

ARRIVAL: dict[str, Any] = {
    "type": "object",
    "required": ["condition", "items"],
    "properties": {
        "condition": {"title": "Condition", "enum": ["as new", "used", "damaged"]},
        "items": {"title": "Items", "type": "integer", "minimum": 1, "description": "How many are in the parcel."},
        "refund": {"title": "Refund", "type": "number", "description": "In pounds."},
        "complete": {"title": "Complete", "type": "boolean", "default": True},
        "note": {"title": "Note", "type": "string"},
        "damage": {"title": "Damage", "type": "object", "properties": {"place": {"type": "string"}}},
    },
}
"""What the gate says of a parcel that came back."""


@guard("gate_open")
def gate_open(ctx: GuardContext, warehouse: FromDishka[Warehouse]) -> bool | Refuse:
    """Nothing comes in or goes out while the warehouse is closed."""
    refusal = warehouse.refusal()
    return refusal is None or Refuse(refusal)


@command("note_arrival")
def note_arrival(ctx: CommandContext) -> Ok:
    """Keeps what the gate said with the return."""
    ctx.context["arrival"] = ctx.payload
    return Ok()


def _returned(version: int, arrived: str, **states: State) -> WorkflowDefinition:
    announced = {
        "Arrive": Event(
            target=arrived,
            guard="gate_open",
            payload=ARRIVAL,
            commands=["note_arrival"],
            metadata={"label": "Take it in"},
        ),
        "Collect": Event(target="collected", guard="gate_open", timeout="2d", description="The courier fetches it."),
        "Withdraw": Event(target="withdrawn"),
    }
    return WorkflowDefinition(
        name="return",
        version=version,
        description="Goods that a customer sends back.",
        initial_state="announced",
        states={
            "announced": State(events=announced),
            "collected": State(events={"Arrive": announced["Arrive"]}),
            **states,
            "refunded": State(),
            "withdrawn": State(outcome="cancelled"),
        },
    )


returned = _returned(1, "refunded")
inspected = _returned(
    2, "inspected", inspected=State(events={"Refund": Event(target="refunded"), "Reject": Event(target="withdrawn")})
)
"""The newer version: somebody looks into the parcel before the money goes back."""
