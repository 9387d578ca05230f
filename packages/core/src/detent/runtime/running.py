"""A runtime at work: the parts that its verbs use, made when it is entered."""

from dataclasses import dataclass

from detent.runtime.creation import Creation
from detent.runtime.deletion import Deletion
from detent.runtime.descendants import Descendants
from detent.runtime.execution import Execution
from detent.runtime.firing import Firing
from detent.runtime.inbox import Inbox
from detent.runtime.operations import Operations
from detent.runtime.outbox import Outbox
from detent.runtime.parts import Parts
from detent.runtime.retention import Retention
from detent.runtime.runs import Runs
from detent.runtime.sending import Sender
from detent.runtime.standstill import Standstill
from detent.runtime.waiting import Waiting


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
    runs: Runs
    waiting: Waiting
    descendants: Descendants
    sender: Sender
    inbox: Inbox
    outbox: Outbox

    @classmethod
    def of(cls, parts: Parts) -> "Running":
        """Everything wired over `parts`."""
        creation = Creation(parts)
        execution = Execution(parts, creation.children)
        waiting = Waiting(parts.store, Standstill(parts, execution))
        parts.watchers.append(waiting.look)
        operations = Operations(parts, execution)
        descendants = Descendants(parts, operations)
        return cls(
            parts,
            creation,
            execution,
            operations,
            Firing(parts, execution),
            Deletion(parts),
            Retention(parts),
            Runs(parts, execution, creation.children),
            waiting,
            descendants,
            Sender(parts, execution),
            Inbox(parts, execution, descendants),
            Outbox(parts),
        )
