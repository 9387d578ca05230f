"""Everything Detent raises, as one tree.

    DetentError
    ├── DefinitionInvalid         a definition has problems: all of them at once
    ├── DefinitionChanged         a version that is already stored was edited in place
    ├── RegistrationInvalid       a command or guard cannot be called or injected
    ├── NotStarted                the runtime was used outside its `async with`
    ├── AlreadyStarted            the runtime was entered twice
    ├── NotFound
    │   ├── UnknownWorkflow
    │   ├── UnknownVersion
    │   ├── InstanceNotFound
    │   └── RunNotFound
    ├── WorkflowUnavailable       live instances of the workflow need a version that cannot run here
    ├── InvalidValue              a value is not JSON, or breaks its model
    ├── Conflict                  the instance cannot take this now
    │   ├── EventNotAvailable     its state does not declare the event
    │   ├── EventRefused          a guard said no, and the caller asked to hear of it as an error
    │   ├── IncompatibleState     the governing version does not have its state
    │   ├── InstancePaused
    │   ├── InstanceFinished      it has ended, and this is for those that have not
    │   ├── InstanceNotFinished   it has not ended, and this is for those that have
    │   ├── InstanceBusy          another step holds it, or a run of it is under way
    │   ├── RunNotActive          the run has ended, or stands otherwise than this needs
    │   ├── RunParked             the run that was waited for waits for an operator
    │   ├── VersionConflict       it has moved on since the caller has seen it
    │   ├── NothingToRetry        nothing of it has failed
    │   ├── ReentrantTrigger      a command triggered the instance it runs for
    │   └── IdempotencyConflict   the key was used for a different request
    ├── CommandFailed             a command answered Fail and nothing takes it
    ├── CommandTimedOut           a durable command took longer than it may
    ├── RunStuck                  a run cannot go on, because of what happened to its attempts
    ├── LeaseLost                 a run is held by this worker no more
    ├── WaitTimeout               what was waited for has not come in time
    ├── StepCancelled             a command was cancelled from within
    ├── ChainTooLong              more automatic hops than allowed in one commit
    ├── GotoNotAllowed            a command's Goto cannot be followed
    ├── AnswerInvalid             a command answered something that is no answer
    └── StoreError
        ├── StoreUnavailable      the database cannot be reached; nothing was applied
        ├── StoreOutdated         its schema is older or newer than this code
        ├── OutcomeUnknown        the connection was lost at COMMIT and could not be asked again
        ├── ConnectionNotSupported    what was lent as `connection=` does not belong to this store
        └── StepRolledBack        the transaction ended under the step; it may be repeated

`code` is stable and for machines, `hint` says what to do, and every error carries its data as attributes. What HTTP
status an error becomes is decided by the web packages, not here.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar
from uuid import UUID

from detent.problems import Problem, did_you_mean, render


class DetentError(Exception):
    """The root of all errors that Detent raises."""

    code: ClassVar[str] = "detent_error"
    """Stable name of the kind of error, for machines."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class DefinitionInvalid(DetentError):
    """A definition was refused; `problems` holds every fault found, not only the first."""

    code = "definition_invalid"

    def __init__(
        self,
        workflow: str,
        problems: Sequence[Problem],
        *,
        version: str | None = None,
        part: str = "WorkflowDefinition",
    ) -> None:
        count = f"{len(problems)} problem" + ("" if len(problems) == 1 else "s")
        shown = f"workflow {workflow!r}" + ("" if version is None else f" v{version}")
        super().__init__(
            f"{shown if part == 'WorkflowDefinition' else part + '(...)'} has {count}:\n{render(problems)}"
        )
        self.workflow = workflow
        self.version = version
        self.problems = tuple(problems)


class DefinitionChanged(DetentError):
    """A stored version of a workflow has other content than the one registered under the same number."""

    code = "definition_changed"

    def __init__(
        self, workflow: str, version: str, stored: str, registered: str, *, states: Sequence[str] = ()
    ) -> None:
        others = f", {len(states) - 5} more" if len(states) > 5 else ""
        told = f"; what differs: {', '.join(f'state {state!r}' for state in states[:5])}{others}" if states else ""
        super().__init__(
            f"version {version} of workflow {workflow!r} is stored with the fingerprint {stored[:12]} "
            f"and registered with {registered[:12]}{told}",
            hint="give the edited definition a new version; live instances stay on the one they started with "
            "until service.upgrade_instances or `detent upgrade` moves them",
        )
        self.workflow = workflow
        self.version = version
        self.stored = stored
        self.registered = registered
        self.states = tuple(states)
        """The states that only one of the two has, or that they describe differently; none where something else differs."""


