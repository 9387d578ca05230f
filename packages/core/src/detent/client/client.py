"""The client: where the server is, and what instances of it one wants to reach."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Self
from urllib.parse import quote
from uuid import UUID

import httpx

from detent.client.handle import RemoteHandle
from detent.client.sending import KEY, Sender
from detent.errors import NotStarted
from detent.ids import new_id
from detent.json_values import JsonObject
from detent.notation.mermaid import Diagram, Style
from detent.notation.symbols import SymbolsName
from detent.retry import Retry
from detent.service.schemas import InstanceView

_RETRY = Retry(attempts=3, initial=timedelta(seconds=0.2), maximum=timedelta(seconds=5))


class WorkflowClient:
    """The workflows of an application, over the routes that it has mounted: `WorkflowClient("https://shop.example/workflows")`.

    Use it as an async context manager. Requests that got no answer, or a 502, 503 or 504, are sent again as `retry` says; what
    changes something is sent under an idempotency key, so that it happens once. `headers` go with every request, such as who
    sends it. An `http` client of the caller's is used as it is, and left open; its base URL is where the routes are.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | httpx.Timeout = 10.0,
        retry: Retry = _RETRY,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._given = http
        self._base_url = base_url
        self._headers = dict(headers or {})
        self._timeout = timeout
        self._retry = retry
        self._sender: Sender | None = None
        self._around = AsyncExitStack()

    async def __aenter__(self) -> Self:
        http = self._given
        if http is None:
            made = httpx.AsyncClient(base_url=self._base_url, headers=self._headers, timeout=self._timeout)
            http = await self._around.enter_async_context(made)
        self._sender = Sender(http, self._retry)
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

        Raises `UnknownWorkflow`, `InvalidValue`, `IdempotencyConflict`, `AnswerRefused` and `ServerUnreachable`.
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
        answer = await self.sender.send("POST", "instances", body=body, headers={KEY: key})
        return InstanceView.model_validate_json(answer.content)

    def get_handle(self, instance: UUID | str | InstanceView) -> RemoteHandle:
        """A handle of an instance, by its id or by what `create_instance` answered; nothing is sent.

        Raises `ValueError` for a text that is no id.
        """
        found = instance.id if isinstance(instance, InstanceView) else instance
        return RemoteHandle(self, found if isinstance(found, UUID) else UUID(found))

    async def to_mermaid(self, workflow: str, *, style: Style = "state", symbols: SymbolsName = "unicode") -> Diagram:
        """The diagram of the newest version of a workflow. Raises `UnknownWorkflow`."""
        path = f"definitions/{quote(workflow, safe='')}/diagram"
        return Diagram((await self.sender.send("GET", path, params={"style": style, "symbols": symbols})).text)
