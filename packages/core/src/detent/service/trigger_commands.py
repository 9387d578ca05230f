"""The commands of the workflow whose instances are triggers: what each event does, logs and counts, in its own commit."""

from datetime import datetime

from detent.errors import CommandFailed, InvalidValue, NotFound, StoreError, WorkflowUnavailable
from detent.flows.errors import ContextTooLarge
from detent.json_values import JsonObject
from detent.registry.context import CommandContext
from detent.registry.registry import Registry
from detent.registry.results import Goto, Ok
from detent.service.trigger_calls import Call, Start, Starter
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
    TALLY,
    TICK,
    command_of,
)
from detent.triggers.errors import TriggerInvalid, TriggerUnavailable
from detent.triggers.keys import call_key, tick_key
from detent.triggers.status import status_of
from detent.triggers.tally import Tally
from detent.triggers.ticking import due, first_tick, same_clock
from detent.triggers.trigger import CronTrigger, Trigger, Triggers

FAULTS = (NotFound, InvalidValue, ContextTooLarge, CommandFailed)
"""What a flow cannot be started for, now and later: it is logged, and a schedule goes on."""


class TriggerCommands:
    """What a trigger does; what it starts, it starts by `starter`, which is there once a `TriggerService` was made."""

    def __init__(self) -> None:
        self.starter: Starter | None = None

    def registry(self) -> Registry:
        """The commands, by name."""
        registry = Registry()
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
            registry.command(command_of(name), command)
        return registry

    def _begin(self, ctx: CommandContext) -> Goto:
        return Goto(ENABLE if _trigger(ctx).enabled else DISABLE)

    def _arm(self, ctx: CommandContext) -> None:
        """What fell due while it was disabled is not made up for."""
        ctx.context[LAST_AT] = ctx.now.isoformat()
        ctx.context[NEXT_AT] = _text(first_tick(_trigger(ctx), ctx.now))

    def _configure(self, ctx: CommandContext) -> None:
        try:
            before = _trigger(ctx)
        except TriggerInvalid:
            # Written where more was installed, or less was asked: to configure it anew is what mends it.
            before = None
        ctx.context[CONFIG] = ctx.payload[CONFIG]
        if before is None or not same_clock(before, _trigger(ctx)):
            self._arm(ctx)

    async def _tick(self, ctx: CommandContext) -> Ok:
        trigger = _trigger(ctx)
        if not isinstance(trigger, CronTrigger):
            raise InvalidValue("trigger", f"{trigger.name!r} has no schedule")
        now = due(trigger, datetime.fromisoformat(ctx.context[LAST_AT]), ctx.now)
        started = [await self._kept_tick(ctx, trigger, tick) for tick in now.ticks]
        ctx.context[LAST_AT], ctx.context[NEXT_AT] = _text(now.last_at), _text(now.next_at)
        return _logged(ctx, "cron", started)

    async def _backfill(self, ctx: CommandContext) -> Ok:
        trigger = _trigger(ctx)
        ticks = [datetime.fromisoformat(tick) for tick in ctx.payload["ticks"]]
        return _logged(ctx, "backfill", [await self._start_tick(ctx, trigger, tick, "backfill") for tick in ticks])

    async def _fire(self, ctx: CommandContext) -> Ok:
        call = ctx.subject
        if not isinstance(call, Call):
            raise InvalidValue("subject", "is not what a TriggerService hands over", hint="use TriggerService.fire")
        call.error = None
        try:
            started = await self._start_call(ctx, call)
        except StoreError:
            raise
        except (*FAULTS, WorkflowUnavailable) as error:
            call.error, started = error, _refused(error)
        return _logged(ctx, call.source, [started])

    def _reject(self, ctx: CommandContext) -> Ok:
        """The call stands in the payload, and that in history."""
        return _logged(ctx, ctx.payload["source"], [], status=ctx.payload["status"])

    async def _kept_tick(self, ctx: CommandContext, trigger: Trigger, tick: datetime) -> JsonObject:
        """What came of one tick. A fault that would come again is told; for the others the tick is to stay due."""
        try:
            return await self._start_tick(ctx, trigger, tick, "cron")
        except (StoreError, WorkflowUnavailable):
            raise
        except FAULTS as error:
            return {"scheduled_at": tick.isoformat(), **_refused(error)}

    async def _start_tick(self, ctx: CommandContext, trigger: Trigger, tick: datetime, source: str) -> JsonObject:
        told = {"scheduled_at": tick.isoformat()}
        key = tick_key(ctx.instance_id, tick)
        wanted = Start(trigger, ctx.instance_id, ctx.tenant, source, value=told, key=key, labels=told)
        return told | await self._start(ctx, wanted)

    async def _start_call(self, ctx: CommandContext, call: Call) -> JsonObject:
        key = None if call.key is None else call_key(ctx.instance_id, call.key)
        tenant = ctx.tenant or call.tenant or ""
        wanted = Start(_trigger(ctx), ctx.instance_id, tenant, call.source, call.value, key, call.labels)
        return await self._start(ctx, wanted)

    async def _start(self, ctx: CommandContext, wanted: Start) -> JsonObject:
        if self.starter is None:
            hint = "make TriggerService(service, book, triggers) before a worker runs"
            raise TriggerUnavailable(
                wanted.trigger.name, wanted.trigger.flow, "no TriggerService was made here", hint=hint
            )
        execution, created = await self.starter.start(wanted, ctx.connection)
        return {"id": str(execution), "created": created}


def trigger_in(context: JsonObject) -> Trigger:
    """The trigger that an instance is."""
    return Triggers.read(context[CONFIG])


def _trigger(ctx: CommandContext) -> Trigger:
    return trigger_in(ctx.context)


def _logged(ctx: CommandContext, source: str, started: list[JsonObject], *, status: str | None = None) -> Ok:
    """What history tells of an invocation, which is counted with it."""
    became = status or status_of(started)
    created = sum(one.get("created", False) for one in started)
    ctx.context[TALLY] = tally = Tally.of(ctx.context).and_one(became, created, ctx.now).to_json()
    return Ok(code=became, data={"source": source, "executions": started, TALLY: tally})


def _refused(error: NotFound | InvalidValue | ContextTooLarge | CommandFailed | WorkflowUnavailable) -> JsonObject:
    return {"error": {"code": error.code, "message": error.message}}


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
