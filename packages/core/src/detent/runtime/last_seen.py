"""What a handle has seen of its instance: the record that its last step left behind."""

from detent.store.copies import copy_instance
from detent.store.records import WorkflowInstance


class LastSeen:
    """Keeps a record between the steps of one handle, so that a store may decide the next one without reading.

    It is a copy that nobody else has, because callers and observers get the other one and may edit that. It is kept only
    of what is committed, and the store keeps nothing that was decided over it if anybody has written since.
    """

    __slots__ = ("record",)

    def __init__(self) -> None:
        self.record: WorkflowInstance | None = None

    def keep(self, instance: WorkflowInstance) -> None:
        """Keep a copy of what was committed this moment."""
        self.record = copy_instance(instance)

    def forget(self) -> None:
        """Keep nothing: the next step reads."""
        self.record = None
