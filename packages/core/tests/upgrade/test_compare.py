"""What differs between two versions, as values with a text."""

import copy
from typing import Any

import pytest

from detent import WorkflowDefinition
from detent.upgrade.compare import Difference, compare

BASE: dict[str, Any] = {
    "name": "claim",
    "initial_state": "new",
    "states": {
        "new": {"events": {"check": {"target": "paid", "timeout": "1h"}, "drop": {"target": "lost"}}},
        "paid": {"on_enter": {"commands": ["thank"]}},
        "lost": {"outcome": "failure"},
    },
}


def differences(**edits: Any) -> list[Difference]:
    """What a second version with these edits, by dotted path, says otherwise."""
    edited = copy.deepcopy(BASE)
    edited["version"] = 2
    for path, value in edits.items():
        *way, last = path.split("__")
        place = edited
        for key in way:
            place = place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return list(compare(WorkflowDefinition.from_dict(BASE), WorkflowDefinition.from_dict(edited)))


def test_versions_that_say_the_same_do_not_differ_and_what_people_read_is_no_difference():
    assert differences() == []
    assert differences(description="Claims", states__new__description="fresh", states__new__tags=["open"]) == []


@pytest.mark.parametrize(
    ("edits", "code", "path", "says"),
    [
        ({"states__extra": {}}, "state_added", "states.extra", "state 'extra' is new"),
        ({"states__lost": None}, "state_removed", "states.lost", "state 'lost' is gone"),
        ({"states__lost__outcome": "cancelled"}, "outcome_changed", "states.lost.outcome", "was failure"),
        (
            {"states__lost": {"events": {"find": {"target": "paid"}}}},
            "terminal_changed",
            "states.lost",
            "does not end the workflow any more",
        ),
        ({"states__new__context": {"a": 1}}, "context_changed", "states.new.context", "another context"),
        (
            {"states__new__events__wait": {"target": "new"}},
            "event_added",
            "states.new.events.wait",
            "event 'wait' is new",
        ),
        ({"states__new__events__drop": None}, "event_removed", "states.new.events.drop", "event 'drop' is gone"),
        (
            {"states__new__events__drop__target": "paid"},
            "event_retargeted",
            "states.new.events.drop",
            "led to lost and leads to paid",
        ),
        (
            {"states__new__events__drop__error": "paid"},
            "event_retargeted",
            "states.new.events.drop",
            "leads to lost, on failure to paid",
        ),
        (
            {"states__new__events__drop": {"internal": True, "commands": ["note"]}},
            "event_retargeted",
            "states.new.events.drop",
            "led to lost and leads nowhere (internal)",
        ),
        (
            {"states__new__events__check__timeout": "15m"},
            "timeout_changed",
            "states.new.events.check.timeout",
            "fired by itself: 1h; fires now: 15m",
        ),
        (
            {"states__new__events__check__timeout": None},
            "timeout_changed",
            "states.new.events.check.timeout",
            "fires now: never",
        ),
        ({"states__new__events__drop__guard": "allowed"}, "guard_changed", "states.new.events.drop.guard", "guard"),
        ({"states__new__events__drop__commands": ["x"]}, "commands_changed", "states.new.events.drop.commands", "com"),
        ({"states__paid__on_enter": {"commands": ["thank", "pay"]}}, "on_enter_grew", "states.paid.on_enter", "'pay'"),
        ({"states__lost__on_enter": {"commands": ["cry"]}}, "on_enter_grew", "states.lost.on_enter", "'cry'"),
        ({"states__paid__on_enter": None}, "on_enter_removed", "states.paid.on_enter", "nothing happens"),
        (
            {"states__paid__on_enter__target": "lost"},
            "on_enter_changed",
            "states.paid.on_enter",
            "goes on to lost, on failure nowhere",
        ),
        ({"initial_state": "paid"}, "initial_state_changed", "initial_state", "was 'new' and is 'paid'"),
        ({"version_policy": "latest"}, "version_policy_changed", "version_policy", "is 'latest'"),
        (
            {"context_model": {"type": "object"}},
            "context_model_changed",
            "context_model",
            "has a context model, where there was none",
        ),
    ],
)
def test_each_kind_of_difference_has_a_code_a_place_and_a_text(
    edits: dict[str, Any], code: str, path: str, says: str
) -> None:
    found = {difference.code: difference for difference in differences(**edits)}
    assert code in found, found
    assert found[code].path == path
    assert says in found[code].message
    assert str(found[code]) == f"{path}: {found[code].message}"


def test_a_command_that_is_dropped_from_on_enter_is_no_growth():
    found = differences(states__paid__on_enter={"commands": [], "error": "lost"})
    assert [difference.code for difference in found] == ["terminal_changed", "on_enter_changed"]
