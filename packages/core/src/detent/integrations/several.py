"""Several runtimes in one application: what each has for itself, and which one is meant by a name."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from detent.problems import did_you_mean, near_misses
from detent.service.http.policy import Mount


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that only one runtime of an application can have."""

    what: tuple[object, ...]
    """Its kind and its value: what two claims are compared by."""
    said: str
    """What two that have it do: "are called 'workflows'"."""
    fix: str
    """What to write instead."""


def claims_of(routes: Iterable[Mount[Any]]) -> Iterator[Claim]:
    """What routes claim: where they are, and the ids of their operations."""
    for one in routes:
        kind, path = type(one).__name__, f"/{one.path.strip('/')}"
        yield Claim(("path", path), f"have routes under {path!r}", f"{kind}(path=...) moves those of one")
        yield Claim(
            ("operations", one.operation_id_prefix),
            f"have operation ids that begin with {one.operation_id_prefix!r}",
            f"{kind}(operation_id_prefix=...) tells those of one apart",
        )


def clash(first: Iterable[Claim], second: Iterable[Claim]) -> str | None:
    """Why two runtimes cannot live in one application, and what to write; `None` where they can."""
    taken = {claim.what for claim in first}
    met = next((claim for claim in second if claim.what in taken), None)
    return None if met is None else f"two runtimes of the application {met.said}: {met.fix}"


def runtime_called(name: str | None, known: Collection[str]) -> str:
    """Which of the `known` runtimes is meant: the one of that name, or the only one. Raises `ValueError`, which lists them."""
    if name is None and len(known) == 1:
        return next(iter(known))
    if name is None or name not in known:
        listed = ", ".join(sorted(known)) or "none"
        # Of names that are not near it would list all, which stand there already.
        hint = did_you_mean(name, near_misses(name, known)) if name else "say which"
        raise ValueError(
            f"{'several runtimes' if name is None else f'no runtime is called {name!r}'}; "
            f"the application has {listed}" + (f" ({hint})" if hint else "")
        )
    return name
