"""The client: where the server is, and what instances of it one wants to reach."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import UUID

import httpx
from pydantic import TypeAdapter

from detent.client.handle import RemoteHandle
from detent.client.pages import InstancePage
from detent.client.sending import Sender
from detent.client.timing import Timing
from detent.errors import InvalidValue, NotStarted
from detent.ids import new_id
from detent.json_values import JsonObject
from detent.notation.mermaid import Diagram, Style
from detent.notation.symbols import SymbolsName
from detent.retry import Retry
from detent.runtime.finding_verbs import Names, names_of
from detent.service.http.operating_views import InstancePageView
from detent.service.schemas import DefinitionView, InstanceView

_DEFINITIONS = TypeAdapter(list[DefinitionView])
_RETRY = Retry(attempts=3, initial=timedelta(seconds=0.2), maximum=timedelta(seconds=5))


class WorkflowClient:
    """The workflows of an application, over the routes that it has mounted: `WorkflowClient("https://shop.example/workflows")`.

    Use it as an async context manager. Requests that got no answer, or a 502, 503 or 504, are sent again as `retry` says, as far
    as that cannot do anything twice. `headers` go with every request, such as who sends it. An `http` client of the caller's is
    used as it is, and left open; its base URL is where the routes are. `timing` lets time pass, for tests. Raises `InvalidValue`
    for a URL without `http://` or `https://`.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | httpx.Timeout = 10.0,
        retry: Retry = _RETRY,
        http: httpx.AsyncClient | None = None,
        timing: Timing | None = None,
    ) -> None:
        if http is None and not base_url.startswith(("http://", "https://")):
            raise InvalidValue("base_url", "begins with http:// or https://, such as https://shop.example/workflows")
        self._given = http
        self._base_url = base_url
        self._headers = dict(headers or {})
        self._timeout = timeout
        self._retry = retry
        self._timing = timing or Timing()
        self._sender: Sender | None = None
        self._around = AsyncExitStack()

    async def __aenter__(self) -> Self:
        http = self._given
        if http is None:
            made = httpx.AsyncClient(base_url=self._base_url, headers=self._headers, timeout=self._timeout)
            http = await self._around.enter_async_context(made)
        self._sender = Sender(http, self._retry, self._timing)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sender = None
        await self._around.aclose()

    @property
    def sender(self) -> Sender:
        """What sends requests. Raises `NotStarted` where the client was not entered."""
        if self._sender is None:
            raise NotStarted
        return self._sender

    async def create_instance(
        self,
        workflow: str,
        *,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        entry: str | None = None,
        idempotency_key: str | None = None,
        trigger_metadata: JsonObject | None = None,
    ) -> InstanceView:
        """A new instance, or the one that this key made before; without a key it is sent under one of its own.

        Raises `UnknownWorkflow`, `InvalidValue`, `CommandFailed`, `IdempotencyConflict`, `AnswerRefused` and `ServerUnreachable`.
        """
        body: JsonObject = {
            "workflow": workflow,
            "context": context or {},
            "metadata": metadata or {},
            "trigger_metadata": trigger_metadata or {},
        }
        if entry is not None:
            body["entry"] = entry
        key = idempotency_key or str(new_id())
        answer = await self.sender.send("POST", "instances", body=body, key=key)
        return InstanceView.model_validate_json(answer.content)

    def get_handle(self, instance: UUID | str | InstanceView) -> RemoteHandle:
        """A handle of an instance, by its id or by what `create_instance` answered; nothing is sent.

        Raises `ValueError` for a text that is no id.
        """
        found = instance.id if isinstance(instance, InstanceView) else instance
        return RemoteHandle(self, found if isinstance(found, UUID) else UUID(found))

    async def find_instances(
        self,
        *,
        order: str = "-created_at",
        limit: int = 50,
        cursor: str | None = None,
        workflow: Names | None = None,
        version: Names | None = None,
        states: Names | None = None,
        status: Names | None = None,
        parent: UUID | str | InstanceView | None = None,
    ) -> InstancePage:
        """Up to `limit` (1 to 100) instances for which all conditions hold, and by `async for` those of the pages after.

        `order` and the conditions are those of `WorkflowService.find_instances`. The server has to mount the routes with
        `operators=True`. Raises `InvalidValue` and `AnswerRefused`.
        """
        where = _names(workflow=workflow, version=version, state=states, status=status)
        if parent is not None:
            where["parent"] = str(parent.id if isinstance(parent, InstanceView) else parent)
        return await self._page("instances", {"order": order, "limit": limit} | where, cursor)

    async def find_parked(
        self, *, limit: int = 50, cursor: str | None = None, workflow: Names | None = None
    ) -> InstancePage:
        """Instances that wait for an operator, the longest waiting first; pages are as of `find_instances`."""
        return await self._page("parked", {"limit": limit} | _names(workflow=workflow), cursor)

    async def list_definitions(self) -> list[DefinitionView]:
        """The registered workflows, each in its newest version."""
        return _DEFINITIONS.validate_json((await self.sender.send("GET", "definitions")).content)

    async def to_mermaid(self, workflow: str, *, style: Style = "state", symbols: SymbolsName = "unicode") -> Diagram:
        """The diagram of the newest version of a workflow. Raises `UnknownWorkflow`."""
        path = f"definitions/{quote(workflow, safe='')}/diagram"
        return Diagram((await self.sender.send("GET", path, params={"style": style, "symbols": symbols})).text)

    async def _page(self, path: str, where: dict[str, Any], cursor: str | None) -> InstancePage:
        asked = where if cursor is None else where | {"cursor": cursor}
        found = InstancePageView.model_validate_json((await self.sender.send("GET", path, params=asked)).content)
        return InstancePage(tuple(found.instances), found.cursor, partial(self._page, path, where))


def _names(**conditions: Names | None) -> dict[str, Any]:
    """The conditions that were given, as parameters of a query. Raises `InvalidValue`."""
    given = {name: names_of(names, name) for name, names in conditions.items() if names is not None}
    for name, names in given.items():
        if not names:
            # In a query it would be no condition at all.
            raise InvalidValue(name, "must be a text or a list of texts, and holds none")
    return given
