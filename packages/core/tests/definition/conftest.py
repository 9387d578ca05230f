import copy
from collections.abc import Callable
from typing import Any

import pytest

from detent.definition import Event, OnEnter, State, WorkflowDefinition
from detent.errors import DefinitionInvalid
from detent.problems import Problem

SNAKE: dict[str, Any] = {
    "name": "order",
    "initial_state": "new",
    "states": {
        "new": {
            "context": {"payment_status": "pending", "is_active": True},
            "events": {"PaymentReceived": {"target": "exportable"}, "Cancel": {"target": "cancelled"}},
        },
        "exportable": {
            "context": {"payment_status": "paid"},
            "events": {
                "Export": {"target": "exported", "error": "export_failed", "commands": ["send_order_to_warehouse"]}
            },
        },
        "exported": {
            "context": {"shipment_status": "shipped"},
            "on_enter": {"target": "in_transit", "commands": ["notify_customer"]},
        },
        "in_transit": {"events": {"Deliver": {"target": "delivered"}}},
        "delivered": {
            "context": {"shipment_status": "delivered", "is_active": False},
            "events": {"TimeOut": {"target": "closed", "timeout": "14d"}},
        },
        "export_failed": {"events": {"RetryExport": {"target": "exportable"}}},
        "closed": {},
        "cancelled": {"context": {"is_active": False}},
    },
}

CAMEL: dict[str, Any] = {
    "name": "order",
    "initialState": "new",
    "states": {
        "new": {
            "context": {"payment_status": "pending", "is_active": True},
            "events": {"PaymentReceived": {"targetState": "exportable"}, "Cancel": {"targetState": "cancelled"}},
        },
        "exportable": {
            "context": {"payment_status": "paid"},
            "events": {
                "Export": {
                    "targetState": "exported",
                    "errorState": "export_failed",
                    "commands": [{"name": "send_order_to_warehouse"}],
                }
            },
        },
        "exported": {
            "context": {"shipment_status": "shipped"},
            "onEnter": {"targetState": "in_transit", "commands": [{"name": "notify_customer"}]},
        },
        "in_transit": {"events": {"Deliver": {"targetState": "delivered"}}},
        "delivered": {
            "context": {"shipment_status": "delivered", "is_active": False},
            "events": {"TimeOut": {"targetState": "closed", "timeout": {"afterDays": 14}}},
        },
        "export_failed": {"events": {"RetryExport": {"targetState": "exportable"}}},
        "closed": {},
        "cancelled": {"context": {"is_active": False}},
    },
}


@pytest.fixture
def order_data() -> dict[str, Any]:
    """The order workflow as we write it."""
    return copy.deepcopy(SNAKE)


@pytest.fixture
def duraflows_data() -> dict[str, Any]:
    """The order workflow as duraflows writes it."""
    return copy.deepcopy(CAMEL)


@pytest.fixture
def order() -> WorkflowDefinition:
    """The order workflow in Python."""
    return WorkflowDefinition(
        name="order",
        initial_state="new",
        states={
            "new": State(
                context={"payment_status": "pending", "is_active": True},
                events={"PaymentReceived": Event(target="exportable"), "Cancel": Event(target="cancelled")},
            ),
            "exportable": State(
                context={"payment_status": "paid"},
                events={
                    "Export": Event(target="exported", error="export_failed", commands=["send_order_to_warehouse"])
                },
            ),
            "exported": State(
                context={"shipment_status": "shipped"},
                on_enter=OnEnter(target="in_transit", commands=["notify_customer"]),
            ),
            "in_transit": State(events={"Deliver": Event(target="delivered")}),
            "delivered": State(
                context={"shipment_status": "delivered", "is_active": False},
                events={"TimeOut": Event(target="closed", timeout="14d")},
            ),
            "export_failed": State(events={"RetryExport": Event(target="exportable")}),
            "closed": State(),
            "cancelled": State(context={"is_active": False}),
        },
    )


Workflow = Callable[..., WorkflowDefinition]


@pytest.fixture
def workflow() -> Workflow:
    """Makes a workflow of the states given; the first one is the initial one."""

    def make(states: dict[str, Any], **more: Any) -> WorkflowDefinition:
        return WorkflowDefinition.from_dict(
            {"name": "w", "initial_state": next(iter(states)), "states": states, **more}
        )

    return make


@pytest.fixture
def one_event(workflow: Workflow) -> Workflow:
    """Makes a workflow of two states, `start` with the event `E` as given, and `end`."""

    def make(**event: Any) -> WorkflowDefinition:
        return workflow({"start": {"events": {"E": event}}, "end": {}})

    return make


Refused = Callable[[Any], dict[str, Problem]]


@pytest.fixture
def refused() -> Refused:
    """The problems, by path, for which a definition in a dict is refused."""

    def problems(data: Any) -> dict[str, Problem]:
        with pytest.raises(DefinitionInvalid) as caught:
            WorkflowDefinition.from_dict(data)
        return {problem.path: problem for problem in caught.value.problems}

    return problems
