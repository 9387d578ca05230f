"""The book of triggers: what a runtime has to be given so that triggers live in it, bound afterwards to what starts flows."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Protocol
from uuid import UUID

from detent.definition.model import WorkflowDefinition
from detent.errors import CommandFailed, InvalidValue, NotFound, StoreError, WorkflowUnavailable
from detent.flows.errors import ContextTooLarge
from detent.json_values import JsonObject, JsonValue
from detent.registry.context import CommandContext
from detent.registry.registry import Registry
from detent.registry.results import Goto, Ok
from detent.runtime.subscribers import subscriber
from detent.store.messages import Delivery
from detent.triggers.cron import checked_schedule
from detent.triggers.definition import (
    ARM,
    BACKFILL,
    BEGIN,
    CONFIG,
    CONFIGURE,
    DISABLE,
    ENABLE,
    FIRE,
    LAST_AT,
    NEXT_AT,
    REJECT,
    TICK,
    command_of,
    trigger_definition,
)
from detent.triggers.errors import TriggerUnavailable
from detent.triggers.keys import call_key, tick_key
from detent.triggers.ticking import due, first_tick, same_clock
from detent.triggers.trigger import CronTrigger, Trigger, Triggers

SUBSCRIBER = "detent.triggers"
"""The name under which messages are delivered to event triggers."""
FAULTS = (NotFound, InvalidValue, ContextTooLarge, CommandFailed)
"""What a tick cannot be fired for, now and later: it is noted, and the schedule goes on."""


@dataclass(frozen=True, slots=True)
class Start:
    """One execution that a trigger wants started."""

    trigger: Trigger
    trigger_id: UUID
    tenant: str
    source: str
    """`cron`, `http`, `event`, `manual` or `backfill`."""
    value: JsonValue = None
    """What stands under the trigger's `context_key`."""
    key: str | None = None
    """Of the same key there is one execution."""
    labels: JsonObject = field(default_factory=dict)
    """What its metadata tells besides."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call or a message: handed to the command, and not stored by itself."""

    source: str
    value: JsonValue
    key: str | None = None
    tenant: str | None = None
    """Of the message, where the trigger is nobody's."""
    labels: JsonObject = field(default_factory=dict)


class Starter(Protocol):
    """Starts executions."""

    async def start(self, wanted: Start, connection: object) -> tuple[UUID, bool]:
        """The execution, in the transaction of `connection`, and whether it is new."""
        ...


