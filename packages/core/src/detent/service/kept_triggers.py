"""The triggers that are kept: found by id or name, one after another, or made under a name."""

from collections.abc import AsyncIterator, Collection
from uuid import UUID

from detent.errors import InstanceNotFound, UnknownWorkflow
from detent.json_values import JsonObject
from detent.service.service import WorkflowService
from detent.store.records import FINISHED, LIVE, Status, WorkflowInstance
from detent.triggers.definition import CONFIG, NEXT_AT, WORKFLOW
from detent.triggers.errors import UnknownTrigger
from detent.triggers.trigger import Trigger

_FOREVER = "36500d"
_PAGE = 1000


class KeptTriggers:
    """The instances that are triggers, as far as the caller of a `WorkflowService` sees them."""

    def __init__(self, service: WorkflowService) -> None:
        self._service = service

    async def find(self, trigger: UUID | str) -> WorkflowInstance:
        """The one of this id, or of this name the one that is not deleted. Raises `UnknownTrigger`."""
        identity = _id(trigger)
        if identity is None:
            return await self._named(str(trigger))
        try:
            instance = await self._service.get_instance(identity)
        except InstanceNotFound:
            raise UnknownTrigger(str(trigger)) from None
        if instance.workflow != WORKFLOW:
            raise UnknownTrigger(str(trigger))
        return instance

    async def find_or_make(self, read: Trigger) -> WorkflowInstance:
        """The one of the trigger's name that is not deleted, whoever makes it."""
        tenant = self._tenant(read)
        found = await self._newest(read.name, tenant, LIVE)
        if found is not None:
            return found
        # Whoever makes it at the same time finds the same predecessor, and so the same key.
        before = await self._newest(read.name, tenant, FINISHED)
        while True:
            made = await self._make(read, before)
            if made.created or made.status in LIVE:
                return made
            before = made

    async def each(
        self, states: Collection[str] | None = None, *, kind: str | None = None, ended: bool = False
    ) -> AsyncIterator[WorkflowInstance]:
        """Those that are not deleted, or those that are, in the order they were made."""
        labels: JsonObject = {} if kind is None else {"kind": kind}
        statuses = sorted(FINISHED if ended else LIVE)
        cursor: str | None = None
        while True:
            page = await self._service.find_instances(
                workflow=WORKFLOW,
                status=statuses,
                metadata=labels,
                order="created_at",
                limit=_PAGE,
                cursor=cursor,
            )
            for instance in page:
                if states is None or instance.state in states:
                    yield instance
            cursor = page.cursor
            if cursor is None:
                return

    async def _named(self, name: str) -> WorkflowInstance:
        found = await self._newest(name, self._service.tenant or "", LIVE)
        if found is None:
            raise UnknownTrigger(name)
        return found

    async def _newest(self, name: str, tenant: str, statuses: Collection[Status]) -> WorkflowInstance | None:
        # By a label, because a query names a tenant, and never that it is nobody's.
        labels: JsonObject = {"name": name, "tenant": tenant}
        page = await self._service.find_instances(
            workflow=WORKFLOW, status=sorted(statuses), metadata=labels, order="-created_at", limit=1
        )
        return next(iter(page), None)

    async def _make(self, read: Trigger, before: WorkflowInstance | None) -> WorkflowInstance:
        try:
            return await self._service.create_instance(
                WORKFLOW,
                context={CONFIG: written(read), NEXT_AT: None},
                metadata={"name": read.name, "kind": read.kind, "tenant": self._tenant(read)},
                tenant=read.tenant,
                idempotency_key=read.name if before is None else f"after:{before.id}",
                idempotency_ttl=_FOREVER,
            )
        except UnknownWorkflow as error:
            hint = "give the runtime definitions=[*book.definitions, *triggers.definitions], and the commands of both"
            raise UnknownWorkflow(error.workflow, (), hint=hint) from None

    def _tenant(self, read: Trigger) -> str:
        return read.tenant or self._service.tenant or ""


def written(read: Trigger) -> JsonObject:
    """The trigger as it is kept; whether it is enabled is its state."""
    return read.model_dump(mode="json")


def is_as_written(instance: WorkflowInstance, read: Trigger) -> bool:
    """Whether an instance is this very trigger."""
    kept: JsonObject = instance.context[CONFIG]
    return kept == written(read)


def _id(trigger: UUID | str) -> UUID | None:
    if isinstance(trigger, UUID):
        return trigger
    try:
        return UUID(trigger)
    except ValueError:
        return None
