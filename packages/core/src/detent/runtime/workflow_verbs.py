"""Everything that can be done with a runtime: the groups of verbs, put together."""

from detent.runtime.retention_verbs import RetentionVerbs
from detent.runtime.version_verbs import VersionVerbs


class WorkflowVerbs(RetentionVerbs, VersionVerbs):
    """All verbs, as the runtime and every service have them."""
