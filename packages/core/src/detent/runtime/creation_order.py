"""What was asked to be created."""

from datetime import datetime, timedelta
from uuid import UUID

from detent.ids import new_id
from detent.json_values import JsonObject, json_object
from detent.machine.machine import Machine
from detent.runtime.attempt import Attempt, new_attempt
from detent.runtime.caller import Caller
from detent.runtime.draft import Draft, unborn
from detent.runtime.event_names import CREATED
from detent.runtime.parts import Settings
from detent.runtime.receipts import Idempotency
from detent.store.change import PutReceipt
from detent.store.records import ParentLink


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
        parent_link: ParentLink | None = None,
        key: str | None,
        fingerprint: str | None,
        keep_key: timedelta | None = None,
        state: str | None = None,
    ) -> None:
        self.machine = machine
        self.state = state or machine.definition.initial_state
        self.context: JsonObject = json_object(context, "context")
        self.metadata: JsonObject = json_object(metadata, "metadata")
        self.tenant = caller.tenant_of_new(tenant)
        self.parent_id = parent_id
        self.parent_link = parent_link
        self.idempotency = Idempotency.of_creation(machine.workflow, self.tenant, key, fingerprint)
        self._keep_key = keep_key
        self.attempt: Attempt = new_attempt(new_id(), CREATED, caller)

    @property
    def needs_lock(self) -> bool:
        """Whether commands run at the entry of the first state."""
        return self.machine.locked.entry(self.state)

    def draft(self, now: datetime, settings: Settings) -> Draft:
        """A fresh draft of the instance, with the receipt of its key."""
        self.attempt.restart()
        instance_id = self.attempt.instance_id
        effects: tuple[PutReceipt, ...] = ()
        if self.idempotency is not None:
            keep = self._keep_key or settings.keep_receipts
            effects = (PutReceipt(self.idempotency.receipt(instance_id, {}, now, keep)),)
        instance = unborn(
            self.machine,
            instance_id,
            self.context,
            self.metadata,
            now,
            state=self.state,
            tenant=self.tenant,
            parent_id=self.parent_id,
            parent_link=self.parent_link,
        )
        return Draft(self.machine, instance, self.attempt, now, effects, record_changes=settings.record_changes)
