"""What else is wrong with a definition that has faults of shape: the rest of it is read and checked without them.

So that all problems come in one answer, what cannot be read is cut out at the smallest key that holds it. Problems
that could be a consequence of the cut are not told: warnings, and errors of exactly what was cut into.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pydantic import ValidationError

from detent.definition.shape import dotted, without_tags
from detent.problems import Problem

_ROUNDS = 10
_NOTHING = object()

Place: TypeAlias = tuple[str, ...]
"""Keys from the root of a definition."""


def further_problems(data: object, read_and_check: Callable[[Any], list[Problem]]) -> list[Problem]:
    """The errors of what can be read of `data`; none where too little can.

    `read_and_check` raises pydantic's `ValidationError` for faults of shape, and answers the problems of the rest.
    """
    cut: set[str] = set()
    for _ in range(_ROUNDS):
        try:
            return [found for found in read_and_check(data) if found.severity == "error" and found.path not in cut]
        except ValidationError as error:
            for details in error.errors(include_url=False):
                place = _place(details["loc"], details["type"])
                data = _without(data, place, _stand_in(data, place))
                cut |= {dotted(place[:depth]) for depth in range(1, len(place) + 1)}
    return []


def _place(location: tuple[int | str, ...], kind: str) -> Place:
    """The keys that lead to the smallest object entry that holds the fault, down to the first list."""
    keys = without_tags(location)
    if kind == "missing" and len(keys) > 1:
        keys = keys[:-1]
    lists = [depth for depth, key in enumerate(keys) if isinstance(key, int)]
    return tuple(str(key) for key in (keys[: lists[0]] if lists else keys))


def _without(data: object, place: Place, stand_in: object) -> object:
    """A copy of `data` without the entry at `place`, or with what stands in for it; what is not there cannot go."""
    if not place or not isinstance(data, Mapping):
        return data
    key, *rest = place
    if rest:
        return {**data, key: _without(data[key], tuple(rest), stand_in)} if key in data else data
    if stand_in is not _NOTHING:
        return {**data, key: stand_in}
    return {other: value for other, value in data.items() if other != key}


def _stand_in(data: object, place: Place) -> object:
    """What replaces an entry that the rest refers to."""
    states = data.get("states") if isinstance(data, Mapping) else None
    if len(place) == 2 and place[0] == "states":
        return {}
    if place == ("name",):
        return "unnamed"
    if place in (("initial_state",), ("initialState",)) and isinstance(states, Mapping):
        return next(iter(states), _NOTHING)
    return _NOTHING
