"""Executions begun: what every start of a flow has in common, in a transaction of its own or in one that is lent."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from detent.errors import InvalidValue
from detent.flows.book import FlowBook
from detent.flows.names import ERROR, OWN
from detent.flows.own import Own
from detent.json_values import JsonObject, json_object
from detent.service.service import WorkflowService
from detent.store.records import WorkflowInstance

RESERVED = (OWN, ERROR)
"""Keys of a flow's context that are its own."""


async def begin_flow(
    service: WorkflowService,
    book: FlowBook,
    flow: str,
    context: JsonObject | None = None,
    *,
    own: Own | None = None,
    version: str | None = None,
    idempotency_key: str | None = None,
    idempotency_ttl: timedelta | str | None = None,
    fingerprint: str | None = None,
    tenant: str | None = None,
    parent: UUID | str | None = None,
    metadata: JsonObject | None = None,
) -> WorkflowInstance:
    """The instance of a new execution, or the one that the key started; in the transaction of `service`, where it has one.

    It reads nothing outside of that, so that the flow must be known to this process. `own` is what the flow knows of itself at
    its start, such as its deadline. Raises `ContextTooLarge`, `InvalidValue`, and what `create_instance` raises.
    """
    given = json_object(context, "context")
    for reserved in reserved_keys(given):
        raise InvalidValue(f"context.{reserved}", "is kept for the flow itself")
    book.limits.check(given)
    return await service.create_instance(
        flow,
        context={**given, OWN: (own or Own()).to_json()},
        metadata=metadata,
        tenant=tenant,
        parent=parent,
        idempotency_key=idempotency_key,
        idempotency_ttl=idempotency_ttl,
        idempotency_fingerprint=fingerprint,
        version=version,
    )


def reserved_keys(written: Iterable[str]) -> list[str]:
    """Those of the keys that are a flow's own."""
    keys = set(written)
    return [key for key in RESERVED if key in keys]
