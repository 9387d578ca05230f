"""Flows: steps in order, for those who think in steps and not in states; lowered to definitions.

What a flow is written with, and its handlers. The verbs are in `detent.FlowService`.
"""

from detent.flows.book import FlowBook
from detent.flows.checks import check_flow
from detent.flows.context import HandlerContext
from detent.flows.errors import ContextTooLarge, FlowInvalid, NotWaiting, TokenRefused, UnknownFlow
from detent.flows.flow import Flow, Step, StepRetry
from detent.flows.handler import Handlers, HandlerSpec, handler
from detent.flows.limits import ContextLimits
from detent.flows.lower import lower
from detent.flows.names import CHILD_ENDED
from detent.flows.results import (
    Failure,
    GoTo,
    Result,
    Success,
    Wait,
    WaitForChild,
    failure,
    goto,
    success,
    wait,
    wait_for_event,
    wait_until,
)
from detent.flows.tokens import ResumeToken, TokenState

__all__ = [
    "CHILD_ENDED",
    "ContextLimits",
    "ContextTooLarge",
    "Failure",
    "Flow",
    "FlowBook",
    "FlowInvalid",
    "GoTo",
    "HandlerContext",
    "HandlerSpec",
    "Handlers",
    "NotWaiting",
    "Result",
    "ResumeToken",
    "Step",
    "StepRetry",
    "Success",
    "TokenRefused",
    "TokenState",
    "UnknownFlow",
    "Wait",
    "WaitForChild",
    "check_flow",
    "failure",
    "goto",
    "handler",
    "lower",
    "success",
    "wait",
    "wait_for_event",
    "wait_until",
]
