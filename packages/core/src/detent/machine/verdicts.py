"""Guard expressions over verdicts: what guards answered, as values, and what a composition of them comes to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from detent.json_values import JsonObject
from detent.registry.registry import GuardSpec


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guard, or a composition of guards, says."""

    passed: bool
    reason: str | None = None
    """Why not, when it did not pass."""


@dataclass(frozen=True, slots=True)
class GuardStep:
    """One guard as a definition refers to it; `index` is its place in the machine, and the key of its verdict."""

    index: int
    name: str
    metadata: JsonObject
    spec: GuardSpec
    needs_lock: bool
    """Whether asking it awaits or needs injected objects, so that it cannot be asked in place."""


@dataclass(frozen=True, slots=True)
class All:
    """Every part must pass; the first that does not gives the reason."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One part must pass; when none does, every reason counts."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The part must not pass."""

    part: "Expression"


Expression: TypeAlias = GuardStep | All | Either | Negation
Verdicts: TypeAlias = Mapping[int, Verdict]


@dataclass(frozen=True, slots=True)
class Need:
    """The decision stops here until this guard was asked; ask it and decide again."""

    guard: GuardStep


def evaluate(expression: Expression, verdicts: Verdicts) -> Verdict | Need:
    """What `expression` comes to, short-circuiting from left to right, or the first guard whose verdict is missing."""
    match expression:
        case GuardStep():
            return verdicts.get(expression.index) or Need(expression)
        case All(parts):
            return _all(parts, verdicts)
        case Either(parts):
            return _either(parts, verdicts)
        case Negation(part):
            return _negation(part, verdicts)


def _all(parts: tuple[Expression, ...], verdicts: Verdicts) -> Verdict | Need:
    for part in parts:
        answer = evaluate(part, verdicts)
        if isinstance(answer, Need) or not answer.passed:
            return answer
    return Verdict(True)


def _either(parts: tuple[Expression, ...], verdicts: Verdicts) -> Verdict | Need:
    reasons = []
    for part in parts:
        answer = evaluate(part, verdicts)
        if isinstance(answer, Need) or answer.passed:
            return answer
        reasons.append(answer.reason or "refused")
    return Verdict(False, "; ".join(reasons))


def _negation(part: Expression, verdicts: Verdicts) -> Verdict | Need:
    answer = evaluate(part, verdicts)
    if isinstance(answer, Need):
        return answer
    return Verdict(False, f"not allowed while {spoken(part)}") if answer.passed else Verdict(True)


def spoken(expression: Expression) -> str:
    """The expression in words, for reasons."""
    match expression:
        case GuardStep():
            return expression.name
        case All(parts):
            return " and ".join(spoken(part) for part in parts)
        case Either(parts):
            return " or ".join(spoken(part) for part in parts)
        case Negation(part):
            return f"not {spoken(part)}"


def steps_of(expression: Expression) -> tuple[GuardStep, ...]:
    """Every guard in the expression, in the order they would be asked."""
    match expression:
        case GuardStep():
            return (expression,)
        case All(parts) | Either(parts):
            return tuple(step for part in parts for step in steps_of(part))
        case Negation(part):
            return steps_of(part)
