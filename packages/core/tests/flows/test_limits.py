"""How large a context may grow: at a limit it is allowed, one beyond it is refused with the limit's name."""

from typing import Any

import pytest
from pydantic_core import to_json

from detent.flows import ContextLimits, ContextTooLarge


def nested(depth):
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


LIMITS = ContextLimits(value_bytes=1000, total_bytes=1500, keys=3, depth=4)


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"a": "x" * 998},
        {"a": "x" * 747, "b": "x" * 747},
        {"a": 1, "b": 2, "c": 3},
        {"a": nested(4), "b": {"c": {"d": {"e": {}}}}},
    ],
)
def test_a_context_may_reach_its_limits(context):
    LIMITS.check(context)


@pytest.mark.parametrize(
    ("context", "limit"),
    [
        ({"a": "x" * 999}, "CONTEXT_VALUE_TOO_LARGE"),
        ({"a": "ä" * 500}, "CONTEXT_VALUE_TOO_LARGE"),
        ({"a": "x" * 747, "b": "x" * 748}, "CONTEXT_SIZE_LIMIT"),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, "CONTEXT_KEY_LIMIT"),
        ({"a": nested(5)}, "CONTEXT_NESTING_LIMIT"),
        ({"a": nested(100)}, "CONTEXT_NESTING_LIMIT"),
    ],
)
def test_beyond_a_limit_it_is_refused_by_name(context, limit):
    with pytest.raises(ContextTooLarge) as refused:
        LIMITS.check(context)
    assert (refused.value.limit, refused.value.code) == (limit, "context_too_large")


def test_the_error_of_a_step_takes_no_room_from_the_others():
    LIMITS.check({"a": 1, "b": 2, "c": 3, "error": {}})
    LIMITS.check({"a": "x" * 747, "b": "x" * 747, "error": {"message": "x" * 900}})
    with pytest.raises(ContextTooLarge):
        LIMITS.check({"error": "x" * 1000})


ERROR = {"code": "NO", "message": "not today", "step_id": "a", "details": {"why": "rain"}, "timestamp": "now"}


def test_an_error_that_fits_is_left_as_it_is():
    assert LIMITS.fitting(ERROR) == ERROR


@pytest.mark.parametrize("large", [{"details": "x" * 1000}, {"details": nested(9)}, {"message": "m" * 9999}])
def test_an_error_that_does_not_fit_keeps_its_code_and_the_beginning_of_its_message(large):
    kept = LIMITS.fitting(ERROR | large)
    assert (kept["code"], kept["step_id"], kept["details"]) == ("NO", "a", None)
    assert (ERROR | large)["message"].startswith(kept["message"])
    assert len(to_json(kept)) <= LIMITS.value_bytes


def test_the_usual_limits_are_those_of_flowmonkey():
    usual = ContextLimits()
    assert (usual.value_bytes, usual.total_bytes, usual.keys, usual.depth) == (1_000_000, 10_000_000, 500, 15)
