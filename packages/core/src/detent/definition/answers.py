"""Guard expressions as logic: whether one holds for given answers, and which answers make one hold."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from detent.definition.event import Event
from detent.definition.guards import AllOf, AnyOf, GuardExpression, GuardRef, Not
from detent.json_values import JsonObject

Atom: TypeAlias = tuple[str, str]
"""One question: the name of a guard, and the metadata of the reference as JSON, since both may change the answer."""
Answers: TypeAlias = Mapping[Atom, bool]
"""What guards answer."""
Wanted: TypeAlias = tuple[GuardExpression | None, bool]
"""An expression, and whether it is to hold; no expression always holds."""


def atom(name: str, metadata: JsonObject) -> Atom:
    """The question that a guard with this metadata is."""
    return name, json.dumps(metadata, sort_keys=True)


def holds(expression: GuardExpression, answer: Callable[[Atom], bool]) -> bool:
    """Whether `expression` passes, asked in order and no further than needed, as the runtime does."""
    match expression:
        case GuardRef():
            return answer(atom(expression.name, expression.metadata))
        case AllOf(all_of=parts):
            return all(holds(part, answer) for part in parts)
        case AnyOf(any_of=parts):
            return any(holds(part, answer) for part in parts)
        case Not(not_=part):
            return not holds(part, answer)


def satisfiable(wanted: Sequence[Wanted]) -> bool:
    """Whether there are answers under which each of the expressions holds, or does not, as wanted."""
    return next(_satisfying(wanted, {}), None) is not None


def answers_for(event: Event, branch: int | None) -> Answers | None:
    """Answers by which `event` takes the branch of that index, or with `None` its own target; `None` if there are none."""
    passed = event.branches if branch is None else event.branches[:branch]
    wanted: list[Wanted] = [(event.guard, True), *((earlier.guard, False) for earlier in passed)]
    if branch is not None:
        wanted.append((event.branches[branch].guard, True))
    return next(_satisfying(wanted, {}), None)


def _satisfying(wanted: Sequence[Wanted], known: Answers) -> Iterator[Answers]:
    """Every extension of `known` under which all of `wanted` is as wanted."""
    if not wanted:
        yield known
        return
    (expression, value), *rest = wanted
    for extended in _deciding(expression, value, known):
        yield from _satisfying(rest, extended)


def _deciding(expression: GuardExpression | None, value: bool, known: Answers) -> Iterator[Answers]:
    """Every extension of `known` under which `expression` is `value`."""
    match expression:
        case None:
            yield from (known,) if value else ()
        case GuardRef():
            question = atom(expression.name, expression.metadata)
            if known.get(question, value) == value:
                yield {**known, question: value}
        case Not(not_=part):
            yield from _deciding(part, not value, known)
        case AllOf(all_of=parts):
            yield from _joined(parts, value, known, ends_with=False)
        case AnyOf(any_of=parts):
            yield from _joined(parts, value, known, ends_with=True)


def _joined(parts: Sequence[GuardExpression], value: bool, known: Answers, *, ends_with: bool) -> Iterator[Answers]:
    """Parts asked in order: the first that is `ends_with` decides for that value, none for the other."""
    if value is not ends_with:
        yield from _satisfying([(part, value) for part in parts], known)
        return
    for index, part in enumerate(parts):
        before = [(earlier, not ends_with) for earlier in parts[:index]]
        yield from _satisfying([*before, (part, ends_with)], known)
