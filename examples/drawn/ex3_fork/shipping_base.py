# Made by `detent generate` from shipping.mmd: do not edit, it is made again when the diagram changes.
# ruff: noqa
# fmt: off
"""The class that runs the workflow `shipping`; inherit from it and write its methods."""

from abc import abstractmethod
from typing import ClassVar

from detent import WorkflowDefinition
from detent.drawn import Drawing, DrawnWorkflow, Step

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


class ShippingBase(DrawnWorkflow[CheckPayload]):
    """The workflow `shipping`."""

    @abstractmethod
    async def check(self, payload: CheckPayload, /) -> PreparePayload:
        """The work of `check`; it answers the payload of `prepare`."""
        ...

    @abstractmethod
    async def bill(self, payload: BillPayload, /) -> BillResult:
        """The work of `bill`; it answers what the branch of `bill` ends with."""
        ...

    @abstractmethod
    async def pick(self, payload: PickPayload, /) -> PackPayload:
        """The work of `pick`; it answers the payload of `pack`."""
        ...

    @abstractmethod
    async def send(self, payload: SendPayload, /) -> None:
        """The work of `send`; then the workflow ends."""
        ...

    @abstractmethod
    async def pack(self, payload: PackPayload, /) -> PickResult:
        """The work of `pack`; it answers what the branch of `pick` ends with."""
        ...

    definition: ClassVar[WorkflowDefinition] = WorkflowDefinition.from_dict(
        {
            "name": "shipping",
            "initial_state": "check",
            "states": {
                "check": {"on_enter": {"target": "prepare", "commands": [{"name": "shipping.check", "durable": True}]}},
                "prepare": {"on_enter": {"target": "send", "fork": ["bill", "pick"]}},
                "bill": {"on_enter": {"target": "prepared", "commands": [{"name": "shipping.bill", "durable": True}]}},
                "pick": {"on_enter": {"target": "pack", "commands": [{"name": "shipping.pick", "durable": True}]}},
                "send": {"on_enter": {"target": "end", "commands": [{"name": "shipping.send", "durable": True}]}},
                "prepared": {},
                "pack": {"on_enter": {"target": "prepared", "commands": [{"name": "shipping.pack", "durable": True}]}},
                "end": {},
            },
        }
    )

    drawing: ClassVar[Drawing] = Drawing(
        source="shipping.mmd",
        steps=(
            Step("check", "shipping.check", "check", payload=CheckPayload, answers=PreparePayload),
            Step("bill", "shipping.bill", "bill", payload=BillPayload, answers=BillResult),
            Step("pick", "shipping.pick", "pick", payload=PickPayload, answers=PackPayload),
            Step("send", "shipping.send", "send", payload=SendPayload),
            Step("pack", "shipping.pack", "pack", payload=PackPayload, answers=PickResult),
        ),
        idle={"prepare": "prepare", "prepared": "prepared"},
    )
