"""What a diagram says of its Python under `detent: {python: …}` in the front matter, and what the caller says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from detent.problems import Problem, did_you_mean

PayloadStyle: TypeAlias = Literal["typed-dict", "pydantic"]
"""What payloads are stubbed as."""

_KEYS = ("class", "module", "names", "payloads")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What stands under `python`."""

    class_name: str | None = None
    """What the user's own class is called; the generated one has `Base` behind it."""
    module: str | None = None
    """What the generated module begins with."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of Python for names of the diagram: states, choices, options."""
    payloads: PayloadStyle | None = None


def wishes_of(said: object, place: str) -> tuple[Wishes, list[Problem]]:
    """What is wished for, and what is wrong with it; `place` is where the front matter begins."""
    if said is None:
        return Wishes(), []
    if not isinstance(said, Mapping):
        return Wishes(), [_problem(place, "`python` is an object", f"it may have {', '.join(_KEYS)}")]
    problems = [
        _problem(place, f"`python` has no {key!r}", did_you_mean(str(key), _KEYS)) for key in said if key not in _KEYS
    ]
    texts = {key: said[key] for key in ("class", "module", "payloads") if key in said}
    problems += [
        _problem(place, f"`python.{key}` is a text") for key, text in texts.items() if not isinstance(text, str)
    ]
    names: Any = said.get("names", {})
    if not isinstance(names, Mapping) or not all(isinstance(name, str) for name in names.values()):
        problems.append(_problem(place, "`python.names` is an object of texts", 'write `"names": {"in": "take_in"}`'))
        names = {}
    if texts.get("payloads", "pydantic") not in get_args(PayloadStyle):
        problems.append(_problem(place, "`python.payloads` is typed-dict or pydantic"))
    if problems:
        return Wishes(), problems
    wishes = Wishes(texts.get("class"), texts.get("module"), {str(key): text for key, text in names.items()})
    return Wishes(wishes.class_name, wishes.module, wishes.names, texts.get("payloads")), []


def _problem(place: str, message: str, hint: str | None = None) -> Problem:
    return Problem(place, "bad_python", message, hint)
