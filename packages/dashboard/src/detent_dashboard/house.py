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
from detent.store.records import WorkflowInstance
from detent_dashboard.forgery import Tokens
from detent_dashboard.policy import Acting, Action, Policy, TenantOf
from detent_dashboard.refusals import not_allowed

Source: TypeAlias = WorkflowRuntime | WorkflowService | Callable[[], WorkflowRuntime | WorkflowService]
"""Where the workflows are; a function is asked at each request, for frameworks that start the runtime later."""


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
    policy: Policy
    tenant: TenantOf | None
    acting: Acting | None
    tokens: Tokens
    title: str
    mermaid: Path | None
    """Mermaid's script on this machine; `None` shows diagrams as text."""
    toy: Toy | None

    async def service(self, request: Request) -> WorkflowService:
        """The workflows as this request may use them. Raises `Refusal` for one that is nobody's."""
        given = self.source
        if not isinstance(given, WorkflowRuntime | WorkflowService):
            given = given()
        service = WorkflowService(given) if isinstance(given, WorkflowRuntime) else given
        if self.tenant is not None:
            whose = self.tenant(request)
            named = await whose if isawaitable(whose) else whose
            if named is None:
                raise not_allowed()
            service = service.for_tenant(named)
        said = {} if self.acting is None else self.acting(request)
        return service.acting(**{"door": "dashboard", **said})

    async def decide(self, request: Request, action: Action, instance: WorkflowInstance | None) -> bool | Response:
        """What the policy says; whatever is neither `True` nor an answer is a no."""
        if isinstance(self.policy, AllowAll):
            return True
        said = self.policy(request, action, instance)
        decided = await said if isawaitable(said) else said
        return decided if isinstance(decided, Response) else decided is True
