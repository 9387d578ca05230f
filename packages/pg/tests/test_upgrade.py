"""Upgrades of live instances on PostgreSQL: on their own, and in a transaction of the caller."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from detent import WorkflowDefinition, WorkflowInstance, WorkflowRuntime, WorkflowService
from detent.testing import FakeClock
from detent.upgrade.outcome import Upgraded
from detent_pg import PgStore


def claim(version: int, checking: str, patience: str) -> WorkflowDefinition:
    states: dict[str, Any] = {
        "new": {"events": {"check": {"target": checking}}},
        checking: {"events": {"pay": {"target": "paid"}, "escalate": {"target": "new", "timeout": patience}}},
        "paid": {},
    }
    return WorkflowDefinition.from_dict({"name": "claim", "version": version, "initial_state": "new", "states": states})


OLD, NEW = claim(1, "checking", "1h"), claim(2, "review", "15m")
CHECKING = {"checking": "review"}


async def made(store: PgStore, clock: FakeClock, number: int) -> list[WorkflowInstance]:
    """Instances of version 1 that are being checked since ten minutes."""
    async with WorkflowRuntime(store=store, definitions=[OLD], clock=clock) as runtime:
        claims = [await runtime.create_instance("claim", context={"n": n}) for n in range(number)]
        checked = [(await runtime.trigger_event(each, "check")).instance for each in claims]
    clock.advance(minutes=10)
    return checked


async def test_every_instance_is_moved_once_page_by_page(store: PgStore):
    clock = FakeClock()
    claims = await made(store, clock, 5)
    async with WorkflowRuntime(store=store, definitions=[OLD, NEW], clock=clock) as runtime:
        service, cursor = WorkflowService(runtime), None
        moved: list[Upgraded] = []
        for _ in range(3):
            report = await service.upgrade_instances(
                "claim",
                state_mapping=CHECKING,
                transform_context=lambda context, instance: {**context, "seen": True},
                limit=2,
                cursor=cursor,
            )
            moved += report.upgraded
            cursor = report.cursor
        assert cursor is None
        assert [each.instance_id for each in moved] == sorted(each.id for each in claims)
        instance = await service.get_instance(moved[0].instance_id)
        assert instance == moved[0].after
        assert (instance.state, instance.context["seen"]) == ("review", True)
        assert instance.due_at == clock.advance(minutes=5)
        entry = (await service.get_history(instance))[0]
        assert (entry.event, entry.definition_version) == ("$upgraded", "2")
        assert entry.payload == {"from_version": "1", "to_version": "2", "patch": {"seen": True}, "remove": []}
        assert (await service.process_timeouts()).processed == 5


async def test_in_a_lent_transaction_all_is_done_or_nothing(store: PgStore):
    clock = FakeClock()
    claims = await made(store, clock, 2)
    async with WorkflowRuntime(store=store, definitions=[OLD, NEW], clock=clock) as runtime:
        service = WorkflowService(runtime)

        async def upgraded(session: AsyncSession) -> int:
            report = await service.within(session).upgrade_instances("claim", state_mapping=CHECKING)
            return len(report.upgraded)

        async with AsyncSession(store.engine) as session:
            assert await upgraded(session) == 2
            await session.rollback()
        assert [await service.get_instance(each) for each in claims] == claims
        async with AsyncSession(store.engine) as session, session.begin():
            assert await upgraded(session) == 2
        assert {(await service.get_instance(each)).state for each in claims} == {"review"}


async def test_an_instance_that_moved_in_between_is_decided_anew(store: PgStore, monkeypatch: pytest.MonkeyPatch):
    clock = FakeClock()
    (one,) = await made(store, clock, 1)
    async with WorkflowRuntime(store=store, definitions=[OLD, NEW], clock=clock) as runtime:
        service, apply, interfered = WorkflowService(runtime), store.apply, list[object]()

        async def late(*args: Any, **kwargs: Any) -> Any:
            if not interfered:
                interfered.append(one.id)
                await service.trigger_event(one, "escalate")
            return await apply(*args, **kwargs)

        monkeypatch.setattr(store, "apply", late)
        report = await service.upgrade_instances("claim", state_mapping=CHECKING)
        assert [(moved.from_state, moved.to_state) for moved in report.upgraded] == [("new", "new")]
