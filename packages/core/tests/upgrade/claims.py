"""A workflow in two versions."""

from collections.abc import Awaitable, Callable
from typing import Any

from detent import WorkflowService

Serving = Callable[..., Awaitable[WorkflowService]]

OLD: dict[str, Any] = {
    "name": "claim",
    "version": 1,
    "initial_state": "new",
    "states": {
        "new": {"events": {"check": {"target": "checking"}, "drop": {"target": "dropped"}}},
        "checking": {
            "events": {"approve": {"target": "paid"}, "escalate": {"target": "new", "timeout": "1h"}},
        },
        "paid": {},
        "dropped": {"outcome": "failure"},
    },
}
"""The version that instances are on."""

NEW: dict[str, Any] = {
    "name": "claim",
    "version": 2,
    "initial_state": "new",
    "states": {
        "new": {"events": {"check": {"target": "review"}, "drop": {"target": "dropped"}}},
        "review": {
            "events": {"approve": {"target": "paid"}, "escalate": {"target": "new", "timeout": "15m"}},
        },
        "paid": {},
        "dropped": {"outcome": "failure"},
    },
}
"""The version they are moved to: `checking` is called `review`, and escalates earlier."""
