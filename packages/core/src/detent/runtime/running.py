"""A runtime at work: the parts that its verbs use, made when it is entered."""

from dataclasses import dataclass

from detent.runtime.creation import Creation
from detent.runtime.deletion import Deletion
from detent.runtime.execution import Execution
from detent.runtime.firing import Firing
from detent.runtime.operations import Operations
from detent.runtime.parts import Parts
from detent.runtime.retention import Retention


@dataclass(frozen=True, slots=True)
class Running:
    """What a running runtime is made of."""

    parts: Parts
    creation: Creation
    execution: Execution
    operations: Operations
    firing: Firing
    deletion: Deletion
    retention: Retention

    @classmethod
    def of(cls, parts: Parts) -> "Running":
        """Everything wired over `parts`."""
        execution = Execution(parts)
        return cls(
            parts,
            Creation(parts),
            execution,
            Operations(parts, execution),
            Firing(parts, execution),
            Deletion(parts),
            Retention(parts),
        )
