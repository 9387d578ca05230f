"""The verbs that look at the versions of a workflow: which there are, who follows them, and whether they can run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from detent.definition.version import version_key
from detent.errors import UnknownWorkflow
from detent.runtime.finding_verbs import FindingVerbs
from detent.runtime.live_versions import live_problems, settle
from detent.store.records import LIVE, DefinitionSnapshot


@dataclass(frozen=True, slots=True)
class WorkflowVersion:
    """One stored version of a workflow."""

    version: str
    fingerprint: str
    """What tells an edit made in place."""
    registered_at: datetime
    """When a runtime first stored it."""
    registered: bool
    """Whether it is among the definitions of this process; otherwise it is known by its stored snapshot alone."""
    live: int
    """How many instances that are active or paused are on it."""
    total: int
    """How many instances are on it, the finished ones included."""


class VersionVerbs(FindingVerbs):
    """List the versions of a workflow, and check that the live ones can run."""

    async def list_versions(self, workflow: str) -> list[WorkflowVersion]:
        """Every stored version of `workflow`, the oldest first, with how many of the caller's instances are on it.

        Raises `UnknownWorkflow`.
        """
        parts, query = self.running().parts, self.query(workflow=workflow)
        stored = await parts.store.list_definitions(query.workflows or ())
        if not stored:
            raise UnknownWorkflow(workflow, parts.machines.workflows)
        counted = await parts.store.count(query, group_by=("definition_version", "status"))

        def described(snapshot: DefinitionSnapshot) -> WorkflowVersion:
            on_it = {status: count for (version, status), count in counted.items() if version == snapshot.version}
            return WorkflowVersion(
                version=snapshot.version,
                fingerprint=snapshot.fingerprint,
                registered_at=snapshot.created_at,
                registered=parts.machines.is_registered(workflow, snapshot.version),
                live=sum(count for status, count in on_it.items() if status in LIVE),
                total=sum(on_it.values()),
            )

        return sorted(map(described, stored), key=lambda listed: version_key(listed.version))

    async def check_versions(self) -> Mapping[str, tuple[str, ...]]:
        """What keeps live instances from running in this process, by workflow; empty when all can run.

        It is the check that entering the runtime makes, with the instances of every tenant: workflows that can run by now,
        after an upgrade for example, are restored, and the others are withdrawn, unless `Settings.unresolvable` is `warn` or
        `park`.
        """
        parts = self.running().parts
        found = await live_problems(parts.store, parts.machines)
        settle(parts.machines, found, parts.settings.unresolvable)
        return found

    async def adopt_definitions(self) -> None:
        """Learn of definitions that other processes have stored, as far as this runtime adopts any; a worker does so too."""
        parts = self.running().parts
        await parts.machines.adopt_stored(parts.store)

    @property
    def unavailable(self) -> Mapping[str, tuple[str, ...]]:
        """The workflows that were withdrawn in this process and why, as last checked; for health checks."""
        return self.running().parts.machines.unavailable
