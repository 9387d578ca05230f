"""The verbs that draw: a workflow, and an instance with the way it has come."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from detent.notation.chart import Marks
from detent.notation.mermaid import Diagram, to_mermaid
from detent.runtime.instance_verbs import InstanceVerbs
from detent.runtime.marking import MOST_ENTRIES, marks_of
from detent.store.records import HistoryEntry, WorkflowInstance

_PAGE = 1000


class PictureVerbs(InstanceVerbs):
    """Draw workflows and instances."""

    def to_mermaid(self, workflow: str, **options: Any) -> Diagram:
        """The diagram of the newest version of `workflow`; `options` as `detent.to_mermaid` takes them.

        Raises `UnknownWorkflow`, and `InvalidValue` for a style, direction or symbols that are none.
        """
        return to_mermaid(self.definition(workflow), **options)

    async def instance_to_mermaid(self, instance_id: UUID | str | WorkflowInstance, **options: Any) -> Diagram:
        """The diagram of the version an instance follows, with its `get_marks`; `options` as `detent.to_mermaid` takes them.

        Raises `InstanceNotFound`, `UnknownVersion`, and `InvalidValue` as `to_mermaid`.
        """
        record = await self.get_instance(instance_id)
        return to_mermaid(await self.definition_of(record), marks=await self.get_marks(record), **options)

    async def get_marks(self, instance_id: UUID | str | WorkflowInstance) -> Marks:
        """What an instance adds to the picture of its definition, or of its flow: pass it to `to_mermaid` or `to_dot`.

        The state it is in, the states and ways it came through with how often and how long, and the time left until its
        timeouts fire. Of a longer history the newest 10,000 entries count. Raises `InstanceNotFound` and `UnknownVersion`.
        """
        record = await self.get_instance(instance_id)
        definition = await self.definition_of(record)
        return marks_of(record, await self._entries(record), definition, self.running().parts.present)

    async def _entries(self, record: WorkflowInstance) -> Sequence[HistoryEntry]:
        """The history, the oldest of what is read first."""
        found: list[HistoryEntry] = []
        while len(found) < MOST_ENTRIES:
            page = await self.get_history(record.id, limit=_PAGE, before=found[-1].sequence if found else None)
            found += page
            if len(page) < _PAGE or page[-1].sequence == 1:
                break
        return found[::-1]
