"""The inbox at work: each event that was sent is taken once, in order, when its instance can take it.

A message is taken in the very commit of the step that it causes. What is refused or fails is tried again after a back-off;
what can never be taken is a dead letter, which observers and operators hear of.
"""

import logging
from collections import Counter
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from detent.errors import (
    DefinitionInvalid,
    IdempotencyConflict,
    IncompatibleState,
    InstanceBusy,
    InstanceNotFound,
    InvalidValue,
    OutcomeUnknown,
    StepRolledBack,
    StoreUnavailable,
    UnknownVersion,
    WorkflowUnavailable,
)
from detent.ids import new_id
from detent.runtime.attempt import Attempt, new_attempt
from detent.runtime.caller import Caller
from detent.runtime.child_news import ChildNews
from detent.runtime.descendants import Descendants
from detent.runtime.draft import Draft
from detent.runtime.event_names import BRANCHES
from detent.runtime.execution import Execution, locked_record
from detent.runtime.failure import failure_change
from detent.runtime.history import cleaned
from detent.runtime.inbox_pages import judged, pages, seen_again
from detent.runtime.intent import TakeEvent
from detent.runtime.judging import Judgement, died, put_behind_all, put_off
from detent.runtime.message_reports import InboxReport
from detent.runtime.parts import Parts
from detent.runtime.receipts import Idempotency
from detent.store.change import Change, Effect, PutBack, TakeMessage
from detent.store.messages import InboxMessage
from detent.store.protocol import Unit
from detent.store.records import FINISHED, Outcome, Status, WorkflowInstance

logger = logging.getLogger("detent.inbox")

VISIT = 100
"""How many messages one instance takes before it is another one's turn."""
ELSEWHERE = timedelta(seconds=5)
"""For how long messages are left to other processes when this one cannot run their instance's version."""

_NOT_HERE = (UnknownVersion, DefinitionInvalid, WorkflowUnavailable, IncompatibleState)


@dataclass(slots=True)
class _Trial:
    """How far one turn of an instance came."""

    message: InboxMessage | None = None
    attempt: Attempt | None = None
    went: Counter[str] | None = None
    """What came of messages, counted; `None` while nothing has."""
    goes_on: bool = False
    """Whether the instance may take another message."""
    order: InboxMessage | None = None
    """The order to cancel the children of `record`."""
    record: WorkflowInstance | None = None

    def restart(self) -> None:
        """Forget everything: the turn is taken anew."""
        self.message = self.attempt = self.went = self.order = self.record = None
        self.goes_on = False

    def counted(self, **went: int) -> None:
        """Note what came of messages."""
        self.went = Counter(went)


