"""The leaves: ids, JSON values, back-off, problems."""

import json
import math
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent.errors import InvalidValue
from detent.ids import _uuid7, as_id, new_id
from detent.json_values import MAX_DEPTH, json_object, json_value
from detent.problems import Problem, did_you_mean, near_misses
from detent.retry import Retry
from detent.runtime.written_context import WrittenContext

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=3)
    ),
    max_leaves=12,
)


def test_ids_are_version_7_and_rise_within_a_process():
    made = [_uuid7() for _ in range(500)]
    assert {(made_id.version, made_id.variant) for made_id in made} == {(7, uuid.RFC_4122)}
    assert all(earlier < later for earlier, later in pairwise(made))
    assert as_id(str(made[0])) == as_id(made[0]) == made[0]
    assert new_id().version == 7


@given(json_values)
def test_json_is_copied_as_it_is(value):
    copied = json_value(value, "it")
    assert copied == value
    assert json.loads(json.dumps(copied)) == value
    if isinstance(value, list | dict) and value:
        assert copied is not value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"b": math.inf}]}, "it.a[1].b"),
        (["ok", "\ud800"], "it[1]"),
        ({"a": {1: 2}}, "it.a"),
        ({"a": datetime.now(UTC)}, "it.a"),
        ({"a": {1, 2}}, "it.a"),
        (2**2000, "it"),
        ({"k\0": 1}, "it"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(value, path):
    with pytest.raises(InvalidValue) as caught:
        json_value(value, "it")
    assert caught.value.path == path


def test_nesting_is_bounded_whatever_its_depth():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidValue, match=f"deeper than {MAX_DEPTH}"):
        json_value(deep, "it")


def test_an_object_may_be_left_out_and_nothing_else_may_stand_for_it():
    assert json_object(None, "context") == {}
    with pytest.raises(InvalidValue, match="must be an object"):
        json_object([], "context")


def test_a_back_off_doubles_up_to_its_maximum_and_ends():
    policy = Retry(attempts=4, initial=timedelta(seconds=10), maximum=timedelta(seconds=25), jitter=0)
    assert [policy.delay(n).total_seconds() for n in (1, 2, 3, 4)] == [10, 20, 25, 25]
    assert [policy.exhausted(n) for n in (3, 4)] == [False, True]


def test_jitter_stays_within_its_share():
    policy = Retry(initial=timedelta(seconds=10), jitter=0.5)
    assert [policy.delay(1, chance=chance).total_seconds() for chance in (0, 0.5, 1)] == [5, 10, 15]


def test_near_misses_come_first_and_few_names_are_all_told():
    assert near_misses("Exprot", ["Export", "Cancel"]) == ("Export",)
    assert did_you_mean("exprot", ["Export"]) == "did you mean 'Export'?"
    assert did_you_mean("zzz", ["a", "b"]) == "known: 'a', 'b'"
    assert did_you_mean("zzz", []) is None


def test_a_problem_reads_as_place_fault_and_hint():
    assert str(Problem("states.new", "x", "is odd", "mend it")) == "states.new: is odd (mend it)"


@pytest.mark.parametrize(
    "write",
    [
        lambda c: c.__setitem__("a", 1),
        lambda c: c.update(a=1),
        lambda c: c.update({"a": 1}),
        lambda c: c.__ior__({"a": 1}),
        lambda c: c.pop("a"),
        lambda c: c.setdefault("a", 1),
        lambda c: c.clear(),
        lambda c: c.popitem(),
        lambda c: c.__delitem__("a"),
    ],
)
def test_every_way_to_write_a_context_is_noticed_also_with_the_old_value(write):
    context = WrittenContext({"a": 1})
    write(context)
    assert context.written == {"a"}


def test_a_change_deep_inside_a_context_is_noticed_and_the_original_is_not_touched():
    before = {"order": {"lines": [1]}, "other": 1}
    context = WrittenContext(before)
    context["order"]["lines"].append(2)
    assert before == {"order": {"lines": [1]}, "other": 1}
    assert context.copy().written == {"order"}
