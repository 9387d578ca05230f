"""The verbs of triggers: register them, switch them, fire them, take in calls and messages, and read what they did."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import count, islice
from typing import Any, Literal, Self
from uuid import UUID

from pydantic_core import from_json

from detent.errors import (
    DetentError,
    EventNotAvailable,
    InstanceNotFound,
    InstancePaused,
    InvalidValue,
    VersionConflict,
)
from detent.flows.book import FlowBook
from detent.flows.errors import ContextTooLarge, UnknownFlow
from detent.json_values import JsonObject, JsonValue, json_value
from detent.problems import Problem
from detent.runtime.arguments import check_instant, check_limit, check_sequence
from detent.runtime.result import TransitionResult
from detent.service.saved_flows import SavedFlows
from detent.service.service import WorkflowService
from detent.service.trigger_book import Call, TriggerBook, trigger_in
from detent.service.trigger_log import LOGGED, Invocation, TriggerStatistics
from detent.service.trigger_starts import FlowStarter
from detent.store.messages import Delivery
from detent.store.records import Status, WorkflowInstance
from detent.triggers.cron import ticks_between
from detent.triggers.definition import (
    BACKFILL,
    CONFIG,
    CONFIGURE,
    DELETE,
    DELETED,
    DISABLE,
    DISABLED,
    ENABLE,
    ENABLED,
    FIRE,
    NEXT_AT,
    REJECT,
    TICK,
    WORKFLOW,
)
from detent.triggers.errors import (
    InputError,
    InputRefused,
    SecretMissing,
    TriggerDisabled,
    TriggerInvalid,
    TriggerUnavailable,
    UnknownTrigger,
)
from detent.triggers.input_schema import input_errors
from detent.triggers.keys import key_of
from detent.triggers.signatures import SignatureRefused, verify
from detent.triggers.ticking import AT_ONCE
from detent.triggers.trigger import CronTrigger, EventTrigger, HttpTrigger, Trigger, Triggers

logger = logging.getLogger("detent.triggers")

Secrets = Mapping[str, str | Sequence[str]]
"""Secrets by name; several under one name while one is replaced."""
MOST_BACKFILLED = 10_000
"""How many instants one backfill may make up for."""
_FOREVER = "36500d"
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class RegisteredTrigger:
    """A trigger as it stands."""

    id: UUID
    trigger: Trigger
    """What was written."""
    state: Literal["enabled", "disabled", "deleted", "paused"]
    next_at: datetime | None
    """When it fires by itself; `None` where it does not, or is not enabled."""
    tenant: str
    """Whose it is; empty without tenants."""
    parked: str | None
    """Why its schedule waits for an operator, if it does."""
    created_at: datetime
    created: bool = False
    """Whether this very registration made it."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.trigger.name

    @classmethod
    def of(cls, instance: WorkflowInstance) -> Self:
        """The trigger that an instance is."""
        paused = instance.status is Status.PAUSED
        next_at = instance.context.get(NEXT_AT) if instance.state == ENABLED else None
        return cls(
            id=instance.id,
            trigger=trigger_in(instance.context),
            state="paused" if paused else instance.state,  # type: ignore[arg-type]  # the definition's states are these
            next_at=None if next_at is None else datetime.fromisoformat(next_at),
            tenant=instance.tenant,
            parked=next((timer.reason or "tried in vain" for timer in instance.timers if timer.parked), None),
            created_at=instance.created_at,
            created=instance.created,
        )


@dataclass(frozen=True, slots=True)
class Fired:
    """What came of a firing."""

    execution_id: UUID
    created: bool
    """Whether it was started now; under a key that is known it was started before."""


