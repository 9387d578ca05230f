"""Records and changes for the tests of the contract, as the runtime would write them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from detent.ids import new_id
from detent.json_values import JsonObject, JsonValue
from detent.store.change import AddRun, Change, Effect, PutReceipt, Removal
from detent.store.messages import Delivery, InboxMessage
from detent.store.protocol import Known, Store
from detent.store.query import Order, Position
from detent.store.records import (
    ArchiveEntry,
    DefinitionSnapshot,
    HistoryEntry,
    Outcome,
    Receipt,
    ReceiptKey,
    Status,
    Timer,
    WorkflowInstance,
)
from detent.store.run_records import Checkpoint, ClaimedRun, Lease, Run, RunClaim, RunStatus

NOW = datetime(2030, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
"""When the samples happen."""
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
"""The least time that a store tells apart."""

JSON_KINDS: Mapping[str, JsonValue] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "negative": -7,
    "beyond 64 bits": 2**80 + 1,
    "1024 bits": -(2**1023) - 1,
    "float": 0.1,
    "whole float": 3.0,
    "tiny float": 5e-324,
    "huge float": 1.7976931348623157e308,
    "seventeen digits": 0.30000000000000004,
    "empty text": "",
    "quotes": 'it\'s "quoted" \\ and /slashed/',
    "control characters": "tab\tline\nreturn\rescape\x1b",
    "unicode": "Grüße, 世界, \u202eright to left, e\u0301",
    "beyond the plane": "🜁🏳️‍🌈",
    "looks like a number": "1e3",
    "looks like a date": "2030-01-01T00:00:00Z",
    "empty list": [],
    "empty object": {},
    "nested": {"a": [{"b": [[], {}, [None, {"c": [1, 2.5, "x"]}]]}], "": {"": ""}},
    "awkward keys": {"": 1, "a.b": 2, "$set": 3, "'; --": 4, "ключ": 5, "%s": 6, ":name": 7, "?": 8},
    "many": {f"key{number}": number for number in range(200)},
    "long text": "long " * 2_000,
}
"""One value of every kind that `detent.json_values` lets through."""


def within() -> asyncio.Timeout:
    """The longest that anything in the contract may take, so that a lost wake-up fails instead of hanging."""
    return asyncio.timeout(20)


def receipt_key(key: str | None = None, *, scope: str = "workflow:order", tenant: str = "") -> ReceiptKey:
    """A key that nobody used, unless one is given."""
    return ReceiptKey(scope=scope, key=key or f"key-{new_id()}", tenant=tenant)


def receipt(
    key: ReceiptKey, instance_id: UUID, *, now: datetime = NOW, lasts: timedelta = 30 * DAY, answer: str = "ok"
) -> Receipt:
    """What `key` was answered at `now`."""
    return Receipt(
        key=key,
        instance_id=instance_id,
        fingerprint="f00d",
        answer={"said": answer, "list": [1, {"deep": None}]},
        created_at=now,
        expires_at=now + lasts,
    )


def creation(
    *,
    key: ReceiptKey | None = None,
    lasts: timedelta = 30 * DAY,
    due: datetime | None = None,
    now: datetime = NOW,
    status: Status = Status.ACTIVE,
    context: JsonObject | None = None,
    hops: int = 0,
) -> Change:
    """A change that creates an instance, with `hops` entries after the first, and a receipt where `key` is given."""
    instance = WorkflowInstance(
        id=new_id(),
        workflow="order",
        state="new",
        status=status,
        version=1 + hops,
        definition_version="1",
        context={} if context is None else context,
        metadata={},
        timers=(Timer(event="expire", due=due),) if due else (),
        due_at=due,
        entered_at=now,
        created_at=now,
        updated_at=now,
    )
    effects: tuple[Effect, ...] = (PutReceipt(receipt(key, instance.id, now=now, lasts=lasts)),) if key else ()
    return _change(instance, 0, "$created", effects)


def creation_with(**fields: Any) -> Change:
    """A change that creates an instance with these fields, whatever a creation by the runtime would say."""
    return _change(replace(creation().instance, **fields), 0, "$created", ())


def step(
    record: WorkflowInstance,
    *,
    now: datetime = NOW,
    context: JsonObject | None = None,
    due: datetime | None = None,
    status: Status | None = None,
    entries: int = 1,
    effects: tuple[Effect, ...] = (),
) -> Change:
    """A change that takes `record` on by `entries`; its deadline is gone unless `due` gives a new one."""
    instance = replace(
        record,
        state=f"after-{record.version}",
        status=status or record.status,
        version=record.version + entries,
        context=record.context if context is None else context,
        timers=(Timer(event="expire", due=due),) if due else (),
        due_at=due,
        updated_at=now,
    )
    return _change(instance, record.version, "advance", effects)


def keyed_step(
    record: WorkflowInstance, key: ReceiptKey, *, lasts: timedelta = 30 * DAY, now: datetime = NOW
) -> Change:
    """A step that leaves a receipt."""
    return step(record, now=now, effects=(PutReceipt(receipt(key, record.id, now=now, lasts=lasts)),))


def receipts_only(record: WorkflowInstance, *keys: ReceiptKey, now: datetime = NOW) -> Change:
    """A change that leaves the instance as it is and its history as long, and puts receipts."""
    return effects_only(record, *(PutReceipt(receipt(key, record.id, now=now)) for key in keys))


def effects_only(record: WorkflowInstance, *effects: Effect) -> Change:
    """A change that leaves the instance as it is and its history as long, and writes these effects."""
    return Change(record, record.version, new_id(), (), effects)


def receipt_of(change: Change) -> Receipt:
    """The one receipt that a change leaves."""
    [put] = change.effects_of(PutReceipt)
    return put.receipt


def a_run(instance: WorkflowInstance, **fields: Any) -> Run:
    """A run of `instance` that waits for its first claim, with these fields."""
    run = Run(
        id=new_id(),
        instance_id=instance.id,
        workflow=instance.workflow,
        definition_version=instance.definition_version,
        tenant=instance.tenant,
        event="pay",
        state=instance.state,
        target="paid",
        payload={"amount": 17},
        subject=None,
        trigger_metadata={"actor": "Ada"},
        by_timer=False,
        status=RunStatus.PENDING,
        command="charge",
        queue="default",
        priority=0,
        attempts=0,
        crashes=0,
        journal=(),
        kept={},
        progress=None,
        available_at=NOW,
        lease_token=None,
        lease_until=None,
        worker=None,
        error=None,
        reason=None,
        trace={},
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(run, **fields)


def with_run(change: Change, **fields: Any) -> Change:
    """The same change, which also begins a run with these fields."""
    run = a_run(change.instance, **fields)
    instance = replace(change.instance, run_id=run.id)
    return replace(change, instance=instance, effects=(*change.effects, AddRun(run)))


def a_message(instance: WorkflowInstance, **fields: Any) -> InboxMessage:
    """An event sent to `instance`, with these fields."""
    message = InboxMessage(
        id=new_id(),
        instance_id=instance.id,
        tenant=instance.tenant,
        event="approve",
        payload={"by": "Ada"},
        trigger_metadata={},
        key=None,
        created_at=NOW,
        available_at=NOW,
    )
    return replace(message, **fields)


def a_delivery(instance: WorkflowInstance, **fields: Any) -> Delivery:
    """A message about `instance` on its way to the subscriber `mail`, with these fields."""
    delivery = Delivery(
        id=new_id(),
        message_id=new_id(),
        subscriber="mail",
        instance_id=instance.id,
        workflow=instance.workflow,
        tenant=instance.tenant,
        sequence=instance.version,
        topic="order.paid",
        key=None,
        payload={"total": 17},
        headers={},
        created_at=NOW,
        available_at=NOW,
    )
    return replace(delivery, **fields)


def a_claim(limit: int = 1, **fields: Any) -> RunClaim:
    """What the worker `one` asks for: a lease of a minute, with these fields."""
    return replace(RunClaim(worker="one", lease=MINUTE, limit=limit), **fields)


def a_checkpoint(lease: Lease, **fields: Any) -> Checkpoint:
    """A checkpoint that goes on to the command `ship` and keeps the lease for a minute, with these fields."""
    checkpoint = Checkpoint(
        lease=lease,
        entry={"command": "charge", "ok": True},
        position=0,
        command="ship",
        queue="default",
        priority=0,
        extend=MINUTE,
    )
    return replace(checkpoint, **fields)


def removal(
    record: WorkflowInstance, *, expected_version: int | None = None, document: JsonObject | None = None
) -> Removal:
    """The end of the instance as `record` tells of it, with all of it kept where `document` is given."""
    entry = ArchiveEntry(
        instance_id=record.id,
        workflow=record.workflow,
        definition_version=record.definition_version,
        tenant=record.tenant,
        state=record.state,
        status=record.status,
        created_at=record.created_at,
        finished_at=record.finished_at,
        removed_at=NOW + DAY,
        reason="no longer needed",
        trigger_metadata={"actor": "Ada"},
        document=document,
    )
    return Removal(record.version if expected_version is None else expected_version, entry)


def place(record: WorkflowInstance, order: Order) -> Position:
    """Where the instance stands in a list that is sorted so."""
    return Position(record.id, None if order.by == "id" else getattr(record, order.by))


def advance(record: WorkflowInstance, _receipt: Receipt | None, now: datetime) -> tuple[Change, int]:
    """A `decide` that takes one step and answers the version after it."""
    return step(record, now=now), record.version + 1


def remembering(record: WorkflowInstance | None) -> Known:
    """A caller who has seen `record` last, whatever he is asked for."""
    return lambda _: record


def definition(version: str = "1", *, workflow: str | None = None, fingerprint: str = "cafe") -> DefinitionSnapshot:
    """A snapshot under a name that nobody used, unless one is given."""
    return DefinitionSnapshot(
        workflow=workflow or f"workflow-{new_id()}",
        version=version,
        fingerprint=fingerprint,
        definition={"name": "order", "states": {"new": {"events": {}}}, "unicode": "ü", "floats": [0.1]},
        created_at=NOW,
    )


async def created(store: Store, change: Change | None = None) -> WorkflowInstance:
    """The record that a creation left in the store."""
    wanted = change or creation()
    assert await store.create(wanted) is None
    return await loaded(store, wanted.instance.id)


async def accepted(store: Store, change: Change | None = None, **fields: Any) -> Run:
    """A stored run with these fields, of an instance that `change` creates together with it."""
    record = await created(store, with_run(change or creation(), **fields))
    assert record.run_id is not None
    return await loaded_run(store, record.run_id)


async def claimed(store: Store, *, now: datetime = NOW, **fields: Any) -> ClaimedRun:
    """The one run whose turn it is, taken for a minute."""
    [claimed_run] = await store.runs.claim(a_claim(**fields), now=now)
    return claimed_run


async def written(store: Store, instance_id: UUID, *effects: Effect, now: datetime = NOW) -> None:
    """Write these effects, and nothing else, with the instance as it is."""
    await store.apply(instance_id, lambda record, *_: (effects_only(record, *effects), None), now=now)


async def loaded_run(store: Store, run_id: UUID) -> Run:
    """The committed run, which is there."""
    run = await store.runs.load(run_id)
    assert run is not None
    return run


async def loaded(store: Store, instance_id: UUID) -> WorkflowInstance:
    """The committed record, which is there."""
    record = await store.load(instance_id)
    assert record is not None
    return record


async def sequences(store: Store, instance_id: UUID) -> list[int]:
    """The sequences of all history entries, the newest first."""
    return [entry.sequence for entry in await store.history(instance_id, limit=10_000)]


async def remembered(store: Store, instance_id: UUID, key: ReceiptKey, *, now: datetime = NOW) -> Receipt | None:
    """The receipt under `key`, as a step on the instance sees it at `now`."""

    def look(_record: WorkflowInstance, receipt: Receipt | None, _now: datetime) -> tuple[None, Receipt | None]:
        return None, receipt

    return await store.apply(instance_id, look, key=key, now=now)


async def assert_untouched(store: Store, before: WorkflowInstance) -> None:
    """The instance is as it was, and its history as long."""
    assert await store.load(before.id) == before
    assert await sequences(store, before.id) == list(range(before.version, 0, -1))


async def assert_whole(store: Store, instance_id: UUID) -> int:
    """Whatever happened, the record and its history tell the same; answers the version."""
    record = await loaded(store, instance_id)
    assert await sequences(store, instance_id) == list(range(record.version, 0, -1))
    return record.version


def _change(instance: WorkflowInstance, expected: int, event: str, effects: tuple[Effect, ...]) -> Change:
    transition_id = new_id()
    entries = tuple(
        _entry(instance, sequence, event, transition_id) for sequence in range(expected + 1, instance.version + 1)
    )
    return Change(instance, expected, transition_id, entries, effects)


def _entry(instance: WorkflowInstance, sequence: int, event: str, transition_id: UUID) -> HistoryEntry:
    return HistoryEntry(
        instance_id=instance.id,
        sequence=sequence,
        event=event,
        from_state=None if sequence == 1 else "before",
        to_state=instance.state,
        outcome=Outcome.SUCCESS,
        commands=(),
        reason=None,
        error=None,
        payload=None,
        trigger_metadata={},
        transition_id=transition_id,
        definition_version=instance.definition_version,
        created_at=instance.updated_at,
    )
