"""The birth of an instance: its first entry, and whatever follows its first state by itself."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from detent.runtime.children import Children
from detent.runtime.creation_order import CreationOrder
from detent.runtime.draft import Draft
from detent.runtime.injection import Transition
from detent.runtime.lending import lent_step
from detent.runtime.parts import Parts
from detent.runtime.performer import Performer, run_in_place
from detent.runtime.reentrancy import step_of
from detent.runtime.step import creation_step
from detent.store.protocol import Existing, Unit
from detent.store.records import WorkflowInstance


class Creation:
    """Creates instances. One per runtime."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.children = Children(self.create, parts.machines, parts.store, parts.clock)
        """Starts instances on behalf of commands."""

    async def create(self, order: CreationOrder) -> WorkflowInstance:
        """The new instance, or with `created=False` the one that its idempotency key found."""
        connection = order.attempt.caller.connection
        if connection is not None:
            return await self._traced(order, lambda: self._joined(order, connection))
        if order.needs_lock:
            locked = self._traced(order, lambda: self._parts.repeated(lambda: self._own(order)))
            return await self._parts.unbroken(locked)
        # The store sees to it that a fast creation is not torn, so that it needs no task of its own.
        with self._parts.underway:
            await self._parts.observers.have_their_turn()
            return await self._traced(order, lambda: self._fast(order))

    async def _traced(
        self, order: CreationOrder, create: Callable[[], Awaitable[WorkflowInstance]]
    ) -> WorkflowInstance:
        attempt, instrument, workflow = order.attempt, self._parts.instrument, order.machine.workflow
        with instrument.transition(
            workflow=workflow, event=attempt.event, instance_id=attempt.instance_id, by="caller"
        ) as span:
            attempt.within(span, instrument.carrier())
            span.began(workflow=workflow, from_state=None)
            return await create()

    async def _fast(self, order: CreationOrder) -> WorkflowInstance:
        draft = order.draft(self._parts.present, self._parts.settings)
        step = creation_step(draft, max_chain=self._parts.settings.max_chain, write_first=False)
        run_in_place(step, self._parts.calls, order.attempt)
        existing = await self._parts.store.create(
            self._parts.concluded(draft), after_commit=lambda: self._parts.reported(draft)
        )
        return _answer(order, draft, existing)

    async def _own(self, order: CreationOrder) -> WorkflowInstance:
        async with self._parts.store.transaction(None, now=self._parts.now) as unit:
            return await self._perform(order, unit)

    async def _joined(self, order: CreationOrder, connection: object) -> WorkflowInstance:
        with lent_step(self._parts):
            async with self._parts.store.join(connection, None, now=self._parts.now) as unit:
                return await self._perform(order, unit)

    async def _perform(self, order: CreationOrder, unit: Unit) -> WorkflowInstance:
        draft = order.draft(unit.now, self._parts.settings)
        transition = Transition(draft.instance.id, draft.machine.workflow, unit.connection)
        step = creation_step(draft, max_chain=self._parts.settings.max_chain, write_first=order.needs_lock)
        with step_of(self._parts, draft.instance.id):
            async with self._parts.injector.open(transition) as scope:
                performer = Performer(
                    self._parts.calls, order.attempt, unit, scope, self.children, self._parts.instrument
                )
                await performer.run(step)
        await unit.flush()
        existing = performer.existing
        if existing is None and draft.entries:
            existing = await unit.write(self._parts.concluded(draft))
        if existing is None:
            unit.after_commit(lambda: self._parts.reported(draft))
        return _answer(order, draft, existing)


def _answer(order: CreationOrder, draft: Draft, existing: Existing | None) -> WorkflowInstance:
    instance = draft.instance if existing is None else existing.instance
    order.attempt.span.took(
        outcome=draft.outcome, to_state=instance.state, run_id=instance.run_id, replayed=existing is not None
    )
    if existing is None:
        return replace(instance, created=True)
    if order.idempotency is not None:
        order.idempotency.check_same_request(existing.receipt)
    return instance
