"""One upgrade: a page of instances is planned, or moved many at once, each in a step of its own."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from detent.errors import DetentError, InstanceNotFound, VersionConflict
from detent.runtime.at_once import at_once_for, in_order
from detent.runtime.caller import Caller
from detent.runtime.history import cleaned
from detent.runtime.running import Running
from detent.store.records import WorkflowInstance
from detent.upgrade.apply import Upgrade
from detent.upgrade.candidates import Candidates, Page
from detent.upgrade.compare import Difference, compare
from detent.upgrade.outcome import Failed, SkipCode, Skipped, Upgraded, UpgradeOutcome
from detent.upgrade.plan import decide
from detent.upgrade.report import UpgradeReport
from detent.upgrade.rules import Rules
from detent.upgrade.sources import Sources

MAX_DECISIONS = 5
"""How often one instance is decided anew, because it moved while it was decided."""


@dataclass(frozen=True, slots=True)
class Upgrades:
    """Upgrades by one set of rules, for one caller."""

    running: Running
    caller: Caller
    rules: Rules
    sources: Sources
    candidates: Candidates

    async def plan(self, limit: int, cursor: str | None) -> UpgradeReport:
        """What would become of up to `limit` instances. Nothing is written."""

        async def planned(record: WorkflowInstance) -> UpgradeOutcome:
            return self._decided(record)

        return await self._each(limit, cursor, planned)

    async def perform(self, limit: int, cursor: str | None, reason: str | None) -> UpgradeReport:
        """What became of up to `limit` instances. One that fails stops nothing."""

        async def performed(record: WorkflowInstance) -> UpgradeOutcome:
            try:
                return await self._moved(record, reason)
            except Exception as error:
                return _failure(record, error)

        return await self._each(limit, cursor, performed)

    async def _each(
        self, limit: int, cursor: str | None, treat: Callable[[WorkflowInstance], Awaitable[UpgradeOutcome]]
    ) -> UpgradeReport:
        page = await self.candidates.page(limit, cursor)
        treated = in_order(page.instances, treat, at_once=at_once_for(self.caller))
        outcomes: list[UpgradeOutcome] = [outcome async for outcome in treated]
        outcomes += [Skipped(missing, SkipCode.NOT_FOUND, "there is no such instance") for missing in page.missing]
        return UpgradeReport.of(
            self.rules.workflow,
            self.rules.version,
            outcomes,
            cursor=page.cursor,
            differences=self._differences(page),
        )

    async def _moved(self, record: WorkflowInstance, reason: str | None) -> UpgradeOutcome:
        for _ in range(MAX_DECISIONS - 1):
            try:
                return await self._moved_from(record, reason)
            except InstanceNotFound:
                return _gone(record)
            except VersionConflict:
                found = await self.candidates.again(record.id)
            if found is None:
                return _gone(record)
            record = found
        return await self._moved_from(record, reason)

    async def _moved_from(self, record: WorkflowInstance, reason: str | None) -> UpgradeOutcome:
        """Decide and write, at exactly this version of the instance. Raises `VersionConflict`."""
        decided = self._decided(record)
        if not isinstance(decided, Upgraded):
            return decided
        written = await self.running.operations.perform(
            record.id, Upgrade(decided, reason), self.caller, expected_version=record.version
        )
        return Upgraded(record, written)

    def _decided(self, record: WorkflowInstance) -> UpgradeOutcome:
        source = self.sources.definition(record.definition_version)
        return decide(record, source, self.rules, self._now())

    def _now(self) -> datetime:
        return self.running.parts.present

    def _differences(self, page: Page) -> dict[str, tuple[Difference, ...]]:
        target = self.rules.target.definition
        versions = {each.definition_version for each in page.instances if each.workflow == target.name}
        sources = {version: self.sources.definition(version) for version in sorted(versions - {target.version})}
        return {version: compare(source, target) for version, source in sources.items() if source is not None}


def _gone(record: WorkflowInstance) -> Skipped:
    return Skipped(record.id, SkipCode.NOT_FOUND, "it was removed meanwhile")


def _failure(record: WorkflowInstance, error: Exception) -> Failed:
    if isinstance(error, DetentError):
        return Failed(record.id, error.code, error.message)
    return Failed(record.id, type(error).__name__, cleaned(str(error)))