class Answer(StrEnum):
    """What a web door answers a call; which status that is over HTTP, the web packages say."""

    STARTED = "started"
    KNOWN = "known"
    """Its idempotency key was seen before: the execution is the one of then."""
    UNKNOWN_TRIGGER = "unknown_trigger"
    NOT_HTTP = "not_http"
    """The trigger is there, and has no door: it is fired by the clock or by messages."""
    UNAUTHORIZED = "unauthorized"
    DISABLED = "disabled"
    PAUSED = "paused"
    INVALID = "validation_failed"
    TOO_LARGE = "too_large"
    FLOW_NOT_FOUND = "flow_not_found"


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a call."""

    answer: Answer
    execution_id: UUID | None = None
    errors: tuple[InputError, ...] = ()
    """What is wrong with the body, each with its path, message and keyword."""
    detail: str | None = None
    """What else the caller may know."""


class TriggerService:
    """Triggers for one caller: over a `WorkflowService`, whose tenant and name in history it acts under.

    * `book`: the flows that they start.
    * `triggers`: the `TriggerBook` that the runtime was given; making this service binds it, unless `bind=False`.
    * `secrets`: what signatures are verified with, by the names that triggers use.

    A trigger is named by its id or its name. All verbs raise `UnknownTrigger` for what is not there, or of another tenant.
    """

    def __init__(
        self,
        service: WorkflowService,
        book: FlowBook,
        triggers: TriggerBook,
        *,
        secrets: Secrets | None = None,
        bind: bool = True,
    ) -> None:
        self._service = service
        self._flow_book = book
        self._book = triggers
        self._secrets = dict(secrets or {})
        if bind and (service.tenant is None or not triggers.is_bound):
            # What messages and ticks start is not for one tenant's requests to narrow.
            triggers.bind(FlowStarter(service, book), self.hear)

    def for_tenant(self, tenant: str) -> Self:
        """The same service bound to a tenant."""
        return self._over(self._service.for_tenant(tenant))

    def acting(self, **trigger_metadata: JsonValue) -> Self:
        """The same service with more said about who acts and why."""
        return self._over(self._service.acting(**trigger_metadata))

    def _over(self, service: WorkflowService) -> Self:
        """The same over another service. What ticks and messages start is none of its affairs."""
        return type(self)(service, self._flow_book, self._book, secrets=self._secrets, bind=False)

    def open_door(self, kind: str) -> None:
        """Note that this process has a door for triggers of this kind, such as `http`: they are not warned of."""
        self._book.doors.add(kind)

    async def register(self, trigger: Trigger | Mapping[str, Any]) -> RegisteredTrigger:
        """The trigger, kept and at work; under a known name that very trigger, configured anew where it differs.

        Every process may register its triggers at each start. Whether a known one is enabled stays as it is. Raises
        `TriggerInvalid` with all problems, `UnknownFlow`, and `RegistrationInvalid`.
        """
        read = self._zoned(Triggers.read(trigger))
        await self._require_flow(read)
        instance = await self._made(read)
        for problem in self._unheard(read):
            logger.warning("%s", problem.message)
        if not instance.created:
            instance = await self._configured(instance, read)
        return RegisteredTrigger.of(instance)

    async def update(self, trigger: UUID | str, **changes: Any) -> RegisteredTrigger:
        """The trigger with some of its fields changed; its kind, name, tenant and whether it is enabled are not among them.

        A schedule that changes is not made up for. Raises `TriggerInvalid`, `UnknownFlow`, `TriggerDisabled` if it is deleted.
        """
        for name in ("kind", "name", "tenant", "enabled"):
            if name in changes:
                raise InvalidValue(name, "cannot be changed", hint="register another trigger, or enable and disable it")
        while True:
            instance = await self._found(trigger)
            read = self._zoned(Triggers.read({**_written(trigger_in(instance.context)), **changes}))
            await self._require_flow(read)
            # Somebody else may have changed other fields meanwhile: those are not undone.
            with suppress(VersionConflict):
                return RegisteredTrigger.of(await self._configured(instance, read, version=instance.version))

    async def enable(self, trigger: UUID | str) -> RegisteredTrigger:
        """The trigger at work, also where its schedule was given up after vain attempts.

        What fell due while it was disabled is not made up for, but by `backfill`.
        """
        switched = await self._switched(trigger, ENABLE, ENABLED)
        if switched.parked is None:
            return switched
        return RegisteredTrigger.of(await self._service.rearm(switched.id, TICK, reason="enabled"))

    async def disable(self, trigger: UUID | str) -> RegisteredTrigger:
        """The trigger switched off: calls are turned away, messages and instants pass by."""
        return await self._switched(trigger, DISABLE, DISABLED)

    async def pause(self, trigger: UUID | str, reason: str | None = None) -> RegisteredTrigger:
        """The trigger held: calls and messages are to come again later, and what falls due meanwhile is missed, not forgotten."""
        return RegisteredTrigger.of(await self._service.pause((await self._found(trigger)).id, reason=reason))

    async def resume(self, trigger: UUID | str) -> RegisteredTrigger:
        """The trigger at work again; for what it missed, its misfire policy says what becomes of it."""
        return RegisteredTrigger.of(await self._service.resume((await self._found(trigger)).id))

    async def delete(self, trigger: UUID | str) -> RegisteredTrigger:
        """The trigger at its end. Its history stays, its name is free."""
        return await self._switched(trigger, DELETE, DELETED)

    async def get(self, trigger: UUID | str) -> RegisteredTrigger:
        """The trigger as it stands; one that is deleted, by its id."""
        return RegisteredTrigger.of(await self._found(trigger))

    async def fire(
        self, trigger: UUID | str, payload: JsonValue = None, *, idempotency_key: str | None = None
    ) -> Fired:
        """The execution that the trigger starts now, with `payload` under its `context_key`, whatever kind it is.

        Raises `TriggerDisabled`, `InputRefused`, `InstancePaused`, `TriggerUnavailable`, `ContextTooLarge`.
        """
        instance = await self._found(trigger)
        read, value = trigger_in(instance.context), json_value(payload, "payload")
        errors = input_errors(getattr(read, "input_schema", None), value)
        if errors:
            raise InputRefused(read.name, errors)
        return await self._fire(instance, read, Call("manual", value, idempotency_key), body=value)

    async def backfill(self, trigger: UUID | str, start: datetime, end: datetime) -> list[Fired]:
        """An execution for each instant of the schedule from `start` until before `end`; those that were fired already are
        answered, not started again. No more than 10,000 at once; a trigger that is disabled does it as well.

        Raises `InvalidValue`, also where the trigger has no schedule.
        """
        check_instant(start, "start")
        check_instant(end, "end")
        instance = await self._found(trigger)
        read = trigger_in(instance.context)
        if not isinstance(read, CronTrigger):
            raise InvalidValue("trigger", f"{read.name!r} has no schedule to make up for")
        await self._require_flow(read)
        within = ticks_between(read.expression, read.timezone or "UTC", start, end)
        ticks = list(islice(within, MOST_BACKFILLED + 1))
        if len(ticks) > MOST_BACKFILLED:
            raise InvalidValue("end", f"leaves more than {MOST_BACKFILLED:,} instants", hint="backfill in parts")
        fired: list[Fired] = []
        for begin in range(0, len(ticks), AT_ONCE):
            payload = {"ticks": [tick.isoformat() for tick in ticks[begin : begin + AT_ONCE]]}
            fired += _fired(await self._take(instance, read, BACKFILL, payload))
        return fired

    async def history(self, trigger: UUID | str, *, limit: int = 50, before: int | None = None) -> list[Invocation]:
        """Up to `limit` (1 to 1000) invocations, the newest first; `before` a sequence, for the page after."""
        check_limit(limit)
        check_sequence(before)
        instance = await self._found(trigger)
        found: list[Invocation] = []
        async for invocation in self._log(instance.id, before):
            found.append(invocation)
            if len(found) == limit:
                break
        return found

    async def statistics(self, trigger: UUID | str, *, since: datetime | None = None) -> TriggerStatistics:
        """How often the trigger was invoked and what came of it, counted from its history."""
        check_instant(since, "since")
        instance = await self._found(trigger)
        counted: list[Invocation] = []
        async for invocation in self._log(instance.id, None):
            if since is not None and invocation.at < since:
                break
            counted.append(invocation)
        return TriggerStatistics.of(since, counted)

    async def receive(
        self,
        trigger: UUID | str,
        body: bytes,
        headers: Mapping[str, str],
        received_at: datetime | None = None,
    ) -> Received:
        """What a web door answers a call. `body` is what came, byte by byte; `headers` are taken in any case.

        In this order: the trigger is there, is an HTTP one, the signature is right, it is enabled, the body is JSON and what it
        takes. A call that is turned away is logged, without its body until its signature was found right. Raises
        `SecretMissing`, and what keeps the store from doing its work: then the caller is to send it again.
        """
        try:
            instance = await self._found(trigger)
        except UnknownTrigger as error:
            return Received(Answer.UNKNOWN_TRIGGER, detail=error.message)
        read = trigger_in(instance.context)
        if instance.state == DELETED:
            return Received(Answer.UNKNOWN_TRIGGER, detail=UnknownTrigger(str(trigger)).message)
        if not isinstance(read, HttpTrigger):
            return Received(Answer.NOT_HTTP, detail=f"trigger {read.name!r} is not called over HTTP")
        return await self._received(instance, read, body, headers, received_at)

    async def hear(self, delivery: Delivery) -> None:
        """Let the event triggers that hear of a message start their flows, each once for it; what a worker does."""
        failed: Exception | None = None
        async for instance in self._each([ENABLED], {"kind": "event"}):
            read = trigger_in(instance.context)
            if not isinstance(read, EventTrigger) or not _hears(instance, read, delivery):
                continue
            try:
                await self._hear(instance, read, delivery)
            except Exception as error:
                # The others hear of it all the same; those that did start nothing when the message comes again.
                logger.warning("trigger %r could not take message %s: %r", read.name, delivery.message_id, error)
                failed = failed or error
        if failed is not None:
            raise failed

    async def problems(self, *, worker: bool | None = None) -> list[Problem]:
        """What keeps enabled triggers from firing: a door, a secret, a flow, a topic or a worker that is missing.

        Each names its trigger in its `path`. `worker` says whether this process has one; where it does not, that is told of.
        """
        now = self._now()
        found: list[Problem] = []
        async for instance in self._each([ENABLED], {}):
            read = trigger_in(instance.context)
            found += self._missing(read)
            found += self._unheard(read)
            found += _overdue(instance, read, now)
            if worker is False and not isinstance(read, HttpTrigger):
                said = f"trigger {read.name!r} is fired by a worker, and this process has none"
                found.append(Problem(read.name, "no_worker", said, "see to it that one runs elsewhere", "warning"))
        return found

    async def check(self, *, worker: bool | None = None) -> list[Problem]:
        """The same, each logged as a warning; for the start of an application."""
        found = await self.problems(worker=worker)
        for problem in found:
            logger.warning("%s (%s)", problem.message, problem.hint)
        return found

    # ------------------------------------------------------------------------------------------------ receiving

    async def _received(
        self,
        instance: WorkflowInstance,
        read: HttpTrigger,
        body: bytes,
        headers: Mapping[str, str],
        received_at: datetime | None,
    ) -> Received:
        try:
            self._verify(read, body, headers, received_at or self._now())
        except SignatureRefused as error:
            return await self._turned_away(instance, read, Received(Answer.UNAUTHORIZED, detail=error.message), error)
        value, unread = _parsed(body)
        if instance.state != ENABLED:
            return await self._turned_away(instance, read, _disabled(read), body=value)
        key, keyless = key_of(read.idempotency_from, headers, value)
        wrong = [unread] if unread else [*input_errors(read.input_schema, value), *([keyless] if keyless else [])]
        if wrong:
            return await self._turned_away(instance, read, Received(Answer.INVALID, errors=tuple(wrong)), body=value)
        try:
            fired = await self._fire(instance, read, Call("http", value, key), body=value if read.log_bodies else None)
        except TriggerDisabled:
            return _disabled(read)
        except InstancePaused:
            return Received(Answer.PAUSED, detail=f"trigger {read.name!r} is paused")
        except ContextTooLarge as error:
            return Received(Answer.TOO_LARGE, detail=error.message)
        except TriggerUnavailable as error:
            logger.error("%s", error)
            return Received(Answer.FLOW_NOT_FOUND, detail=f"trigger {read.name!r} has no flow to start now")
        return Received(Answer.STARTED if fired.created else Answer.KNOWN, execution_id=fired.execution_id)

    def _verify(self, read: HttpTrigger, body: bytes, headers: Mapping[str, str], now: datetime) -> None:
        wanted = read.signature
        if wanted is None:
            return
        known = self._secrets_of(wanted.secret)
        if not known:
            raise SecretMissing(read.name, wanted.secret)
        verify(wanted.scheme, known, body, headers, now, tolerance=wanted.tolerance)

    async def _turned_away(
        self,
        instance: WorkflowInstance,
        read: HttpTrigger | EventTrigger,
        received: Received,
        error: DetentError | None = None,
        *,
        body: JsonValue = None,
    ) -> Received:
        """The same answer, once it stands in the log."""
        if isinstance(read, HttpTrigger) and not read.log_rejections:
            return received
        told: JsonObject = {"source": read.kind, "status": received.answer.value}
        told["errors"] = [{"path": e.path, "message": e.message, "keyword": e.keyword} for e in received.errors]
        if error is not None:
            told["error"] = {"code": getattr(error, "fault", error.code), "message": error.message}
        if body is not None and getattr(read, "log_bodies", True):
            told["body"] = body
        try:
            await self._take(instance, read, REJECT, told)
        except (TriggerDisabled, InstancePaused):
            logger.info("a call of trigger %r was turned away: %s", read.name, received.answer)
        return received

    async def _hear(self, instance: WorkflowInstance, read: EventTrigger, delivery: Delivery) -> None:
        errors = input_errors(read.input_schema, delivery.payload)
        if errors:
            await self._turned_away(instance, read, Received(Answer.INVALID, errors=errors), body=delivery.payload)
            return
        labels = {"topic": delivery.topic, "message_id": str(delivery.message_id)}
        call = Call("event", delivery.payload, str(delivery.message_id), delivery.tenant, labels)
        try:
            await self._fire(instance, read, call, body=None)
        except TriggerDisabled:
            logger.info("trigger %r was switched off while a message came", read.name)

    # ------------------------------------------------------------------------------------------------ steps

    async def _fire(self, instance: WorkflowInstance, read: Trigger, call: Call, *, body: JsonValue) -> Fired:
        told: JsonObject = {"source": call.source} | ({} if call.key is None else {"key": call.key})
        if body is not None:
            told["body"] = body
        # What was saved elsewhere is learnt of; where there is none, the firing says so.
        with suppress(UnknownFlow):
            await self._require_flow(read)
        return _fired(await self._take(instance, read, FIRE, told, subject=call))[0]

    async def _take(
        self,
        instance: WorkflowInstance,
        read: Trigger,
        event: str,
        payload: JsonObject,
        *,
        subject: Any = None,
        expected_version: int | None = None,
    ) -> TransitionResult:
        try:
            return await self._service.trigger_event(
                instance.id,
                event,
                payload=payload,
                subject=subject,
                expected_version=expected_version,
                workflow=WORKFLOW,
            )
        except EventNotAvailable as error:
            raise TriggerDisabled(read.name, instance.id, error.state) from error

    async def _switched(self, trigger: UUID | str, event: str, state: str) -> RegisteredTrigger:
        instance = await self._found(trigger)
        if instance.state == state:
            return RegisteredTrigger.of(instance)
        return RegisteredTrigger.of((await self._take(instance, trigger_in(instance.context), event, {})).instance)

    async def _made(self, read: Trigger) -> WorkflowInstance:
        """The instance of this name, a new one where there is none but deleted ones."""
        for generation in count(1):
            instance = await self._service.create_instance(
                WORKFLOW,
                context={CONFIG: _written(read), NEXT_AT: None},
                metadata={"name": read.name, "kind": read.kind},
                tenant=read.tenant,
                idempotency_key=_key(read.name, generation),
                idempotency_ttl=_FOREVER,
            )
            if instance.created or instance.state != DELETED:
                return instance
        raise AssertionError("counting ends")  # pragma: no cover - for the types

    async def _configured(
        self, instance: WorkflowInstance, read: Trigger, *, version: int | None = None
    ) -> WorkflowInstance:
        before = trigger_in(instance.context)
        if before.kind != read.kind:
            raise TriggerInvalid(read.name, [_other_kind(before)])
        if _written(before) == _written(read):
            return instance
        return (
            await self._take(instance, read, CONFIGURE, {CONFIG: _written(read)}, expected_version=version)
        ).instance

    # ------------------------------------------------------------------------------------------------ finding

    async def _found(self, trigger: UUID | str) -> WorkflowInstance:
        """The instance that is this trigger, by its id, or by its name the one that is not deleted."""
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

    async def _named(self, name: str) -> WorkflowInstance:
        for generation in count(1):
            found = await self._service.find_by_idempotency_key(WORKFLOW, _key(name, generation))
            if found is None:
                break
            if found.state != DELETED:
                return found
        raise UnknownTrigger(name)

    async def _each(self, states: list[str], metadata: JsonObject) -> AsyncIterator[WorkflowInstance]:
        cursor: str | None = None
        while True:
            page = await self._service.find_instances(
                workflow=WORKFLOW, states=states, metadata=metadata, order="created_at", limit=_PAGE, cursor=cursor
            )
            for instance in page:
                yield instance
            cursor = page.cursor
            if cursor is None:
                return

    async def _log(self, instance_id: UUID, before: int | None) -> AsyncIterator[Invocation]:
        while True:
            entries = await self._service.get_history(instance_id, limit=_PAGE, before=before)
            for entry in entries:
                if entry.event in LOGGED:
                    yield Invocation.of(entry)
            if len(entries) < _PAGE:
                return
            before = entries[-1].sequence

    async def _require_flow(self, read: Trigger) -> None:
        await SavedFlows(self._service, self._flow_book).require(read.flow, read.version)

    # ------------------------------------------------------------------------------------------------ small things

    def _zoned(self, read: Trigger) -> Trigger:
        """The same with what the book and the caller say where it says nothing, so that all processes mean the same."""
        changes: dict[str, Any] = {}
        if isinstance(read, CronTrigger) and read.timezone is None:
            changes["timezone"] = self._book.timezone
        if read.tenant is None and self._service.tenant is not None:
            changes["tenant"] = self._service.tenant
        return read.model_copy(update=changes)

    def _secrets_of(self, name: str) -> list[str]:
        given = self._secrets.get(name, ())
        return [given] if isinstance(given, str) else list(given)

    def _now(self) -> datetime:
        parts = self._service.running().parts
        return parts.now or parts.store.now()

    def _unheard(self, read: Trigger) -> list[Problem]:
        if not isinstance(read, EventTrigger):
            return []
        return [
            Problem(
                read.name,
                "topic_not_heard",
                f"trigger {read.name!r} waits for {topic!r}, and the book of triggers does not hear of that",
                f"TriggerBook(topics=[{topic!r}])",
                "warning",
            )
            for topic in read.topics
            if not self._book.hears(topic)
        ]

    def _missing(self, read: Trigger) -> Iterator[Problem]:
        machines = self._service.running().parts.machines
        if read.flow not in machines.workflows:
            said = f"trigger {read.name!r} starts {read.flow!r}, which this process does not know"
            yield Problem(read.name, "unknown_flow", said, "register or save the flow", "warning")
        if not isinstance(read, HttpTrigger):
            return
        if "http" not in self._book.doors:
            said = f"trigger {read.name!r} is called over HTTP, and this process has no door for it"
            yield Problem(
                read.name, "no_door", said, "mount the webhooks, or see to it that another process does", "warning"
            )
        if read.signature is not None and not self._secrets_of(read.signature.secret):
            missing = SecretMissing(read.name, read.signature.secret)
            yield Problem(read.name, missing.code, missing.message, missing.hint, "warning")

    # The last of the class: behind it `list` would not be the type any more.
    async def list(
        self, *, kind: str | None = None, flow: str | None = None, state: str | None = None
    ) -> list[RegisteredTrigger]:
        """The triggers, by name; those that are deleted only where `state` asks for them."""
        metadata = {} if kind is None else {"kind": kind}
        states = [ENABLED, DISABLED] if state is None else [state]
        found = [RegisteredTrigger.of(instance) async for instance in self._each(states, metadata)]
        wanted = [one for one in found if flow is None or one.trigger.flow == flow]
        return sorted(wanted, key=lambda one: (one.tenant, one.name))


def _fired(result: TransitionResult) -> list[Fired]:
    data: Any = result.commands[0].data
    return [Fired(UUID(one["id"]), one["created"]) for one in data["executions"]]


def _parsed(body: bytes) -> tuple[JsonValue, InputError | None]:
    """The JSON of a body, which is `None` where it is empty, or what is wrong with it."""
    if not body:
        return None, None
    try:
        return json_value(from_json(body, allow_inf_nan=False, cache_strings="none"), "body"), None
    except InvalidValue as error:
        return None, InputError(error.path, error.reason, "json")
    except ValueError as error:
        return None, InputError("", f"is not well-formed JSON: {error}", "json")


def _disabled(read: HttpTrigger) -> Received:
    return Received(Answer.DISABLED, detail=f"trigger {read.name!r} is disabled")


def _hears(instance: WorkflowInstance, read: EventTrigger, delivery: Delivery) -> bool:
    mine = instance.tenant in ("", delivery.tenant)
    return mine and any(fnmatchcase(delivery.topic, topic) for topic in read.topics)


def _overdue(instance: WorkflowInstance, read: Trigger, now: datetime) -> Iterator[Problem]:
    if not isinstance(read, CronTrigger) or instance.status is Status.PAUSED:
        return
    for timer in instance.timers:
        if timer.event == TICK and timer.parked:
            said = f"trigger {read.name!r} is given up: {timer.reason}"
            yield Problem(read.name, "parked", said, "mend the cause, then enable it", "warning")
        elif timer.event == TICK and timer.due < now - read.grace:
            said = f"trigger {read.name!r} was due at {timer.due.isoformat()}, and no worker has fired it"
            yield Problem(read.name, "overdue", said, "does a worker run that fires timeouts?", "warning")


def _other_kind(before: Trigger) -> Problem:
    said = f"there is a trigger of this name already, and it is of kind {before.kind!r}"
    return Problem("kind", "other_kind", said, "delete that one first, or choose another name")


def _written(read: Trigger) -> JsonObject:
    """The trigger as it is kept; whether it is enabled is its state."""
    return read.model_dump(mode="json")


def _key(name: str, generation: int) -> str:
    """Under which key the trigger of a name is made; each time it was deleted the next."""
    return f"{name}:{generation}"


def _id(trigger: UUID | str) -> UUID | None:
    if isinstance(trigger, UUID):
        return trigger
    try:
        return UUID(trigger)
    except ValueError:
        return None
