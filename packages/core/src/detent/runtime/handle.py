"""One instance, as its user sees it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypedDict, Unpack
from uuid import UUID

from detent.json_values import JsonObject, JsonValue
from detent.notation.mermaid import Diagram
from detent.runtime.availability import AvailableEvent
from detent.runtime.explanation import Explanation
from detent.runtime.result import TransitionResult
from detent.store.messages import InboxMessage
from detent.store.records import HistoryEntry, WorkflowInstance


class Manner(TypedDict, total=False):
    """How an operator's verb is done."""

    expected_version: int | None
    """Do nothing unless the instance is at this version: `VersionConflict`."""
    trigger_metadata: JsonObject | None
    """Who and why, for history."""
    connection: object | None
    """A transaction that is lent: the caller commits."""


class HandleVerbs(Protocol):
    """What a handle needs of the runtime or service behind it."""

    async def trigger_event(
        self,
        instance_id: UUID,
        name: str,
        *,
        subject: Any = None,
        payload: JsonValue = None,
        idempotency_key: str | None = None,
        idempotency_fingerprint: str | None = None,
        expected_version: int | None = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
        workflow: str | None = None,
    ) -> TransitionResult: ...

    async def enqueue_event(
        self,
        instance_id: UUID,
        name: str,
        *,
        subject: JsonValue = None,
        payload: JsonValue = None,
        idempotency_key: str | None = None,
        idempotency_fingerprint: str | None = None,
        expected_version: int | None = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> TransitionResult: ...

    async def send(
        self,
        instance_id: UUID,
        event: str,
        payload: JsonValue = None,
        *,
        expires: datetime | timedelta | str | None = None,
        delay: datetime | timedelta | str | None = None,
        idempotency_key: str | None = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> InboxMessage: ...

    async def wait(
        self,
        instance_id: UUID,
        state: str | Iterable[str] | None = None,
        *,
        completed: bool = False,
        timeout: float | timedelta | str = "30s",
    ) -> WorkflowInstance: ...

    async def get_available_events(self, instance_id: UUID) -> list[AvailableEvent]: ...

    async def explain(self, instance_id: UUID) -> Explanation: ...

    async def instance_to_mermaid(self, instance_id: UUID, **options: Any) -> Diagram: ...

    async def get_instance(self, instance_id: UUID) -> WorkflowInstance: ...

    async def get_history(
        self, instance_id: UUID, *, limit: int = 50, before: int | None = None
    ) -> Sequence[HistoryEntry]: ...

    async def cancel(
        self, instance_id: UUID, *, reason: str | None = None, **manner: Unpack[Manner]
    ) -> WorkflowInstance: ...

    async def pause(
        self, instance_id: UUID, *, reason: str | None = None, **manner: Unpack[Manner]
    ) -> WorkflowInstance: ...

    async def resume(
        self, instance_id: UUID, *, reason: str | None = None, **manner: Unpack[Manner]
    ) -> WorkflowInstance: ...

    async def patch_context(
        self,
        instance_id: UUID,
        patch: JsonObject | None = None,
        *,
        remove: Iterable[str] = (),
        reason: str | None = None,
        **manner: Unpack[Manner],
    ) -> WorkflowInstance: ...

    async def note(
        self,
        instance_id: UUID,
        name: str,
        details: JsonValue = None,
        *,
        reason: str | None = None,
        **manner: Unpack[Manner],
    ) -> WorkflowInstance: ...

    async def rearm(
        self,
        instance_id: UUID,
        event: str | None = None,
        *,
        due: datetime | timedelta | str | None = None,
        reason: str | None = None,
        **manner: Unpack[Manner],
    ) -> WorkflowInstance: ...

    async def force(
        self,
        instance_id: UUID,
        state: str,
        *,
        context: JsonObject | None = None,
        reason: str | None = None,
        subject: Any = None,
        **manner: Unpack[Manner],
    ) -> TransitionResult: ...

    async def retry(
        self,
        instance_id: UUID,
        *,
        subject: Any = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> TransitionResult: ...


class WorkflowHandle:
    """An object bound to one instance's id. Making one asks nothing of the database, and what it answers is never stale.

    Its verbs are those of the runtime or the service it comes from, and raise what they raise.
    """

    __slots__ = ("_verbs", "_workflow", "id")

    def __init__(self, verbs: HandleVerbs, instance_id: UUID, workflow: str | None = None) -> None:
        self.id = instance_id
        self._verbs = verbs
        self._workflow = workflow

    def __repr__(self) -> str:
        return f"WorkflowHandle({str(self.id)!r})"

    async def trigger_event(
        self,
        name: str,
        *,
        subject: Any = None,
        payload: JsonValue = None,
        idempotency_key: str | None = None,
        idempotency_fingerprint: str | None = None,
        **manner: Unpack[Manner],
    ) -> TransitionResult:
        """Take the event `name`; see `WorkflowRuntime.trigger_event`."""
        result = await self._verbs.trigger_event(
            self.id,
            name,
            subject=subject,
            payload=payload,
            idempotency_key=idempotency_key,
            idempotency_fingerprint=idempotency_fingerprint,
            workflow=self._workflow,
            **manner,
        )
        self._workflow = result.instance.workflow
        return result

    async def enqueue_event(
        self,
        name: str,
        *,
        subject: JsonValue = None,
        payload: JsonValue = None,
        idempotency_key: str | None = None,
        idempotency_fingerprint: str | None = None,
        **manner: Unpack[Manner],
    ) -> TransitionResult:
        """Let a worker take the event `name`; see `WorkflowRuntime.enqueue_event`."""
        return await self._verbs.enqueue_event(
            self.id,
            name,
            subject=subject,
            payload=payload,
            idempotency_key=idempotency_key,
            idempotency_fingerprint=idempotency_fingerprint,
            **manner,
        )

    async def send(
        self,
        event: str,
        payload: JsonValue = None,
        *,
        expires: datetime | timedelta | str | None = None,
        delay: datetime | timedelta | str | None = None,
        idempotency_key: str | None = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> InboxMessage:
        """Keep an event until it can be taken, and let a worker take it once; see `WorkflowRuntime.send`."""
        return await self._verbs.send(
            self.id,
            event,
            payload,
            expires=expires,
            delay=delay,
            idempotency_key=idempotency_key,
            trigger_metadata=trigger_metadata,
            connection=connection,
        )

    async def wait(
        self,
        state: str | Iterable[str] | None = None,
        *,
        completed: bool = False,
        timeout: float | timedelta | str = "30s",
    ) -> WorkflowInstance:
        """The instance once it is there; see `WorkflowRuntime.wait`."""
        return await self._verbs.wait(self.id, state, completed=completed, timeout=timeout)

    async def get_available_events(self) -> list[AvailableEvent]:
        """The events its state declares, each with whether it would pass now, and why not. Raises `InstanceNotFound`."""
        return await self._verbs.get_available_events(self.id)

    async def explain(self) -> Explanation:
        """Where it stands, how it came there, what it waits for, and what holds it up; see `WorkflowRuntime.explain`."""
        return await self._verbs.explain(self.id)

    async def to_mermaid(self, **options: Any) -> Diagram:
        """Its diagram, with where it is and how it came there; see `WorkflowRuntime.instance_to_mermaid`."""
        return await self._verbs.instance_to_mermaid(self.id, **options)

    async def get_instance(self) -> WorkflowInstance:
        """The instance as it is now. Raises `InstanceNotFound`."""
        return await self._verbs.get_instance(self.id)

    async def get_history(self, *, limit: int = 50, before: int | None = None) -> Sequence[HistoryEntry]:
        """What happened to it, the newest first; see `WorkflowRuntime.get_history`."""
        return await self._verbs.get_history(self.id, limit=limit, before=before)

    async def cancel(self, *, reason: str | None = None, **manner: Unpack[Manner]) -> WorkflowInstance:
        """End it where it stands; see `WorkflowRuntime.cancel`."""
        return await self._verbs.cancel(self.id, reason=reason, **manner)

    async def pause(self, *, reason: str | None = None, **manner: Unpack[Manner]) -> WorkflowInstance:
        """Stop it until it is resumed; see `WorkflowRuntime.pause`."""
        return await self._verbs.pause(self.id, reason=reason, **manner)

    async def resume(self, *, reason: str | None = None, **manner: Unpack[Manner]) -> WorkflowInstance:
        """Let it go on after a pause; see `WorkflowRuntime.resume`."""
        return await self._verbs.resume(self.id, reason=reason, **manner)

    async def patch_context(
        self,
        patch: JsonObject | None = None,
        *,
        remove: Iterable[str] = (),
        reason: str | None = None,
        **manner: Unpack[Manner],
    ) -> WorkflowInstance:
        """Change its context; see `WorkflowRuntime.patch_context`."""
        return await self._verbs.patch_context(self.id, patch, remove=remove, reason=reason, **manner)

    async def note(
        self, name: str, details: JsonValue = None, *, reason: str | None = None, **manner: Unpack[Manner]
    ) -> WorkflowInstance:
        """Put an entry of the application's own into its history; see `WorkflowRuntime.note`."""
        return await self._verbs.note(self.id, name, details, reason=reason, **manner)

    async def rearm(
        self,
        event: str | None = None,
        *,
        due: datetime | timedelta | str | None = None,
        reason: str | None = None,
        **manner: Unpack[Manner],
    ) -> WorkflowInstance:
        """Give its timers a new chance; see `WorkflowRuntime.rearm`."""
        return await self._verbs.rearm(self.id, event, due=due, reason=reason, **manner)

    async def force(
        self,
        state: str,
        *,
        context: JsonObject | None = None,
        reason: str | None = None,
        subject: Any = None,
        **manner: Unpack[Manner],
    ) -> TransitionResult:
        """Put it into `state`; see `WorkflowRuntime.force`."""
        return await self._verbs.force(self.id, state, context=context, reason=reason, subject=subject, **manner)

    async def retry(
        self,
        *,
        subject: Any = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> TransitionResult:
        """Take again what went wrong last; see `WorkflowRuntime.retry`."""
        return await self._verbs.retry(
            self.id, subject=subject, trigger_metadata=trigger_metadata, connection=connection
        )