class TriggerBook:
    """The triggers of a runtime, which is handed what this says.

    ```python
    triggers = TriggerBook(topics=["order.*"])
    runtime = WorkflowRuntime(
        store=…, definitions=[*book.definitions, *triggers.definitions],
        commands=[*book.commands, *triggers.commands], subscribers=triggers.subscribers, adopts=book.adopts,
    )
    service = TriggerService(WorkflowService(runtime), book, triggers)
    ```

    * `timezone`: that of cron triggers which name none.
    * `topics`: patterns of what event triggers may hear of. Each message of such a topic is one more delivery, so that nothing
      is heard unless it is said here.

    It serves one runtime. Raises `InvalidValue`.
    """

    def __init__(self, *, timezone: str = "UTC", topics: Iterable[str] = ()) -> None:
        checked_schedule("0 0 * * *", timezone)
        self.timezone = timezone
        self.topics = (topics,) if isinstance(topics, str) else tuple(topics)
        self.doors: set[str] = set()
        """The kinds of triggers to which this process has a door, such as `http`."""
        self._starter: Starter | None = None
        self._hear: Callable[[Delivery], Awaitable[None]] | None = None
        self._definition = trigger_definition()
        self._registry = Registry()
        commands = {
            BEGIN: self._begin,
            ARM: self._arm,
            CONFIGURE: self._configure,
            TICK: self._tick,
            FIRE: self._fire,
            BACKFILL: self._backfill,
            REJECT: self._reject,
        }
        for name, command in commands.items():
            self._registry.command(command_of(name), command)

    @property
    def definitions(self) -> list[WorkflowDefinition]:
        """The workflow whose instances are triggers."""
        return [self._definition]

    @property
    def commands(self) -> list[Registry]:
        """What it does."""
        return [self._registry]

    @property
    def subscribers(self) -> list[Any]:
        """Who hears of messages for event triggers; nobody, where no topics were named."""
        if not self.topics:
            return []

        @subscriber(*self.topics, name=SUBSCRIBER)
        async def hear(delivery: Delivery) -> None:
            if self._hear is None:
                hint = "make TriggerService(service, book, triggers) before a worker runs"
                raise TriggerUnavailable("of events", "any flow", "no TriggerService was made here", hint=hint)
            await self._hear(delivery)

        return [hear]

    @property
    def is_bound(self) -> bool:
        """Whether a `TriggerService` was made for it, so that triggers can fire."""
        return self._starter is not None

    def bind(self, starter: Starter, hear: Callable[[Delivery], Awaitable[None]]) -> None:
        """Let triggers start flows by `starter`, and messages be heard by `hear`."""
        self._starter, self._hear = starter, hear

    def hears(self, pattern: str) -> bool:
        """Whether all that `pattern` stands for is among the topics."""
        return any(fnmatchcase(pattern, topic) for topic in self.topics)

    def _begin(self, ctx: CommandContext) -> Goto:
        return Goto(ENABLE if _trigger(ctx).enabled else DISABLE)

    def _arm(self, ctx: CommandContext) -> None:
        """What fell due while it was disabled is not made up for."""
        ctx.context[LAST_AT] = ctx.now.isoformat()
        ctx.context[NEXT_AT] = _text(first_tick(_trigger(ctx), ctx.now))

    def _configure(self, ctx: CommandContext) -> None:
        before = _trigger(ctx)
        ctx.context[CONFIG] = ctx.payload[CONFIG]
        if not same_clock(before, _trigger(ctx)):
            self._arm(ctx)

    async def _tick(self, ctx: CommandContext) -> Ok:
        trigger = _trigger(ctx)
        if not isinstance(trigger, CronTrigger):
            raise InvalidValue("trigger", f"{trigger.name!r} has no schedule")
        now = due(trigger, datetime.fromisoformat(ctx.context[LAST_AT]), ctx.now)
        started = [await self._start_tick(ctx, trigger, tick, "cron", kept=True) for tick in now.ticks]
        ctx.context[LAST_AT], ctx.context[NEXT_AT] = _text(now.last_at), _text(now.next_at)
        return _said(started, "cron")

    async def _backfill(self, ctx: CommandContext) -> Ok:
        trigger = _trigger(ctx)
        ticks = [datetime.fromisoformat(tick) for tick in ctx.payload["ticks"]]
        return _said([await self._start_tick(ctx, trigger, tick, "backfill") for tick in ticks], "backfill")

    async def _start_tick(
        self, ctx: CommandContext, trigger: Trigger, tick: datetime, source: str, *, kept: bool = False
    ) -> JsonObject:
        """Start one. A fault that would come again is noted where it is `kept`, and raised otherwise."""
        told = {"scheduled_at": tick.isoformat()}
        key = tick_key(ctx.instance_id, tick)
        wanted = Start(trigger, ctx.instance_id, ctx.tenant, source, value=told, key=key, labels=told)
        try:
            return told | await self._start(ctx, wanted)
        except (StoreError, WorkflowUnavailable):
            raise
        except FAULTS as error:
            if not kept:
                raise
            return told | {"error": {"code": error.code, "message": error.message}}

    async def _fire(self, ctx: CommandContext) -> Ok:
        call = ctx.subject
        if not isinstance(call, Call):
            raise InvalidValue("subject", "is not what a TriggerService hands over", hint="use TriggerService.fire")
        key = None if call.key is None else call_key(ctx.instance_id, call.key)
        tenant = ctx.tenant or call.tenant or ""
        wanted = Start(_trigger(ctx), ctx.instance_id, tenant, call.source, call.value, key, call.labels)
        return _said([await self._start(ctx, wanted)], call.source)

    def _reject(self, ctx: CommandContext) -> Ok:
        """The call stands in the payload, and that into history."""
        return Ok(code=ctx.payload["status"], data={"source": ctx.payload["source"], "executions": []})

    async def _start(self, ctx: CommandContext, wanted: Start) -> JsonObject:
        if self._starter is None:
            hint = "make TriggerService(service, book, triggers) before a worker runs"
            raise TriggerUnavailable(
                wanted.trigger.name, wanted.trigger.flow, "no TriggerService was made here", hint=hint
            )
        execution, created = await self._starter.start(wanted, ctx.connection)
        return {"id": str(execution), "created": created}


def trigger_in(context: JsonObject) -> Trigger:
    """The trigger that an instance is."""
    return Triggers.read(context[CONFIG])


def _trigger(ctx: CommandContext) -> Trigger:
    return trigger_in(ctx.context)


def _said(started: list[JsonObject], source: str) -> Ok:
    """What history tells of a firing."""
    if not started:
        status = "skipped"
    elif any("error" in one for one in started):
        status = "error"
    else:
        status = "success" if any(one["created"] for one in started) else "duplicate"
    return Ok(code=status, data={"source": source, "executions": started})


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
