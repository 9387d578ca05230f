"""One instance on a server, as a client sees it."""

from typing import Protocol
from urllib.parse import quote
from uuid import UUID

from pydantic import TypeAdapter

from detent.client.sending import KEY, Sender
from detent.ids import new_id
from detent.json_values import JsonObject, JsonValue
from detent.notation.mermaid import Diagram, Style
from detent.notation.symbols import SymbolsName
from detent.service.schemas import EventView, HistoryEntryView, InstanceView, TransitionView

_EVENTS = TypeAdapter(list[EventView])
_HISTORY = TypeAdapter(list[HistoryEntryView])


class Sending(Protocol):
    """What a handle needs of the client it comes from."""

    @property
    def sender(self) -> Sender:
        """What sends requests. Raises `NotStarted` where the client was not entered."""
        ...


class RemoteHandle:
    """An object bound to one instance on a server. Making one sends nothing, and what it answers is never stale.

    Its verbs are those of a `WorkflowHandle`, as far as the server has routes for them.
    """

    __slots__ = ("_client", "id")

    def __init__(self, client: Sending, instance_id: UUID) -> None:
        self.id = instance_id
        self._client = client

    def __repr__(self) -> str:
        return f"RemoteHandle({str(self.id)!r})"

    async def trigger_event(
        self,
        name: str,
        *,
        payload: JsonValue = None,
        idempotency_key: str | None = None,
        expected_version: int | None = None,
        trigger_metadata: JsonObject | None = None,
    ) -> TransitionView:
        """How the event ended; `accepted` where a worker finishes it.

        Sent under a key of its own unless one is given, so that it is taken once however often it has to be sent. Unlike a
        handle's, a guard's no is raised: `EventRefused`. Raises `EventNotAvailable`, `VersionConflict`, `InstanceBusy` and
        what else the runtime raises, `AnswerRefused` and `ServerUnreachable`.
        """
        body: JsonObject = {"payload": payload, "trigger_metadata": trigger_metadata or {}}
        if expected_version is not None:
            body["expected_version"] = expected_version
        answer = await self._client.sender.send(
            "POST",
            self._path(f"events/{quote(name, safe='')}"),
            body=body,
            headers={KEY: idempotency_key or str(new_id())},
        )
        return TransitionView.model_validate_json(answer.content)

    async def get_instance(self) -> InstanceView:
        """The instance as it is now. Raises `InstanceNotFound`."""
        return InstanceView.model_validate_json((await self._client.sender.send("GET", self._path())).content)

    async def get_available_events(self) -> list[EventView]:
        """The events its state declares, each with whether it would pass now, and why not. Raises `InstanceNotFound`."""
        return _EVENTS.validate_json((await self._client.sender.send("GET", self._path("events"))).content)

    async def get_history(self, *, limit: int = 50, before: int | None = None) -> list[HistoryEntryView]:
        """Up to `limit` (1 to 100) entries of what happened to it, the newest first; with `before`, older ones than that."""
        params = {"limit": limit} | ({} if before is None else {"before": before})
        return _HISTORY.validate_json(
            (await self._client.sender.send("GET", self._path("history"), params=params)).content
        )

    async def to_mermaid(self, *, style: Style = "state", symbols: SymbolsName = "unicode") -> Diagram:
        """Its diagram, with where it is and how it came there."""
        answer = await self._client.sender.send(
            "GET", self._path("diagram"), params={"style": style, "symbols": symbols}
        )
        return Diagram(answer.text)

    def _path(self, rest: str = "") -> str:
        return f"instances/{self.id}/{rest}".removesuffix("/")
