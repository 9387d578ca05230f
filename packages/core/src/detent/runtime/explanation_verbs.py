"""The verb that explains an instance."""

from uuid import UUID

from detent.errors import IncompatibleState, StoreError
from detent.machine.machine import Machine
from detent.runtime.availability import AvailableEvent, available_events
from detent.runtime.correspondence import LIMIT, Correspondence
from detent.runtime.explanation import Explanation, arrival_of, explained
from detent.runtime.instance_verbs import InstanceVerbs
from detent.store.messages import DeliveryQuery, DeliveryStatus, InboxQuery
from detent.store.query import InstanceQuery, Order
from detent.store.records import FINISHED, LIVE, HistoryEntry, WorkflowInstance

PAGE = 100
"""How many history entries are read at a time."""
LOOK_BACK = 2000
"""How many are read at most, to find how an instance came into its state."""

_BY_ID = Order("id", descending=False)


class ExplanationVerbs(InstanceVerbs):
    """Say where an instance stands, and why."""

    async def explain(
        self, instance_id: UUID | str | WorkflowInstance, *, connection: object | None = None
    ) -> Explanation:
        """Where the instance stands, how it came there, what it waits for, and what holds it up; `print` it.

        Guards are asked as for an event without payload and subject. It answers also where the version cannot run here or a
        guard raises, and says so. Raises `InstanceNotFound`.
        """
        parts = self.running().parts
        record = await self.get_instance(instance_id, connection=connection)
        machine, events = await self._looked_at(record)
        lent = self._caller.saying(None, connection=connection).connection
        return explained(
            record,
            await self._back_to_arrival(record, machine, lent),
            events,
            parts.present,
            machine=machine,
            withdrawn=parts.machines.unavailable.get(record.workflow, ()),
            run=await parts.store.runs.load(record.run_id, outside=lent) if record.run_id else None,
            others=await self._others(record, lent),
        )

    async def _looked_at(self, record: WorkflowInstance) -> tuple[Machine | Exception, list[AvailableEvent]]:
        """The machine that governs `record` and what its events would do, or why that cannot be said here."""
        running = self.running()
        try:
            machine = await running.execution.machine_of(record)
            if record.run_id is not None:
                return machine, []
            if not machine.has_state(record.state):
                raise IncompatibleState(record.id, record.workflow, machine.version, record.state)
            return machine, await available_events(running.parts, machine, record)
        except StoreError:
            raise
        except Exception as error:
            # A version that cannot run is what an explanation is asked for: it is told, and not raised.
            return error, []

    async def _others(self, record: WorkflowInstance, connection: object | None) -> Correspondence:
        """What the record has to do with others, at one question for each kind."""
        store = self.running().parts.store
        undelivered = (DeliveryStatus.PENDING, DeliveryStatus.DEAD)
        deliveries = DeliveryQuery(statuses=undelivered, instance_id=record.id)
        children = InstanceQuery(parent_id=record.id, statuses=tuple(LIVE))
        return Correspondence(
            messages=tuple(await store.inbox.find(InboxQuery(instance_id=record.id), limit=LIMIT, outside=connection)),
            children=()
            if record.status in FINISHED
            else tuple(await store.find(children, order=_BY_ID, limit=LIMIT, outside=connection)),
            deliveries=tuple(await store.outbox.find(deliveries, limit=LIMIT, outside=connection)),
        )

    async def _back_to_arrival(
        self, record: WorkflowInstance, machine: Machine | Exception, connection: object | None
    ) -> list[HistoryEntry]:
        """The record's newest entries, as far back as the one by which it came into its state."""
        store, entries, before = self.running().parts.store, list[HistoryEntry](), record.version + 1
        while len(entries) < LOOK_BACK:
            page = await store.history(record.id, limit=PAGE, before=before, outside=connection)
            entries += page
            if len(page) < PAGE or arrival_of(record, page, machine) is not None:
                break
            before = page[-1].sequence
        return entries
