"""Executions started for triggers, in the commit of the trigger's own step."""

from uuid import UUID

from detent.flows.book import FlowBook
from detent.json_values import JsonObject
from detent.service.flow_starts import begin_flow
from detent.service.service import WorkflowService
from detent.service.trigger_calls import Start
from detent.triggers.errors import TriggerUnavailable
from detent.triggers.trigger import Trigger

KEEP_KEYS = "366d"
"""How long a trigger remembers what it was fired for."""


class FlowStarter:
    """Starts flows of one book; a `Starter`."""

    def __init__(self, service: WorkflowService, book: FlowBook) -> None:
        self._service = service
        self._book = book

    async def start(self, wanted: Start, connection: object) -> tuple[UUID, bool]:
        """The execution and whether it is new, in the transaction of `connection`.

        It reads nothing outside of that transaction, which would need a second connection while the first is held. Raises
        `TriggerUnavailable` where this process does not know the flow, and what `begin_flow` raises.
        """
        trigger = wanted.trigger
        self._require(trigger)
        acting = self._service.acting(source="trigger", trigger=trigger.name)
        instance = await begin_flow(
            acting.within(connection),
            self._book,
            trigger.flow,
            context_of(trigger, wanted),
            metadata={"trigger": trigger.name, "trigger_id": str(wanted.trigger_id), **wanted.labels},
            tenant=wanted.tenant or None,
            idempotency_key=wanted.key,
            idempotency_ttl=None if wanted.key is None else KEEP_KEYS,
            version=trigger.version,
        )
        return instance.id, instance.created

    def _require(self, trigger: Trigger) -> None:
        machines = self._service.running().parts.machines
        known = (
            trigger.flow in machines.workflows
            if trigger.version is None
            else machines.is_registered(trigger.flow, trigger.version)
        )
        if not known:
            reason = "this process does not know the flow" + (
                f" in version {trigger.version}" if trigger.version else ""
            )
            raise TriggerUnavailable(trigger.name, trigger.flow, reason, hint="register or save it")


def context_of(trigger: Trigger, wanted: Start) -> JsonObject:
    """What the execution begins with: what the trigger always says, and what it was fired with."""
    given = dict(trigger.static_context)
    if trigger.context_key is not None:
        given[trigger.context_key] = wanted.value
    return given
