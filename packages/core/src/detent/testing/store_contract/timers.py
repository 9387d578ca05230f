"""Firing what is due: earliest first, each once, all in one commit."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import pytest

from detent.store.change import Change
from detent.store.records import Receipt, Status, WorkflowInstance
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    NOW,
    advance,
    assert_untouched,
    assert_whole,
    created,
    creation,
    creation_with,
    loaded,
    sequences,
    step,
    within,
)


class TimerContract:
    """`fire_due` claims, decides and writes."""

    async def test_nothing_due_fires_nothing(self, kit: StoreKit) -> None:
        await created(kit.store, creation(due=NOW + DAY))
        await created(kit.store)

        assert list(await kit.store.fire_due(advance, limit=10, now=NOW)) == []

    async def test_only_what_is_due_fires_the_earliest_first(self, kit: StoreKit) -> None:
        late, early, not_yet, exact = [
            await created(kit.store, creation(due=NOW + shift)) for shift in (-DAY, -3 * DAY, DAY, 0 * DAY)
        ]

        fired = await kit.store.fire_due(advance, limit=10, now=NOW)

        assert list(fired) == [(early.id, 2), (late.id, 2), (exact.id, 2)]
        await assert_untouched(kit.store, not_yet)
        assert await sequences(kit.store, early.id) == [2, 1]
        assert (await loaded(kit.store, early.id)).due_at is None
        assert list(await kit.store.fire_due(advance, limit=10, now=NOW)) == []

    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.ACTIVE])
    async def test_only_active_instances_fire(self, kit: StoreKit, status: Status) -> None:
        record = await created(kit.store, creation(due=NOW - DAY, status=status))

        assert list(await kit.store.fire_due(advance, limit=10, now=NOW)) == []
        await assert_untouched(kit.store, record)

    async def test_only_instances_of_the_workflows_asked_for_are_claimed(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(due=NOW - DAY))

        assert list(await kit.store.fire_due(advance, limit=10, workflows=[], now=NOW)) == []
        assert list(await kit.store.fire_due(advance, limit=10, workflows=["other"], now=NOW)) == []
        named = await kit.store.fire_due(advance, limit=10, workflows=["other", record.workflow], now=NOW)
        assert _ids(named) == [record.id]

    async def test_only_instances_of_the_tenant_asked_for_are_claimed(self, kit: StoreKit) -> None:
        acme, nobody, globex = [
            await created(kit.store, creation_with(tenant=tenant, due_at=NOW - days * DAY))
            for days, tenant in ((3, "acme"), (2, ""), (1, "globex"))
        ]

        assert list(await kit.store.fire_due(advance, limit=10, tenant="ACME", now=NOW)) == []
        elsewhere = await kit.store.fire_due(advance, limit=10, tenant="acme", workflows=["other"], now=NOW)
        assert list(elsewhere) == []
        assert _ids(await kit.store.fire_due(advance, limit=1, tenant="globex", now=NOW)) == [globex.id]
        assert _ids(await kit.store.fire_due(advance, limit=10, tenant="", now=NOW)) == [nobody.id]
        assert _ids(await kit.store.fire_due(advance, limit=10, tenant=None, now=NOW)) == [acme.id]

    async def test_a_limit_leaves_the_later_ones_due(self, kit: StoreKit) -> None:
        records = [await created(kit.store, creation(due=NOW - days * DAY)) for days in range(1, 6)]

        first = await kit.store.fire_due(advance, limit=3, now=NOW)
        second = await kit.store.fire_due(advance, limit=3, now=NOW)

        oldest_first = [record.id for record in reversed(records)]
        assert [_ids(first), _ids(second)] == [oldest_first[:3], oldest_first[3:]]

    async def test_the_decision_gets_the_record_no_receipt_and_the_instant(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(due=NOW - DAY))
        seen: list[object] = []

        def look(current: WorkflowInstance, receipt: Receipt | None, now: datetime) -> tuple[None, str]:
            seen.append((current, receipt, now))
            return None, "answer"

        fired = await kit.store.fire_due(look, limit=10, now=NOW)

        assert list(fired) == [(record.id, "answer")]
        assert seen == [(record, None, NOW)]

    async def test_what_was_decided_is_written_whole(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(due=NOW - DAY))
        change = step(record, context={"expired": True}, due=NOW + DAY, entries=2)

        await kit.store.fire_due(lambda *_: (change, None), limit=10, now=NOW)

        assert await kit.store.load(record.id) == change.instance
        assert list(await kit.store.history(record.id, limit=2)) == list(reversed(change.entries))

    async def test_deciding_nothing_leaves_it_due_and_free(self, kit: StoreKit) -> None:
        needs_commands = await created(kit.store, creation(due=NOW - 2 * DAY))
        other = await created(kit.store, creation(due=NOW - DAY))

        def decide(record: WorkflowInstance, _receipt: Receipt | None, _now: datetime) -> tuple[Change | None, str]:
            return (None, "later") if record.id == needs_commands.id else (step(record), "fired")

        fired = await kit.store.fire_due(decide, limit=10, now=NOW)

        assert list(fired) == [(needs_commands.id, "later"), (other.id, "fired")]
        await assert_untouched(kit.store, needs_commands)
        async with kit.store.transaction(needs_commands.id, wait=False) as unit:
            assert unit.record == needs_commands
        assert _ids(await kit.store.fire_due(advance, limit=10, now=NOW)) == [needs_commands.id]

    async def test_sweepers_at_once_share_the_work_and_never_a_row(self, kit: StoreKit) -> None:
        records = [await created(kit.store, creation(due=NOW - DAY)) for _ in range(40)]
        fired: list[UUID] = []

        async def sweep() -> None:
            # What another sweeper holds is passed over, so an empty batch may come before the end.
            while len(fired) < len(records):
                fired.extend(_ids(await kit.store.fire_due(advance, limit=3, now=NOW)))
                await asyncio.sleep(0)

        async with within():
            await asyncio.gather(*(sweep() for _ in range(4)))

        assert sorted(fired) == sorted(record.id for record in records)
        for record in records:
            assert await assert_whole(kit.store, record.id) == 2

    async def test_a_sweep_and_a_step_at_once_both_count(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(due=NOW - DAY))

        async with within():
            fired, answer = await asyncio.gather(
                kit.store.fire_due(advance, limit=10, now=NOW), kit.store.apply(record.id, advance)
            )

        # Either the deadline came first, or the step came first and took the deadline away.
        assert list(fired) in ([(record.id, 2)], [])
        assert answer == 2 + len(fired)
        assert await assert_whole(kit.store, record.id) == answer


def _ids(fired: Sequence[tuple[UUID, object]]) -> list[UUID]:
    return [instance_id for instance_id, _ in fired]
