"""What everything in a diagram is called in Python, and what is wrong with that."""

import json
import keyword
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from detent.definition.model import WorkflowDefinition
from detent.notation.mermaid_reader.source import Place
from detent.notation.python_class.canonical import in_order, work_of
from detent.notation.python_class.sketch import Decided, Sketch
from detent.notation.python_class.spelling import pascal, snake
from detent.problems import Problem

OTHERWISE = "otherwise"
"""The method for the way out of a choice that has no label."""
RESERVED = frozenset({"commands", "ctx", "definition", "definitions", "drawing", "submit"})
"""What the base class of generated classes has."""


class Names:
    """The Python names of one diagram; those that its front matter gives come first."""

    def __init__(self, given: Mapping[str, str], definition: WorkflowDefinition, sketch: Sketch) -> None:
        self._given = given
        self._definition = definition
        self._drawn = sketch.places.keys()

    def knows(self, name: str) -> bool:
        """Whether this is a state that somebody has drawn."""
        return name in self._drawn

    def state(self, name: str) -> str:
        """What a state is called."""
        return self._given.get(name) or snake(name)

    def method(self, name: str) -> str:
        """The method that does the work of a state: called like the state, or like the command that it says by `do / command`."""
        work = work_of(self._definition.states[name])
        return self.state(work[0].name if work and name not in self._given else name)

    def payload(self, name: str) -> str:
        """The type of the payload of a state."""
        return f"{pascal(self.state(name).strip('_'))}Payload"

    def result(self, branch: str) -> str:
        """The type of what a branch ends with."""
        return f"{pascal(self.state(branch).strip('_'))}Result"

    def option(self, text: str) -> str:
        """The method for a way out of a choice."""
        return (self._given.get(text) or snake(text)) if text else OTHERWISE

    def choice(self, decided: Decided) -> str:
        """The attribute that has the options of a choice."""
        name = self._given.get(decided.name) or snake(decided.name)
        return name if decided.is_choice else f"{name.rstrip('_')}_choice"

    def choice_type(self, decided: Decided) -> str:
        """What the types of a choice begin with."""
        return pascal(self.choice(decided).strip("_"))


@dataclass(frozen=True, slots=True)
class _Called:
    """Something that gets a name."""

    what: str
    """`the state 'a'`."""
    key: str
    """What the front matter knows it by."""
    name: str
    place: Place


def naming_problems(definition: WorkflowDefinition, sketch: Sketch, names: Names) -> Iterator[Problem]:
    """Every name that Python cannot use, that the base class has, or that two things share."""
    going_on = [name for name in in_order(definition) if not definition.states[name].terminal]
    working = {name for name in going_on if work_of(definition.states[name])}
    decided = list({one.name: one for name, one in sketch.decided.items() if name in working}.values())
    states = [_Called(f"the state {name!r}", name, names.method(name), _place(sketch, name)) for name in going_on]
    choices = [_Called(f"the choice {one.name!r}", one.name, names.choice(one), one.place) for one in decided]
    yield from _one_thing_each(definition, sketch)
    for one in states:
        yield from _usable(one, RESERVED if one.key in working else None)
    for one in choices:
        yield from _usable(one, RESERVED)
    yield from _apart([*states, *choices])
    types = [*(names.payload(name) for name in going_on), *(f"{names.choice_type(one)}Options" for one in decided)]
    typed = [replace(one, name=name) for one, name in zip((*states, *choices), types, strict=True)]
    yield from _apart(typed, but=states + choices)
    for each in decided:
        yield from _problems_of_options(each, names)


def _problems_of_options(decided: Decided, names: Names) -> Iterator[Problem]:
    options = [_Called(f"the option {way.text!r}", way.text, names.option(way.text), way.place) for way in decided.ways]
    for one in options:
        yield from _usable(one, frozenset())
    yield from _apart(options)


def _one_thing_each(definition: WorkflowDefinition, sketch: Sketch) -> Iterator[Problem]:
    for name, state in definition.states.items():
        work = work_of(state)
        if len(work) > 1:
            shown = ", ".join(one.name for one in work)
            message = f"the state {name!r} does {len(work)} things, {shown}: a method does the work of one state"
            yield Problem(str(_place(sketch, name)), "several_commands", message, "draw a state for each of them")


def _usable(one: _Called, reserved: frozenset[str] | None) -> Iterator[Problem]:
    """What is wrong with a name; `None` for one that is no name of Python itself and only the beginning of one."""
    if reserved is None:
        reason = None if f"{pascal(one.name)}Payload".isidentifier() else f"{one.name!r} begins no name of Python"
    elif not one.name.isidentifier() or one.name.startswith("_"):
        reason = (
            f"{one.name!r} is no name of a method" if one.name else "nothing is left of it for the name of a method"
        )
    elif keyword.iskeyword(one.name):
        reason = f"{one.name!r} is a keyword of Python"
    else:
        reason = f"the base class has {one.name!r} already" if one.name in reserved else None
    if reason is not None:
        yield Problem(str(one.place), "python_name", f"{one.what} cannot be called so in Python: {reason}", _hint(one))


def _apart(called: Sequence[_Called], but: Sequence[_Called] = ()) -> Iterator[Problem]:
    """Two things of one name; `but` are those of which that was said before, by another name of theirs."""
    first: dict[str, _Called] = {}
    said = {(one.key, other.key) for one in but for other in but if one.name == other.name}
    for one in called:
        known = first.setdefault(one.name, one)
        if known is not one and known.key != one.key and (known.key, one.key) not in said:
            message = (
                f"{one.what} and {known.what} of line {known.place.line} would both be called {one.name!r} in Python"
            )
            yield Problem(str(one.place), "python_name_twice", message, _hint(one))


def _hint(one: _Called) -> str:
    key = json.dumps(one.key, ensure_ascii=False)
    return f'give it another in the front matter: `detent: {{"python": {{"names": {{{key}: "…"}}}}}}`'


def _place(sketch: Sketch, name: str) -> Place:
    return sketch.places.get(name, Place(1, 1))
