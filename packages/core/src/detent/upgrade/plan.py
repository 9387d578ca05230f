"""The decision over one instance, purely: what it would be on the target, or why it is passed over or cannot be moved.

An upgrade is a change of label, never a transition. No command runs, no state is entered, nothing is reopened and nothing
ended; when the state was entered stays as it was, and the target's deadlines are counted from there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from inspect import isawaitable, iscoroutine

from detent.definition.model import WorkflowDefinition
from detent.definition.state import State
from detent.definition.timeout import Timeout
from detent.errors import InvalidValue
from detent.json_values import JsonObject, json_object
from detent.machine.machine import Machine
from detent.runtime import timers
from detent.store.query import contains
from detent.store.records import FINISHED, Status, Timer, WorkflowInstance
from detent.upgrade.compare import grown
from detent.upgrade.outcome import Failed, FailureCode, SkipCode, Skipped, Upgraded, UpgradeOutcome
from detent.upgrade.rules import Rules


class _NoObject(Exception):
    """A transform answered something that is no JSON object."""


def decide(record: WorkflowInstance, source: WorkflowDefinition | None, rules: Rules, now: datetime) -> UpgradeOutcome:
    """What becomes of `record`. `source` is the version it is on; `None` where nobody knows any more what that says."""
    state = rules.state_mapping.get(record.state, record.state)
    skipped = _not_meant(record, rules) or _not_movable(record, state, source, rules)
    if skipped is not None:
        return Skipped(record.id, *skipped)
    try:
        context = _transformed(record, rules)
    except Exception as error:  # the transform is the user's and may raise anything
        return Failed(record.id, FailureCode.TRANSFORM_FAILED, _told(error))
    try:
        rules.target.check_context(context)
    except InvalidValue as error:
        return Failed(record.id, FailureCode.CONTEXT_INVALID, error.message)
    try:
        armed = _armed(record, state, source, rules.target, context)
    except InvalidValue as error:
        return Failed(record.id, FailureCode.DEADLINE_INVALID, error.message)
    moved = replace(record, state=state, definition_version=rules.version, context=context)
    return Upgraded(record, timers.with_timers(moved, armed, now))


def _not_meant(record: WorkflowInstance, rules: Rules) -> tuple[SkipCode, str] | None:
    """Why the upgrade is not about this instance."""
    version = record.definition_version
    if record.workflow != rules.workflow:
        return SkipCode.OTHER_WORKFLOW, f"is an instance of {record.workflow!r}"
    if version == rules.version:
        return SkipCode.ALREADY_THERE, f"is on version {version} already"
    if rules.from_version not in (None, version):
        return SkipCode.OTHER_VERSION, f"is on version {version}, not {rules.from_version}"
    if rules.from_version is None and rules.is_newer(version):
        reason = f"is on version {version}, which is newer; name that as from_version to move it back"
        return SkipCode.NEWER_VERSION, reason
    if record.status in FINISHED and not rules.include_finished:
        return SkipCode.FINISHED, f"is {record.status}"
    if not contains(record.metadata, rules.metadata):
        return SkipCode.OTHER_METADATA, "has other metadata"
    if record.state in rules.exclude_states or (rules.states is not None and record.state not in rules.states):
        return SkipCode.STATE_EXCLUDED, f"state {record.state!r} is excluded"
    return None


def _not_movable(
    record: WorkflowInstance, state: str, source: WorkflowDefinition | None, rules: Rules
) -> tuple[SkipCode, str] | None:
    """Why this instance cannot stand in `state` of the target without anything having happened."""
    target = rules.target
    if record.run_id is not None:
        return SkipCode.BUSY, f"run {record.run_id} is under way; it ends under the version it began with"
    if not target.has_state(state):
        reason = f"state {state!r} is mapped to none, and version {target.version} does not have it"
        return SkipCode.STATE_MISSING, reason
    if record.status not in FINISHED and target.final_outcome(state) is not None:
        reason = f"state {state!r} ends the workflow in version {target.version}; cancel it, or force it there"
        return SkipCode.WOULD_FINISH, reason
    # A cancelled instance ended where it stood, in whatever state that was.
    if record.status in (Status.COMPLETED, Status.FAILED) and target.final_outcome(state) is None:
        reason = f"is {record.status}, and version {target.version} goes on from state {state!r}"
        return SkipCode.WOULD_REOPEN, reason
    here = None if source is None else source.states.get(record.state)
    if record.status not in FINISHED and here is not None and here.fork and not target.state(state).fork:
        reason = f"waits for its branches, and state {state!r} of version {target.version} does not; force it there"
        return SkipCode.BRANCHES, reason
    unseen = _unseen_entry(record, source, state, target)
    return None if unseen is None else (SkipCode.ON_ENTER, unseen)


def _unseen_entry(
    record: WorkflowInstance, source: WorkflowDefinition | None, state: str, target: Machine
) -> str | None:
    """What the target does on entry that was not done when this instance came here."""
    entry = target.entry(state)
    if entry is None:
        return None
    if entry.target is not None:
        return f"state {state!r} goes on to {entry.target!r} by itself in version {target.version}"
    if source is None:
        return f"state {state!r} has an on_enter in version {target.version}, and what it had before is not known"
    commands = grown(source.states.get(record.state), target.state(state))
    listed = ", ".join(repr(name) for name in commands)
    return f"state {state!r} has an on_enter with {listed} in version {target.version}" if commands else None


def _transformed(record: WorkflowInstance, rules: Rules) -> JsonObject:
    if rules.transform_context is None:
        return record.context
    # The record that it is given is a copy as well: what was there before is told from what it answers.
    seen = replace(record, context=json_object(record.context, ""), metadata=json_object(record.metadata, ""))
    answer: object = rules.transform_context(json_object(record.context, ""), seen)
    if iscoroutine(answer):
        answer.close()
    if isawaitable(answer) or not isinstance(answer, Mapping):
        raise _NoObject(f"it answered {type(answer).__name__} and must answer the new context, an object")
    return json_object(answer, "context")


def _armed(
    record: WorkflowInstance, state: str, source: WorkflowDefinition | None, target: Machine, context: JsonObject
) -> tuple[Timer, ...]:
    if record.status in FINISHED:
        return ()
    here = None if source is None else source.states.get(record.state)
    spent = _spent(record, here)
    timeouts = [(event, timeout) for event, timeout in target.timeouts(state) if event not in spent]
    return timers.arm(timeouts, record.entered_at, context, _going_on(record, here, timeouts))


def _going_on(
    record: WorkflowInstance, state: State | None, timeouts: Sequence[tuple[str, Timeout]]
) -> Mapping[str, Timer | None]:
    """The timers of deadlines that states share, and that may have begun before this one was entered."""
    events = {} if state is None else state.events
    shared = [
        name for name, timeout in timeouts if timeout.across and name in events and events[name].timeout == timeout
    ]
    armed = {timer.event: timer for timer in record.timers}
    return {name: armed.get(name) for name in shared}


def _spent(record: WorkflowInstance, state: State | None) -> set[str]:
    """The reminders that have fired since the state was entered, and must not fire again for that entry.

    They are internal events whose timer is gone although the state armed one. Another event that fires leaves the state.
    """
    left = {timer.event for timer in record.timers}
    events = {} if state is None else state.events
    return {
        name
        for name, event in events.items()
        if event.internal and name not in left and event.timeout is not None and _was_armed(event.timeout, record)
    }


def _was_armed(timeout: Timeout, record: WorkflowInstance) -> bool:
    try:
        return timeout.deadline(record.entered_at, record.context) is not None
    except InvalidValue:
        return False


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, _NoObject) else f"{type(error).__name__}: {error}"
