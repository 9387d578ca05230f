"""Definitions that tests of the kit drive."""

import pytest

from detent import Branch, Event, OnEnter, State, WorkflowDefinition


@pytest.fixture
def order() -> WorkflowDefinition:
    """An order with every kind of way: branches, an error target, a timeout, a hop and an internal event."""
    return WorkflowDefinition(
        name="order",
        initial_state="new",
        states={
            "new": State(
                context={"paid": False},
                events={
                    "pay": Event(
                        target="paid",
                        branches=[Branch(guard="is_large", target="review")],
                        error="declined",
                        commands=["charge"],
                        guard="is_open",
                    ),
                    "note": Event(internal=True, commands=["write_down"]),
                },
            ),
            "review": State(events={"approve": Event(target="paid"), "reject": Event(target="cancelled")}),
            "paid": State(
                context={"paid": True}, on_enter=OnEnter(commands=["ship"], target="shipped", error="review")
            ),
            "shipped": State(events={"close": Event(target="closed", timeout="14d")}),
            "declined": State(events={"retry": Event(target="new"), "cancel": Event(target="cancelled")}),
            "closed": State(),
            "cancelled": State(outcome="cancelled"),
        },
    )
