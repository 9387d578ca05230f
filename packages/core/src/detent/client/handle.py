"""One instance on a server, as a client sees it."""

from collections.abc import AsyncGenerator, Iterable
from datetime import timedelta
from typing import Literal, Protocol
from urllib.parse import quote
from uuid import UUID

from pydantic import TypeAdapter

from detent.client.following import follow
from detent.client.problems import AnswerRefused
from detent.client.sending import Sender
from detent.client.waiting import Goal, Waiting
from detent.definition.duration import duration_text
from detent.errors import RunParked
from detent.ids import new_id
from detent.json_values import JsonObject, JsonValue
from detent.notation.mermaid import Diagram, Style
from detent.notation.symbols import SymbolsName
from detent.runtime.arguments import check_timeout
from detent.service.http.operating_views import MessageView, RunView
from detent.service.schemas import EventView, HistoryEntryView, InstanceView, TransitionView
from detent.store.run_records import RunStatus

_EVENTS = TypeAdapter(list[EventView])
_HISTORY = TypeAdapter(list[HistoryEntryView])
_RUNS = TypeAdapter(list[RunView])


class Sending(Protocol):
    """What a handle needs of the client it comes from."""

    @property
    def sender(self) -> Sender:
        """What sends requests. Raises `NotStarted` where the client was not entered."""
        ...


