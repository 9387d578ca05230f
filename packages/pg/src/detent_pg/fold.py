"""Changes of one instance that follow each other, written as one: a row update, with the entries and effects of all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from detent.store.change import Change
from detent.store.records import WorkflowInstance


@dataclass(slots=True)
class Fold:
    """What becomes of one instance in one commit."""

    changes: list[Change] = field(default_factory=list)
    """At least one; each from the version that the one before it leads to."""

    @property
    def instance(self) -> WorkflowInstance:
        """The instance after all of them."""
        return self.changes[-1].instance

    @property
    def expected_version(self) -> int:
        """The version before the first."""
        return self.changes[0].expected_version

    @property
    def has_entries(self) -> bool:
        """Whether the version rises, so that the row is to be updated."""
        return self.instance.version > self.expected_version


def folded(changes: Sequence[Change]) -> list[Fold]:
    """`changes` by instance, in the order in which the instances first occur."""
    folds: dict[UUID, Fold] = {}
    for change in changes:
        folds.setdefault(change.instance.id, Fold()).changes.append(change)
    return list(folds.values())
