"""Where a harness for flows works: a bench that also finds the children which handlers have started."""

from collections.abc import Sequence

from detent.store.records import HistoryEntry, WorkflowInstance
from detent.testing.bench import Bench

_PAGE = 500


class FlowBench(Bench):
    """A bench whose journal knows the children of every instance in it, so that their waits end at their instants as well."""

    async def look_around(self) -> Sequence[HistoryEntry]:
        """Read every known instance and all its children; answers what is new."""
        found: list[HistoryEntry] = []
        parents = list(self.journal.instances)
        while parents:
            children = [child for parent in parents for child in await self._unknown_children(parent)]
            for child in children:
                found += await self.look_at(child.id)
            parents = children
        return [*found, *await super().look_around()]

    async def _unknown_children(self, parent: WorkflowInstance) -> list[WorkflowInstance]:
        known = {instance.id for instance in self.journal.instances}
        page = await self.runtime.find_instances(parent=parent.id, order="created_at", limit=_PAGE)
        return [child for child in page if child.id not in known]
