"""What all pages share: where the workflows are, who may see them, how pages look."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from inspect import isawaitable
from pathlib import Path
from typing import Protocol, TypeAlias
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from detent.runtime.runtime import WorkflowRuntime
from detent.service.http.policy import AllowAll
from detent.service.service import WorkflowService
from detent.service.triggers import TriggerService
from detent.store.records import WorkflowInstance
from detent_dashboard.forgery import Tokens
from detent_dashboard.policy import Acting, Action, Policy, TenantOf
from detent_dashboard.refusals import not_allowed

Source: TypeAlias = WorkflowRuntime | WorkflowService | Callable[[], WorkflowRuntime | WorkflowService]
"""Where the workflows are; a function is asked at each request, for frameworks that start the runtime later."""

TriggerSource: TypeAlias = TriggerService | Callable[[], TriggerService]
"""Where the triggers of those workflows are; a function is asked at each request as well."""


class Toy(Protocol):
    """What a playground has beside a dashboard: a clock that is moved by hand, and work that is done at once."""

    @property
    def notes(self) -> Sequence[str]:
        """What is not as it would be in the application, a sentence each."""
        ...

    def now(self) -> datetime:
        """What its clock shows."""
        ...

    async def advance(self, by: str) -> int:
        """Move the clock; answers how many events that led to. Raises `InvalidValue`."""
        ...

    async def settle(self, created: UUID | None = None) -> None:
        """Do what a worker would do now; `created` is an instance that was just made."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One dashboard as it was set up."""

    source: Source
    triggers: TriggerSource | None
    """`None` has no page of triggers."""
    policy: Policy
    tenant: TenantOf | None
    acting: Acting | None
    tokens: Tokens
    title: str
    mermaid: Path | None
    """Mermaid's script on this machine; `None` shows diagrams as text."""
    toy: Toy | None

    async def open_to(self, request: Request) -> tuple[WorkflowService, TriggerService | None]:
        """The workflows and the triggers as this request may use them. Raises `Refusal` for one that is nobody's."""
        workflows, triggers = self._workflows(), self._triggers()
        if self.tenant is not None:
            tenant = await self._tenant_of(request, self.tenant)
            workflows, triggers = workflows.for_tenant(tenant), triggers and triggers.for_tenant(tenant)
        said = {"door": "dashboard", **({} if self.acting is None else self.acting(request))}
        return workflows.acting(**said), triggers and triggers.acting(**said)

    async def decide(self, request: Request, action: Action, instance: WorkflowInstance | None) -> bool | Response:
        """What the policy says; whatever is neither `True` nor an answer is a no."""
        if isinstance(self.policy, AllowAll):
            return True
        said = self.policy(request, action, instance)
        decided = await said if isawaitable(said) else said
        return decided if isinstance(decided, Response) else decided is True

    def _workflows(self) -> WorkflowService:
        given = self.source
        if not isinstance(given, WorkflowRuntime | WorkflowService):
            given = given()
        return WorkflowService(given) if isinstance(given, WorkflowRuntime) else given

    def _triggers(self) -> TriggerService | None:
        given = self.triggers
        return given if given is None or isinstance(given, TriggerService) else given()

    async def _tenant_of(self, request: Request, tenant: TenantOf) -> str:
        whose = tenant(request)
        named = await whose if isawaitable(whose) else whose
        if named is None:
            raise not_allowed()
        return named
