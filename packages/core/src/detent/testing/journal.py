"""What happened to the instances that a harness knows, read anew after each thing it does."""

from collections.abc import Sequence
from uuid import UUID

from detent.runtime.runtime import WorkflowRuntime
from detent.store.records import HistoryEntry, WorkflowInstance
from detent.store.run_records import Run

_PAGE = 200


class Journal:
    """The last known record, its run and the whole history of each instance. It reads and never writes."""

    def __init__(self, runtime: WorkflowRuntime) -> None:
        self._runtime = runtime
        self._instances: dict[UUID, WorkflowInstance] = {}
        self._entries: dict[UUID, list[HistoryEntry]] = {}
        self._runs: dict[UUID, Run | None] = {}

    @property
    def instances(self) -> Sequence[WorkflowInstance]:
        """Every known instance as it was last read, in the order they became known."""
        return tuple(self._instances.values())

    def instance(self, instance_id: UUID) -> WorkflowInstance:
        """The record as it was last read."""
        return self._instances[instance_id]

    def entries(self, instance_id: UUID) -> Sequence[HistoryEntry]:
        """Its history as far as it was read, the oldest first."""
        return tuple(self._entries.get(instance_id, ()))

    def run(self, instance_id: UUID) -> Run | None:
        """The run that was under way when it was last read."""
        return self._runs.get(instance_id)

    async def read(self, instance_id: UUID) -> Sequence[HistoryEntry]:
        """Read an instance, known or not; answers the entries that are new, the oldest first."""
        instance = await self._runtime.get_instance(instance_id)
        known = self._entries.setdefault(instance_id, [])
        fresh = await self._since(instance_id, known[-1].sequence if known else 0)
        known.extend(fresh)
        self._instances[instance_id] = instance
        run_id = instance.run_id
        self._runs[instance_id] = None if run_id is None else await self._runtime.store.runs.load(run_id)
        return fresh

    async def read_all(self) -> Sequence[HistoryEntry]:
        """Read every known instance; answers the entries that are new, by instance."""
        return [entry for instance_id in tuple(self._instances) for entry in await self.read(instance_id)]

    async def _since(self, instance_id: UUID, sequence: int) -> list[HistoryEntry]:
        found: list[HistoryEntry] = []
        before: int | None = None
        while True:
            page = await self._runtime.get_history(instance_id, limit=_PAGE, before=before)
            found += [entry for entry in page if entry.sequence > sequence]
            if len(page) < _PAGE or page[-1].sequence <= sequence + 1:
                return found[::-1]
            before = page[-1].sequence
