"""A few handlers, and what the flow tests make of them."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from detent.flows import Flow, HandlerContext, Handlers, Result, handler, success


class PickConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[str]


@handler("pick", category="data", targets=False)
async def pick(ctx: HandlerContext, config: PickConfig, input: dict[str, Any]) -> Result:
    """Keeps some keys.

    And more about it.
    """
    return success({key: input[key] for key in config.keys})


@handler("choose", name="Choose a step", category="control", targets=lambda config: config.get("to", ()))
class Choose:
    """Goes on where its config says."""

    def __call__(self, ctx: HandlerContext) -> None:
        """Nothing is done here."""


@handler("free")
def free(ctx: HandlerContext) -> None:
    """May go anywhere."""


HANDLERS = Handlers([pick, Choose, free])

ORDER: dict[str, Any] = {
    "id": "order",
    "version": "1.2.0",
    "name": "Order",
    "description": "From the cart to the door.",
    "status": "published",
    "visual": {"zoom": 1.5, "nodes": {"fetch": {"x": 1, "y": 2}}},
    "tags": ["shop"],
    "initialStepId": "fetch",
    "steps": {
        "fetch": {
            "id": "fetch",
            "name": "Fetch",
            "type": "pick",
            "config": {"keys": ["id"], "keepMe": {"asIs": True}},
            "input": {"type": "template", "template": {"id": "${order.id}", "to": "${who:-nobody}"}},
            "outputKey": "found.order",
            "transitions": {"onSuccess": "ask", "onFailure": "sorry", "onResume": None},
            "retry": {"maxAttempts": 3, "backoffMs": 100, "backoffMultiplier": 3, "retryOn": ["BUSY"]},
        },
        "ask": {
            "id": "ask",
            "type": "free",
            "config": {},
            "input": {"type": "static", "value": {"question": "Sure?"}},
            "transitions": {"onSuccess": None, "onResume": "sorry"},
        },
        "sorry": {"id": "sorry", "type": "free", "config": {}, "input": {"type": "full"}, "transitions": {}},
    },
}
"""A flow in FlowMonkey's spelling."""


def flow(steps: dict[str, Any], **more: Any) -> Flow:
    """A flow of these steps, the first of them first."""
    return Flow("flow", initial_step_id=next(iter(steps), "none"), steps=steps, **more)
