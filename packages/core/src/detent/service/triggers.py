"""The verbs of triggers: register them, switch them, fire them, take in calls and messages, and read what they did."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from detent.definition.shape import shown
from detent.errors import InvalidValue
from detent.flows.book import FlowBook
from detent.json_values import JsonValue, json_value
from detent.problems import Problem
from detent.runtime.arguments import check_instant, check_limit, check_sequence
from detent.service.kept_triggers import KeptTriggers
from detent.service.registered_trigger import RegisteredTrigger, check_state, read_if_possible, state_of
from detent.service.saved_flows import SavedFlows
from detent.service.service import WorkflowService
from detent.service.trigger_book import TriggerBook
from detent.service.trigger_calls import Call
from detent.service.trigger_checks import TriggerChecks, log_problems
from detent.service.trigger_commands import trigger_in
from detent.service.trigger_door import Answer, Received, TriggerDoor
from detent.service.trigger_firing import Fired, TriggerFiring, ticks_to_make_up
from detent.service.trigger_log import Invocation, TriggerLog
from detent.service.trigger_messages import TriggerMessages
from detent.service.trigger_registration import TriggerRegistration
from detent.service.trigger_secrets import Secrets
from detent.service.trigger_starts import FlowStarter
from detent.service.trigger_statistics import TriggerStatistics
from detent.service.trigger_steps import TriggerSteps
from detent.store.messages import Delivery
from detent.store.records import WorkflowInstance
from detent.triggers.definition import (
    DELETE,
    DELETED,
    DISABLE,
    DISABLED,
    ENABLE,
    ENABLED,
    PAUSE,
    PAUSED,
    TICK,
)
from detent.triggers.errors import InputRefused, UnknownTrigger
from detent.triggers.input_schema import input_errors
from detent.triggers.tally import Tally
from detent.triggers.trigger import CronTrigger, HttpTrigger, Trigger

__all__ = [
    "Answer",
    "Fired",
    "Invocation",
    "Received",
    "RegisteredTrigger",
    "Secrets",
    "TriggerService",
    "TriggerStatistics",
]


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
        self._flows = SavedFlows(service, book)
        self._kept = KeptTriggers(service)
        self._steps = TriggerSteps(service)
        self._firing = TriggerFiring(self._steps, self._flows)
        self._registration = TriggerRegistration(
            self._kept, self._steps, self._flows, timezone=triggers.timezone, tenant=service.tenant
        )
        self._log = TriggerLog(service)
        self._checks = TriggerChecks(service, triggers, self._secrets)
        if bind and (service.tenant is None or not triggers.is_bound):
            # What messages and ticks start is not for one tenant's requests to narrow.
            triggers.bind(FlowStarter(service, book), self.hear)

    def for_tenant(self, tenant: str) -> Self:
        """The same service bound to a tenant."""
        return self._over(self._service.for_tenant(tenant))

    def acting(self, **trigger_metadata: JsonValue) -> Self:
        """The same service with more said about who acts and why."""
        return self._over(self._service.acting(**trigger_metadata))

    def open_door(self, kind: str) -> None:
        """Note that this process has a door for triggers of this kind, such as `http`: they are not warned of."""
        self._book.doors.add(kind)

    async def register(self, trigger: Trigger | Mapping[str, Any]) -> RegisteredTrigger:
        """The trigger, kept and at work; under a known name that very trigger, configured anew where it differs.

        Every process may register its triggers at each start. Whether a known one is enabled stays as it is. Raises
        `TriggerInvalid` with all problems, `UnknownFlow`, and `RegistrationInvalid`.
        """
        instance = await self._registration.register(trigger)
        self._warn_of(instance)
        return RegisteredTrigger.of(instance)

    async def update(self, trigger: UUID | str, **changes: Any) -> RegisteredTrigger:
        """The trigger with some of its fields changed; its kind, name, tenant and whether it is enabled are not among them.

        A schedule that changes is not made up for. Raises `TriggerInvalid`, `UnknownFlow`, `TriggerDisabled` if it is deleted.
        """
        return RegisteredTrigger.of(await self._registration.update(trigger, changes))

    async def enable(self, trigger: UUID | str) -> RegisteredTrigger:
        """The trigger at work from now on, also where it was paused, or its schedule was given up after vain attempts.

        What fell due while it was disabled or paused is not made up for, but by `backfill`.
        """
        instance = await self._kept.find(trigger)
        switched = RegisteredTrigger.of(await self._steps.switch(instance, ENABLE, ENABLED))
        if switched.parked is None:
            return switched
        return RegisteredTrigger.of(await self._service.rearm(switched.id, TICK, reason="enabled"))

    async def disable(self, trigger: UUID | str) -> RegisteredTrigger:
        """The trigger switched off: calls are turned away, messages and instants pass by."""
        return RegisteredTrigger.of(await self._steps.switch(await self._kept.find(trigger), DISABLE, DISABLED))

    async def pause(self, trigger: UUID | str, reason: str | None = None) -> RegisteredTrigger:
        """The trigger held: calls and messages are to come again later, and what falls due meanwhile is missed, not forgotten.

        Raises `TriggerDisabled` where it is not at work.
        """
        instance = await self._kept.find(trigger)
        payload = None if reason is None else {"reason": reason}
        return RegisteredTrigger.of(await self._steps.switch(instance, PAUSE, PAUSED, payload))

    async def resume(self, trigger: UUID | str) -> RegisteredTrigger:
        """The trigger at work again; for what it missed, its misfire policy says what becomes of it."""
        return RegisteredTrigger.of(await self._steps.resume(await self._kept.find(trigger)))

    async def delete(self, trigger: UUID | str) -> RegisteredTrigger:
        """The trigger at its end. Its history stays, its name is free."""
        return RegisteredTrigger.of(await self._steps.switch(await self._kept.find(trigger), DELETE, DELETED))

    async def get(self, trigger: UUID | str) -> RegisteredTrigger:
        """The trigger as it stands; one that is deleted, by its id."""
        return RegisteredTrigger.of(await self._kept.find(trigger))

    async def fire(
        self, trigger: UUID | str, payload: JsonValue = None, *, idempotency_key: str | None = None
    ) -> Fired:
        """The execution that the trigger starts now, with `payload` under its `context_key`, whatever kind it is.

        Raises `TriggerDisabled`, `InputRefused`, `InstancePaused`, `TriggerUnavailable`, `ContextTooLarge`.
        """
        instance = await self._kept.find(trigger)
        read, value = trigger_in(instance.context), json_value(payload, "payload")
        errors = input_errors(getattr(read, "input_schema", None), value)
        if errors:
            raise InputRefused(read.name, errors)
        return await self._firing.fire(instance, read, Call("manual", value, idempotency_key), body=value)

    async def backfill(self, trigger: UUID | str, start: datetime, end: datetime) -> list[Fired]:
        """An execution for each instant of the schedule from `start` until before `end`; those that were fired already are
        answered, not started again. No more than 10,000 at once, and none that is still to come; a trigger that is disabled or
        paused does it as well.

        Raises `InvalidValue`, also where the trigger has no schedule.
        """
        check_instant(start, "start")
        check_instant(end, "end")
        instance = await self._kept.find(trigger)
        read = trigger_in(instance.context)
        if not isinstance(read, CronTrigger):
            raise InvalidValue("trigger", f"{read.name!r} has no schedule to make up for")
        await self._flows.require(read.flow, read.version)
        return await self._firing.backfill(instance, ticks_to_make_up(read, start, end, self._now()))

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
        `InvalidValue` for a body that is not bytes, `SecretMissing`, and what keeps the store from doing its work: then the
        caller is to send it again.
        """
        if not isinstance(body, bytes | bytearray | memoryview):
            raise InvalidValue("body", f"is {shown(body)}", hint="pass the bytes that came: those are signed")
        try:
            instance = await self._kept.find(trigger)
        except UnknownTrigger as error:
            return Received(Answer.UNKNOWN_TRIGGER, detail=error.message)
        if state_of(instance) == DELETED:
            return Received(Answer.UNKNOWN_TRIGGER, detail=UnknownTrigger(str(trigger)).message)
        read = trigger_in(instance.context)
        if not isinstance(read, HttpTrigger):
            return Received(Answer.NOT_HTTP, detail=f"trigger {read.name!r} is not called over HTTP")
        door = TriggerDoor(self._firing, self._secrets)
        return await door.receive(instance, read, bytes(body), headers, received_at or self._now())

    async def hear(self, delivery: Delivery) -> None:
        """Let the event triggers that hear of a message start their flows, each once for it; what a worker does."""
        await TriggerMessages(self._kept, self._firing).hear(delivery)

    async def history(self, trigger: UUID | str, *, limit: int = 50, before: int | None = None) -> list[Invocation]:
        """Up to `limit` (1 to 1000) invocations, the newest first; `before` a sequence, for the page after."""
        check_limit(limit)
        check_sequence(before)
        instance = await self._kept.find(trigger)
        return await self._log.newest(instance.id, limit=limit, before=before)

    async def statistics(self, trigger: UUID | str, *, since: datetime | None = None) -> TriggerStatistics:
        """How often the trigger was invoked and what came of it, at `since` or later.

        It is counted as it is logged, so that this reads the trigger itself, and with `since` a handful of entries of its log,
        however long that is.
        """
        check_instant(since, "since")
        instance = await self._kept.find(trigger)
        tally = Tally.of(instance.context)
        if since is not None:
            tally = tally.after(await self._log.tally_before(instance.id, since, instance.version))
        return TriggerStatistics.of(since, tally)

    async def problems(self, *, worker: bool | None = None) -> list[Problem]:
        """What keeps enabled triggers from firing: a door, a secret, a flow, a topic or a worker that is missing.

        Each names its trigger in its `path`. `worker` says whether this process has one; where it does not, that is told of.
        """
        now = self._now()
        found: list[Problem] = []
        async for instance in self._kept.each([ENABLED]):
            found += self._checks.problems(instance, now, worker=worker)
        return found

    async def check(self, *, worker: bool | None = None) -> list[Problem]:
        """The same, each logged as a warning; for the start of an application. What is registered later is then warned of too."""
        self._book.checked, self._book.worker = True, worker
        return log_problems(await self.problems(worker=worker))

    def _warn_of(self, instance: WorkflowInstance) -> None:
        """Tell of what keeps it from firing here: all of it where the application has asked that of the others."""
        if self._book.checked:
            log_problems(self._checks.problems(instance, self._now(), worker=self._book.worker))
        else:
            log_problems(self._checks.unheard(trigger_in(instance.context)))

    def _over(self, service: WorkflowService) -> Self:
        """The same over another service. What ticks and messages start is none of its affairs."""
        return type(self)(service, self._flow_book, self._book, secrets=self._secrets, bind=False)

    def _now(self) -> datetime:
        parts = self._service.running().parts
        return parts.present

    # The last of the class: behind it `list` would not be the type any more.
    async def list(
        self, *, kind: str | None = None, flow: str | None = None, state: str | None = None
    ) -> list[RegisteredTrigger]:
        """The triggers, by name: those that are `enabled`, `disabled` or `paused`, or of one `state`; those that are `deleted`
        only where that is asked for. One that this process cannot read is left out; `problems` tells of it. Raises
        `InvalidValue` for a state that there is not.
        """
        check_state(state)
        kept = [read_if_possible(each) async for each in self._kept.each(kind=kind, ended=state == DELETED)]
        found = [one for one in kept if one is not None]
        wanted = [one for one in found if state in (None, one.state) and flow in (None, one.trigger.flow)]
        return sorted(wanted, key=lambda one: (one.tenant, one.name))
