"""The verbs for those who think in steps: start a flow, drive it, resume it, cancel it, and look at it."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from detent.definition.model import WorkflowDefinition
from detent.definition.shape import shown
from detent.errors import (
    DefinitionInvalid,
    EventNotAvailable,
    InstanceBusy,
    InstanceFinished,
    InstanceNotFound,
    InstancePaused,
    InvalidValue,
)
from detent.flows.book import FlowBook
from detent.flows.errors import NotWaiting, TokenRefused, UnknownFlow
from detent.flows.flow import Flow
from detent.flows.names import RESUME, WAKE
from detent.flows.own import Own
from detent.flows.tokens import execution_of, hash_of
from detent.json_values import JsonObject, JsonValue, json_value
from detent.problems import did_you_mean
from detent.runtime.arguments import check_instant, id_of
from detent.runtime.event_names import CANCELLED, IN_PLACE
from detent.runtime.runtime import WorkflowRuntime
from detent.service.execution import Cancellation, Execution, ExecutionStatus
from detent.service.flow_events import FlowEvent, FlowEventType, events_of
from detent.service.flow_starts import begin_flow
from detent.service.flow_timeouts import Timeouts, begun
from detent.service.saved_flows import SavedFlows
from detent.service.service import WorkflowService
from detent.service.tokens import ResumeTokens
from detent.store.records import HistoryEntry, Status, WorkflowInstance
from detent.store.run_records import Run

SOURCES = ("user", "timeout", "system", "parent")
"""Who may have cancelled an execution."""
LIVE_STATUSES = ("active", "paused")
_BESIDE = 100
"""How many entries behind the end of an execution are looked past."""
_ROUNDS = 10_000
"""After how many steps and waits `run` gives up."""


@dataclass(frozen=True, slots=True)
class CancelResult:
    """What became of a wish to cancel."""

    cancelled: bool
    """Whether this call ended it."""
    previous_status: ExecutionStatus | None
    """How it stood before; `None` where there is no such execution."""
    error: str | None = None
    """Why it was not cancelled: `not_found` or `already_ended`."""
    tokens_revoked: int = 0
    """How many resume tokens are good for nothing any more because of it."""
    children_cancelled: int = 0
    """How many executions below it are cancelled with it."""


class FlowService:
    """Flows for one caller: over a `WorkflowService`, whose tenant and name in history it acts under, or a runtime.

    `flows` saves and finds flows, `tokens` makes and judges resume tokens. All verbs raise `InstanceNotFound` for what is not
    there, or of another tenant, and `UnknownFlow` for an instance that is no flow.
    """

    def __init__(self, service: WorkflowService | WorkflowRuntime, book: FlowBook) -> None:
        if isinstance(service, WorkflowRuntime):
            service = WorkflowService(service)
        _require_kind(service, WorkflowService, "service")
        _require_kind(book, FlowBook, "book")
        self._service = service
        self._book = book
        self.flows = SavedFlows(service, book)
        """Flows that are saved at run time, and those that the application brings."""
        self.tokens = ResumeTokens(service, self._own_of)
        """Resume tokens."""

    def within(self, connection: object) -> Self:
        """The same service inside a transaction of the caller: nothing is visible until the caller commits."""
        return type(self)(self._service.within(connection), self._book)

    async def start_flow(
        self,
        flow: str | Flow,
        context: JsonObject | None = None,
        *,
        version: str | None = None,
        idempotency_key: str | None = None,
        idempotency_ttl: timedelta | str | None = None,
        fingerprint: str | None = None,
        tenant: str | None = None,
        parent: UUID | str | None = None,
        timeouts: Timeouts | None = None,
        metadata: JsonObject | None = None,
    ) -> Execution:
        """A new execution of `flow`, in its newest version unless `version` says otherwise; a worker goes on with it.

        Under an `idempotency_key` that this flow has seen within `idempotency_ttl` the execution that it started then is
        answered, with `created=False`; with another `fingerprint`, a text that says what identifies the request, it is refused
        as an `IdempotencyConflict`. `parent` is the execution that it is started for, and cancelled with. A `Flow` is started
        in its own version. Raises `UnknownFlow`, `ContextTooLarge`, `InvalidValue`.
        """
        name, version = _named(flow, version)
        own = begun(timeouts, self._service.running().parts.present)
        await self._require(name, version)
        instance = await begin_flow(
            self._service,
            self._book,
            name,
            context,
            own=own,
            version=version,
            idempotency_key=idempotency_key,
            idempotency_ttl=idempotency_ttl,
            fingerprint=fingerprint,
            tenant=tenant,
            parent=parent,
            metadata=metadata,
        )
        return await self._seen(instance)

    async def get(self, execution_id: UUID | str) -> Execution:
        """The execution as it stands."""
        return await self._seen(await self._service.get_instance(execution_id))

    async def events(
        self,
        execution_id: UUID | str,
        *,
        types: Collection[FlowEventType | str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[FlowEvent]:
        """What happened to an execution, in order: all of it, or what is of `types`, or at `since` and later, or before `until`.

        Raises `InvalidValue` for a type that there is not.
        """
        wanted = frozenset(FlowEventType) if types is None else frozenset(map(_type, types))
        check_instant(since, "since")
        check_instant(until, "until")
        instance, flow = await self._own_of(id_of(execution_id, "execution_id"))
        definition = await self._service.definition_of(instance)
        newest_first = list[list[FlowEvent]]()
        async for entry in self._entries(instance.id):
            if since is not None and entry.created_at < since:
                break
            if until is None or entry.created_at < until:
                newest_first.append(list(events_of(entry, flow, lambda state: _outcome(definition, state))))
        return [event for told in reversed(newest_first) for event in told if event.type in wanted]

    async def record(self, execution_id: UUID | str, name: str, details: JsonValue = None) -> None:
        """Put an event of the application's own among those of an execution: `execution.recorded`, with `name` and `details`."""
        await self._own_of(id_of(execution_id, "execution_id"))
        await self._service.note(execution_id, name, details)

    async def _entries(self, execution_id: UUID) -> AsyncIterator[HistoryEntry]:
        """Its history, the newest first."""
        before: int | None = None
        while page := await self._service.get_history(execution_id, limit=1000, before=before):
            for entry in page:
                yield entry
            before = page[-1].sequence

    async def step(self, execution_id: UUID | str) -> Execution:
        """The execution after one attempt of its current step, made in this process; as it is, where it has ended or waits."""
        await self._advance(id_of(execution_id))
        return await self.get(execution_id)

    async def run(self, execution_id: UUID | str, *, simulate_time: bool = False) -> Execution:
        """The execution at its end or at its next wait, driven there in this process; beside workers, too.

        A step that is to be tried again later is a wait. With `simulate_time`, for tests and rehearsals, waits that have an end
        are over at once; then only its end, or the need for somebody who resumes it, stops it.
        """
        for _ in range(_ROUNDS):
            if not await self._advance(id_of(execution_id)):
                seen = await self.get(execution_id)
                if not simulate_time or seen.ended or seen.wake_at is None or not await self._skip(seen):
                    return seen
        raise InvalidValue("execution_id", f"names an execution that comes to no rest within {_ROUNDS} steps")

    async def resume(self, execution: UUID | str, data: JsonValue = None) -> Execution:
        """The execution after it was resumed with `data`, which is put where the waiting step's `output_key` says, or under the
        step's id. `execution` is its id or a resume token, which is spent in the same commit.

        Raises `NotWaiting`, `TokenRefused`, `ContextTooLarge`, and `InvalidValue` with problems for data that do not meet the
        form which the wait asks for, as `human` does; then nothing was changed.
        """
        given = json_value(data, "data")
        named = execution_of(execution)
        if named is None:
            return await self._resume(_execution_id(execution), {"data": given})
        token = await self.tokens.get(str(execution))
        if token is None:
            raise TokenRefused("unknown")
        try:
            return await self._resume(named, {"data": given, "token": hash_of(str(execution))})
        except NotWaiting:
            judged = await self.tokens.validate(str(execution))
            if judged.reason is None:
                # The token is good; the execution is paused, or at work again in the same step.
                raise
            raise TokenRefused(judged.reason) from None

    async def cancel(self, execution_id: UUID | str, source: str = "user", reason: str | None = None) -> CancelResult:
        """End an execution where it stands, with its children; a handler under way is cancelled, and what it answers is nothing.

        `source` is `user`, `timeout`, `system` or `parent`. What has ended, and what is not there, is an answer.
        """
        if source not in SOURCES:
            raise InvalidValue("source", f"is {source!r}", hint="one of " + ", ".join(SOURCES))
        try:
            instance = await self._service.get_instance(execution_id)
        except InstanceNotFound:
            return CancelResult(cancelled=False, previous_status=None, error="not_found")
        before = await self._seen(instance)
        if before.ended:
            return CancelResult(cancelled=False, previous_status=before.status, error="already_ended")
        pending = [token for token in await self.tokens.list(execution_id) if token.state == "pending"]
        below = await self._live_below(before.id)
        acting = self._service.acting(source=source)
        try:
            await acting.cancel(execution_id, reason=reason)
        except InstanceFinished:
            ended = (await self.get(execution_id)).status
            return CancelResult(cancelled=False, previous_status=ended, error="already_ended")
        if instance.run_id is not None:
            # Without a worker that listens, its handler here would hear of it by the next sign of life.
            self._service.running().runs.leases.doubt(instance.run_id)
        return CancelResult(
            cancelled=True,
            previous_status=before.status,
            tokens_revoked=len(pending),
            children_cancelled=below,
        )

    async def _live_below(self, execution_id: UUID) -> int:
        """How many children, and children of those, have not ended."""
        count, above = 0, [execution_id]
        while above:
            page = await self._service.find_instances(parent=above.pop(), status=LIVE_STATUSES, limit=1000)
            count += len(page.instances)
            above += [child.id for child in page.instances]
        return count

    async def _resume(self, execution_id: UUID, payload: JsonObject) -> Execution:
        try:
            result = await self._service.trigger_event(execution_id, RESUME, payload=payload)
        except (EventNotAvailable, InstanceBusy, InstancePaused) as error:
            seen = await self.get(execution_id)
            raise NotWaiting(execution_id, seen.status, seen.wait_reason) from error
        return await self._seen(result.instance)

    async def _advance(self, execution_id: UUID, *, at: datetime | None = None) -> bool:
        """Do what is to be done for one execution now, or as if it were later; whether that was anything."""
        runs, tenant = self._service.running().runs, self._service.tenant
        if await runs.once(execution_id, tenant=tenant, now=at) is not None:
            return True
        # What is due for others is fired with it, as any sweep does.
        return (await self._service.process_timeouts(limit=100)).processed > 0

    async def _skip(self, seen: Execution) -> bool:
        """Let a wait be over; whether there was one that time ends."""
        instance = await self._service.get_instance(seen.id)
        if any(timer.event == WAKE for timer in instance.timers):
            await self._service.rearm(seen.id, WAKE, reason="its time is simulated")
            return True
        return await self._advance(seen.id, at=seen.wake_at)

    async def _seen(self, instance: WorkflowInstance) -> Execution:
        # What was just made waits for a worker: there is nothing to look up.
        run = None if instance.created else await self._run_of(instance)
        flow, cancellation = await self._flow_of(instance), await self._cancellation_of(instance)
        return Execution.of(instance, flow, run, cancellation, await self._large_of(instance))

    async def _large_of(self, instance: WorkflowInstance) -> JsonObject:
        """The values that are kept beside its context, by their keys."""
        refs = {key: kept["ref"] for key, kept in Own.of(instance.context).values.items()}
        if not refs:
            return {}
        values = self._service.running().parts.store.values
        found = await values.load(instance.id, set(refs.values()), outside=self._service.lent)
        return {key: found[ref] for key, ref in refs.items() if ref in found}

    async def _require(self, flow: str, version: str | None) -> None:
        if self._service.lent is None:
            await self.flows.require(flow, version)
        else:
            # A second connection might be one too many while the caller holds his.
            self.flows.require_known(flow, version)

    async def _flow_of(self, instance: WorkflowInstance) -> Flow:
        try:
            flow = self._book.flow_in(await self._service.definition_of(instance))
        except DefinitionInvalid:
            # Another process has its handlers: to be looked at it needs none.
            return await self.flows.get(instance.workflow, instance.definition_version)
        if flow is None:
            raise UnknownFlow(instance.workflow)
        return flow

    async def _run_of(self, instance: WorkflowInstance) -> Run | None:
        if instance.run_id is None:
            return None
        runs = self._service.running().parts.store.runs
        return await runs.load(instance.run_id, outside=self._service.lent)

    async def _cancellation_of(self, instance: WorkflowInstance) -> Cancellation | None:
        """What history says of an end that the flow did not come to by itself."""
        if instance.status is not Status.CANCELLED:
            return None
        newest = await self._service.get_history(instance.id, limit=_BESIDE)
        # What was noted or mended behind its end does not tell of it.
        last = next((entry for entry in newest if entry.event not in IN_PLACE), None)
        if last is None or last.event != CANCELLED:
            return None
        source = last.trigger_metadata.get("source")
        return Cancellation(
            source if source in SOURCES else "parent" if source else "user", last.reason, last.created_at
        )

    async def _own_of(self, execution_id: UUID) -> tuple[WorkflowInstance, Flow]:
        instance = await self._service.get_instance(execution_id)
        return instance, await self._flow_of(instance)


