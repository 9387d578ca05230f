"""Everything that can be done with a runtime: the groups of verbs, put together."""

from uuid import UUID

from detent.runtime.arguments import id_of
from detent.runtime.handle import WorkflowHandle
from detent.runtime.many_verbs import ManyVerbs
from detent.runtime.message_verbs import MessageVerbs
from detent.runtime.picture_verbs import PictureVerbs
from detent.runtime.retention_verbs import RetentionVerbs
from detent.runtime.run_verbs import RunVerbs
from detent.runtime.value_verbs import ValueVerbs
from detent.runtime.version_verbs import VersionVerbs
from detent.runtime.waiting_verbs import WaitingVerbs
from detent.store.records import WorkflowInstance


class WorkflowVerbs(
    RetentionVerbs, ManyVerbs, VersionVerbs, RunVerbs, ValueVerbs, MessageVerbs, PictureVerbs, WaitingVerbs
):
    """All verbs, as the runtime and every service have them."""

    def get_handle(self, instance: UUID | str | WorkflowInstance) -> WorkflowHandle:
        """A handle on an instance, by its id or by the instance itself, that acts for this caller; without a query."""
        known = instance.workflow if isinstance(instance, WorkflowInstance) else None
        return WorkflowHandle(self, id_of(instance), known)
