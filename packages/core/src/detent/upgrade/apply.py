"""The step that moves one instance: what was decided for it is written, if it is still as it was."""

from dataclasses import dataclass
from datetime import datetime

from detent.json_values import JsonObject, JsonValue
from detent.runtime.event_names import UPGRADED
from detent.runtime.machines import Machines
from detent.store.records import WorkflowInstance
from detent.upgrade.outcome import Upgraded


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Write what was decided. To be performed at the version that it was decided for, and at no other."""

    decided: Upgraded
    reason: str | None
    event = UPGRADED

    @property
    def payload(self) -> JsonValue:
        """The versions, and what changed in the context, where something did."""
        versions = {"from_version": self.decided.from_version, "to_version": self.decided.to_version}
        return {**versions, **_context_change(self.decided)}

    def after(self, record: WorkflowInstance, now: datetime, machines: Machines) -> WorkflowInstance | None:
        return self.decided.after


def _context_change(decided: Upgraded) -> JsonObject:
    put, removed = decided.context_put, decided.context_removed
    return {"patch": put, "remove": list(removed)} if put or removed else {}
