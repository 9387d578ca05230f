"""The verbs on one instance: create it, let it take events, and look at it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

from detent.definition.model import WorkflowDefinition
from detent.errors import InstanceNotFound, InvalidValue
from detent.json_values import JsonObject, JsonValue
from detent.machine.machine import Machine
from detent.problems import did_you_mean
from detent.runtime.arguments import check_limit, check_period, check_sequence, id_of
from detent.runtime.attempt import new_attempt
from detent.runtime.availability import AvailableEvent, available_events
from detent.runtime.creation_order import CreationOrder
from detent.runtime.firing import SweepReport
from detent.runtime.intent import TakeEvent
from detent.runtime.receipts import Idempotency, checked_key, creation_scope
from detent.runtime.result import TransitionResult
from detent.runtime.verbs import Verbs
from detent.store.records import HistoryEntry, ReceiptKey, WorkflowInstance


class InstanceVerbs(Verbs):
    """Create instances, trigger events, and read."""

    async def create_instance(
        self,
        workflow: str,
        *,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        tenant: str | None = None,
        parent: UUID | str | WorkflowInstance | None = None,
        idempotency_key: str | None = None,
        idempotency_fingerprint: str | None = None,
        idempotency_ttl: timedelta | str | None = None,
        version: str | None = None,
        entry: str | None = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> WorkflowInstance:
        """A new instance of the newest version of `workflow`, or of `version`, in the state its entry chain leads to.

        It begins in the initial state, or in the one that the definition calls `entry`. `context` wins over that state's own;
        `metadata` are labels that never change; `trigger_metadata` says who
        and why, for history. `tenant` is whose instance it is, where the caller is not bound to one; `parent` the instance
        it is made for. With an `idempotency_key` that this workflow has seen for this tenant, the instance it made then is
        answered, with `created=False`; under another `idempotency_fingerprint`, a text that says what identifies the
        request, it is refused as an `IdempotencyConflict`. A key is known for `idempotency_ttl`, by default for
        `Settings.keep_receipts`. `connection` lends a transaction: the caller commits.

        Raises `UnknownWorkflow`, `WorkflowUnavailable`, `InvalidValue` before anything runs, `CommandFailed` when a command of
        the entry fails without an `error` target, and what commands raise; then no instance exists.
        """
        running = self.running()
        machines = running.parts.machines
        machine = machines.latest(workflow) if version is None else machines.version(workflow, version)
        running.parts.machines.require_available(workflow)
        order = CreationOrder(
            machine,
            self._caller.saying(trigger_metadata, connection=connection),
            context=context,
            metadata=metadata,
            tenant=tenant,
            parent_id=None if parent is None else id_of(parent, "parent"),
            key=idempotency_key,
            fingerprint=idempotency_fingerprint,
            keep_key=None if idempotency_ttl is None else check_period(idempotency_ttl, "idempotency_ttl"),
            state=None if entry is None else _state_of(machine, entry),
        )
        return await running.creation.create(order)

    async def trigger_event(
        self,
        instance_id: UUID | str | WorkflowInstance,
        name: str,
        *,
        subject: Any = None,
        payload: JsonValue = None,
        idempotency_key: str | None = None,
        idempotency_fingerprint: str | None = None,
        expected_version: int | None = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
        workflow: str | None = None,
    ) -> TransitionResult:
        """Take the event `name`, with everything that follows by itself, in one commit.

        `subject` is handed to commands and guards and never stored; `payload` is JSON, checked by the event's model and kept
        in history with `trigger_metadata`. `connection` lends a transaction: the caller commits, and observers wait for it.
        `workflow`, the instance's, saves a read where commands run; handles learn it, and an instance passed as the id has it.

        Under an `idempotency_key` that this instance has seen, the answer it got then comes back, `replayed`, and nothing
        runs, wherever the instance is by now; for another event or another `idempotency_fingerprint` it is an
        `IdempotencyConflict`. Refusals are remembered too; what raised is not. With `expected_version` nothing happens unless
        the instance is at that version: `VersionConflict`.

        A guard's no is an answer, `outcome="refused"`. Raises `InstanceNotFound`, `EventNotAvailable`, `InstancePaused`,
        `InstanceBusy`, `InvalidValue`, `CommandFailed`, and what commands raise; then state, context and deadlines are as
        before.
        """
        running = self.running()
        if isinstance(instance_id, WorkflowInstance):
            workflow = instance_id.workflow
        identity = id_of(instance_id)
        attempt = new_attempt(
            identity,
            name,
            self._caller.saying(trigger_metadata, connection=connection),
            subject=subject,
            payload=payload,
            expected_version=expected_version,
            idempotency=Idempotency.of_event(identity, idempotency_key, idempotency_fingerprint),
        )
        return await running.execution.take(TakeEvent(attempt), workflow=workflow)

    async def get_instance(
        self, instance_id: UUID | str | WorkflowInstance, *, connection: object | None = None
    ) -> WorkflowInstance:
        """The instance as last committed, or as the transaction that `connection` lends sees it. Raises `InstanceNotFound`."""
        identity, caller = id_of(instance_id), self._caller.saying(None, connection=connection)
        found = await self.running().parts.store.load(identity, outside=caller.connection)
        if found is None or not caller.may_see(found):
            raise InstanceNotFound(identity)
        return found

    async def find_by_idempotency_key(
        self, workflow: str, key: str, *, tenant: str | None = None, connection: object | None = None
    ) -> WorkflowInstance | None:
        """The instance that was created under `key`, as it is now; `None` when there is none or the key has expired."""
        parts, caller = self.running().parts, self._caller.saying(None, connection=connection)
        sought = ReceiptKey(creation_scope(workflow), checked_key(key), caller.tenant_of_new(tenant))
        found = await parts.store.recall(sought, now=parts.now, outside=caller.connection)
        return found.instance if found else None

    async def get_available_events(
        self, instance_id: UUID | str | WorkflowInstance, *, connection: object | None = None
    ) -> list[AvailableEvent]:
        """The events the instance's state declares, each with whether it would pass now, and why not.

        Guards are asked as for an event without payload and subject. Raises `InstanceNotFound`.
        """
        running = self.running()
        record = await self.get_instance(instance_id, connection=connection)
        machine = await running.execution.machine_of(record)
        return await available_events(running.parts, machine, record)

    async def get_history(
        self,
        instance_id: UUID | str | WorkflowInstance,
        *,
        limit: int = 50,
        before: int | None = None,
        connection: object | None = None,
    ) -> Sequence[HistoryEntry]:
        """Up to `limit` (1 to 1000) history entries, the newest first; `before` a sequence, for the page after.

        Raises `InstanceNotFound`, and `InvalidValue` for a limit out of range.
        """
        identity, caller = id_of(instance_id), self._caller.saying(None, connection=connection)
        check_limit(limit)
        check_sequence(before)
        store = self.running().parts.store
        if caller.tenant is not None:
            await self.get_instance(identity, connection=connection)
        entries = await store.history(identity, limit=limit, before=before, outside=caller.connection)
        if not entries and caller.tenant is None:
            await self.get_instance(identity, connection=connection)
        return entries

    async def process_timeouts(self, *, limit: int = 100) -> SweepReport:
        """Fire up to `limit` due timeouts and say what became of them. Any number of processes may do so at once."""
        check_limit(limit, most=1_000_000)
        return await self.running().firing.sweep(limit, self.tenant)

    def transaction(self, connection: object) -> AbstractAsyncContextManager[None]:
        """Commit a lent connection at the end of the block, and only then tell observers of the steps joined to it.

        A block that raises rolls back. Where PostgreSQL has refused a statement inside and nobody minded, so that it would answer
        COMMIT with a silent rollback, this raises; and a COMMIT whose answer was lost is looked up. An `AsyncSession` may be
        committed in any other way too; a bare `AsyncConnection` cannot tell when it was.
        """
        return self.running().parts.store.lend(connection)

    def definition(self, workflow: str) -> WorkflowDefinition:
        """The newest registered version of `workflow`. Raises `UnknownWorkflow`."""
        return self.running().parts.machines.latest(workflow).definition

    async def definition_of(self, instance: WorkflowInstance) -> WorkflowDefinition:
        """The version that governs `instance`. Raises `UnknownVersion`."""
        return (await self.running().execution.machine_of(instance)).definition

    @property
    def workflows(self) -> list[str]:
        """The names of the registered workflows."""
        return self.running().parts.machines.workflows


def _state_of(machine: Machine, entry: str) -> str:
    """The state that an entry leads to. Raises `InvalidValue`."""
    entries = machine.definition.entries
    if entry not in entries:
        reason = f"is {entry!r}, and version {machine.version} of {machine.workflow!r} has no entry of that name"
        hint = did_you_mean(str(entry), entries) or "leave it out to begin in the initial state"
        raise InvalidValue("entry", reason, hint=hint)
    return entries[entry]