class RegistrationInvalid(DetentError):
    """A command or guard that cannot be called as it is declared; found at registration or at start-up."""

    code = "registration_invalid"

    def __init__(self, name: str, reason: str, *, parameter: str | None = None, hint: str | None = None) -> None:
        place = f"{name!r}, parameter {parameter!r}" if parameter else repr(name)
        super().__init__(f"{place}: {reason}", hint=hint)
        self.name = name
        self.parameter = parameter
        self.reason = reason


class NotStarted(DetentError):
    """The runtime was used before it was entered or after it was left."""

    code = "not_started"

    def __init__(self) -> None:
        super().__init__("the runtime is not running", hint="use it inside `async with runtime:`")


class AlreadyStarted(DetentError):
    """The runtime was entered a second time."""

    code = "already_started"

    def __init__(self) -> None:
        super().__init__("the runtime is running already", hint="enter it once, where the application starts")


class NotFound(DetentError):
    """What was named does not exist."""

    code = "not_found"


class UnknownWorkflow(NotFound):
    """No definition is registered under this name."""

    code = "unknown_workflow"

    def __init__(self, workflow: str, known: Iterable[str], *, hint: str | None = None) -> None:
        super().__init__(f"no workflow is called {workflow!r}", hint=hint or did_you_mean(workflow, known))
        self.workflow = workflow


class UnknownVersion(NotFound):
    """An instance or a caller names a version that is neither registered nor stored."""

    code = "unknown_version"

    def __init__(self, workflow: str, version: str) -> None:
        super().__init__(
            f"version {version} of workflow {workflow!r} is neither registered nor stored",
            hint="register that version again, or move its instances to another one: service.upgrade_instances, `detent upgrade`",
        )
        self.workflow = workflow
        self.version = version


class RunNotFound(NotFound):
    """There is no run with this id, or it is of another tenant."""

    code = "run_not_found"

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"there is no run {run_id}")
        self.run_id = run_id


class InstanceNotFound(NotFound):
    """There is no instance with this id."""

    code = "instance_not_found"

    def __init__(self, instance_id: UUID) -> None:
        super().__init__(f"there is no instance {instance_id}")
        self.instance_id = instance_id


class WorkflowUnavailable(DetentError):
    """Live instances of the workflow are on versions that cannot run in this process; other workflows are not concerned."""

    code = "workflow_unavailable"

    def __init__(self, workflow: str, problems: Sequence[str]) -> None:
        listed = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(
            f"workflow {workflow!r} cannot run here:{listed}",
            hint="register what is missing, or upgrade those instances and call check_versions(); "
            "Settings(unresolvable='warn') lets the other instances go on",
        )
        self.workflow = workflow
        self.problems = tuple(problems)


class InvalidValue(DetentError):
    """A context, payload, metadata or argument was refused before anything ran; `path` says where."""

    code = "invalid_value"

    def __init__(self, path: str, reason: str, *, hint: str | None = None, problems: Sequence[Problem] = ()) -> None:
        listed = f":\n{render(problems)}" if problems else ""
        super().__init__(f"{path} {reason}{listed}", hint=hint)
        self.path = path
        self.reason = reason
        self.problems = tuple(problems)


class Conflict(DetentError):
    """The instance exists and cannot take this now; nothing was changed."""

    code = "conflict"


class EventNotAvailable(Conflict):
    """The current state does not declare this event; no history is written."""

    code = "event_not_available"

    def __init__(self, instance_id: UUID, state: str, event: str, available: Iterable[str]) -> None:
        self.available = tuple(available)
        hint = did_you_mean(event, self.available) or f"the state {state!r} takes no event from outside"
        super().__init__(f"instance {instance_id} is in state {state!r}, which has no event {event!r}", hint=hint)
        self.instance_id = instance_id
        self.state = state
        self.event = event


class EventRefused(Conflict):
    """A guard refused the event; history has an entry of it, and nothing else changed.

    Raised by `TransitionResult.raise_if_refused` alone: to `trigger_event` a refusal is an answer.
    """

    code = "event_refused"

    def __init__(self, instance_id: UUID, state: str, event: str, reason: str | None, history_sequence: int) -> None:
        super().__init__(f"event {event!r} was refused in state {state!r}: {reason}")
        self.instance_id = instance_id
        self.state = state
        self.event = event
        self.reason = reason
        self.history_sequence = history_sequence


class IncompatibleState(Conflict):
    """The version that governs the instance (policy `latest`) does not have the state it is in."""

    code = "incompatible_state"

    def __init__(self, instance_id: UUID, workflow: str, version: str, state: str) -> None:
        super().__init__(
            f"instance {instance_id} is in state {state!r}, which version {version} of {workflow!r} does not have",
            hint="keep the state in the newest version, let the policy be 'pinned', or upgrade the instance with a mapping of "
            "its state: service.upgrade_instances, `detent upgrade`",
        )
        self.instance_id = instance_id
        self.workflow = workflow
        self.version = version
        self.state = state


