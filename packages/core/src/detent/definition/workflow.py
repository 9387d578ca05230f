"""The content of a definition: the fields of a workflow, which the checks look at."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import Field, StrictBool

from detent.definition.data_model import DataModel
from detent.definition.part import JsonObjectField, Part, constructor
from detent.definition.state import State
from detent.definition.version import VersionKey, VersionText, version_key

VersionPolicy: TypeAlias = Literal["pinned", "latest"]
"""Whether an instance stays on the version it started on, or follows the newest one."""
ContextPrecedence: TypeAlias = Literal["written", "state"]
"""Whose context wins on a transition: what callers and commands wrote, or what the entered state declares."""


class Workflow(Part):
    """What a `WorkflowDefinition` holds, without the ways to read and write it."""

    name: str
    """The name instances are created under."""
    version: VersionText = "1"
    """A positive integer or a semantic version, kept as text."""
    version_policy: VersionPolicy = "pinned"
    """Whether instances stay on the version they started on."""
    initial_state: str
    """The state a new instance enters."""
    entries: dict[str, str] = Field(default_factory=dict)
    """Other states to begin in, by the name that `create_instance(entry=…)` says."""
    states: dict[str, State]
    """All states, by name."""
    context_model: DataModel | None = None
    """What every context must look like."""
    context_precedence: ContextPrecedence = "written"
    """Whose context wins on a transition; `state` for definitions in duraflows' spelling, which mean that."""
    record_refusals: StrictBool = True
    """Whether an event that a guard refused leaves a history entry. A refused timeout always leaves one."""
    publish: str | None = Field(default=None, min_length=1, max_length=200)
    """Publish every transition to the outbox, under the topic `PUBLISH.EVENT`: `publish="order"` says `order.pay`."""
    metadata: JsonObjectField = Field(default_factory=dict)
    """JSON that the runtime does not look at."""
    description: str | None = None
    """What the workflow is for, for people."""

    @constructor
    def __init__(self, **written: Any) -> None:
        super().__init__(**written)

    @property
    def starts(self) -> list[str]:
        """The states that an instance may begin in, the initial one first; some may not exist."""
        return list(dict.fromkeys([self.initial_state, *self.entries.values()]))

    @property
    def version_key(self) -> VersionKey:
        """A value that sorts definitions of one name by version."""
        return version_key(self.version)

    @classmethod
    def expand(cls, written: object) -> object:
        """The data with duraflows' order of precedence, where it is in duraflows' spelling and says nothing else."""
        if not isinstance(written, Mapping) or "initialState" not in written:
            return written
        return {"contextPrecedence": "state", **written} if "context_precedence" not in written else written