class Inbox:
    """Lets instances take what was sent to them. One per runtime."""

    def __init__(self, parts: Parts, execution: Execution, descendants: Descendants) -> None:
        self._parts = parts
        self._execution = execution
        self._descendants = descendants
        self._news = ChildNews(parts.store)

    async def sweep(self, limit: int, tenant: str | None) -> InboxReport:
        """Let up to `limit` instances take what they can, the one with the longest waiting message first."""
        store, workflows = self._parts.store, self._parts.machines.available
        due = await store.inbox.due(limit=limit, workflows=workflows, tenant=tenant, now=self._parts.now)
        counts: Counter[str] = Counter()
        for instance_id in due:
            counts += await self._visit(instance_id)
        return InboxReport(**{name: counts[name] for name in InboxReport.__dataclass_fields__})

    async def _visit(self, instance_id: UUID) -> Counter[str]:
        counts: Counter[str] = Counter()
        for _ in range(VISIT):
            trial = await self._parts.unbroken(self._turn(instance_id))
            counts += trial.went or Counter()
            if not trial.goes_on:
                break
        return counts

    async def _turn(self, instance_id: UUID) -> _Trial:
        """One message taken or put off, or everything judged that waits. One bad message stops no others."""
        trial = _Trial()
        try:
            await self._execution.fetching(lambda: self._step(instance_id, trial))
            if trial.order is not None and trial.record is not None:
                await self._carry_out(trial.order, trial.record, trial)
        except Exception as error:
            await self._failed(instance_id, trial, error)
        return trial

    async def _step(self, instance_id: UUID, trial: _Trial) -> None:
        trial.restart()
        store = self._parts.store
        # What is entered in it is left behind the transaction: a span encloses the commit.
        with ExitStack() as traced:
            async with store.transaction(instance_id, now=self._parts.now, wait=False) as unit:
                record = trial.record = locked_record(unit)
                if record.run_id is not None or record.status is Status.PAUSED:
                    return
                judgement = await judged(record, unit, self._events_of(record))
                if judgement.chosen is not None:
                    trial.message = judgement.chosen
                    await self._take(judgement.chosen, unit, trial, traced)
                else:
                    await self._settle(judgement, unit)
                    trial.order, trial.goes_on = judgement.order, judgement.more
                    trial.counted(
                        applied=len(judgement.dropped), waiting=len(judgement.waiting), dead=len(judgement.dead)
                    )

    async def _take(self, message: InboxMessage, unit: Unit, trial: _Trial, traced: ExitStack) -> None:
        """Take a message, unless what it wants was done before."""
        trial.goes_on = True
        record = locked_record(unit)
        machine = self._parts.machines.governing(record)
        meant = await self._news.to_take(message, record, machine, unit)
        if meant is None or await self._was_answered(meant, unit):
            await _write(unit, TakeMessage(message.id))
            trial.counted(applied=1)
            return
        attempt = trial.attempt = _attempt_of(meant)
        traced.enter_context(self._parts.instrument.continued(message.trace))
        traced.enter_context(self._parts.traced(attempt, record, "message"))
        taken = await self._execution.perform(TakeEvent(attempt), unit)
        if not isinstance(taken, Draft) or taken.outcome is not Outcome.REFUSED:
            trial.counted(applied=1)
            return
        retry = self._parts.settings.inbox_retry
        later = put_off(message, reason=taken.reason or "refused", now=unit.now, retry=retry)
        await _write(unit, PutBack(later))
        self._tell_later(unit, later)
        trial.counted(**_count_of(later))

    async def _was_answered(self, message: InboxMessage, unit: Unit) -> bool:
        """Whether the key of a message was answered before. Raises `IdempotencyConflict` where another event has it."""
        idempotency = Idempotency.of_event(message.instance_id, message.key, None)
        if idempotency is None:
            return False
        found = await self._parts.store.recall(idempotency.key, now=self._parts.now, outside=unit.connection)
        if found is None:
            return False
        idempotency.check_same_request(found.receipt, event=message.event)
        return True

    async def _settle(self, judgement: Judgement, unit: Unit) -> None:
        effects: list[Effect] = [TakeMessage(message.id) for message in judgement.dropped]
        effects += [PutBack(message) for message in judgement.kept]
        await _write(unit, *effects)
        for message in judgement.dropped:
            logger.info("message %r to instance %s means nothing any more", message.event, message.instance_id)
        for message in judgement.dead:
            self._tell_later(unit, message)

    async def _carry_out(self, order: InboxMessage, record: WorkflowInstance, trial: _Trial) -> None:
        """Cancel the children of a cancelled instance, or the branches that one has left behind, in steps of their own: nobody
        holds a parent meanwhile.
        """
        trial.message = order
        await self._descendants.cancel(record, order.payload.get("reason"), left=order.payload.get(BRANCHES))
        await self._parts.store.inbox.discard([order.id])
        trial.went = (trial.went or Counter()) + Counter(applied=1)

    async def _failed(self, instance_id: UUID, trial: _Trial, error: Exception) -> None:
        """See to what a turn that failed leaves behind. Raises only what concerns every instance."""
        attempt = trial.attempt
        trial.goes_on = False
        if attempt is None or error is not attempt.raised:
            lost = isinstance(error, StepRolledBack) and not (attempt is not None and attempt.reached)
            if lost or isinstance(error, InstanceNotFound) or (isinstance(error, InstanceBusy) and trial.order is None):
                trial.counted(skipped=1)
                return
            if isinstance(error, StoreUnavailable | OutcomeUnknown):
                raise error
            if isinstance(error, _NOT_HERE):
                await self._leave_to_others(instance_id, error)
                trial.counted(skipped=1)
                return
        if trial.message is None:
            logger.error("the inbox of instance %s cannot be judged", instance_id, exc_info=error)
            trial.counted(skipped=1)
            return
        await self._put_off(trial.message, trial, error)

    async def _put_off(self, message: InboxMessage, trial: _Trial, error: Exception) -> None:
        """Write, in a step of its own, that an attempt was rolled back, and when it is repeated."""
        attempt, settings = trial.attempt, self._parts.settings
        reason = cleaned(str(error) or repr(error))
        logger.warning("message %r to instance %s failed: %s", message.event, message.instance_id, reason)
        trial.counted(skipped=1)
        try:
            async with self._parts.store.transaction(message.instance_id, now=self._parts.now) as unit:
                current = await seen_again(message, unit)
                if current is None:
                    return
                if isinstance(error, IdempotencyConflict) or (
                    isinstance(error, InvalidValue) and _is_of_payload(error)
                ):
                    later = replace(died(current, reason, unit.now), attempts=current.attempts + 1)
                else:
                    later = put_off(current, reason=reason, now=unit.now, retry=settings.inbox_retry)
                record = locked_record(unit)
                change = Change(record, record.version, new_id(), ())
                if attempt is not None and attempt.reached:
                    change = failure_change(
                        record,
                        attempt,
                        error,
                        unit.now,
                        settings.timeout_retry,
                        record_changes=settings.record_changes,
                    )
                    took = attempt.took
                    unit.after_commit(lambda: self._parts.committed(change, took))
                await unit.write(replace(change, effects=(*change.effects, PutBack(later))))
                self._tell_later(unit, later)
        except (InstanceBusy, InstanceNotFound, StepRolledBack):
            # Somebody else is at it. The message is as it was, and is found again.
            return
        trial.counted(**_count_of(later))
        trial.goes_on = trial.order is None

    async def _leave_to_others(self, instance_id: UUID, error: Exception) -> None:
        """Put the messages of an instance off that cannot run here, so that they neither stop nor starve others."""
        reason = cleaned(str(error))
        logger.warning("messages to instance %s are left to other processes: %s", instance_id, reason)
        try:
            async with self._parts.store.transaction(instance_id, now=self._parts.now, wait=False) as unit:
                async for page in pages(unit):
                    later = put_behind_all(page, reason, unit.now + ELSEWHERE)
                    await _write(unit, *map(PutBack, later))
        except (InstanceBusy, InstanceNotFound, StepRolledBack):
            return

    def _events_of(self, record: WorkflowInstance) -> Collection[str]:
        """What the state of an instance declares. Raises what says that its version cannot run here."""
        if record.status in FINISHED:
            return ()
        self._parts.machines.require_available(record.workflow)
        return self._parts.machines.governing(record).takes(record.state)

    def _tell_later(self, unit: Unit, message: InboxMessage) -> None:
        """Tell of a message, if it is dead, once that is committed."""
        if message.dead_at is not None:
            unit.after_commit(lambda: self._tell_dead(message))

    def _tell_dead(self, message: InboxMessage) -> None:
        told = (message.event, message.id, message.instance_id, message.reason)
        logger.warning("message %r (%s) to instance %s is a dead letter: %s", *told)
        self._parts.observers.report_dead_letter(message)


async def _write(unit: Unit, *effects: Effect) -> None:
    """Write effects alone: the instance stays as it is."""
    if effects:
        record = locked_record(unit)
        await unit.write(Change(record, record.version, new_id(), (), effects))


def _attempt_of(message: InboxMessage) -> Attempt:
    attempt = new_attempt(
        message.instance_id,
        message.event,
        Caller(trigger_metadata=message.trigger_metadata),
        payload=message.payload,
        idempotency=Idempotency.of_event(message.instance_id, message.key, None),
    )
    attempt.message_id = message.id
    return attempt


def _count_of(message: InboxMessage) -> dict[str, int]:
    return {"postponed": 1} if message.dead_at is None else {"dead": 1}


def _is_of_payload(error: InvalidValue) -> bool:
    """Whether the payload breaks the model of its event, which no repetition changes."""
    return error.path == "payload"
