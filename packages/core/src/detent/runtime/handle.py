"""One instance, as its user sees it."""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from detent.json_values import JsonObject, JsonValue
from detent.runtime.availability import AvailableEvent
from detent.runtime.result import TransitionResult
from detent.store.records import HistoryEntry, WorkflowInstance


class Runtime(Protocol):
    """What a handle needs of the runtime behind it."""

    async def trigger_event(
        self,
        instance_id: UUID,
        name: str,
        *,
        subject: Any = None,
        payload: JsonValue = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
        workflow: str | None = None,
    ) -> TransitionResult: ...

    async def get_available_events(self, instance_id: UUID) -> list[AvailableEvent]: ...

    async def get_instance(self, instance_id: UUID) -> WorkflowInstance: ...

    async def get_history(
        self, instance_id: UUID, *, limit: int = 50, before: int | None = None
    ) -> Sequence[HistoryEntry]: ...


class WorkflowHandle:
    """An object bound to one instance's id. Making one asks nothing of the database, and it caches no state."""

    __slots__ = ("_runtime", "_workflow", "id")

    def __init__(self, runtime: Runtime, instance_id: UUID, workflow: str | None = None) -> None:
        self.id = instance_id
        self._runtime = runtime
        self._workflow = workflow

    def __repr__(self) -> str:
        return f"WorkflowHandle({str(self.id)!r})"

    async def trigger_event(
        self,
        name: str,
        *,
        subject: Any = None,
        payload: JsonValue = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> TransitionResult:
        """Take the event `name`; see `WorkflowRuntime.trigger_event`."""
        result = await self._runtime.trigger_event(
            self.id,
            name,
            subject=subject,
            payload=payload,
            trigger_metadata=trigger_metadata,
            connection=connection,
            workflow=self._workflow,
        )
        self._workflow = result.instance.workflow
        return result

    async def get_available_events(self) -> list[AvailableEvent]:
        """The events its state declares, each with whether it would pass now, and why not. Raises `InstanceNotFound`."""
        return await self._runtime.get_available_events(self.id)

    async def get_instance(self) -> WorkflowInstance:
        """The instance as it is now. Raises `InstanceNotFound`."""
        return await self._runtime.get_instance(self.id)

    async def get_history(self, *, limit: int = 50, before: int | None = None) -> Sequence[HistoryEntry]:
        """What happened to it, the newest first; see `WorkflowRuntime.get_history`."""
        return await self._runtime.get_history(self.id, limit=limit, before=before)