def _require_kind(given: object, kind: type, path: str) -> None:
    if not isinstance(given, kind):
        hint = "pass FlowService(WorkflowService(runtime), book), with the FlowBook that the runtime was made with"
        raise InvalidValue(path, f"is {shown(given)}", hint=hint)


def _named(flow: str | Flow, version: str | None) -> tuple[str, str | None]:
    if isinstance(flow, Flow):
        return flow.id, version or flow.version
    if not isinstance(flow, str):
        raise InvalidValue("flow", f"is {shown(flow)}", hint="pass the id of a flow")
    return flow, version


def _execution_id(execution: UUID | str) -> UUID:
    try:
        return id_of(execution, "execution")
    except InvalidValue:
        if isinstance(execution, str):
            # A token with a slip in it, or made up; it is not quoted.
            raise TokenRefused("unknown") from None
        raise


def _type(name: FlowEventType | str) -> FlowEventType:
    try:
        return FlowEventType(name)
    except ValueError:
        raise InvalidValue(
            "types", f"has {name!r}", hint=did_you_mean(str(name), [each.value for each in FlowEventType])
        ) from None


def _outcome(definition: WorkflowDefinition, state: str) -> str | None:
    """How an execution has ended that is in `state`; `None` where it has not."""
    there = definition.states.get(state)
    return (there.outcome or "success") if there is not None and there.terminal else None
