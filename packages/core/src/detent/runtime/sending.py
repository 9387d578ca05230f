"""Sending: a message as its sender asked for it, checked before anything is written, and then kept in the inbox."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from detent.definition.model import WorkflowDefinition
from detent.errors import DefinitionInvalid, IncompatibleState, InstanceFinished, InstanceNotFound, InvalidValue
from detent.ids import new_id
from detent.json_values import JsonObject, JsonValue, json_object, json_value
from detent.problems import did_you_mean
from detent.runtime.arguments import check_duration, check_instant
from detent.runtime.caller import Caller
from detent.runtime.execution import Execution
from detent.runtime.lending import lent_step
from detent.runtime.parts import Parts
from detent.runtime.receipts import checked_key
from detent.store.messages import InboxMessage
from detent.store.records import FINISHED, WorkflowInstance
from detent.store.signals import INBOX

Moment: TypeAlias = datetime | timedelta | str
"""An instant, or how long from now."""


class Sending:
    """What was asked to be sent, copied. Raises `InvalidValue` where it is not JSON."""

    def __init__(
        self,
        instance_id: UUID,
        event: str,
        payload: object,
        *,
        caller: Caller,
        delay: Moment | None,
        expires: Moment | None,
        key: str | None,
    ) -> None:
        self.instance_id = instance_id
        self.event = event
        self.caller = caller
        self._payload: JsonValue = json_value(payload, "payload")
        self._said: JsonObject = json_object(caller.trigger_metadata, "trigger_metadata")
        self._delay = delay
        self._expires = expires
        self._key = None if key is None else checked_key(key)

    def receiver(self, record: WorkflowInstance | None) -> WorkflowInstance:
        """The instance that shall get it. Raises `InstanceNotFound` and `InstanceFinished`."""
        if record is None or not self.caller.may_see(record):
            raise InstanceNotFound(self.instance_id)
        if record.status in FINISHED:
            raise InstanceFinished(record.id, record.status.value)
        return record

    def check_event(self, record: WorkflowInstance, declared: Collection[str]) -> None:
        """Raise `InvalidValue` when no state of the instance's version declares the event."""
        if self.event not in list(declared):
            reason = f"is {self.event!r}, which no state of {record.workflow!r} declares"
            raise InvalidValue("event", reason, hint=did_you_mean(str(self.event), declared))

    def message(self, record: WorkflowInstance, now: datetime) -> InboxMessage:
        """The message. Raises `InvalidValue` when it expires before it may be taken."""
        available = now if self._delay is None else max(now, _instant(self._delay, now, "delay"))
        expires = None if self._expires is None else _instant(self._expires, now, "expires")
        if expires is not None and expires <= available:
            raise InvalidValue("expires", "comes before the message may be taken")
        return InboxMessage(
            id=new_id(),
            instance_id=record.id,
            tenant=record.tenant,
            event=self.event,
            payload=self._payload,
            trigger_metadata=self._said,
            key=self._key,
            created_at=now,
            available_at=available,
            expires_at=expires,
        )


class Sender:
    """Keeps what is sent until it is taken. One per runtime."""

    def __init__(self, parts: Parts, execution: Execution) -> None:
        self._parts = parts
        self._execution = execution

    async def send(self, sending: Sending) -> InboxMessage:
        """Keep a message, in a commit of its own or in the transaction that its sender lends."""
        connection = sending.caller.connection
        record = sending.receiver(await self._parts.store.load(sending.instance_id, outside=connection))
        sending.check_event(record, await self._declared(record))
        message = sending.message(record, self._parts.present)
        message = replace(message, trace=self._parts.instrument.carrier())
        if connection is None:
            await self._parts.unbroken(self._parts.store.inbox.put(message))
            self._announce()
            return message
        with lent_step(self._parts):
            # The unit locks no instance: it is there to hear of the commit.
            async with self._parts.store.join(connection, None, now=self._parts.now) as unit:
                await self._parts.store.inbox.put(message, outside=connection)
                unit.after_commit(self._announce)
        return message

    async def _declared(self, record: WorkflowInstance) -> Collection[str]:
        """Every event of the version that governs `record`, whether that can run here or not."""
        definition: WorkflowDefinition
        try:
            definition = (await self._execution.machine_of(record)).definition
        except IncompatibleState:
            definition = self._parts.machines.latest(record.workflow).definition
        except DefinitionInvalid:
            snapshot = await self._parts.store.load_definition(record.workflow, record.definition_version)
            if snapshot is None:
                raise
            definition = WorkflowDefinition.from_dict(snapshot.definition)
        return {event for state in definition.states.values() for event in state.events}

    def _announce(self) -> None:
        self._parts.store.signals.announce([INBOX])


def _instant(value: Moment, now: datetime, path: str) -> datetime:
    if isinstance(value, datetime):
        check_instant(value, path)
        return value
    return now + check_duration(value, path)
