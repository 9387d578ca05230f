"""One request as the answering functions see it: no framework, and nothing that its sender may not reach."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from detent.errors import NotStarted
from detent.flows.book import FlowBook
from detent.json_values import JsonObject
from detent.runtime.runtime import WorkflowRuntime
from detent.service.flows import FlowService
from detent.service.http.wanted import Wanted
from detent.service.service import WorkflowService
from detent.service.triggers import TriggerService
from detent.store.records import WorkflowInstance
from detent.workers.worker import Worker

May: TypeAlias = Callable[[Wanted, WorkflowInstance | None], Awaitable[bool]]
"""Whether the sender of a request may do something; see `policy.Authorize`."""


class Behind(Protocol):
    """What runs behind the routes."""

    @property
    def runtime(self) -> WorkflowRuntime:
        """Raises `NotStarted`."""
        ...

    @property
    def worker(self) -> Worker | None:
        """The worker of this process, if one runs."""
        ...

    @property
    def triggers(self) -> TriggerService:
        """Raises `NotStarted`, also where there are none."""
        ...


def nothing_to_note() -> None:
    """What is done of a replay where nobody asks."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, once the guards have let it pass."""

    behind: Behind
    tenant: str | None = None
    """Whose instances it reaches; `None` for everybody's."""
    flow_book: FlowBook | None = None
    acting: JsonObject = field(default_factory=dict)
    """What history is told about its sender; it wins over what the body says."""
    path: str = ""
    """The path of the request, below no prefix."""
    accept: str = ""
    """Its `Accept` header."""
    on_replay: Callable[[], None] = nothing_to_note
    """Called when the key was answered before, so that an error, too, can be answered with the header."""
    may: May | None = None
    """What decides beside the guards, if anything does."""
    patience: float = 2.0
    """After how many seconds a check of a probe has failed."""

    @property
    def service(self) -> WorkflowService:
        """The workflows that it reaches. It joins no transaction: no handler would commit one."""
        service = WorkflowService(self.behind.runtime)
        return service if self.tenant is None else service.for_tenant(self.tenant)

    @property
    def triggers(self) -> TriggerService:
        """The triggers that it reaches, switched under its sender's name."""
        acting = self.behind.triggers.acting(**self.acting)
        return acting if self.tenant is None else acting.for_tenant(self.tenant)

    @property
    def flows(self) -> FlowService:
        """The flows that it reaches. Raises `NotStarted` where there are none."""
        if self.flow_book is None:
            raise NotStarted
        return FlowService(self.service.acting(**self.acting), self.flow_book)

    async def may_read(self, instance: WorkflowInstance) -> bool:
        """Whether its sender may read an instance."""
        return self.may is None or await self.may(Wanted("read", workflow=instance.workflow), instance)
