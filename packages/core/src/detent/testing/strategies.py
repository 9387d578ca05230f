"""Hypothesis strategies: sound definitions, contexts, and sequences of events to drive a harness with.

Needs hypothesis, which the extra `testing` installs; nothing else imports this file.

```python
@given(st.data())
async def test_an_order_never_leaves_its_states(data):
    async with WorkflowHarness(order) as harness:
        await harness.run(data.draw(event_sequences(order)))
```
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from detent.definition.duration import duration_text
from detent.definition.model import WorkflowDefinition
from detent.definition.walk import each_event
from detent.json_values import JsonObject, JsonValue

STATES = ("new", "paid", "shipped", "returned", "closed", "lost", "held", "archived")
"""The names that states have, in the order they are used."""
EVENTS = ("go", "pay", "ship", "cancel", "expire", "note")
COMMANDS = ("charge", "notify", "book")
GUARDS = ("is_paid", "is_large", "is_open")
KEYS = ("a", "b", "total")
TIMEOUTS = ("12h", "1d", "7d", "14d")
UNDECLARED = ("nope", "Go", "")
"""Events that no definition made here declares."""


@dataclass(frozen=True, slots=True)
class _Features:
    """What a definition may make use of."""

    commands: bool
    guards: bool
    branches: bool
    errors: bool
    self_events: bool
    internal_events: bool
    on_enter: bool
    timeouts: bool
    context: bool
    forks: bool


def json_values(*, max_leaves: int = 5) -> st.SearchStrategy[JsonValue]:
    """JSON values that every store keeps as they are: `None`, booleans, numbers, texts, lists and objects of them."""
    return _json_values(max_leaves)


def contexts(*, max_leaves: int = 5) -> st.SearchStrategy[JsonObject]:
    """JSON objects to create instances with; their keys are often those that `definitions` writes to."""
    keys = st.sampled_from(KEYS) | _texts()
    return st.dictionaries(keys, json_values(max_leaves=max_leaves), max_size=4)


@st.composite
def definitions(
    draw: st.DrawFn,
    *,
    min_states: int = 1,
    max_states: int = 5,
    max_events: int = 3,
    commands: bool = True,
    guards: bool = True,
    branches: bool = True,
    errors: bool = True,
    self_events: bool = True,
    internal_events: bool = True,
    on_enter: bool = True,
    timeouts: bool = True,
    context: bool = True,
    forks: bool = False,
) -> WorkflowDefinition:
    """Definitions in which `validate` finds no error; it may warn, of an unreachable state for one.

    Names of commands, guards and events come from small pools, so that they meet. Each flag switches a feature off: what
    is left uses no such thing. `errors` needs `commands`, `branches` needs `guards`. They shrink to one state without
    events. Hops of `on_enter` only lead to states further down, so that no entry goes round in a circle. `forks` is on where it
    is said: what goes on in branches is not driven by events of the instance itself.
    """
    features = _Features(
        commands=commands,
        guards=guards,
        branches=branches and guards,
        errors=errors and commands,
        self_events=self_events,
        internal_events=internal_events and (commands or timeouts),
        on_enter=on_enter,
        timeouts=timeouts,
        context=context,
        forks=forks,
    )
    count = draw(st.integers(min_states, min(max_states, len(STATES))))
    names = STATES[:count]
    states = {name: draw(_states(names, index, max_events, features)) for index, name in enumerate(names)}
    return WorkflowDefinition.from_dict({"name": "generated", "initial_state": names[0], "states": states})


def events(definition: WorkflowDefinition, *, undeclared: bool = True) -> st.SearchStrategy[str]:
    """Names of events of `definition`; with `undeclared`, sometimes of events that it does not have.

    A definition without events gives undeclared ones, whatever was asked for.
    """
    declared = tuple(dict.fromkeys(placed.name for placed in each_event(definition)))
    others = st.sampled_from([name for name in UNDECLARED if name not in declared])
    if not declared:
        return others
    return st.sampled_from(declared) | others if undeclared else st.sampled_from(declared)


def durations(definition: WorkflowDefinition) -> st.SearchStrategy[str]:
    """Texts to advance a clock by: the timeouts of `definition`, and `1s`, which is shorter than any usual one."""
    timeouts = (placed.event.timeout for placed in each_event(definition))
    spoken = [duration_text(timeout.after) for timeout in timeouts if timeout is not None and timeout.after is not None]
    return st.sampled_from(["1s", *dict.fromkeys(spoken)])


def event_sequences(
    definition: WorkflowDefinition, *, max_size: int = 10, undeclared: bool = False, clock: bool = True
) -> st.SearchStrategy[list[str]]:
    """Lists for `harness.run`: events, and with `clock` durations by which time passes.

    An event may still be unavailable in the state that was reached; expect `EventNotAvailable`.
    """
    items = events(definition, undeclared=undeclared)
    return st.lists(items | durations(definition) if clock else items, max_size=max_size)


@cache
def _json_values(max_leaves: int) -> st.SearchStrategy[JsonValue]:
    # Made once: strategies that are made anew for each draw cost more than what is drawn.
    scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _numbers() | _texts()
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts(), inner, max_size=3),
        max_leaves=max_leaves,
    )


@cache
def _numbers() -> st.SearchStrategy[float]:
    return st.floats(allow_nan=False, allow_infinity=False, width=32)


@cache
def _texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)


@st.composite
def _states(draw: st.DrawFn, names: Sequence[str], index: int, max_events: int, features: _Features) -> JsonObject:
    written: JsonObject = {}
    timeouts = list(TIMEOUTS)
    declared: JsonObject = {}
    # Ends are frequent, so that most definitions have one that is reached.
    ends = index > 0 and draw(st.booleans())
    for name in EVENTS:
        # Whether there is one is drawn right before it: so an event can be dropped while shrinking.
        if len(declared) < max_events and not ends and draw(st.booleans()):
            event = draw(_events(names, index, timeouts, features))
            declared |= {} if event is None else {name: event}
    written |= _some("events", declared)
    if features.on_enter and not ends and draw(_rarely()):
        written |= draw(_entries(names[index + 1 :], features))
    if features.context:
        patch = draw(st.dictionaries(st.sampled_from(KEYS), json_values(max_leaves=2), max_size=2))
        written |= {"context": patch} if patch else {}
    return written


@st.composite
def _events(
    draw: st.DrawFn, names: Sequence[str], index: int, timeouts: list[str], features: _Features
) -> JsonObject | None:
    """An event, or `None` where the features leave nothing for it to do. What it uses of `timeouts` is taken from them."""
    targets = [name for name in names if features.self_events or name != names[index]]
    event: JsonObject = {}
    if features.timeouts and timeouts and draw(_rarely()):
        event["timeout"] = draw(st.sampled_from(timeouts))
        timeouts.remove(event["timeout"])
    if features.commands:
        event |= _some("commands", draw(_command_lists()))
    if features.guards and draw(_rarely()):
        event["guard"] = draw(_guards())
    internal = features.internal_events and bool(event.keys() & {"timeout", "commands"})
    if internal and draw(_rarely()):
        return {**event, "internal": True}
    if not targets:
        return None
    event["target"] = draw(st.sampled_from(targets))
    if features.errors and "commands" in event and draw(st.booleans()):
        event["error"] = draw(st.sampled_from(targets))
    if features.branches and draw(_rarely()):
        event["branches"] = draw(_branches(targets))
    return event


@st.composite
def _entries(draw: st.DrawFn, later: Sequence[str], features: _Features) -> JsonObject:
    """An `on_enter` as a part of a state; nothing where it would do nothing."""
    entry: JsonObject = {}
    if features.commands:
        entry |= _some("commands", draw(_command_lists()))
    if draw(st.booleans()) and later:
        entry["target"] = draw(st.sampled_from(later))
    if features.forks and "target" in entry and draw(_rarely()):
        entry["fork"] = draw(st.lists(st.sampled_from(later), min_size=1, max_size=3, unique=True))
    if features.errors and later and "commands" in entry and draw(st.booleans()):
        entry["error"] = draw(st.sampled_from(later))
    return _some("on_enter", entry)


def _branches(targets: Sequence[str]) -> st.SearchStrategy[list[JsonObject]]:
    branch = st.fixed_dictionaries({"guard": _guards(), "target": st.sampled_from(targets)})
    return st.lists(branch, min_size=1, max_size=2)


@cache
def _command_lists() -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(COMMANDS), max_size=2, unique=True)


@cache
def _guards() -> st.SearchStrategy[Any]:
    return st.recursive(
        st.sampled_from(GUARDS),
        lambda inner: (
            st.fixed_dictionaries({"not": inner})
            | st.fixed_dictionaries({"all_of": st.lists(inner, min_size=1, max_size=2)})
            | st.fixed_dictionaries({"any_of": st.lists(inner, min_size=1, max_size=2)})
        ),
        max_leaves=3,
    )


@cache
def _rarely() -> st.SearchStrategy[bool]:
    """True once in three; shrinks to false."""
    return st.sampled_from([False, False, True])


def _some(key: str, value: Any) -> JsonObject:
    return {key: value} if value else {}
