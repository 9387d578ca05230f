"""What is wrong with something a user wrote, as data: many at once, each with its place and a hint."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a definition, a payload or a context."""

    path: str
    """Where it is, dotted from the root: `states.new.events.Cancel.target`."""
    code: str
    """Stable name of the kind of fault, for machines: `unknown_state`."""
    message: str
    """What is wrong, in one sentence."""
    hint: str | None = None
    """What to write instead, where that is known."""
    severity: Severity = "error"
    """A warning is worth reading, a note may well be meant; only errors refuse the definition."""

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"{place}{self.message}" + (f" ({self.hint})" if self.hint else "")


def render(problems: Iterable[Problem]) -> str:
    """The problems as an indented list, one line each."""
    return "\n".join(f"  - {problem}" for problem in problems)


def near_misses(name: str, known: Iterable[str], *, limit: int = 3) -> tuple[str, ...]:
    """Up to `limit` of the `known` names that look like `name`, the most alike first; case does not count."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=limit, cutoff=0.6)
    return tuple(by_folded[folded] for folded in found)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the near misses of `name`, or else all `known` names when they are few; `None` without any."""
    names = sorted(known)
    near = near_misses(name, names)
    if near:
        return "did you mean " + " or ".join(repr(candidate) for candidate in near) + "?"
    if 0 < len(names) <= 12:
        return "known: " + ", ".join(repr(candidate) for candidate in names)
    return None
