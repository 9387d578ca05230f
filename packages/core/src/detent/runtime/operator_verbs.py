"""The verbs of operators on one instance. Each leaves a history entry, and changes nothing where all is so already."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Unpack
from uuid import UUID

from detent.errors import NothingToRetry
from detent.json_values import JsonObject, JsonValue, json_object, json_value
from detent.runtime.arguments import check_duration, check_instant, id_of
from detent.runtime.attempt import Attempt, new_attempt
from detent.runtime.caller import Caller
from detent.runtime.event_names import FORCED, NOTED
from detent.runtime.explanation_verbs import ExplanationVerbs
from detent.runtime.handle import Manner
from detent.runtime.intent import ForceState, TakeEvent
from detent.runtime.operations import Cancel, Note, Operation, PatchContext, Pause, Rearm, Resume, RetryRun
from detent.runtime.result import TransitionResult
from detent.runtime.value_keeper import checked_text
from detent.store.records import HistoryEntry, Outcome, Timer, WorkflowInstance

_NOTES = 100
"""How many notes are looked past for what went wrong last."""
MAX_NOTE_BYTES = 200
"""How long the name of a note may be, in UTF-8."""


class OperatorVerbs(ExplanationVerbs):
    """Stop, move and mend one instance.

    All but `retry` keep `reason` in history. See `Manner` for what else they take. All raise `InstanceNotFound` and
    `InstanceBusy`, and `VersionConflict` where the instance has moved on.
    """

    async def cancel(
        self, instance_id: UUID | str | WorkflowInstance, *, reason: str | None = None, **manner: Unpack[Manner]
    ) -> WorkflowInstance:
        """The instance, ended where it stands: its state is kept, its timers are void, its status is `cancelled`.

        Its descendants are cancelled too: right after it as far as that goes, and surely by a worker or by `process_inbox`,
        which alone sees to it where a transaction is lent. Raises `InstanceFinished` when it has ended otherwise.
        """
        cancelled = await self._operate(instance_id, Cancel(reason), **manner)
        if self._caller.saying(None, connection=manner.get("connection")).connection is None:
            await self.running().descendants.follow(cancelled, reason)
        return cancelled

    async def pause(
        self, instance_id: UUID | str | WorkflowInstance, *, reason: str | None = None, **manner: Unpack[Manner]
    ) -> WorkflowInstance:
        """The instance, stopped: until it is resumed it takes no event and no timeout of it fires.

        Raises `InstanceFinished`.
        """
        return await self._operate(instance_id, Pause(reason), **manner)

    async def resume(
        self, instance_id: UUID | str | WorkflowInstance, *, reason: str | None = None, **manner: Unpack[Manner]
    ) -> WorkflowInstance:
        """The instance, going on after a pause; what fell due meanwhile fires with the next sweep.

        Raises `InstanceFinished`.
        """
        return await self._operate(instance_id, Resume(reason), **manner)

    async def patch_context(
        self,
        instance_id: UUID | str | WorkflowInstance,
        patch: JsonObject | None = None,
        *,
        remove: Iterable[str] = (),
        reason: str | None = None,
        **manner: Unpack[Manner],
    ) -> WorkflowInstance:
        """The instance with the keys of `patch` replaced in its context, and those in `remove` taken out, whatever its status.

        Deadlines that were read from the context stay: `rearm` moves them. Raises `InvalidValue` when the outcome breaks the
        context model.
        """
        operation = PatchContext(json_object(patch, "patch"), tuple(remove), reason)
        return await self._operate(instance_id, operation, **manner)

    async def note(
        self,
        instance_id: UUID | str | WorkflowInstance,
        name: str,
        details: JsonValue = None,
        *,
        reason: str | None = None,
        **manner: Unpack[Manner],
    ) -> WorkflowInstance:
        """The instance with an entry in its history that says `name`, with JSON in `details`; else it stays as it is, whatever
        its status. Raises `InvalidValue`.
        """
        operation = Note(checked_text(name, "name", most=MAX_NOTE_BYTES), json_value(details, "details"), reason)
        return await self._operate(instance_id, operation, **manner)

    async def rearm(
        self,
        instance_id: UUID | str | WorkflowInstance,
        event: str | None = None,
        *,
        due: datetime | timedelta | str | None = None,
        reason: str | None = None,
        **manner: Unpack[Manner],
    ) -> WorkflowInstance:
        """The instance with timers that fire anew, their attempts forgotten: the one of `event`, or all tried in vain.

        They are due at once, or at `due`: an instant, or a duration such as `2d` from now. With an `event` this moves a
        deadline that has not passed as well. Raises `InstanceFinished`, and `InvalidValue` for an event without a timer.
        """
        return await self._operate(instance_id, Rearm(event, self._instant(due), reason), **manner)

    async def force(
        self,
        instance_id: UUID | str | WorkflowInstance,
        state: str,
        *,
        context: JsonObject | None = None,
        reason: str | None = None,
        subject: Any = None,
        expected_version: int | None = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> TransitionResult:
        """The result of entering `state`, whatever the definition allows from here and whatever the instance's status.

        It is an entry like any other: the state's patch, its timers, its `on_enter`; no guard is asked and no command of an
        event runs. `context` is written like a command's writes. A paused instance stays paused. Raises `InvalidValue` for
        a state that the instance's version does not have.
        """
        attempt = new_attempt(
            id_of(instance_id),
            FORCED,
            self._caller.saying(trigger_metadata, connection=connection),
            subject=subject,
            payload=None if context is None else {"context": context},
            expected_version=expected_version,
        )
        intent = ForceState(attempt, state, json_object(context, "context"), reason)
        return await self.running().execution.take(intent)

    async def retry(
        self,
        instance_id: UUID | str | WorkflowInstance,
        *,
        subject: Any = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> TransitionResult:
        """The result of taking again what went wrong last.

        That is a parked run, which goes on where it stopped (`accepted`); else a timeout which was refused or failed, parked
        or not; else the event of the newest history entry, when that was refused or failed, with the payload it had. Raises
        `NothingToRetry`, and what the event itself raises.
        """
        caller = self._caller.saying(trigger_metadata, connection=connection)
        record = await self.get_instance(instance_id, connection=connection)
        if record.run_id is not None and record.parked_at is not None:
            return await self._retry_run(record, record.run_id, caller)
        attempt = await self._failed_attempt(record, caller, subject)
        return await self.running().execution.take(TakeEvent(attempt), workflow=record.workflow)

    async def _retry_run(self, record: WorkflowInstance, run_id: UUID, caller: Caller) -> TransitionResult:
        operation = RetryRun(run_id, None)
        after = await self.running().operations.perform(record.id, operation, caller, expected_version=record.version)
        return TransitionResult(
            event=operation.event,
            outcome=Outcome.ACCEPTED,
            from_state=after.state,
            to_state=after.state,
            commands=(),
            reason=None,
            history_sequence=after.version,
            instance=after,
            run_id=run_id,
        )

    async def _failed_attempt(self, record: WorkflowInstance, caller: Caller, subject: Any) -> Attempt:
        timer = _tried_in_vain(record)
        if timer is not None:
            attempt = new_attempt(record.id, timer.event, caller, subject=subject, expected_version=record.version)
            attempt.by_timer = True
            return attempt
        last = await self._last_entry(record, caller)
        if last is None or last.outcome not in (Outcome.REFUSED, Outcome.FAILED) or last.event.startswith("$"):
            raise NothingToRetry(record.id)
        return new_attempt(
            record.id, last.event, caller, subject=subject, payload=last.payload, expected_version=record.version
        )

    async def _last_entry(self, record: WorkflowInstance, caller: Caller) -> HistoryEntry | None:
        newest = await self.running().parts.store.history(record.id, limit=_NOTES, outside=caller.connection)
        return next((entry for entry in newest if entry.event != NOTED), None)

    async def _operate(
        self,
        instance_id: UUID | str | WorkflowInstance,
        operation: Operation,
        **manner: Unpack[Manner],
    ) -> WorkflowInstance:
        caller = self._caller.saying(manner.get("trigger_metadata"), connection=manner.get("connection"))
        return await self.running().operations.perform(
            id_of(instance_id), operation, caller, expected_version=manner.get("expected_version")
        )

    def _instant(self, due: datetime | timedelta | str | None) -> datetime | None:
        if due is None or isinstance(due, datetime):
            return check_instant(due, "due")
        parts = self.running().parts
        return parts.present + check_duration(due, "due")


def _tried_in_vain(record: WorkflowInstance) -> Timer | None:
    """The timer that was refused or failed: a parked one first."""
    tried = [timer for timer in record.timers if timer.attempts]
    return min(tried, key=lambda timer: (not timer.parked, timer.due), default=None)
