"""What a test expects, compared with what was found. Each raises `AssertionError` with both, and the way that led there."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from detent.definition.selectors import look_up
from detent.json_values import JsonObject
from detent.problems import near_misses
from detent.runtime.availability import AvailableEvent
from detent.store.records import HistoryEntry, Outcome, WorkflowInstance
from detent.store.run_records import Run, RunStatus
from detent.testing.recorder import Call

ExpectedEntry: TypeAlias = str | tuple[str, str] | tuple[str, str, str]
"""An event, an event and the state it led to, or an event, that state and the outcome."""

_ABSENT = object()


def told(entries: Sequence[HistoryEntry], run: Run | None = None) -> str:
    """The history as lines for people: what happened, where it led, and why where something went wrong; and in the end what
    `run`, which is under way, waits for.
    """
    lines = [f"{entry.sequence:>3}. {_told(entry)}" for entry in entries]
    return "\n".join(["the path that led there:", *lines, *([] if run is None else [_standing(run)])])


def expect_state(
    expected: str, instance: WorkflowInstance, entries: Sequence[HistoryEntry], run: Run | None = None
) -> None:
    """The instance is in the state `expected`."""
    if instance.state != expected:
        raise AssertionError(f"expected state {expected!r}, found {instance.state!r}\n{told(entries, run)}")


def expect_context(
    expected: Mapping[str, Any], context: JsonObject, entries: Sequence[HistoryEntry], run: Run | None = None
) -> None:
    """The context has each value of `expected` at its dotted path; what else it holds does not matter."""
    wrong = differences(expected, context)
    if wrong:
        raise AssertionError("\n".join(["the context is not as expected:", *wrong, told(entries, run)]))


def differences(expected: Mapping[str, Any], context: JsonObject) -> list[str]:
    """A line for each value of `expected` that the context does not have at its dotted path."""
    found = {path: _at(context, path) for path in expected}
    wrong = [path for path, value in found.items() if value is _ABSENT or value != expected[path]]
    return [f"  {path}: expected {expected[path]!r}, {_found(found[path], path, context)}" for path in wrong]


def expect_refused(event: str | None, reason: str | None, entries: Sequence[HistoryEntry]) -> None:
    """The last thing that happened is that a guard refused."""
    last = entries[-1]
    named = "an event" if event is None else repr(event)
    if last.outcome is not Outcome.REFUSED or event not in (None, last.event):
        raise AssertionError(f"expected {named} to be refused, the last thing was: {_told(last)}\n{told(entries)}")
    if reason is not None and reason not in (last.reason or ""):
        raise AssertionError(
            f"expected {last.event!r} to be refused because of {reason!r}, the reason was {last.reason!r}"
        )


def expect_history(expected: Sequence[ExpectedEntry], entries: Sequence[HistoryEntry], run: Run | None = None) -> None:
    """The events of the history are `expected`. Those that begin with `$` count only where one of them is expected, and
    acceptances only where the outcome `accepted` is.
    """
    wanted = [(item,) if isinstance(item, str) else tuple(item) for item in expected]
    with_own = any(item[0].startswith("$") for item in wanted)
    with_accepted = any(item[2:] == (Outcome.ACCEPTED,) for item in wanted)
    found = [
        (entry.event, entry.to_state, entry.outcome.value)
        for entry in entries
        if (with_own or not entry.event.startswith("$")) and (with_accepted or entry.outcome is not Outcome.ACCEPTED)
    ]
    if len(wanted) != len(found) or any(item != there[: len(item)] for item, there in zip(wanted, found, strict=True)):
        shown = ", ".join(_expected(item) for item in wanted)
        raise AssertionError(f"expected the history {shown or 'to be empty'}; it is different.\n{told(entries, run)}")


def expect_available(
    expected: Sequence[str], found: Sequence[AvailableEvent], instance: WorkflowInstance, *, only: bool
) -> None:
    """Each expected event would pass now; with `only`, no other would."""
    passing = [event.name for event in found if event.available]
    missing = [name for name in expected if name not in passing]
    surplus = [name for name in passing if name not in expected] if only else []
    if missing or surplus:
        reasons = [f"  {_available(event)}" for event in found] or ["  the state takes no event"]
        said = [f"expected {', '.join(map(repr, missing))} to be available" if missing else ""]
        said += [f"expected {', '.join(map(repr, surplus))} not to be available" if surplus else ""]
        heading = " and ".join(filter(None, said))
        raise AssertionError("\n".join([f"{heading} in state {instance.state!r}; there are:", *reasons]))


def expect_called(name: str, times: int | None, calls: Sequence[Call], others: Sequence[Call]) -> None:
    """The command was called, as often as `times` says where it says so."""
    if times is None and calls:
        return
    if times != len(calls):
        wanted = "at least once" if times is None else f"{times} times" if times != 1 else "once"
        shown = [f"  {call}" for call in others] or ["  no command was called"]
        raise AssertionError(
            "\n".join([f"expected {name!r} to be called {wanted}, it was called {len(calls)} times; calls:", *shown])
        )


def _expected(item: tuple[str, ...]) -> str:
    event, *rest = item
    state = f" → {rest[0]}" if rest else ""
    return f"{event}{state}" + (f" ({rest[1]})" if rest[1:] else "")


def _standing(run: Run) -> str:
    """What a run waits for, and what came of its last attempt."""
    at = f" at command {run.command!r}" if run.command else ""
    tries = f"{run.attempts} attempt" + ("" if run.attempts == 1 else "s")
    match run.status:
        case RunStatus.PARKED:
            stands = f"is parked{at} after {tries}"
        case RunStatus.PENDING if run.error is not None:
            stands = f"is tried again{at} at {run.available_at:%Y-%m-%d %H:%M:%S}, after {tries}"
        case RunStatus.PENDING:
            stands = f"waits for a worker{at}"
        case _:
            stands = f"is {run.status}{at}"
    why = "" if run.error is None else f": {run.error.get('code')}: {run.error.get('message')}"
    return f"its run of {run.event!r} {stands}{why}"


def _told(entry: HistoryEntry) -> str:
    if entry.from_state is None:
        return f"{entry.event} → {entry.to_state}"
    why = entry.reason or (entry.error or {}).get("message")
    end = "" if entry.outcome is Outcome.SUCCESS else f"  {entry.outcome}" + (f": {why}" if why else "")
    by_itself = "  by itself" if entry.trigger_metadata.get("source") == "timeout" else ""
    return f"{entry.event}: {entry.from_state} → {entry.to_state}{by_itself}{end}"


def _at(context: JsonObject, path: str) -> Any:
    """The value under the key as it stands, else at the dotted path."""
    return context[path] if path in context else look_up(context, path, default=_ABSENT)


def _found(value: Any, path: str, context: JsonObject) -> str:
    if value is not _ABSENT:
        return f"found {value!r}"
    near = near_misses(path, _paths(context))
    shown = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it holds {json.dumps(context, default=str)}"
    return f"there is nothing ({shown})"


def _paths(context: JsonObject, prefix: str = "") -> list[str]:
    found = []
    for key, value in context.items():
        found.append(f"{prefix}{key}")
        if isinstance(value, dict):
            found += _paths(value, f"{prefix}{key}.")
    return found


def _available(event: AvailableEvent) -> str:
    return event.name if event.available else f"{event.name}: {event.reason}"
