"""What this process has seen last of its instances, so that a store may decide their next steps without reading them first."""

from collections import OrderedDict
from uuid import UUID

from detent.json_values import JsonValue
from detent.store.copies import copy_instance
from detent.store.records import WorkflowInstance

_WORTH_IT = 0.75
"""Which share of what is remembered has to be true still. A read that is saved is worth a third of a decision in vain."""
_MEMORY = 1 / 64
"""How much one look counts in that share."""
_RECORD = 1500
"""What a record takes in memory without its JSON, in bytes."""
_VALUE = 64
"""What a JSON value takes, besides its text."""


class LastSeen:
    """Remembers instances as their last commits in this process left them, up to `room` bytes of them, roughly.

    What it answers may have been overtaken by another process: a store keeps nothing that was decided over it if anybody has
    written since. Where others write so much that it is seldom true, it answers nothing, and goes on comparing. Records are
    copies that nobody else has, because callers and observers get the others and may edit those.
    """

    __slots__ = ("_records", "_room", "_share", "_taken")

    def __init__(self, room: int) -> None:
        self._room = room
        self._taken = 0
        self._records: OrderedDict[UUID, tuple[WorkflowInstance, int]] = OrderedDict()
        self._share = 1.0

    def of(self, instance_id: UUID) -> WorkflowInstance | None:
        """The record, for decisions whose answers nobody gets before they are committed."""
        found = self._records.get(instance_id)
        return found[0] if found is not None and self._share >= _WORTH_IT else None

    def copy_of(self, instance_id: UUID) -> WorkflowInstance | None:
        """The same, for decisions whose answers may be edited although they come to nothing."""
        found = self.of(instance_id)
        return None if found is None else copy_instance(found)

    def workflow_of(self, instance_id: UUID) -> str | None:
        """The workflow of an instance, which never changes."""
        found = self._records.get(instance_id)
        return None if found is None else found[0].workflow

    def keep(self, instance: WorkflowInstance, decided_over: int) -> None:
        """Remember what was committed this moment, and had been decided over the version `decided_over`."""
        self._forget(instance.id, decided_over)
        size = _RECORD + _size(instance.context) + _size(instance.metadata)
        if size > self._room:
            return
        self._records[instance.id] = copy_instance(instance), size
        self._taken += size
        while self._taken > self._room:
            _, (_, freed) = self._records.popitem(last=False)
            self._taken -= freed

    def forget(self, instance_id: UUID) -> None:
        """Remember nothing of an instance."""
        self._forget(instance_id, None)

    def _forget(self, instance_id: UUID, decided_over: int | None) -> None:
        found = self._records.pop(instance_id, None)
        if found is None:
            return
        record, size = found
        self._taken -= size
        if decided_over is not None:
            self._share += ((record.version == decided_over) - self._share) * _MEMORY


def _size(value: JsonValue) -> int:
    """About how many bytes a JSON value takes in memory."""
    if isinstance(value, str):
        return _VALUE + len(value)
    if isinstance(value, dict):
        size = _VALUE
        for key, item in value.items():
            size += _VALUE + len(key) + (_size(item) if isinstance(item, str | dict | list) else 0)
        return size
    if isinstance(value, list):
        return _VALUE + sum([_size(item) for item in value])
    return _VALUE
