"""`sub_flow`: another flow, as a child of this one."""

from pydantic import Field

from detent.errors import InvalidValue, UnknownWorkflow, WorkflowUnavailable
from detent.flows.context import HandlerContext
from detent.flows.errors import ContextTooLarge
from detent.flows.handler import handler
from detent.flows.names import CHILD_ENDED, ERROR, OWN
from detent.flows.results import Result, WaitForChild, failure, success
from detent.json_values import JsonObject, JsonValue
from detent_handlers.call_key import call_key
from detent_handlers.config import HandlerConfig, unusable


class SubFlowConfig(HandlerConfig):
    """Which flow, and whether its end matters here."""

    flow_id: str = Field(min_length=1)
    """The flow to start, in its newest version."""
    wait_for_completion: bool = True
    """Whether this step waits for its end."""
    metadata: JsonObject | None = None
    """Labels of the child."""


def _waits(config: JsonObject) -> bool:
    return SubFlowConfig.model_validate(config).wait_for_completion


@handler("sub_flow", aliases=["sub-flow"], name="Sub-flow", category="control", targets=False, waits=_waits)
async def sub_flow(ctx: HandlerContext, config: SubFlowConfig, input: JsonValue) -> Result:
    """Starts a flow as a child, with the step's input as its context, and waits for its end.

    However often the step is repeated, there is one child. It belongs to the tenant of its parent, and is cancelled with it.
    When it has ended well, the step's output is `{"execution_id", "flow_id", "status", "context"}`; else the step has failed
    with `CHILD_FAILED`. Without `wait_for_completion` the flow goes on at once with `{"execution_id"}`. What a flow keeps for
    itself in its context, `error` above all, is not handed on.

    Fails with `SUB_FLOW_ERROR` where the child cannot be started; this is repeated, because another worker may know the flow.
    """
    if input is not None and not isinstance(input, dict):
        return unusable("the context of a flow is an object, and the input is none")
    context = {key: value for key, value in (input or {}).items() if key not in (OWN, ERROR)}
    waits = config.wait_for_completion
    try:
        ctx.limits.check(context)
        child = await ctx.start_child(
            config.flow_id,
            context=context,
            metadata=config.metadata,
            on_end=CHILD_ENDED if waits else None,
            key=_key(ctx),
        )
    except ContextTooLarge as error:
        return failure(error.limit, error.message, retryable=False)
    except InvalidValue as error:
        return failure("SUB_FLOW_ERROR", str(error), {"code": error.code}, retryable=False)
    except (UnknownWorkflow, WorkflowUnavailable) as error:
        return failure("SUB_FLOW_ERROR", str(error), {"code": error.code})
    return WaitForChild(str(child)) if waits else success({"execution_id": str(child)})


def _key(ctx: HandlerContext) -> str:
    """What tells the child from others of the same step, which it has where another handler starts one for each item."""
    return call_key(ctx) if ctx.scope else "sub_flow"
