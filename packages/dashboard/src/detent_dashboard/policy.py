"""Who may see and do what; without a policy there is no dashboard."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from detent.json_values import JsonValue
from detent.service.http.policy import AllowAll
from detent.store.records import WorkflowInstance

Action: TypeAlias = Literal["read", "start", "event", "operate"]
"""What is asked for: to look, to make an instance, to let one take an event, or an operator's verb."""

Decision: TypeAlias = bool | Response
"""`True` lets a request pass, `False` is a 403, and an answer, such as a redirect to a login, is sent in its place."""

Authorize: TypeAlias = Callable[[Request, Action, WorkflowInstance | None], Decision | Awaitable[Decision]]
"""Decides on one action. The instance is `None` where a page or a form is about none or about many: the overview, the search,
definitions, and making one. What is done to many is asked for each of them as well. Only `True` lets anything pass."""

Acting: TypeAlias = Callable[[Request], Mapping[str, JsonValue]]
"""Says who sends a request, as trigger metadata for history."""

TenantOf: TypeAlias = Callable[[Request], str | Awaitable[str | None] | None]
"""Says whose instances a request may see and touch; `None` for nobody's."""


Policy: TypeAlias = Authorize | AllowAll
"""A hook that decides, or `AllowAll()`."""