class RemoteHandle:
    """An object bound to one instance on a server. Making one sends nothing, and what it answers is never stale.

    Its verbs are those of a `WorkflowHandle`, as far as the server has routes for them; `send`, `get_runs` and those of
    operators are there where it mounts them with `operators=True`. All raise `InstanceNotFound`, `AnswerRefused` and
    `ServerUnreachable`; those that change something raise what the runtime raises there.
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
        handle's, a guard's no is raised: `EventRefused`. Raises `EventNotAvailable`, `CommandFailed`, `VersionConflict`,
        `InstanceBusy` and what else the runtime raises.
        """
        body: JsonObject = {
            "payload": payload,
            "expected_version": expected_version,
            "trigger_metadata": trigger_metadata or {},
        }
        key = idempotency_key or str(new_id())
        return TransitionView.model_validate_json(await self._post(f"events/{quote(name, safe='')}", body, key=key))

    async def send(
        self,
        event: str,
        payload: JsonValue = None,
        *,
        expires: timedelta | str | None = None,
        delay: timedelta | str | None = None,
        idempotency_key: str | None = None,
        trigger_metadata: JsonObject | None = None,
    ) -> MessageView:
        """The message that keeps an event until the instance can take it; a worker lets it take it once.

        `expires` and `delay` are lengths of time, such as `2d`, by the clock of the server. Sent under a key of its own unless
        one is given. Raises `InstanceFinished` and `InvalidValue`.
        """
        body: JsonObject = {"event": event, "payload": payload, "trigger_metadata": trigger_metadata or {}}
        for name, length in (("expires", expires), ("delay", delay)):
            if length is not None:
                body[name] = length if isinstance(length, str) else duration_text(length)
        return MessageView.model_validate_json(await self._post("messages", body, key=idempotency_key or str(new_id())))

    async def wait(
        self,
        state: str | Iterable[str] | None = None,
        *,
        completed: bool = False,
        timeout: float | timedelta | str = "30s",
    ) -> InstanceView:
        """The instance once it is in `state`, a name or several, and no run of it is under way.

        With `completed`, once it has ended, well or not; with neither, once no run of it is under way. It is looked at again and
        again, every 2 s in the end, and a server that is away for a moment is asked again. A state that is left again at once
        may be missed: wait for several then, or for the end. `timeout` is a length of time, as a text or in seconds.

        Raises `RunParked` when its run waits for an operator; `InstanceFinished` when it ended somewhere else; `WaitTimeout`, or
        what the server was in trouble with in the end, 5 s after the timeout at the latest; `InvalidValue`.
        """
        goal, sender = Goal.of(state, ended=completed), self._client.sender
        waiting = Waiting(self.id, goal, timing=sender.timing, look=self.get_instance, parked=self._parked)
        return await waiting.until(check_timeout(timeout))

    async def get_instance(self) -> InstanceView:
        """The instance as it is now."""
        return InstanceView.model_validate_json((await self._client.sender.send("GET", self._path())).content)

    async def get_available_events(self) -> list[EventView]:
        """The events its state declares, each with whether it would pass now, and why not."""
        return _EVENTS.validate_json(await self._get("events"))

    async def get_history(self, *, limit: int = 50, before: int | None = None) -> list[HistoryEntryView]:
        """Up to `limit` (1 to 100) entries of what happened to it, the newest first; with `before`, older ones than that."""
        more = {} if before is None else {"before": before}
        return _HISTORY.validate_json(await self._get("history", limit=limit, **more))

    def changes(self, *, after: int = 0) -> AsyncGenerator[HistoryEntryView, None]:
        """What happens to it, entry by entry as it comes, each once: `async for entry in handle.changes()`.

        It begins behind the entry of the sequence `after`, and is over when the instance has ended. A stream that broke off is
        opened again where it stood. A server that does not answer at all is `ServerUnreachable` in the end: go on from the
        last sequence that came.
        """
        return follow(self._client.sender, self._path("changes"), after)

    async def get_runs(self, *, limit: int = 50) -> list[RunView]:
        """Up to `limit` (1 to 100) of its durable transitions with how far they came, the newest first."""
        return _RUNS.validate_json(await self._get("runs", limit=limit))

    async def to_mermaid(self, *, style: Style = "state", symbols: SymbolsName = "unicode") -> Diagram:
        """Its diagram, with where it is and how it came there."""
        return Diagram((await self._get("diagram", style=style, symbols=symbols)).decode())

    async def cancel(
        self,
        *,
        reason: str | None = None,
        expected_version: int | None = None,
        trigger_metadata: JsonObject | None = None,
    ) -> InstanceView:
        """The instance, ended where it stands. Raises `InstanceFinished` when it has ended otherwise."""
        return await self._operate("cancel", reason, expected_version, trigger_metadata)

    async def pause(
        self,
        *,
        reason: str | None = None,
        expected_version: int | None = None,
        trigger_metadata: JsonObject | None = None,
    ) -> InstanceView:
        """The instance, stopped until it is resumed. Raises `InstanceFinished`."""
        return await self._operate("pause", reason, expected_version, trigger_metadata)

    async def resume(
        self,
        *,
        reason: str | None = None,
        expected_version: int | None = None,
        trigger_metadata: JsonObject | None = None,
    ) -> InstanceView:
        """The instance, going on after a pause. Raises `InstanceFinished`."""
        return await self._operate("resume", reason, expected_version, trigger_metadata)

    async def force(
        self,
        state: str,
        *,
        context: JsonObject | None = None,
        reason: str | None = None,
        expected_version: int | None = None,
        trigger_metadata: JsonObject | None = None,
    ) -> TransitionView:
        """How entering `state` went, whatever its definition allows from here.

        Without an `expected_version` it is not sent again where no answer came: it would enter the state twice.
        """
        body = _operated(reason, expected_version, trigger_metadata) | {"state": state}
        if context is not None:
            body["context"] = context
        answer = await self._post("force", body, at_most_once=expected_version is None)
        return TransitionView.model_validate_json(answer)

    async def retry(self, *, trigger_metadata: JsonObject | None = None) -> TransitionView:
        """How taking again what went wrong last went; `accepted` for a parked run, which goes on where it stopped.

        Not sent again where no answer came. Raises `NothingToRetry`, and what the event itself raises.
        """
        body: JsonObject = {"trigger_metadata": trigger_metadata or {}}
        return TransitionView.model_validate_json(await self._post("retry", body, at_most_once=True))

    async def _operate(
        self,
        verb: Literal["cancel", "pause", "resume"],
        reason: str | None,
        expected_version: int | None,
        trigger_metadata: JsonObject | None,
    ) -> InstanceView:
        # Sent again it changes nothing: the instance is so already, or at another version than was expected.
        body = _operated(reason, expected_version, trigger_metadata)
        return InstanceView.model_validate_json(await self._post(verb, body))

    async def _parked(self, instance: InstanceView) -> RunParked | None:
        """What to say of an instance whose run waits for an operator. A parked timer parks an instance too."""
        if instance.run_id is None or instance.parked_at is None:
            return None
        try:
            newest = await self.get_runs(limit=1)
        except AnswerRefused:
            # The routes that tell of runs are not there, or not for this caller.
            by_timer = any(timer.parked for timer in instance.timers)
            return None if by_timer else RunParked(instance.id, instance.run_id, "the server does not tell why")
        parked = [run for run in newest if run.id == instance.run_id and run.status == RunStatus.PARKED]
        return RunParked(instance.id, parked[0].id, (parked[0].error or {}).get("message")) if parked else None

    async def _get(self, rest: str, **params: str | int) -> bytes:
        return (await self._client.sender.send("GET", self._path(rest), params=params)).content

    async def _post(self, rest: str, body: JsonObject, *, key: str | None = None, at_most_once: bool = False) -> bytes:
        sender = self._client.sender
        return (await sender.send("POST", self._path(rest), body=body, key=key, at_most_once=at_most_once)).content

    def _path(self, rest: str = "") -> str:
        return f"instances/{self.id}/{rest}".removesuffix("/")


def _operated(reason: str | None, expected_version: int | None, trigger_metadata: JsonObject | None) -> JsonObject:
    """The body of an operator's verb."""
    return {
        "reason": reason,
        "expected_version": expected_version,
        "trigger_metadata": trigger_metadata or {},
    }
