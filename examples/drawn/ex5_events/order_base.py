# Made by `detent generate` from order.mmd: do not edit, it is made again when the diagram changes.
# ruff: noqa
# fmt: off
"""The class that runs the workflow `order`; inherit from it and write its methods."""

from abc import abstractmethod
from typing import ClassVar

from detent import WorkflowDefinition
from detent.drawn import Drawing, DrawnWorkflow, Step

from examples.drawn.ex5_events.order_payloads import PricePayload, ShipPayload, WaitingPayload


class OrderBase(DrawnWorkflow[PricePayload]):
    """The workflow `order`."""

    @abstractmethod
    async def price(self, payload: PricePayload, /) -> WaitingPayload:
        """The work of `price`; it answers the payload of `waiting`."""
        ...

    @abstractmethod
    async def ship(self, payload: ShipPayload, /) -> None:
        """The work of `ship`; then the workflow ends."""
        ...

    definition: ClassVar[WorkflowDefinition] = WorkflowDefinition.from_dict(
        {
            "name": "order",
            "initial_state": "price",
            "states": {
                "price": {"on_enter": {"target": "waiting", "commands": [{"name": "order.price", "durable": True}]}},
                "waiting": {
                    "events": {
                        "cancel": {"target": "cancelled", "commands": ["drawn.take_payload"]},
                        "expire": {"target": "cancelled", "timeout": "14d", "commands": ["drawn.take_payload"]},
                        "pay": {"target": "ship", "commands": ["drawn.take_payload"]},
                        "remind": {
                            "commands": ["drawn.take_payload", "send_reminder"],
                            "timeout": "3d",
                            "internal": True,
                        },
                    },
                },
                "cancelled": {"outcome": "cancelled"},
                "ship": {"on_enter": {"target": "shipped", "commands": [{"name": "order.ship", "durable": True}]}},
                "shipped": {},
            },
        }
    )

    drawing: ClassVar[Drawing] = Drawing(
        source="order.mmd",
        steps=(
            Step("price", "order.price", "price", payload=PricePayload, answers=WaitingPayload),
            Step("ship", "order.ship", "ship", payload=ShipPayload),
        ),
        idle={"waiting": "waiting", "cancelled": "cancelled", "shipped": "shipped"},
    )
