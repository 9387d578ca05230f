"""Whether the methods of a class are those that its diagram asks for."""

import inspect
from collections.abc import Iterator
from typing import Any

from detent.drawn.drawing import Drawing
from detent.errors import RegistrationInvalid
from detent.problems import did_you_mean


def check_fit(owner: type[Any], drawing: Drawing) -> None:
    """Raise `RegistrationInvalid` where a method is missing, cannot be called, or is one that nothing would call."""
    faults = list(_faults(owner, drawing))
    if faults:
        raise RegistrationInvalid(owner.__name__, "; ".join(faults), hint=f"it is drawn in {drawing.source}")


def _faults(owner: type[Any], drawing: Drawing) -> Iterator[str]:
    own = [name for name, kept in vars(owner).items() if inspect.isfunction(kept) and not name.startswith("_")]
    steps = {step.method: step for step in drawing.steps}
    for name, step in steps.items():
        method = inspect.getattr_static(owner, name, None)
        if getattr(method, "__isabstractmethod__", False) or method is None:
            near = did_you_mean(name, [each for each in own if each not in steps])
            told = f"the method {name} of the state {step.state!r} is missing"
            yield f"{told}, {near}" if near and near.startswith("did") else told
        elif not inspect.iscoroutinefunction(method):
            yield f"{name} is no `async def`"
        elif not _takes_payload(method):
            yield f"{name} must take the payload and nothing else, not {inspect.signature(method)}"
    for state, name in drawing.idle.items():
        if name not in steps and callable(getattr(owner, name, None)):
            yield f"the method {name} is never called: the state {state!r} does no work{_remedy(owner, state, name)}"


def _remedy(owner: type[Any], state: str, name: str) -> str:
    """What to draw so that the state does work: beside events a state before an end is an end, unless its box says more."""
    found = owner.definition.states.get(state)
    return f", draw `: do / {name}` behind it" if found is not None and found.terminal else ""


def _takes_payload(method: Any) -> bool:
    try:
        inspect.signature(method).bind(None, None)
    except TypeError:
        return False
    return True