class InstancePaused(Conflict):
    """The instance is paused and takes no event until it is resumed."""

    code = "instance_paused"

    def __init__(self, instance_id: UUID) -> None:
        super().__init__(f"instance {instance_id} is paused and takes no event", hint="resume it first")
        self.instance_id = instance_id


class InstanceFinished(Conflict):
    """The instance has ended, so that there is nothing to stop or to wait for."""

    code = "instance_finished"

    def __init__(self, instance_id: UUID, status: str) -> None:
        super().__init__(f"instance {instance_id} is {status}", hint="force puts it into a state again")
        self.instance_id = instance_id
        self.status = status


class InstanceNotFinished(Conflict):
    """The instance has not ended; it is removed only by force."""

    code = "instance_not_finished"

    def __init__(self, instance_id: UUID, status: str) -> None:
        super().__init__(f"instance {instance_id} is {status}", hint="cancel it first, or delete it with force=True")
        self.instance_id = instance_id
        self.status = status


class VersionConflict(Conflict):
    """The instance is at another version than the caller has seen; nothing was done."""

    code = "version_conflict"

    def __init__(self, instance_id: UUID, expected: int | None, found: int) -> None:
        super().__init__(
            f"instance {instance_id} is at version {found}, not {expected}", hint="read it again and decide anew"
        )
        self.instance_id = instance_id
        self.expected = expected
        self.found = found


class NothingToRetry(Conflict):
    """Neither the last event nor a timeout of the instance has failed or was refused."""

    code = "nothing_to_retry"

    def __init__(self, instance_id: UUID) -> None:
        super().__init__(f"nothing of instance {instance_id} has failed or was refused last")
        self.instance_id = instance_id


class InstanceBusy(Conflict):
    """Another step holds the instance, and the wait for it was limited; or a run of it is under way, named by `run_id`."""

    code = "instance_busy"

    def __init__(self, instance_id: UUID, run_id: UUID | None = None) -> None:
        if run_id is None:
            super().__init__(f"instance {instance_id} is held by another step", hint="try again shortly")
        else:
            hint = "wait for it, or send() the event: it is kept until it can be taken"
            super().__init__(f"run {run_id} of instance {instance_id} is under way", hint=hint)
        self.instance_id = instance_id
        self.run_id = run_id


class RunNotActive(Conflict):
    """The run has ended, or stands otherwise than what was asked for needs."""

    code = "run_not_active"

    def __init__(self, run_id: UUID, status: str, *, hint: str | None = None) -> None:
        super().__init__(f"run {run_id} is {status}", hint=hint)
        self.run_id = run_id
        self.status = status


class RunParked(Conflict):
    """What was waited for will not come by itself: the instance's run waits for an operator."""

    code = "run_parked"

    def __init__(self, instance_id: UUID, run_id: UUID, reason: str | None) -> None:
        super().__init__(
            f"run {run_id} of instance {instance_id} is parked: {reason}",
            hint="mend the cause, then retry or cancel it",
        )
        self.instance_id = instance_id
        self.run_id = run_id
        self.reason = reason


class WaitTimeout(DetentError):
    """What was waited for has not come in time."""

    code = "wait_timeout"

    def __init__(self, instance_id: UUID, state: str, seconds: float, held_by: str | None = None) -> None:
        because = "" if held_by is None else f": {held_by}"
        super().__init__(
            f"instance {instance_id} is still in {state!r} after {seconds:g} s{because}",
            hint="does a worker run?" if held_by is None else "`explain` tells more",
        )
        self.instance_id = instance_id
        self.state = state
        self.seconds = seconds
        self.held_by = held_by
        """What it waits for, in words, where that is known."""


class LeaseLost(DetentError):
    """A run is no longer held by this worker: its lease ended, another took it over, or it was cancelled."""

    code = "lease_lost"

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"run {run_id} is held by this worker no more", hint="stop: what it still does is not kept")
        self.run_id = run_id


class RunStuck(DetentError):
    """A run cannot go on by itself, because of what happened to its attempts."""

    code = "run_stuck"

    def __init__(self, run_id: UUID, reason: str) -> None:
        hint = "find out what happened outside, then retry or cancel it"
        super().__init__(f"run {run_id} is stuck: {reason}", hint=hint)
        self.run_id = run_id
        self.reason = reason


class CommandTimedOut(DetentError):
    """An attempt of a durable command took longer than the command's `timeout`, and was cancelled."""

    code = "command_timed_out"

    def __init__(self, command: str, seconds: float) -> None:
        hint = "give it more time by its timeout, or let it do less at once"
        super().__init__(f"command {command!r} took longer than {seconds:g} s", hint=hint)
        self.command = command
        self.seconds = seconds


