"""Names: which are allowed, which are Detent's own, and which the registry does not know."""

import unicodedata
from collections.abc import Collection, Iterator

from detent.definition.walk import each_command, each_event, each_guard
from detent.definition.workflow import Workflow
from detent.problems import Problem, did_you_mean

MAX_LENGTH = 200
"""How many characters a name may have."""


def allowed_names(definition: Workflow) -> Iterator[Problem]:
    """Names are not blank, not endless, and free of characters that nobody sees."""
    yield from _name("name", "the workflow", definition.name)
    for state in definition.states:
        yield from _name(f"states.{state}", "a state", state)
    for path, _, name, _ in each_event(definition):
        yield from _name(path, "an event", name)
    for path, command in each_command(definition):
        yield from _name(path, "a command", command.name)
    for path, guard in each_guard(definition):
        yield from _name(path, "a guard", guard.name)


def reserved_names(definition: Workflow) -> Iterator[Problem]:
    """Names of states and events that begin with `$` are Detent's own."""
    places = [(f"states.{state}", state) for state in definition.states]
    places += [(path, name) for path, _, name, _ in each_event(definition)]
    for path, name in places:
        if name.startswith("$"):
            hint = f"call it {name.lstrip('$')!r}" if name.strip("$") else None
            yield Problem(path, "reserved_name", f"names that begin with $ are reserved, such as {name!r}", hint)


def unknown_commands(definition: Workflow, known: Collection[str]) -> Iterator[Problem]:
    """Every command is registered."""
    for path, command in each_command(definition):
        if command.name not in known:
            hint = did_you_mean(command.name, known) or "register it"
            yield Problem(path, "unknown_command", f"no command {command.name!r} is registered", hint)


def unknown_guards(definition: Workflow, known: Collection[str]) -> Iterator[Problem]:
    """Every guard is registered."""
    for path, guard in each_guard(definition):
        if guard.name not in known:
            hint = did_you_mean(guard.name, known) or "register it"
            yield Problem(path, "unknown_guard", f"no guard {guard.name!r} is registered", hint)


def _name(path: str, thing: str, name: str) -> Iterator[Problem]:
    if not name.strip():
        yield Problem(path, "blank_name", f"the name of {thing} is blank")
    elif len(name) > MAX_LENGTH:
        yield Problem(path, "long_name", f"the name of {thing} has more than {MAX_LENGTH} characters")
    elif any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        yield Problem(path, "bad_name", f"the name of {thing} contains a control character: {name!r}")
