"""Names: which are allowed, which are Detent's own, and which the registry does not know."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator

from detent.definition.walk import each_command, each_event, each_guard
from detent.definition.workflow import Workflow
from detent.problems import Problem, did_you_mean

MAX_LENGTH = 200
"""How many characters a name may have."""
_FAMILIES = {
    "flow.": ("flow.resumed", "flow.child_failed", "commands=book.commands, of the FlowBook"),
    "detent.trigger.": ("detent.trigger.configure", None, "commands=triggers.commands, of the TriggerBook"),
    "drawn.": ("drawn.take_payload", None, "the class that was made of its diagram to runtime.register"),
}
"""What begins names that a book registers together; a command and a guard that are never without the others; who has them."""


def allowed_names(definition: Workflow) -> Iterator[Problem]:
    """Names are not blank, not endless, and free of characters that nobody sees."""
    yield from _name("name", "the workflow", definition.name)
    for state in definition.states:
        yield from _name(f"states.{state}", "a state", state)
    for entry in definition.entries:
        yield from _name(f"entries.{entry}", "an entry", entry)
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
    yield from _unknown("command", ((path, command.name) for path, command in each_command(definition)), known)


def unknown_guards(definition: Workflow, known: Collection[str]) -> Iterator[Problem]:
    """Every guard is registered."""
    yield from _unknown("guard", ((path, guard.name) for path, guard in each_guard(definition)), known)


def _unknown(kind: str, named: Iterable[tuple[str, str]], known: Collection[str]) -> Iterator[Problem]:
    missing = [(path, name) for path, name in named if name not in known]
    forgotten = tuple(_forgotten(name for _, name in missing))
    for prefix in forgotten:
        # The same for commands and guards, so that it is told once.
        yield Problem("", "unknown_command", f"no command {prefix}… is registered", f"pass {_FAMILIES[prefix][-1]}")
    for path, name in missing:
        if not name.startswith(forgotten):
            hint = did_you_mean(name, known) or "register it"
            yield Problem(path, f"unknown_{kind}", f"no {kind} {name!r} is registered", hint)


def _forgotten(missing: Iterable[str]) -> Iterator[str]:
    """What begins the names of those books of which nothing is registered."""
    names = set(missing)
    for prefix, (command, guard, _) in _FAMILIES.items():
        if names & {command, guard}:
            yield prefix


def _name(path: str, thing: str, name: str) -> Iterator[Problem]:
    if not name.strip():
        yield Problem(path, "blank_name", f"the name of {thing} is blank")
    elif len(name) > MAX_LENGTH:
        yield Problem(path, "long_name", f"the name of {thing} has more than {MAX_LENGTH} characters")
    elif any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        yield Problem(path, "bad_name", f"the name of {thing} contains a control character: {name!r}")
