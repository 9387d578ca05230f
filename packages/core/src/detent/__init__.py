"""Detent: durable workflows as rows of the application's own database, moved only by declared events."""

from detent.clock import Clock, SystemClock
from detent.definition import Branch, CommandRef, Event, OnEnter, State, WorkflowDefinition, validate
from detent.errors import (
    CommandFailed,
    DefinitionInvalid,
    DetentError,
    EventNotAvailable,
    EventRefused,
    IdempotencyConflict,
    InstanceBusy,
    InstanceFinished,
    InstanceNotFinished,
    InstanceNotFound,
    InstancePaused,
    InvalidValue,
    LeaseLost,
    NothingToRetry,
    OutcomeUnknown,
    RunNotActive,
    RunNotFound,
    RunParked,
    StoreUnavailable,
    UnknownWorkflow,
    VersionConflict,
    WaitTimeout,
    WorkflowUnavailable,
)
from detent.notation import from_mermaid, to_dot, to_mermaid
from detent.registry import (
    CommandContext,
    CommandOptions,
    Fail,
    GiveUp,
    Goto,
    GuardContext,
    Message,
    Ok,
    Refuse,
    Registry,
    RetryAfter,
    RunContext,
    command,
    guard,
)
from detent.retry import Retry
from detent.runtime.archived import ArchivedInstance, read_archived
from detent.runtime.availability import AvailableEvent
from detent.runtime.bulk_verbs import BulkFailure, BulkReport
from detent.runtime.explanation import Explanation, TimerOutlook
from detent.runtime.finding_verbs import InstancePage
from detent.runtime.firing import SweepReport
from detent.runtime.handle import WorkflowHandle
from detent.runtime.many_verbs import BulkItem, CreateItem, TriggerItem
from detent.runtime.message_reports import InboxReport, OutboxReport
from detent.runtime.observers import Observation, Removed, WorkflowObserver
from detent.runtime.parts import Settings
from detent.runtime.result import TransitionResult
from detent.runtime.retention import RetentionReport
from detent.runtime.retention_policy import RetentionPolicy
from detent.runtime.run_report import RunReport
from detent.runtime.runtime import WorkflowRuntime
from detent.runtime.subscribers import Subscriber, subscriber
from detent.runtime.version_verbs import WorkflowVersion
from detent.service.execution import Cancellation, Execution, ExecutionStatus, StepError
from detent.service.flow_events import FlowEvent, FlowEventType, FlowObserver
from detent.service.flow_timeouts import Timeouts
from detent.service.flows import CancelResult, FlowService
from detent.service.service import WorkflowService
from detent.store.memory import MemoryStore
from detent.store.memory_transaction import MemoryTransaction
from detent.store.messages import Delivery, DeliveryStatus, InboxMessage
from detent.store.protocol import Store
from detent.store.query import Span
from detent.store.records import (
    ArchiveEntry,
    CommandRecord,
    ContextChange,
    HistoryEntry,
    Outcome,
    Status,
    Timer,
    WorkflowInstance,
)
from detent.store.run_records import Run, RunStatus
from detent.store.sqlite import SqliteStore
from detent.store.sqlite_connection import SqliteConnection
from detent.upgrade.report import UpgradeReport

__version__ = "0.1.0"

from detent.service.trigger_book import TriggerBook
from detent.service.triggers import TriggerService

__all__ = [
    "ArchiveEntry",
    "ArchivedInstance",
    "AvailableEvent",
    "Branch",
    "BulkFailure",
    "BulkItem",
    "BulkReport",
    "CancelResult",
    "Cancellation",
    "Clock",
    "CommandContext",
    "CommandFailed",
    "CommandOptions",
    "CommandRecord",
    "CommandRef",
    "ContextChange",
    "CreateItem",
    "DefinitionInvalid",
    "Delivery",
    "DeliveryStatus",
    "DetentError",
    "Event",
    "EventNotAvailable",
    "EventRefused",
    "Execution",
    "ExecutionStatus",
    "Explanation",
    "Fail",
    "FlowEvent",
    "FlowEventType",
    "FlowObserver",
    "FlowService",
    "GiveUp",
    "Goto",
    "GuardContext",
    "HistoryEntry",
    "IdempotencyConflict",
    "InboxMessage",
    "InboxReport",
    "InstanceBusy",
    "InstanceFinished",
    "InstanceNotFinished",
    "InstanceNotFound",
    "InstancePage",
    "InstancePaused",
    "InvalidValue",
    "LeaseLost",
    "MemoryStore",
    "MemoryTransaction",
    "Message",
    "NothingToRetry",
    "Observation",
    "Ok",
    "OnEnter",
    "OutboxReport",
    "Outcome",
    "OutcomeUnknown",
    "Refuse",
    "Registry",
    "Removed",
    "RetentionPolicy",
    "RetentionReport",
    "Retry",
    "RetryAfter",
    "Run",
    "RunContext",
    "RunNotActive",
    "RunNotFound",
    "RunParked",
    "RunReport",
    "RunStatus",
    "Settings",
    "Span",
    "SqliteConnection",
    "SqliteStore",
    "State",
    "Status",
    "StepError",
    "Store",
    "StoreUnavailable",
    "Subscriber",
    "SweepReport",
    "SystemClock",
    "Timeouts",
    "Timer",
    "TimerOutlook",
    "TransitionResult",
    "TriggerBook",
    "TriggerService",
    "TriggerItem",
    "UnknownWorkflow",
    "UpgradeReport",
    "VersionConflict",
    "WaitTimeout",
    "WorkflowDefinition",
    "WorkflowHandle",
    "WorkflowInstance",
    "WorkflowObserver",
    "WorkflowRuntime",
    "WorkflowService",
    "WorkflowUnavailable",
    "WorkflowVersion",
    "__version__",
    "command",
    "from_mermaid",
    "guard",
    "read_archived",
    "subscriber",
    "to_mermaid",
    "to_dot",
    "validate",
]
