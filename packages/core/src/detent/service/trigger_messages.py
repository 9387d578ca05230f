"""Messages that event triggers hear of: each starts the flows of those that wait for its topic."""

import logging
from fnmatch import fnmatchcase

from detent.errors import InstancePaused
from detent.service.kept_triggers import KeptTriggers
from detent.service.registered_trigger import state_of
from detent.service.trigger_calls import Call
from detent.service.trigger_commands import trigger_in
from detent.service.trigger_firing import TriggerFiring
from detent.store.messages import Delivery
from detent.store.records import WorkflowInstance
from detent.triggers.definition import ENABLED, PAUSED
from detent.triggers.errors import TriggerDisabled
from detent.triggers.input_schema import input_errors
from detent.triggers.trigger import EventTrigger

logger = logging.getLogger("detent.triggers")


class TriggerMessages:
    """Hands messages to event triggers."""

    def __init__(self, kept: KeptTriggers, firing: TriggerFiring) -> None:
        self._kept = kept
        self._firing = firing

    async def hear(self, delivery: Delivery) -> None:
        """Let those that hear of it start their flows, each once. Raises the first fault, so that the message comes again."""
        failed: Exception | None = None
        async for instance in self._kept.each((ENABLED, PAUSED), kind="event"):
            try:
                await self._told(instance, delivery)
            except Exception as error:
                # The others hear of it all the same; those that did start nothing when the message comes again.
                name = instance.metadata.get("name")
                logger.warning("trigger %r could not take message %s: %r", name, delivery.message_id, error)
                failed = failed or error
        if failed is not None:
            raise failed

    async def _told(self, instance: WorkflowInstance, delivery: Delivery) -> None:
        read = trigger_in(instance.context)
        if not isinstance(read, EventTrigger) or not _hears(instance, read, delivery):
            return
        if state_of(instance) == PAUSED:
            raise InstancePaused(instance.id)
        try:
            await self._take(instance, read, delivery)
        except TriggerDisabled:
            logger.info("trigger %r was switched off while a message came", read.name)

    async def _take(self, instance: WorkflowInstance, read: EventTrigger, delivery: Delivery) -> None:
        errors = input_errors(read.input_schema, delivery.payload)
        if errors:
            await self._firing.turn_away(instance, read, "validation_failed", errors, body=delivery.payload)
            return
        labels = {"topic": delivery.topic, "message_id": str(delivery.message_id)}
        call = Call("event", delivery.payload, str(delivery.message_id), delivery.tenant, labels)
        await self._firing.fire(instance, read, call, body=None)


def _hears(instance: WorkflowInstance, read: EventTrigger, delivery: Delivery) -> bool:
    mine = instance.tenant in ("", delivery.tenant)
    return mine and any(fnmatchcase(delivery.topic, topic) for topic in read.topics)
