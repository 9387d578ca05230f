"""An instance while a step is being decided: what it is so far, and the entries it has earned."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from detent.ids import new_id
from detent.json_values import JsonObject, JsonValue, json_object
from detent.machine.engine import CommandStep
from detent.machine.machine import Machine
from detent.registry.message import Message
from detent.registry.registry import DEFAULT_QUEUE
from detent.runtime import timers
from detent.runtime.attempt import Attempt
from detent.runtime.context_changes import changes_between
from detent.runtime.event_names import CREATED, ON_ENTER
from detent.runtime.written_context import WrittenContext
from detent.store.change import AddRun, Change, Effect, MoveRun
from detent.store.records import (
    FINISHED,
    CommandRecord,
    ContextChange,
    HistoryEntry,
    Outcome,
    ParentLink,
    Status,
    Timer,
    WorkflowInstance,
)
from detent.store.run_records import Lease, Run, RunStatus

_FINAL_STATUS = {"success": Status.COMPLETED, "failure": Status.FAILED, "cancelled": Status.CANCELLED}


class NextCommand(TypedDict):
    """Which command of a run comes next, and whose workers take it."""

    command: str
    queue: str
    priority: int


class Draft:
    """The working copy of one step. Made from a record, moved by the step, turned into a `Change` at its end."""

    def __init__(
        self,
        machine: Machine,
        instance: WorkflowInstance,
        attempt: Attempt,
        now: datetime,
        effects: tuple[Effect, ...] = (),
        *,
        record_changes: bool = False,
    ) -> None:
        self.machine = machine
        self.attempt = attempt
        self.now = now
        self.instance = instance
        self.entries: list[HistoryEntry] = []
        self.from_state = instance.state
        self.payload = attempt.payload
        """What came with the event taken last: a command's `Goto` brings its own."""
        self._earlier: list[HistoryEntry] = []
        self._earlier_effects: tuple[Effect, ...] = ()
        self.effects = effects
        self.expected_version = instance.version
        self.outcome = Outcome.SUCCESS
        self.reason: str | None = None
        self._written: WrittenContext | None = None
        self._noted = instance.context if record_changes else None
        """The context as of the entry noted last; `None` where history does not keep what changes in it."""
        self.messages: list[Message] = []
        """What commands have published."""
        self.lease: Lease | None = None
        """What the run is held by that the step ends."""
        self.follows: JsonObject = {}
        """The trace context of the attempt that a run which begins here follows upon; empty for the step's own."""
        self.upcoming: CommandStep | None = None
        """The first command of the run that the step begins."""

    @property
    def state(self) -> str:
        return self.instance.state

    @property
    def context(self) -> JsonObject:
        """The context so far, the writes of commands included."""
        return self.instance.context if self._written is None else self._written

    @property
    def all_entries(self) -> tuple[HistoryEntry, ...]:
        """Every entry of the step, those already written included."""
        return (*self._earlier, *self.entries) if self._earlier else tuple(self.entries)

    @property
    def all_effects(self) -> tuple[Effect, ...]:
        """Every effect of the step, those already written included."""
        return self._earlier_effects + self.effects

    def writable_context(self) -> WrittenContext:
        """The context for a command to write to."""
        if self._written is None:
            self._written = WrittenContext(self.instance.context)
        return self._written

    def adopt_context(self, context: WrittenContext) -> None:
        """Take over a copy that a command has written to."""
        self._written = context

    def begin(self) -> None:
        """Come to life in the initial state, whose patch lies under the context already."""
        self.machine.check_context(self.instance.context)
        self._arrive(self.state, self.instance.context)
        self._note(CREATED, None, Outcome.SUCCESS, (), None, None)

    def enter(
        self,
        target: str,
        *,
        event: str,
        outcome: Outcome = Outcome.SUCCESS,
        commands: Iterable[CommandRecord] = (),
        reason: str | None = None,
        payload: JsonValue = None,
    ) -> None:
        """Enter `target`: its patch applied, its timers armed, its status taken, one entry written."""
        from_state = self.state
        context = self._merged(self.machine.state(target).context)
        self.machine.check_context(context)
        self._arrive(target, context)
        self._note(event, from_state, outcome, commands, reason, payload)

    def stay(
        self, *, event: str, commands: Iterable[CommandRecord] = (), payload: JsonValue = None, fired: bool = False
    ) -> None:
        """Keep the state and its deadlines, with what commands wrote: an internal event, or an entry without a hop.

        A timer that has `fired` is spent.
        """
        context = self._merged({})
        self.machine.check_context(context)
        left = timers.without(self.instance.timers, event) if fired else self.instance.timers
        self.instance = timers.with_timers(replace(self.instance, context=context), left, self.now)
        self._go_on()
        self._note(event, self.state, Outcome.SUCCESS, commands, None, payload)

    def accept(self, event: str, *, target: str | None, command: CommandStep | None, subject: JsonValue) -> None:
        """Begin a run that takes `event`, one entry written: a worker will finish it."""
        if self.attempt.by_timer:
            # What has fired does not interrupt what it began.
            begun = timers.no_interruption(self.instance.timers, event)
            self.instance = replace(self.instance, timers=begun)
        self._begin_run(self.attempt.transition_id, event, target, command, self.attempt.payload, subject)
        self._go_on()
        self._note(event, self.state, Outcome.ACCEPTED, (), None, self.attempt.payload)

    def await_entry(self, target: str | None, command: CommandStep) -> None:
        """Begin a run for what follows the entry of the state that was just entered; that entry is noted already."""
        self._begin_run(new_id(), ON_ENTER, target, command, self.payload, None)

    def interrupt_run(self) -> None:
        """Cancel the run that is under way, because a timeout fires that does not wait for it."""
        if self.instance.run_id is None:
            return
        reason = f"timeout {self.attempt.event!r} fired"
        self.effects = (*self.effects, MoveRun(self.instance.run_id, RunStatus.CANCELLED, self.now, reason))
        self.instance = replace(self.instance, run_id=None, parked_at=None)

    def end_run(self) -> None:
        """End the run of which this step is the last part."""
        if self.instance.run_id is None:
            return
        end = MoveRun(self.instance.run_id, RunStatus.COMPLETED, self.now, lease=self.lease)
        self.effects = (*self.effects, end)
        freed = replace(self.instance, run_id=None)
        self.instance = timers.with_timers(freed, freed.timers, self.now)

    def refuse(self, reason: str, timers_after: tuple[Timer, ...] | None = None) -> None:
        """Note that a guard refused. State and context stay; a refused timer gets its next deadline in `timers_after`.

        Where the definition does not want refusals recorded, a refused timer is noted all the same, for its new deadline.
        """
        self.outcome, self.reason = Outcome.REFUSED, reason
        if timers_after is not None:
            self.instance = timers.with_timers(self.instance, timers_after, self.now)
        elif not self.machine.definition.record_refusals:
            return
        self._go_on()
        self._note(self.attempt.event, self.state, Outcome.REFUSED, (), reason, self.attempt.payload)

    def tell_span(self) -> None:
        """Let the span of the attempt know what the step came to."""
        self.attempt.span.took(outcome=self.outcome, to_state=self.state, run_id=self.instance.run_id)

    def change(self) -> Change:
        """What is to be written for the entries noted since the last `written`."""
        return Change(
            self.instance, self.expected_version, self.attempt.transition_id, tuple(self.entries), self.effects
        )

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to write: a refusal that is not recorded."""
        return not self.entries and not self.effects

    def written(self) -> None:
        """Go on from what was just written: a creation writes its record before its commands run."""
        self.expected_version = self.instance.version
        self._earlier.extend(self.entries)
        self.entries = []
        self._earlier_effects = self.all_effects
        self.effects = ()

    def _begin_run(
        self,
        run_id: UUID,
        event: str,
        target: str | None,
        command: CommandStep | None,
        payload: JsonValue,
        subject: JsonValue,
    ) -> None:
        run = Run(
            id=run_id,
            instance_id=self.instance.id,
            workflow=self.machine.workflow,
            definition_version=self.machine.version,
            tenant=self.instance.tenant,
            event=event,
            state=self.state,
            target=target,
            payload=payload,
            subject=subject,
            trigger_metadata=self.attempt.trigger_metadata,
            by_timer=self.attempt.by_timer and event == self.attempt.event,
            status=RunStatus.PENDING,
            **next_command(command),
            attempts=0,
            crashes=0,
            journal=(),
            kept={},
            progress=None,
            available_at=self.now,
            lease_token=None,
            lease_until=None,
            worker=None,
            error=None,
            reason=None,
            trace=self.follows or self.attempt.trace,
            created_at=self.now,
            updated_at=self.now,
        )
        self.effects, self.upcoming = (*self.effects, AddRun(run)), command
        due_at = timers.next_due(timers.interrupting(self.instance.timers))
        self.instance = replace(self.instance, run_id=run_id, due_at=due_at, parked_at=None)

    def _armed(self, state: str, context: JsonObject) -> tuple[Timer, ...]:
        """The timers in `state`: its own, and those that it shares with the state before. What is taken now begins anew."""
        timeouts = self.machine.timeouts(state)
        if not timeouts:
            return ()
        if self.instance.version == 0 or all(timeout.across is None for _, timeout in timeouts):
            return timers.arm(timeouts, self.now, context)
        left = [pair for pair in self.machine.timeouts(self.instance.state) if pair[0] != self.attempt.event]
        return timers.arm(timeouts, self.now, context, timers.shared(left, timeouts, self.instance.timers))

    def _arrive(self, state: str, context: JsonObject) -> None:
        """Be in `state` from now on, one version further."""
        before, now = self.instance, self.now
        armed = self._armed(state, context)
        status = _status_in(self.machine, state, before.status)
        # Every step comes here: by hand and by position, because `replace` costs ten times as much, and names twice.
        self.instance = WorkflowInstance(
            before.id,
            before.workflow,
            state,
            status,
            before.version + 1,
            self.machine.version,
            context,
            before.metadata,
            armed,
            timers.next_due(timers.interrupting(armed) if before.run_id else armed),  # due_at
            now,  # entered_at
            before.created_at,
            now,  # updated_at
            now if status in FINISHED else None,  # finished_at
            None,  # parked_at
            before.tenant,
            before.parent_id,
            before.parent_link,
            before.run_id,
            before.created,
        )

    def _go_on(self) -> None:
        """Be one version further, in the same state."""
        self.instance = replace(
            self.instance,
            version=self.instance.version + 1,
            definition_version=self.machine.version,
            updated_at=self.now,
        )

    def _merged(self, patch: JsonObject) -> JsonObject:
        """The context after a step into a state with this `patch`, by the definition's precedence."""
        written = self._written
        self._written = None
        if written is None and not patch:
            return self.instance.context
        # A copy: callers get the context to keep, and what they edit must not be the definition's.
        patch = json_object(patch, "context")
        if written is None:
            return {**self.instance.context, **patch}
        checked = json_object(written, "context")
        if self.machine.definition.context_precedence == "state":
            return {**checked, **patch}
        return {**checked, **{key: value for key, value in patch.items() if key not in written.written}}

    def _note(
        self,
        event: str,
        from_state: str | None,
        outcome: Outcome,
        commands: Iterable[CommandRecord],
        reason: str | None,
        payload: JsonValue,
    ) -> None:
        """Write an entry for the version that the instance has come to."""
        if outcome is not Outcome.SUCCESS:
            self.outcome, self.reason = outcome, reason
        instance, attempt = self.instance, self.attempt
        self.entries.append(
            HistoryEntry(
                instance.id,
                instance.version,
                event,
                from_state,
                instance.state,
                outcome,
                tuple(commands),
                reason,
                None,  # error
                payload,
                attempt.trigger_metadata,
                attempt.transition_id,
                instance.definition_version,
                self.now,
                None if self._noted is None else self._changes_since(self._noted),
            )
        )

    def _changes_since(self, noted: JsonObject) -> tuple[ContextChange, ...]:
        self._noted = self.instance.context
        return changes_between(noted, self.instance.context)


