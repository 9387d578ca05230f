"""Events and entries: that each does something, and means what it says."""

from collections.abc import Iterator

from detent.definition.event import Event
from detent.definition.state import OnEnter
from detent.definition.walk import each_event, each_on_enter
from detent.definition.workflow import Workflow
from detent.problems import Problem


def events_do_something(definition: Workflow) -> Iterator[Problem]:
    """An event leads somewhere or runs something."""
    for path, state, name, event in each_event(definition):
        if not _does_something(event):
            hint = f"give it a target (its own state {state!r} for an entry again) or commands"
            yield Problem(
                path, "event_does_nothing", f"event {name!r} has no target, error, branches or commands", hint
            )


def internal_events_stay(definition: Workflow) -> Iterator[Problem]:
    """An internal event leads nowhere."""
    for path, _, name, event in each_event(definition):
        if event.internal and (event.target is not None or event.error is not None or event.branches):
            message = f"event {name!r} is internal and cannot lead to a state"
            yield Problem(path, "internal_event_moves", message, "drop `internal`, or its target, error and branches")


def errors_can_happen(definition: Workflow) -> Iterator[Problem]:
    """An error target has a command that could fail."""
    parts: list[tuple[str, Event | OnEnter]] = [(path, event) for path, _, _, event in each_event(definition)]
    parts += [(path, on_enter) for path, _, on_enter in each_on_enter(definition)]
    for path, part in parts:
        if part.error is not None and not part.commands and not (isinstance(part, OnEnter) and part.fork):
            message = f"nothing can lead to the error target {part.error!r}, because there is no command to fail"
            yield _warning(f"{path}.error", "dead_error_target", message)


def branches_end_somewhere(definition: Workflow) -> Iterator[Problem]:
    """Branches have a target for when none of them is taken."""
    for path, _, name, event in each_event(definition):
        if event.branches and event.target is None and not event.internal:
            message = f"event {name!r} is refused when none of its branches passes"
            yield _warning(f"{path}.branches", "no_default_target", message, "add a target to take then")


def branches_differ(definition: Workflow) -> Iterator[Problem]:
    """No branch asks what an earlier one has asked."""
    for path, _, _, event in each_event(definition):
        guards = [branch.guard for branch in event.branches]
        for index, guard in enumerate(guards):
            if guard in guards[:index]:
                message = f"branch {guards.index(guard)} has the same guard, so this one is never taken"
                yield _warning(f"{path}.branches[{index}]", "dead_branch", message)


def entries_do_something(definition: Workflow) -> Iterator[Problem]:
    """An `on_enter` leads somewhere or runs something."""
    for path, state, on_enter in each_on_enter(definition):
        if on_enter.target is None and on_enter.error is None and not on_enter.commands and not on_enter.fork:
            yield _warning(path, "on_enter_does_nothing", f"nothing happens on entering {state!r}", "leave it out")


def events_can_be_taken(definition: Workflow) -> Iterator[Problem]:
    """A state that is always left at once declares no events."""
    for path, state, on_enter in each_on_enter(definition):
        at_once = on_enter.target is not None and not on_enter.commands and not on_enter.fork
        if at_once and definition.states[state].events:
            message = f"state {state!r} is left as soon as it is entered, so its events never happen"
            yield _warning(path, "events_never_happen", message)


def _does_something(event: Event) -> bool:
    """An internal event with a payload or a timeout is worth its history entry alone: a comment, a reminder."""
    if event.target is not None or event.error is not None or event.branches or event.commands:
        return True
    return event.internal and (event.payload is not None or event.timeout is not None)


def _warning(path: str, code: str, message: str, hint: str | None = None) -> Problem:
    return Problem(path, code, message, hint, severity="warning")
