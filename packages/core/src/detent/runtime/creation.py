"""The birth of an instance: its first entry, and whatever follows its first state by itself."""

from dataclasses import replace
from datetime import datetime, timedelta

from detent.errors import StepRolledBack, StoreUnavailable
from detent.ids import new_id
from detent.json_values import JsonObject, json_object
from detent.machine.machine import Machine
from detent.runtime.attempt import CREATED, Attempt, new_attempt
from detent.runtime.draft import Draft, unborn
from detent.runtime.injection import Transition
from detent.runtime.parts import Parts
from detent.runtime.performer import Performer, run_in_place
from detent.runtime.receipts import check_same_request, checked_fingerprint, creation_key, creation_receipt
from detent.runtime.reentrancy import inside_a_step, step_of
from detent.runtime.step import creation_step
from detent.store.change import PutReceipt
from detent.store.protocol import Existing, Unit
from detent.store.records import ReceiptKey, WorkflowInstance


class CreationOrder:
    """What was asked to be created, checked and copied."""

    def __init__(
        self,
        machine: Machine,
        *,
        context: object,
        metadata: object,
        key: str | None,
        fingerprint: str | None,
        trigger_metadata: object,
    ) -> None:
        self.machine = machine
        self.context: JsonObject = json_object(context, "context")
        self.metadata: JsonObject = json_object(metadata, "metadata")
        self.key: ReceiptKey | None = None if key is None else creation_key(machine.workflow, key)
        self.fingerprint = checked_fingerprint(key, fingerprint)
        self.attempt: Attempt = new_attempt(
            new_id(), CREATED, subject=None, payload=None, trigger_metadata=trigger_metadata
        )

    @property
    def needs_lock(self) -> bool:
        """Whether commands run at the entry of the initial state."""
        return self.machine.locked.entry(self.machine.definition.initial_state)

    def draft(self, now: datetime, keep_receipts: timedelta) -> Draft:
        """A fresh draft of the instance, with the receipt of its key."""
        self.attempt.restart()
        instance_id = self.attempt.instance_id
        effects: tuple[PutReceipt, ...] = ()
        if self.key is not None:
            effects = (PutReceipt(creation_receipt(self.key, instance_id, self.fingerprint, now, keep_receipts)),)
        instance = unborn(self.machine, instance_id, self.context, self.metadata, now)
        return Draft(self.machine, instance, self.attempt, now, effects)


class Creation:
    """Creates instances. One per runtime."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(self, order: CreationOrder, *, connection: object | None) -> WorkflowInstance:
        """The new instance, or with `created=False` the one that its idempotency key found."""
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
            self._parts.observers.report(draft.instance, draft.all_entries)
        return _answer(order, draft, existing)

    async def _own(self, order: CreationOrder) -> WorkflowInstance:
        async with self._parts.store.transaction(None, now=self._parts.now) as unit:
            return await self._perform(order, unit)

    async def _joined(self, order: CreationOrder, connection: object) -> WorkflowInstance:
        try:
            async with self._parts.store.join(connection, None, now=self._parts.now) as unit:
                return await self._perform(order, unit)
        except StepRolledBack as lost:
            if inside_a_step(self._parts):
                # The step around this one is repeated as a whole.
                raise
            raise StoreUnavailable(lost.reason) from lost

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
            unit.after_commit(lambda: self._parts.observers.report(draft.instance, draft.all_entries))
        return _answer(order, draft, existing)


def _answer(order: CreationOrder, draft: Draft, existing: Existing | None) -> WorkflowInstance:
    if existing is None:
        return replace(draft.instance, created=True)
    check_same_request(existing.receipt, order.fingerprint)
    return existing.instance