def next_command(command: CommandStep | None) -> NextCommand:
    """What a run says about the command that comes next; with `None`, that only its end is left."""
    if command is None:
        return NextCommand(command="", queue=DEFAULT_QUEUE, priority=0)
    return NextCommand(command=command.name, queue=command.queue, priority=command.spec.options.priority)


def unborn(
    machine: Machine,
    instance_id: UUID,
    context: JsonObject,
    metadata: JsonObject,
    now: datetime,
    *,
    state: str,
    tenant: str,
    parent_id: UUID | None,
    parent_link: ParentLink | None = None,
) -> WorkflowInstance:
    """An instance before its creation: version 0, with the patch of its first state under what the caller gave."""
    return WorkflowInstance(
        id=instance_id,
        workflow=machine.workflow,
        state=state,
        status=Status.ACTIVE,
        version=0,
        definition_version=machine.version,
        context={**json_object(machine.state(state).context, "context"), **context},
        metadata=metadata,
        timers=(),
        due_at=None,
        entered_at=now,
        created_at=now,
        updated_at=now,
        tenant=tenant,
        parent_id=parent_id,
        parent_link=parent_link,
    )


def _status_in(machine: Machine, state: str, before: Status) -> Status:
    """The status in `state`: a paused instance that is put elsewhere by force stays paused, unless that ends it."""
    final = machine.final_outcome(state)
    if final is not None:
        return _FINAL_STATUS[final]
    return Status.PAUSED if before is Status.PAUSED else Status.ACTIVE
