"""The steps of a trigger: its events taken, and what keeps one from being taken told in the words of triggers."""

from typing import Any

from detent.errors import EventNotAvailable, InstancePaused
from detent.json_values import JsonObject
from detent.runtime.result import TransitionResult
from detent.service.registered_trigger import state_of
from detent.service.service import WorkflowService
from detent.store.records import Status, WorkflowInstance
from detent.triggers.definition import ENABLED, PAUSED, RESUME, WORKFLOW
from detent.triggers.errors import TriggerDisabled


class TriggerSteps:
    """Takes the events of triggers for the caller of a `WorkflowService`."""

    def __init__(self, service: WorkflowService) -> None:
        self._service = service

    async def take(
        self,
        instance: WorkflowInstance,
        event: str,
        payload: JsonObject | None = None,
        *,
        subject: Any = None,
        expected_version: int | None = None,
    ) -> TransitionResult:
        """What came of the event. Raises `TriggerDisabled` and `InstancePaused` where the trigger's state has no such event."""
        try:
            return await self._service.trigger_event(
                instance.id,
                event,
                payload=payload,
                subject=subject,
                expected_version=expected_version,
                workflow=WORKFLOW,
            )
        except EventNotAvailable as error:
            if error.state == PAUSED:
                raise InstancePaused(instance.id) from error
            raise TriggerDisabled(instance.metadata["name"], instance.id, error.state) from error

    async def switch(
        self, instance: WorkflowInstance, event: str, state: str, payload: JsonObject | None = None
    ) -> WorkflowInstance:
        """The trigger in `state`, where `event` leads; as it is where it is there already."""
        if state_of(instance) == state:
            return instance
        return (await self.take(instance, event, payload)).instance

    async def resume(self, instance: WorkflowInstance) -> WorkflowInstance:
        """The trigger at work again, in whichever way it was paused: as a trigger, or by an operator as any instance."""
        if instance.status is Status.PAUSED:
            instance = await self._service.resume(instance.id)
            if instance.state != PAUSED:
                return instance
        return await self.switch(instance, RESUME, ENABLED)
