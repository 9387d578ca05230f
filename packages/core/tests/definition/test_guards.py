from typing import Any

import pytest

from detent.definition import AllOf, AnyOf, Branch, Event, GuardRef, Not, guard_refs

PAID, PACKED, HELD = GuardRef("is_paid"), GuardRef("is_packed"), GuardRef("is_held")


@pytest.mark.parametrize(
    ("written", "guard"),
    [
        ("is_paid", PAID),
        ({"name": "is_paid"}, PAID),
        ({"name": "is_paid", "metadata": {"from": 5}}, GuardRef("is_paid", metadata={"from": 5})),
        ({"all_of": ["is_paid", "is_packed"]}, AllOf(all_of=[PAID, PACKED])),
        ({"allOf": ["is_paid"]}, AllOf(all_of=["is_paid"])),
        ({"anyOf": ["is_paid", {"not": "is_held"}]}, AnyOf(any_of=["is_paid", Not(not_="is_held")])),
        ({"not_": {"any_of": ["is_held"]}}, Not(not_=AnyOf(any_of=[HELD]))),
        (AllOf(all_of=["is_paid"]), AllOf(all_of=[PAID])),
    ],
)
def test_a_guard_is_a_name_or_a_combination(written: Any, guard: Any) -> None:
    event = Event(target="next", guard=written)
    assert event.guard == guard
    for camel in (False, True):
        data = event.model_dump(mode="json", exclude_defaults=True, by_alias=camel)
        assert Event.model_validate(data) == event


def test_guards_are_listed_in_the_order_they_are_asked() -> None:
    expression = AllOf(all_of=["a", AnyOf(any_of=["b", Not(not_="c")]), "d"])
    assert [guard.name for guard in guard_refs(expression)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("depth", [300, 5_000])
def test_guards_nested_without_end_are_refused(refused: Any, depth: int) -> None:
    guard: Any = "a"
    for _ in range(depth):
        guard = {"not": guard}
    data = {"name": "w", "initial_state": "a", "states": {"a": {"events": {"E": {"target": "a", "guard": guard}}}}}
    assert [problem.code for problem in refused(data).values()] == ["nested_too_deeply"]


def test_no_guard_lists_none() -> None:
    assert list(guard_refs(None)) == []


def test_a_branch_has_a_guard_of_its_own() -> None:
    event = Event(branches=[Branch(guard="is_vip", target="fast"), {"guard": {"not": "is_vip"}, "targetState": "slow"}])
    assert [branch.target for branch in event.branches] == ["fast", "slow"]
