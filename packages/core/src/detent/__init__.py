"""Detent: durable workflows as rows of the application's own database, moved only by declared events."""

from detent.clock import Clock, SystemClock
from detent.definition import Branch, Event, OnEnter, State, WorkflowDefinition, validate
from detent.errors import (
    CommandFailed,
    DefinitionInvalid,
    DetentError,
    EventNotAvailable,
    EventRefused,
    IdempotencyConflict,
    InstanceBusy,
    InstanceNotFound,
    InvalidValue,
    StoreUnavailable,
    UnknownWorkflow,
)
from detent.notation import to_mermaid
from detent.registry import CommandContext, Fail, Goto, GuardContext, Ok, Refuse, Registry, command, guard
from detent.retry import Retry
from detent.runtime.availability import AvailableEvent
from detent.runtime.firing import SweepReport
from detent.runtime.handle import WorkflowHandle
from detent.runtime.observers import WorkflowObserver
from detent.runtime.parts import Settings
from detent.runtime.result import TransitionResult
from detent.runtime.runtime import WorkflowRuntime
from detent.service.service import WorkflowService
from detent.store.memory import MemoryStore
from detent.store.memory_transaction import MemoryTransaction
from detent.store.protocol import Store
from detent.store.records import CommandRecord, HistoryEntry, Outcome, Status, Timer, WorkflowInstance
from detent.store.sqlite import SqliteStore
from detent.store.sqlite_connection import SqliteConnection

__version__ = "0.1.0"

__all__ = [
    "AvailableEvent",
    "Branch",
    "Clock",
    "CommandContext",
    "CommandFailed",
    "CommandRecord",
    "DefinitionInvalid",
    "DetentError",
    "Event",
    "EventNotAvailable",
    "EventRefused",
    "Fail",
    "Goto",
    "GuardContext",
    "HistoryEntry",
    "IdempotencyConflict",
    "InstanceBusy",
    "InstanceNotFound",
    "InvalidValue",
    "MemoryStore",
    "MemoryTransaction",
    "Ok",
    "OnEnter",
    "Outcome",
    "Refuse",
    "Registry",
    "Retry",
    "Settings",
    "SqliteConnection",
    "SqliteStore",
    "State",
    "Status",
    "Store",
    "StoreUnavailable",
    "SweepReport",
    "SystemClock",
    "Timer",
    "TransitionResult",
    "UnknownWorkflow",
    "WorkflowDefinition",
    "WorkflowHandle",
    "WorkflowInstance",
    "WorkflowObserver",
    "WorkflowRuntime",
    "WorkflowService",
    "__version__",
    "command",
    "guard",
    "to_mermaid",
    "validate",
]
