"""What was written: a workflow as data, read from Python, JSON or YAML and checked before anything runs."""

from detent.definition.commands import CommandRef
from detent.definition.data_model import DataModel
from detent.definition.event import Branch, Event
from detent.definition.fingerprint import fingerprint
from detent.definition.guards import AllOf, AnyOf, GuardExpression, GuardRef, Not, guard_refs
from detent.definition.model import WorkflowDefinition
from detent.definition.selectors import Selector, put, select
from detent.definition.state import OnEnter, Outcome, State
from detent.definition.timeout import Timeout
from detent.definition.validate import validate
from detent.definition.version import version_key

__all__ = [
    "WorkflowDefinition",
    "State",
    "OnEnter",
    "Outcome",
    "Event",
    "Branch",
    "CommandRef",
    "GuardRef",
    "AllOf",
    "AnyOf",
    "Not",
    "GuardExpression",
    "guard_refs",
    "Timeout",
    "DataModel",
    "Selector",
    "select",
    "put",
    "version_key",
    "validate",
    "fingerprint",
]
