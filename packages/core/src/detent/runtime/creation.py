"""The birth of an instance: its first entry, and whatever follows its first state by itself."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from detent.ids import new_id
from detent.json_values import JsonObject, json_object
from detent.machine.machine import Machine
from detent.runtime.attempt import Attempt, new_attempt
from detent.runtime.caller import Caller
from detent.runtime.draft import Draft, unborn
from detent.runtime.event_names import CREATED
from detent.runtime.injection import Transition
from detent.runtime.lending import lent_step
from detent.runtime.parts import Parts
from detent.runtime.performer import Performer, run_in_place
from detent.runtime.receipts import Idempotency
from detent.runtime.reentrancy import step_of
from detent.runtime.step import creation_step
from detent.store.change import PutReceipt
from detent.store.protocol import Existing, Unit
from detent.store.records import WorkflowInstance


class CreationOrder:
    """What was asked to be created, checked and copied."""

    def __init__(
        self,
        machine: Machine,
        caller: Caller,
        *,
        context: object,
        metadata: object,
        tenant: str | None,
        parent_id: UUID | None,
        key: str | None,
        fingerprint: str | None,
    ) -> None:
        self.machine = machine
        self.context: JsonObject = json_object(context, "context")
        self.metadata: JsonObject = json_object(metadata, "metadata")
        self.tenant = caller.tenant_of_new(tenant)
        self.parent_id = parent_id
        self.idempotency = Idempotency.of_creation(machine.workflow, self.tenant, key, fingerprint)
        self.attempt: Attempt = new_attempt(new_id(), CREATED, caller)

    @property
    def needs_lock(self) -> bool:
        """Whether commands run at the entry of the initial state."""
        return self.machine.locked.entry(self.machine.definition.initial_state)

    def draft(self, now: datetime, keep_receipts: timedelta) -> Draft:
        """A fresh draft of the instance, with the receipt of its key."""
        self.attempt.restart()
        instance_id = self.attempt.instance_id
        effects: tuple[PutReceipt, ...] = ()
        if self.idempotency is not None:
            effects = (PutReceipt(self.idempotency.receipt(instance_id, {}, now, keep_receipts)),)
        instance = unborn(
            self.machine, instance_id, self.context, self.metadata, now, tenant=self.tenant, parent_id=self.parent_id
        )
        return Draft(self.machine, instance, self.attempt, now, effects)


class Creation:
    """Creates instances. One per runtime."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(self, order: CreationOrder) -> WorkflowInstance:
        """The new instance, or with `created=False` the one that its idempotency key found."""
        connection = order.attempt.caller.connection
        if connection is not None:
            return await self._joined(order, connection)
        if order.needs_lock:
            return await self._parts.unbroken(self._parts.repeated(lambda: self._own(order)))
        return await self._parts.unbroken(self._fast(order))

    async def _fast(self, order: CreationOrder) -> WorkflowInstance:
        draft = order.draft(self._parts.now or self._parts.store.now(), self._parts.settings.keep_receipts)
        step = creation_step(draft, max_chain=self._parts.settings.max_chain, write_first=False)
        run_in_place(step, self._parts.calls, order.attempt)
        existing = await self._parts.store.create(draft.change())
        if existing is None:
            self._report(draft)
        return _answer(order, draft, existing)

    async def _own(self, order: CreationOrder) -> WorkflowInstance:
        async with self._parts.store.transaction(None, now=self._parts.now) as unit:
            return await self._perform(order, unit)

    async def _joined(self, order: CreationOrder, connection: object) -> WorkflowInstance:
        with lent_step(self._parts):
            async with self._parts.store.join(connection, None, now=self._parts.now) as unit:
                return await self._perform(order, unit)

    async def _perform(self, order: CreationOrder, unit: Unit) -> WorkflowInstance:
        draft = order.draft(unit.now, self._parts.settings.keep_receipts)
        transition = Transition(draft.instance.id, draft.machine.workflow, unit.connection)
        step = creation_step(draft, max_chain=self._parts.settings.max_chain, write_first=order.needs_lock)
        with step_of(self._parts, draft.instance.id):
            async with self._parts.injector.open(transition) as scope:
                performer = Performer(self._parts.calls, order.attempt, unit, scope)
                await performer.run(step)
        await unit.flush()
        existing = performer.existing
        if existing is None and draft.entries:
            existing = await unit.write(draft.change())
        if existing is None:
            unit.after_commit(lambda: self._report(draft))
        return _answer(order, draft, existing)

    def _report(self, draft: Draft) -> None:
        self._parts.observers.report(draft.instance, draft.all_entries, draft.attempt.took)


def _answer(order: CreationOrder, draft: Draft, existing: Existing | None) -> WorkflowInstance:
    if existing is None:
        return replace(draft.instance, created=True)
    if order.idempotency is not None:
        order.idempotency.check_same_request(existing.receipt)
    return existing.instance
