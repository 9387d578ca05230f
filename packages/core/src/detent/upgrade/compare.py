"""What differs between two versions of a definition, as far as it matters to an instance that moves from one to the other."""

from collections.abc import Iterator
from dataclasses import dataclass

from detent.definition.event import Event
from detent.definition.state import OnEnter, State
from detent.definition.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that one version says otherwise than another."""

    path: str
    """Where it stands, dotted from the root: `states.new.events.Cancel`."""
    code: str
    """Stable name of the kind of difference, for machines: `state_removed`."""
    message: str
    """What is different, in one sentence."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def compare(source: Workflow, target: Workflow) -> tuple[Difference, ...]:
    """What `target` says otherwise than `source`, in the order of the target's states; nothing for what only people read."""
    return (*_of_workflow(source, target), *_of_states(source, target))


def grown(source: State | None, target: State) -> list[str]:
    """The commands that `target` runs on entry and `source` does not: those that an instance there has never seen.

    Without a source all of them are.
    """
    known = [] if source is None or source.on_enter is None else [ref.name for ref in source.on_enter.commands]
    if target.on_enter is None:
        return []
    begun = [] if source is None else source.fork
    forked = [f"the branch {name}" for name in target.fork if name not in begun]
    return [ref.name for ref in target.on_enter.commands if ref.name not in known] + forked


def _of_workflow(source: Workflow, target: Workflow) -> Iterator[Difference]:
    for name in ("initial_state", "entries", "version_policy", "context_precedence", "record_refusals"):
        before, after = getattr(source, name), getattr(target, name)
        if before != after:
            yield Difference(name, f"{name}_changed", f"was {before!r} and is {after!r}")
    if source.context_model != target.context_model:
        yield Difference("context_model", "context_model_changed", _gained("a context model", source, target))


def _of_states(source: Workflow, target: Workflow) -> Iterator[Difference]:
    for name, state in target.states.items():
        path = f"states.{name}"
        if name in source.states:
            yield from _of_state(path, source.states[name], state)
        else:
            yield Difference(path, "state_added", f"state {name!r} is new")
    for name in source.states:
        if name not in target.states:
            yield Difference(f"states.{name}", "state_removed", f"state {name!r} is gone")


def _of_state(path: str, source: State, target: State) -> Iterator[Difference]:
    if source.terminal != target.terminal:
        message = "ends the workflow now" if target.terminal else "does not end the workflow any more"
        yield Difference(path, "terminal_changed", message)
    elif source.outcome != target.outcome:
        yield Difference(f"{path}.outcome", "outcome_changed", f"was {source.outcome} and is {target.outcome}")
    if source.context != target.context:
        yield Difference(f"{path}.context", "context_changed", "writes another context on entry")
    yield from _of_on_enter(f"{path}.on_enter", source, target)
    for name, event in target.events.items():
        if name in source.events:
            yield from _of_event(f"{path}.events.{name}", source.events[name], event)
        else:
            yield Difference(f"{path}.events.{name}", "event_added", f"event {name!r} is new")
    for name in source.events:
        if name not in target.events:
            yield Difference(f"{path}.events.{name}", "event_removed", f"event {name!r} is gone")


def _of_on_enter(path: str, source: State, target: State) -> Iterator[Difference]:
    before, after = source.on_enter, target.on_enter
    if _same_entry(before, after):
        return
    commands = grown(source, target)
    if commands:
        yield Difference(path, "on_enter_grew", f"runs {_listed(commands)} as well")
    elif after is None:
        yield Difference(path, "on_enter_removed", "nothing happens on entry any more")
    else:
        yield Difference(path, "on_enter_changed", f"goes on {_way(after.target)}, on failure {_way(after.error)}")


def _same_entry(before: OnEnter | None, after: OnEnter | None) -> bool:
    if before is None or after is None:
        return before is after
    return _what_happens(before) == _what_happens(after)


def _what_happens(entry: OnEnter) -> tuple[object, ...]:
    return entry.commands, entry.target, entry.error, entry.fork


def _of_event(path: str, source: Event, target: Event) -> Iterator[Difference]:
    if _ways(source) != _ways(target):
        yield Difference(path, "event_retargeted", f"led {_told(source)} and leads {_told(target)}")
    if source.timeout != target.timeout:
        before = "never" if source.timeout is None else source.timeout.spoken
        after = "never" if target.timeout is None else target.timeout.spoken
        yield Difference(f"{path}.timeout", "timeout_changed", f"fired by itself: {before}; fires now: {after}")
    for name in ("guard", "commands", "payload", "metadata"):
        if getattr(source, name) != getattr(target, name):
            yield Difference(f"{path}.{name}", f"{name}_changed", f"has other {name}")


def _ways(event: Event) -> tuple[object, ...]:
    return event.target, event.error, event.branches, event.internal


def _told(event: Event) -> str:
    if event.internal:
        return "nowhere (internal)"
    targets = [branch.target for branch in event.branches]
    if event.target is not None or not targets:
        targets.append(event.target or "its own state")
    failure = "" if event.error is None else f", on failure to {event.error}"
    return f"to {' or '.join(targets)}{failure}"


def _way(target: str | None) -> str:
    return "nowhere" if target is None else f"to {target}"


def _gained(what: str, source: Workflow, target: Workflow) -> str:
    if source.context_model is None:
        return f"has {what}, where there was none"
    return f"has no more {what}" if target.context_model is None else f"has another {what.removeprefix('a ')}"


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
