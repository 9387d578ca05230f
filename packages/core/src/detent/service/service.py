"""What an application injects: the runtime's verbs, for one caller."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from detent.definition.model import WorkflowDefinition
from detent.json_values import JsonObject, JsonValue
from detent.notation.chart import Marks
from detent.notation.mermaid import Diagram, to_mermaid
from detent.runtime.availability import AvailableEvent
from detent.runtime.handle import WorkflowHandle
from detent.runtime.result import TransitionResult
from detent.runtime.runtime import WorkflowRuntime
from detent.store.records import HistoryEntry, WorkflowInstance


class WorkflowService:
    """The runtime as one caller uses it: within its transaction if it lends one, and under its name in history.

    Without `within`, every call commits before it returns.
    """

    def __init__(
        self,
        runtime: WorkflowRuntime,
        *,
        connection: object | None = None,
        trigger_metadata: JsonObject | None = None,
    ) -> None:
        self._runtime = runtime
        self._connection = connection
        self._trigger_metadata = trigger_metadata or {}

    def within(self, connection: object) -> "WorkflowService":
        """The same service inside a transaction of the caller: nothing is visible until the caller commits."""
        return WorkflowService(self._runtime, connection=connection, trigger_metadata=self._trigger_metadata)

    def acting(self, **trigger_metadata: JsonValue) -> "WorkflowService":
        """The same service with more said about who acts and why: `service.acting(actor="ana")`."""
        return WorkflowService(
            self._runtime, connection=self._connection, trigger_metadata={**self._trigger_metadata, **trigger_metadata}
        )

    @property
    def workflows(self) -> list[str]:
        """The names of the registered workflows."""
        return self._runtime.workflows

    def definition(self, workflow: str) -> WorkflowDefinition:
        """The newest registered version of `workflow`. Raises `UnknownWorkflow`."""
        return self._runtime.definition(workflow)

    async def create_instance(
        self,
        workflow: str,
        *,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        idempotency_key: str | None = None,
        idempotency_fingerprint: str | None = None,
        trigger_metadata: JsonObject | None = None,
    ) -> WorkflowInstance:
        """A new instance; see `WorkflowRuntime.create_instance`."""
        return await self._runtime.create_instance(
            workflow,
            context=context,
            metadata=metadata,
            idempotency_key=idempotency_key,
            idempotency_fingerprint=idempotency_fingerprint,
            trigger_metadata=self._said(trigger_metadata),
            connection=self._connection,
        )

    def get_handle(self, instance: UUID | str | WorkflowInstance) -> WorkflowHandle:
        """A handle on an instance that acts as this service does, without a query."""
        handle = self._runtime.get_handle(instance)
        known = instance.workflow if isinstance(instance, WorkflowInstance) else None
        return WorkflowHandle(self, handle.id, known)

    async def trigger_event(
        self,
        instance_id: UUID | str | WorkflowInstance,
        name: str,
        *,
        subject: Any = None,
        payload: JsonValue = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
        workflow: str | None = None,
    ) -> TransitionResult:
        """Take the event `name`; see `WorkflowRuntime.trigger_event`."""
        return await self._runtime.trigger_event(
            instance_id,
            name,
            subject=subject,
            payload=payload,
            trigger_metadata=self._said(trigger_metadata),
            connection=connection or self._connection,
            workflow=workflow,
        )

    async def get_instance(self, instance_id: UUID | str | WorkflowInstance) -> WorkflowInstance:
        """The instance as last committed, or as the lent transaction sees it. Raises `InstanceNotFound`."""
        return await self._runtime.get_instance(instance_id, connection=self._connection)

    async def get_available_events(self, instance_id: UUID | str | WorkflowInstance) -> list[AvailableEvent]:
        """What the instance could do now, and why not; see `WorkflowRuntime.get_available_events`."""
        return await self._runtime.get_available_events(instance_id, connection=self._connection)

    async def get_history(
        self, instance_id: UUID | str | WorkflowInstance, *, limit: int = 50, before: int | None = None
    ) -> Sequence[HistoryEntry]:
        """What happened to the instance, the newest first; see `WorkflowRuntime.get_history`."""
        return await self._runtime.get_history(instance_id, limit=limit, before=before, connection=self._connection)

    def to_mermaid(self, workflow: str, **options: Any) -> Diagram:
        """The diagram of the newest version of `workflow`; `options` as `detent.to_mermaid` takes them."""
        return to_mermaid(self.definition(workflow), **options)

    async def instance_to_mermaid(self, instance_id: UUID | str | WorkflowInstance, **options: Any) -> Diagram:
        """The diagram of the version an instance follows, with its state and the states it came through marked."""
        record = await self.get_instance(instance_id)
        definition = await self._runtime.definition_of(record)
        entries = await self.get_history(instance_id, limit=1000)
        moves = reversed([entry for entry in entries if entry.outcome in ("success", "failure")])
        visited = dict.fromkeys(entry.to_state for entry in moves)
        marks = Marks(current=record.state, visited=tuple(visited))
        return to_mermaid(definition, marks=marks, **options)

    def _said(self, more: JsonObject | None) -> JsonObject:
        return {**self._trigger_metadata, **(more or {})}
