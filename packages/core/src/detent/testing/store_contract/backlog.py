"""The backlog: what waits, counted."""

from dataclasses import replace
from datetime import timedelta

import pytest

from detent.store.backlog import Backlog
from detent.store.change import MoveRun, Publish
from detent.store.messages import DeliveryStatus
from detent.store.records import Status
from detent.store.run_records import ACTIVE_RUNS, RunStatus
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    MINUTE,
    NOW,
    TICK,
    a_delivery,
    a_message,
    accepted,
    claimed,
    created,
    creation,
    creation_with,
    written,
)


class BacklogContract:
    """`backlog`."""

    async def test_where_nothing_waits_nothing_is_counted(self, kit: StoreKit) -> None:
        await created(kit.store)

        backlog = await kit.store.backlog(now=NOW)

        assert not any(backlog.runs.values())
        assert replace(backlog, runs={}) == Backlog()

    # -------------------------------------------------------------------------------------------- instances

    async def test_active_instances_whose_deadline_has_passed_are_due(self, kit: StoreKit) -> None:
        for shift in (-2 * DAY, -DAY, TICK, DAY):
            await created(kit.store, creation(due=NOW + shift))
        for status in Status:
            if status is not Status.ACTIVE:
                await created(kit.store, creation(due=NOW - 9 * DAY, status=status))

        backlog = await kit.store.backlog(now=NOW)

        assert (backlog.due, backlog.oldest_due) == (2, NOW - 2 * DAY)

    async def test_where_no_deadline_has_passed_none_is_the_oldest(self, kit: StoreKit) -> None:
        await created(kit.store, creation(due=NOW + TICK))

        backlog = await kit.store.backlog(now=NOW)

        assert (backlog.due, backlog.oldest_due) == (0, None)

    async def test_parked_instances_are_counted_whatever_is_parked(self, kit: StoreKit) -> None:
        await created(kit.store, creation_with(parked_at=NOW))
        await accepted(kit.store, creation_with(parked_at=NOW), status=RunStatus.PARKED)
        await created(kit.store)

        backlog = await kit.store.backlog(now=NOW)

        assert backlog.parked == 2
        assert backlog.runs.get(RunStatus.PARKED, 0) == 1

    # -------------------------------------------------------------------------------------------- runs

    async def test_active_runs_are_counted_by_status(self, kit: StoreKit) -> None:
        for count, status in enumerate((RunStatus.PARKED, RunStatus.COMPLETED, RunStatus.CANCELLED), 1):
            for _ in range(count):
                await accepted(kit.store, status=status)
        for _ in range(5):
            await accepted(kit.store)
        await claimed(kit.store)

        backlog = await kit.store.backlog(now=NOW)

        assert {status: backlog.runs.get(status, 0) for status in ACTIVE_RUNS} == {
            RunStatus.PENDING: 4,
            RunStatus.RUNNING: 1,
            RunStatus.PARKED: 1,
        }
        assert set(backlog.runs) <= ACTIVE_RUNS

    async def test_the_oldest_run_is_the_one_that_could_have_been_claimed_first(self, kit: StoreKit) -> None:
        for shift in (-DAY, -3 * DAY, -2 * DAY, DAY):
            await accepted(kit.store, available_at=NOW + shift, created_at=NOW - 9 * DAY)
        await accepted(kit.store, available_at=NOW - 9 * DAY, status=RunStatus.PARKED)

        assert (await kit.store.backlog(now=NOW)).oldest_run == NOW - 3 * DAY

    async def test_runs_that_cannot_be_claimed_yet_are_no_delay(self, kit: StoreKit) -> None:
        await accepted(kit.store, available_at=NOW + TICK, created_at=NOW - DAY)

        assert (await kit.store.backlog(now=NOW)).oldest_run is None

    async def test_runs_of_instances_that_are_not_active_are_no_delay(self, kit: StoreKit) -> None:
        await accepted(kit.store, creation(status=Status.PAUSED), available_at=NOW - DAY)

        assert (await kit.store.backlog(now=NOW)).oldest_run is None

    @pytest.mark.parametrize(("after", "waits"), [(MINUTE - TICK, False), (MINUTE, True), (DAY, True)])
    async def test_a_run_whose_lease_has_ended_waits_since_then(
        self, kit: StoreKit, after: timedelta, waits: bool
    ) -> None:
        await accepted(kit.store, available_at=NOW - DAY)
        await claimed(kit.store)

        oldest = (await kit.store.backlog(now=NOW + after)).oldest_run

        assert oldest == (NOW + MINUTE if waits else None)

    # -------------------------------------------------------------------------------------------- messages

    async def test_messages_and_dead_ones_are_counted_apart(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        for died in (None, None, NOW):
            await kit.store.inbox.put(a_message(record, available_at=NOW + DAY, dead_at=died))

        backlog = await kit.store.backlog(now=NOW)

        assert (backlog.inbox, backlog.inbox_dead) == (2, 1)

    async def test_deliveries_and_dead_ones_are_counted_apart(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        for status, days in (
            (DeliveryStatus.PENDING, 1),
            (DeliveryStatus.PENDING, 3),
            (DeliveryStatus.PENDING, 2),
            (DeliveryStatus.DEAD, 8),
            (DeliveryStatus.DELIVERED, 9),
        ):
            await written(
                kit.store,
                record.id,
                Publish(a_delivery(record, status=status, created_at=NOW - days * DAY, available_at=NOW - days * DAY)),
            )

        backlog = await kit.store.backlog(now=NOW)

        assert (backlog.outbox, backlog.outbox_dead, backlog.oldest_outbox) == (3, 1, NOW - 3 * DAY)

    # -------------------------------------------------------------------------------------------- whose, and when

    async def test_the_backlog_of_a_tenant_is_that_of_its_own(self, kit: StoreKit) -> None:
        for tenant, count in (("acme", 1), ("globex", 2)):
            for _ in range(count):
                change = creation_with(tenant=tenant, due_at=NOW - DAY, parked_at=NOW)
                run = await accepted(kit.store, change, available_at=NOW - DAY)
                await kit.store.inbox.put(a_message(change.instance))
                await kit.store.inbox.put(a_message(change.instance, dead_at=NOW))
                dead = a_delivery(change.instance, status=DeliveryStatus.DEAD)
                await written(kit.store, run.instance_id, Publish(a_delivery(change.instance)), Publish(dead))

        for asked, count in (("acme", 1), ("globex", 2), ("ACME", 0), ("", 0), (None, 3)):
            backlog = await kit.store.backlog(tenant=asked, now=NOW)
            assert backlog.runs.get(RunStatus.PENDING, 0) == count
            assert replace(backlog, runs={}) == Backlog(
                due=count,
                oldest_due=NOW - DAY if count else None,
                parked=count,
                oldest_run=NOW - DAY if count else None,
                inbox=count,
                inbox_dead=count,
                outbox=count,
                outbox_dead=count,
                oldest_outbox=NOW if count else None,
            )

    async def test_without_a_given_now_the_stores_clock_says_what_waits(self, kit: StoreKit) -> None:
        past, future = kit.store.now() - DAY, kit.store.now() + DAY
        for instant in (past, future):
            await created(kit.store, creation(due=instant))
            await accepted(kit.store, available_at=instant)

        backlog = await kit.store.backlog()

        assert (backlog.due, backlog.oldest_due, backlog.oldest_run) == (1, past, past)

    async def test_what_has_ended_waits_no_more(self, kit: StoreKit) -> None:
        run = await accepted(kit.store, available_at=NOW - DAY)
        await written(kit.store, run.instance_id, MoveRun(run.id, RunStatus.COMPLETED, NOW))

        backlog = await kit.store.backlog(now=NOW)

        assert not any(backlog.runs.values())
        assert backlog.oldest_run is None