class ReentrantTrigger(Conflict):
    """A command tried to trigger the instance whose transition it is part of, which would wait for itself."""

    code = "reentrant_trigger"

    def __init__(self, instance_id: UUID) -> None:
        super().__init__(
            f"a command of instance {instance_id} triggered that same instance",
            hint="answer Goto(event) from an on_enter command, or trigger it from an observer after the commit",
        )
        self.instance_id = instance_id


class IdempotencyConflict(Conflict):
    """The idempotency key was used before, for a request with another fingerprint."""

    code = "idempotency_conflict"

    def __init__(self, key: str) -> None:
        super().__init__(f"the idempotency key {key!r} was used for a different request", hint="use a new key")
        self.key = key


class CommandFailed(DetentError):
    """A command answered `Fail` where no `error` target takes it; the whole step was rolled back."""

    code = "command_failed"

    def __init__(self, command: str, event: str, failure_code: str, failure_message: str | None) -> None:
        said = f"{failure_code}: {failure_message}" if failure_message else failure_code
        super().__init__(
            f"command {command!r} of {event!r} failed with {said}",
            hint="declare an `error` target to route this failure",
        )
        self.command = command
        self.event = event
        self.failure_code = failure_code
        self.failure_message = failure_message


class StepCancelled(DetentError):
    """A command or guard was cancelled from within; the whole step was rolled back."""

    code = "step_cancelled"

    def __init__(self) -> None:
        super().__init__("a command was cancelled from within its step", hint="await cancelled tasks with suppress")


class ChainTooLong(DetentError):
    """One event caused more automatic hops than `max_chain` allows; the whole step was rolled back."""

    code = "chain_too_long"

    def __init__(self, instance_id: UUID, state: str, limit: int) -> None:
        super().__init__(
            f"instance {instance_id} made {limit} automatic hops and would go on from state {state!r}",
            hint="raise max_chain, or let an event or a timeout take the next step",
        )
        self.instance_id = instance_id
        self.state = state
        self.limit = limit


class GotoNotAllowed(DetentError):
    """A command answered a `Goto` that its place or its state does not allow; the whole step was rolled back."""

    code = "goto_not_allowed"

    def __init__(self, command: str, event: str, reason: str, *, known: Iterable[str] = ()) -> None:
        super().__init__(f"command {command!r} answered Goto({event!r}): {reason}", hint=did_you_mean(event, known))
        self.command = command
        self.event = event


class AnswerInvalid(DetentError):
    """A command answered something that is no answer; the whole step was rolled back."""

    code = "answer_invalid"

    def __init__(
        self, command: str, answer: object, *, kind: str = "command", expected: str = "answer Ok, Fail, Goto or None"
    ) -> None:
        # In the message, because history and parked runs keep that alone.
        super().__init__(f"{kind} {command!r} answered a {type(answer).__name__}, and has to {expected}")
        self.command = command


class StoreError(DetentError):
    """The store could not do what was asked."""

    code = "store_error"


class StoreUnavailable(StoreError):
    """The database cannot be reached, or broke off before the commit; nothing was applied."""

    code = "store_unavailable"

    def __init__(self, reason: str, *, hint: str = "nothing was applied; it may be tried again") -> None:
        super().__init__(f"the store is unavailable: {reason}", hint=hint)
        self.reason = reason


class StoreOutdated(StoreError):
    """The schema in the database is not the one this code needs."""

    code = "store_outdated"

    def __init__(self, found: int, needed: int, *, upgrade: str = "detent db upgrade") -> None:
        hint = f"run `{upgrade}`" if found < needed else "run the release of Detent that made it, or a newer one"
        super().__init__(f"the database has schema version {found}, and this code needs {needed}", hint=hint)
        self.found = found
        self.needed = needed


class OutcomeUnknown(StoreError):
    """The connection broke at COMMIT, and the database could not be asked whether it was applied."""

    code = "outcome_unknown"

    def __init__(self, instance_id: UUID, version_before: int) -> None:
        super().__init__(
            f"it is not known whether the step on instance {instance_id} after version {version_before} was applied",
            hint="read the instance before trying again",
        )
        self.instance_id = instance_id
        self.version_before = version_before


class ConnectionNotSupported(StoreError):
    """What was passed as `connection=` is not something this store lent or can join."""

    code = "connection_not_supported"

    def __init__(self, store: str, connection: object, accepted: str) -> None:
        super().__init__(f"{store} cannot join a {type(connection).__name__}", hint=f"pass {accepted}")
        self.store = store


class StepRolledBack(StoreError):
    """The database rolled the step back for its own reasons (deadlock, serialisation, a lost connection).

    Raised by stores at the end of a transaction that surely did not commit; the runtime repeats the step, and what
    reaches a caller after the last attempt is `StoreUnavailable`.
    """

    code = "step_rolled_back"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the step was rolled back: {reason}")
        self.reason = reason
