"""What an upgrade did, instance by instance, or would do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from detent.upgrade.compare import Difference
from detent.upgrade.outcome import Failed, Skipped, Upgraded, UpgradeOutcome


@dataclass(frozen=True, slots=True)
class UpgradeReport:
    """What became of each instance that was looked at; in a plan, what would become of it."""

    workflow: str
    to_version: str
    upgraded: tuple[Upgraded, ...]
    """Those that were moved; those that would be, in a plan."""
    skipped: tuple[Skipped, ...]
    """Those that were passed over, and why."""
    failed: tuple[Failed, ...]
    """Those that could not be moved, and why."""
    cursor: str | None
    """Where to go on; `None` when there are no more."""
    differences: Mapping[str, tuple[Difference, ...]]
    """What the target says otherwise, for each version that instances were on and that can still be read."""

    @classmethod
    def of(
        cls,
        workflow: str,
        to_version: str,
        outcomes: Iterable[UpgradeOutcome],
        *,
        cursor: str | None,
        differences: Mapping[str, tuple[Difference, ...]],
    ) -> Self:
        """The report on these outcomes, each kind in the order it is given."""
        each = list(outcomes)
        return cls(
            workflow=workflow,
            to_version=to_version,
            upgraded=tuple(one for one in each if isinstance(one, Upgraded)),
            skipped=tuple(one for one in each if isinstance(one, Skipped)),
            failed=tuple(one for one in each if isinstance(one, Failed)),
            cursor=cursor,
            differences=differences,
        )
