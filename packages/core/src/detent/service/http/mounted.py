"""Which operations a set of routes has, as it is configured: what both web packages mount, and nothing else."""

from collections.abc import Iterable, Iterator
from typing import Any

from detent.definition.model import WorkflowDefinition
from detent.service.http.event_operations import event_operations
from detent.service.http.operation import Operation
from detent.service.http.operations import OPERATIONS, OPERATOR_OPERATIONS, TOKEN_OPERATIONS, TRIGGER_OPERATIONS
from detent.service.http.policy import RestRoutes


def operations_of(config: RestRoutes[Any, Any, Any], definitions: Iterable[WorkflowDefinition]) -> Iterator[Operation]:
    """Those that `config` asks for; `definitions` are the ones whose events are operations of their own."""
    yield from OPERATIONS.values()
    if config.operators:
        yield from OPERATOR_OPERATIONS.values()
    if config.triggers:
        yield from TRIGGER_OPERATIONS.values()
    if config.tokens:
        yield from TOKEN_OPERATIONS.values()
    if config.event_operations:
        yield from event_operations(definitions)
