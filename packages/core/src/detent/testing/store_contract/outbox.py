"""The outbox: what was published, on its way to each subscriber, in order and at least once."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from detent.errors import ConnectionNotSupported
from detent.ids import new_id
from detent.json_values import JsonValue
from detent.store.change import Publish
from detent.store.messages import Delivery, DeliveryQuery, DeliveryResult, DeliveryStatus
from detent.store.records import Status, WorkflowInstance
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    JSON_KINDS,
    MINUTE,
    NOW,
    TICK,
    a_delivery,
    created,
    creation,
    creation_with,
    loaded,
    removal,
    step,
    within,
    written,
)

FINISHED = (DeliveryStatus.DELIVERED, DeliveryStatus.DEAD)


class OutboxContract:
    """Deliveries of published messages."""

    # -------------------------------------------------------------------------------------------- what is stored

    async def test_every_field_of_a_delivery_comes_back(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation_with(workflow="return", tenant="acme"))
        wanted = a_delivery(
            record,
            subscriber="https://example.org/hook",
            sequence=17,
            topic="order.paid",
            key="order-17",
            payload=[1, {"two": None}],
            headers={"content-type": "application/json"},
            created_at=NOW - DAY,
            available_at=NOW + DAY,
            status=DeliveryStatus.PENDING,
            attempts=2,
            error={"code": "refused", "message": "503"},
            trace={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        )

        await written(kit.store, record.id, Publish(wanted))

        [found] = await _found(kit)
        assert found == replace(wanted, number=found.number)

    @pytest.mark.parametrize("value", JSON_KINDS.values(), ids=JSON_KINDS.keys())
    async def test_every_kind_of_json_in_a_delivery_comes_back_as_it_was(self, kit: StoreKit, value: JsonValue) -> None:
        record = await created(kit.store)

        await written(kit.store, record.id, Publish(a_delivery(record, payload=value, headers={"value": value})))

        [found] = await _found(kit)
        assert (found.payload, found.headers) == (value, {"value": value})
        assert type(found.payload) is type(value)
        [claimed] = await _claim(kit)
        assert claimed.payload == value

    async def test_editing_a_delivery_does_not_reach_the_store(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        wanted = a_delivery(record, payload={"list": [1]})
        await written(kit.store, record.id, Publish(wanted))
        [found], [claimed] = await _found(kit), await _claim(kit)
        error = {"list": [1]}
        await kit.store.outbox.settle([_failed(claimed, error=error)], now=NOW)

        for delivery in (wanted, found, claimed):
            delivery.payload["list"].append(2)
            delivery.headers["new"] = True
        error["list"].append(2)

        [after] = await _found(kit)
        assert (after.payload, after.headers, after.error) == ({"list": [1]}, {}, {"list": [1]})

    async def test_numbers_rise_in_the_order_of_the_commits(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        deliveries = [a_delivery(record, created_at=NOW - days * DAY, number=-days) for days in range(5)]

        await written(kit.store, record.id, Publish(deliveries[0]))
        await written(kit.store, record.id, *(Publish(delivery) for delivery in deliveries[1:4]))
        await written(kit.store, record.id, Publish(deliveries[4]))

        found = await _found(kit)
        assert _ids(found) == _ids(deliveries)
        numbers = [delivery.number for delivery in found]
        assert numbers == sorted(set(numbers))

    async def test_reading_deliveries_through_what_the_store_did_not_lend_is_refused(self, kit: StoreKit) -> None:
        with pytest.raises(ConnectionNotSupported):
            await kit.store.outbox.find(DeliveryQuery(), limit=10, outside=object())

    # -------------------------------------------------------------------------------------------- claim

    async def test_a_claimed_delivery_is_held_under_a_token_until_its_lease_ends(self, kit: StoreKit) -> None:
        [published] = await _published(kit)

        [claimed] = await _claim(kit)

        assert claimed.lease_token is not None
        expected = replace(published, attempts=1, lease_token=claimed.lease_token, lease_until=NOW + MINUTE)
        assert claimed == expected
        assert await _found(kit) == [expected]

    @pytest.mark.parametrize(("shift", "count"), [(-1, 0), (0, 1), (1, 1)])
    async def test_a_delivery_is_claimed_when_its_instant_has_come(self, kit: StoreKit, shift: int, count: int) -> None:
        record = await created(kit.store)
        await written(kit.store, record.id, Publish(a_delivery(record, available_at=NOW + DAY)))

        assert len(await _claim(kit, NOW + DAY + shift * TICK)) == count

    async def test_without_a_given_now_the_stores_clock_says_which_deliveries_are_claimed(self, kit: StoreKit) -> None:
        come, other = await created(kit.store), await created(kit.store)
        for record, shift in ((come, -DAY), (other, DAY)):
            await written(kit.store, record.id, Publish(a_delivery(record, available_at=kit.store.now() + shift)))

        [claimed] = await kit.store.outbox.claim(["mail"], lease=DAY, limit=10)

        assert claimed.instance_id == come.id
        assert claimed.lease_until is not None
        assert abs(claimed.lease_until - DAY - kit.store.now()) < 5 * MINUTE
        assert list(await kit.store.outbox.settle([_done(claimed)])) == [claimed.id]

    @pytest.mark.parametrize(("shift", "count"), [(-1, 0), (0, 1), (1, 1)])
    async def test_a_delivery_whose_lease_has_ended_is_claimed_again(
        self, kit: StoreKit, shift: int, count: int
    ) -> None:
        await _published(kit)
        [first] = await _claim(kit)

        again = await _claim(kit, NOW + MINUTE + shift * TICK)

        assert [(delivery.id, delivery.attempts) for delivery in again] == [(first.id, 2)] * count
        assert all(delivery.lease_token != first.lease_token for delivery in again)

    async def test_only_deliveries_to_the_subscribers_asked_for_are_claimed(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        to = {name: a_delivery(record, subscriber=name) for name in ("mail", "audit", "stock")}
        await written(kit.store, record.id, *(Publish(delivery) for delivery in to.values()))

        asked: list[tuple[list[str], list[str]]] = [
            ([], []),
            (["MAIL", "unheard of"], []),
            (["stock"], ["stock"]),
            (["audit", "mail", "stock"], ["mail", "audit"]),
        ]
        for subscribers, names in asked:
            claimed = await kit.store.outbox.claim(subscribers, lease=MINUTE, limit=10, now=NOW)
            assert [delivery.subscriber for delivery in claimed] == names

    async def test_of_one_tenant_only_its_own_deliveries_are_claimed(self, kit: StoreKit) -> None:
        acme, nobody, other = [await created(kit.store, creation_with(tenant=name)) for name in ("acme", "", "other")]
        for record in (other, nobody, acme, acme):
            await written(kit.store, record.id, Publish(a_delivery(record)))

        tenants = ("unheard of", "ACME", "acme", "acme", "", None)
        owners = [
            [
                delivery.instance_id
                for delivery in await kit.store.outbox.claim(["mail"], lease=MINUTE, limit=10, tenant=tenant, now=NOW)
            ]
            for tenant in tenants
        ]

        assert owners == [[], [], [acme.id], [], [nobody.id], [other.id]]

    async def test_a_limit_is_filled_with_deliveries_of_one_tenant(self, kit: StoreKit) -> None:
        for tenant in ("other", "other", "acme", "other", "acme"):
            record = await created(kit.store, creation_with(tenant=tenant))
            await written(kit.store, record.id, Publish(a_delivery(record)))

        claimed = await kit.store.outbox.claim(["mail"], lease=MINUTE, limit=2, tenant="acme", now=NOW)

        assert [delivery.tenant for delivery in claimed] == ["acme", "acme"]

    async def test_the_lowest_numbers_are_claimed_first_and_no_more_than_the_limit(self, kit: StoreKit) -> None:
        published = [delivery for _ in range(5) for delivery in await _published(kit)]

        claimed = [await _claim(kit, limit=2) for _ in range(4)]

        ids = _ids(published)
        assert [_ids(some) for some in claimed] == [ids[:2], ids[2:4], ids[4:], []]

    async def test_deliveries_of_one_instance_to_one_subscriber_are_claimed_one_after_the_other(
        self, kit: StoreKit
    ) -> None:
        first, second, third = await _published(kit, 3)

        order = []
        for _ in range(3):
            [claimed] = await _claim(kit)
            assert await _claim(kit) == []
            order.append(claimed.id)
            await kit.store.outbox.settle([_done(claimed)], now=NOW)

        assert order == [first.id, second.id, third.id]
        assert await _claim(kit) == []

    async def test_a_delivery_waits_for_an_earlier_one_that_is_tried_again_later(self, kit: StoreKit) -> None:
        first, second = await _published(kit, 2)
        [claimed] = await _claim(kit)
        await kit.store.outbox.settle([_failed(claimed, delay=DAY)], now=NOW)

        assert await _claim(kit, NOW + DAY - TICK) == []

        assert _ids(await _claim(kit, NOW + DAY)) == [first.id]
        assert second.id in _ids(await _found(kit))

    async def test_a_delivery_that_is_available_earlier_does_not_overtake(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        first = a_delivery(record, available_at=NOW + DAY)
        await written(kit.store, record.id, Publish(first), Publish(a_delivery(record, available_at=NOW - DAY)))

        assert await _claim(kit) == []
        assert _ids(await _claim(kit, NOW + DAY)) == [first.id]

    async def test_what_follows_a_dead_delivery_does_not_wait_for_it(self, kit: StoreKit) -> None:
        _first, second = await _published(kit, 2)
        [claimed] = await _claim(kit)
        await kit.store.outbox.settle([replace(_done(claimed), status=DeliveryStatus.DEAD)], now=NOW)

        assert _ids(await _claim(kit)) == [second.id]

    async def test_other_instances_and_other_subscribers_do_not_wait(self, kit: StoreKit) -> None:
        one, other = await created(kit.store), await created(kit.store)
        for record in (one, other):
            effects = (Publish(a_delivery(record, subscriber=name)) for name in ("mail", "audit", "mail"))
            await written(kit.store, record.id, *effects)

        claimed = await kit.store.outbox.claim(["mail", "audit"], lease=MINUTE, limit=10, now=NOW)

        seen = [(delivery.instance_id, delivery.subscriber) for delivery in claimed]
        assert seen == [(one.id, "mail"), (one.id, "audit"), (other.id, "mail"), (other.id, "audit")]

    async def test_a_limit_is_filled_although_the_first_ones_wait(self, kit: StoreKit) -> None:
        await _published(kit, 9)
        await _claim(kit)
        [free] = await _published(kit)

        assert _ids(await _claim(kit, limit=1)) == [free.id]

    @pytest.mark.parametrize("status", Status)
    async def test_deliveries_are_made_however_the_instance_stands(self, kit: StoreKit, status: Status) -> None:
        record = await created(kit.store, creation(status=status))
        await written(kit.store, record.id, Publish(a_delivery(record)))

        assert len(await _claim(kit)) == 1

    async def test_of_many_who_claim_deliveries_at_once_no_two_get_the_same(self, kit: StoreKit) -> None:
        published = [delivery for _ in range(8) for delivery in await _published(kit, 2)]
        delivered: list[Delivery] = []

        async def work() -> None:
            # What another is just claiming may be passed over, so an empty batch may come before the end.
            while len(delivered) < len(published):
                claimed = await _claim(kit, limit=3)
                delivered.extend(claimed)
                await kit.store.outbox.settle([_done(delivery) for delivery in claimed], now=NOW)
                await asyncio.sleep(0)

        async with within():
            await asyncio.gather(*(work() for _ in range(5)))

        assert sorted(_ids(delivered)) == sorted(_ids(published))
        for instance_id in {delivery.instance_id for delivery in published}:
            order = [delivery.number for delivery in delivered if delivery.instance_id == instance_id]
            assert order == sorted(order)

    async def test_who_publishes_at_once_for_one_instance_publishes_in_the_order_of_the_commits(
        self, kit: StoreKit
    ) -> None:
        record = await created(kit.store)

        async def go() -> int:
            async with kit.store.transaction(record.id) as unit:
                assert unit.record is not None
                await unit.write(step(unit.record, effects=(Publish(a_delivery(unit.record)),)))
                return unit.record.version

        async with within():
            await asyncio.gather(*(go() for _ in range(6)))

        assert [delivery.sequence for delivery in await _found(kit)] == [1, 2, 3, 4, 5, 6]

    # -------------------------------------------------------------------------------------------- settle

    async def test_a_delivery_that_was_made_is_finished(self, kit: StoreKit) -> None:
        await _published(kit)
        [claimed] = await _claim(kit)

        assert list(await kit.store.outbox.settle([_done(claimed)], now=NOW + TICK)) == [claimed.id]

        [after] = await _found(kit)
        assert (after.status, after.finished_at, after.attempts) == (DeliveryStatus.DELIVERED, NOW + TICK, 1)
        assert await _claim(kit, NOW + DAY) == []

    async def test_a_delivery_that_failed_is_tried_again_after_its_delay(self, kit: StoreKit) -> None:
        await _published(kit)
        [claimed] = await _claim(kit)
        error = {"code": "refused", "message": "503"}

        await kit.store.outbox.settle([_failed(claimed, delay=DAY, error=error)], now=NOW + TICK)

        [after] = await _found(kit)
        assert (after.status, after.finished_at, after.attempts) == (DeliveryStatus.PENDING, None, 1)
        assert (after.available_at, after.error) == (NOW + TICK + DAY, error)
        assert await _claim(kit, NOW + DAY) == []
        [again] = await _claim(kit, NOW + TICK + DAY)
        assert (again.attempts, again.error) == (2, error)

    async def test_a_delivery_that_failed_may_be_tried_again_at_once(self, kit: StoreKit) -> None:
        await _published(kit)
        [claimed] = await _claim(kit)

        await kit.store.outbox.settle([_failed(claimed)], now=NOW)

        assert [again.attempts for again in await _claim(kit)] == [2]

    async def test_a_delivery_that_is_given_up_waits_for_an_operator(self, kit: StoreKit) -> None:
        await _published(kit)
        [claimed] = await _claim(kit)
        error = {"code": "gone", "message": "410"}

        result = replace(_done(claimed), status=DeliveryStatus.DEAD, error=error)
        assert list(await kit.store.outbox.settle([result], now=NOW)) == [claimed.id]

        [after] = await _found(kit)
        assert (after.status, after.finished_at, after.error) == (DeliveryStatus.DEAD, NOW, error)
        assert await _claim(kit, NOW + DAY) == []

    @pytest.mark.parametrize("status", DeliveryStatus)
    async def test_a_result_under_a_lease_that_another_replaced_is_refused(
        self, kit: StoreKit, status: DeliveryStatus
    ) -> None:
        await _published(kit)
        [stale] = await _claim(kit)
        [current] = await _claim(kit, NOW + MINUTE)
        late = replace(_done(stale), status=status, error={"code": "late"})

        assert list(await kit.store.outbox.settle([late], now=NOW + MINUTE)) == []

        assert await _found(kit) == [current]
        assert list(await kit.store.outbox.settle([_done(current)], now=NOW + MINUTE)) == [current.id]

    @pytest.mark.parametrize("after", [MINUTE - TICK, MINUTE, DAY], ids=["in time", "at its end", "late"])
    async def test_a_result_is_taken_as_long_as_nobody_has_claimed_the_delivery_since(
        self, kit: StoreKit, after: timedelta
    ) -> None:
        # What was delivered needs not be delivered again, however long it took.
        await _published(kit)
        [claimed] = await _claim(kit)

        assert list(await kit.store.outbox.settle([_done(claimed)], now=NOW + after)) == [claimed.id]

        assert [delivery.status for delivery in await _found(kit)] == [DeliveryStatus.DELIVERED]
        assert await _claim(kit, NOW + 2 * DAY) == []

    @pytest.mark.parametrize("status", DeliveryStatus)
    async def test_a_delivery_is_settled_once(self, kit: StoreKit, status: DeliveryStatus) -> None:
        await _published(kit)
        [claimed] = await _claim(kit)
        await kit.store.outbox.settle([replace(_done(claimed), status=status)], now=NOW)
        before = await _found(kit)

        again = replace(_done(claimed), error={"code": "twice"})
        assert list(await kit.store.outbox.settle([again], now=NOW)) == []

        assert await _found(kit) == before

    async def test_of_many_results_those_still_held_are_noted(self, kit: StoreKit) -> None:
        for _ in range(3):
            await _published(kit)
        one, lost, other = await _claim(kit)
        results = [
            _done(one),
            replace(_done(lost), token=new_id()),
            replace(_done(lost), id=new_id()),
            _failed(other, delay=DAY),
        ]

        answer = await kit.store.outbox.settle(results, now=NOW)

        assert sorted(answer) == sorted([one.id, other.id])
        first, second, third = await _found(kit)
        assert (first.status, third.status) == (DeliveryStatus.DELIVERED, DeliveryStatus.PENDING)
        assert (second, third.available_at) == (lost, NOW + DAY)
        assert list(await kit.store.outbox.settle([], now=NOW)) == []

    # -------------------------------------------------------------------------------------------- find

    async def test_a_query_for_deliveries_finds_what_it_asks_for_by_rising_number(self, kit: StoreKit) -> None:
        one = await created(kit.store, creation_with(tenant="acme"))
        other = await created(kit.store)
        sent = [
            a_delivery(one),
            a_delivery(other, subscriber="audit", topic="order.lost"),
            a_delivery(one, subscriber="audit", status=DeliveryStatus.DEAD, finished_at=NOW),
        ]
        for delivery in sent:
            await written(kit.store, delivery.instance_id, Publish(delivery))

        wanted = [
            (DeliveryQuery(), [0, 1, 2]),
            (DeliveryQuery(statuses=(DeliveryStatus.DEAD,)), [2]),
            (DeliveryQuery(statuses=(DeliveryStatus.PENDING, DeliveryStatus.DEAD)), [0, 1, 2]),
            (DeliveryQuery(statuses=()), []),
            (DeliveryQuery(subscribers=("audit",)), [1, 2]),
            (DeliveryQuery(subscribers=("AUDIT",)), []),
            (DeliveryQuery(topics=("order.lost", "unheard of")), [1]),
            (DeliveryQuery(topics=()), []),
            (DeliveryQuery(instance_id=one.id), [0, 2]),
            (DeliveryQuery(tenant="acme"), [0, 2]),
            (DeliveryQuery(tenant=""), [1]),
            (DeliveryQuery(ids=(sent[2].id, new_id(), sent[0].id)), [0, 2]),
            (DeliveryQuery(ids=()), []),
            (DeliveryQuery(tenant="acme", subscribers=("audit",), topics=("order.lost",)), []),
        ]
        for query, places in wanted:
            found = await kit.store.outbox.find(query, limit=10)
            assert _ids(found) == [sent[place].id for place in places], query

    async def test_deliveries_are_found_page_after_page(self, kit: StoreKit) -> None:
        await _published(kit, 5)
        numbers = [delivery.number for delivery in await _found(kit)]

        places = (None, numbers[1], numbers[3], numbers[4])
        pages = [await kit.store.outbox.find(DeliveryQuery(), limit=2, after=after) for after in places]

        assert [[delivery.number for delivery in page] for page in pages] == [
            numbers[:2],
            numbers[2:4],
            numbers[4:],
            [],
        ]

    # -------------------------------------------------------------------------------------------- by operators

    @pytest.mark.parametrize("status", FINISHED)
    async def test_a_replayed_delivery_is_made_again_at_once(self, kit: StoreKit, status: DeliveryStatus) -> None:
        [published] = await _published(kit)
        [claimed] = await _claim(kit)
        result = replace(_done(claimed), status=status, error={"code": "gone"})
        await kit.store.outbox.settle([result], now=NOW)

        answer = await kit.store.outbox.replay(DeliveryQuery(), limit=10, now=NOW + DAY)

        assert list(answer) == [published.id]
        [after] = await _found(kit)
        assert (after.status, after.attempts, after.error) == (DeliveryStatus.PENDING, 0, None)
        assert (after.available_at, after.finished_at, after.number) == (NOW + DAY, None, published.number)
        assert await _claim(kit, NOW + DAY - TICK) == []
        [again] = await _claim(kit, NOW + DAY)
        assert (again.id, again.message_id, again.attempts) == (published.id, published.message_id, 1)

    async def test_only_what_was_asked_for_and_is_finished_is_replayed(self, kit: StoreKit) -> None:
        done, dead, other = [(await _published(kit))[0] for _ in range(3)]
        claimed = await _claim(kit)
        for delivery, status in zip(claimed, (*FINISHED, DeliveryStatus.DELIVERED), strict=True):
            await kit.store.outbox.settle([replace(_done(delivery), status=status)], now=NOW)
        [pending], [held] = await _published(kit), await _published(kit)
        await kit.store.outbox.claim(["mail"], lease=DAY, limit=1, now=NOW)
        before = await kit.store.outbox.find(DeliveryQuery(ids=(pending.id, held.id, other.id)), limit=10)

        wanted = DeliveryQuery(ids=(done.id, dead.id, pending.id, held.id))
        answer = await kit.store.outbox.replay(wanted, limit=10, now=NOW)

        assert sorted(answer) == sorted([done.id, dead.id])
        assert await kit.store.outbox.find(DeliveryQuery(ids=(pending.id, held.id, other.id)), limit=10) == before

    async def test_a_limit_leaves_others_for_the_next_replay(self, kit: StoreKit) -> None:
        published = [(await _published(kit))[0] for _ in range(3)]
        await kit.store.outbox.settle([_done(delivery) for delivery in await _claim(kit)], now=NOW)

        replays = [await kit.store.outbox.replay(DeliveryQuery(), limit=2, now=NOW) for _ in range(3)]

        assert [len(ids) for ids in replays] == [2, 1, 0]
        assert sorted(delivery_id for ids in replays for delivery_id in ids) == sorted(_ids(published))

    async def test_what_is_replayed_comes_in_order_again(self, kit: StoreKit) -> None:
        first, second = await _published(kit, 2)
        for _ in range(2):
            await kit.store.outbox.settle([_done(delivery) for delivery in await _claim(kit)], now=NOW)
        await kit.store.outbox.replay(DeliveryQuery(instance_id=first.instance_id), limit=10, now=NOW)

        [again] = await _claim(kit)
        await kit.store.outbox.settle([_done(again)], now=NOW)

        assert again.id == first.id
        assert _ids(await _claim(kit)) == [second.id]

    @pytest.mark.parametrize(("shift", "taken"), [(-1, 0), (0, 0), (1, 1)])
    async def test_deliveries_that_were_made_before_an_instant_are_taken_out(
        self, kit: StoreKit, shift: int, taken: int
    ) -> None:
        await _published(kit)
        [claimed] = await _claim(kit)
        await kit.store.outbox.settle([_done(claimed)], now=NOW + TICK)

        assert await kit.store.outbox.prune(before=NOW + TICK + shift * TICK, limit=10) == taken

        assert len(await _found(kit)) == 1 - taken

    async def test_dead_and_pending_deliveries_stay_however_old_they_are(self, kit: StoreKit) -> None:
        for _ in range(3):
            await _published(kit)
        dead, held, pending = await _claim(kit)
        await kit.store.outbox.settle([replace(_done(dead), status=DeliveryStatus.DEAD), _failed(pending)], now=NOW)

        assert await kit.store.outbox.prune(before=NOW + 999 * DAY, limit=10) == 0

        assert _ids(await _found(kit)) == [dead.id, held.id, pending.id]

    async def test_a_limit_leaves_other_deliveries_for_the_next_time(self, kit: StoreKit) -> None:
        for _ in range(5):
            await _published(kit)
        await kit.store.outbox.settle([_done(delivery) for delivery in await _claim(kit)], now=NOW)

        assert [await kit.store.outbox.prune(before=NOW + DAY, limit=2) for _ in range(4)] == [2, 2, 1, 0]

    async def test_deliveries_outlive_their_instance(self, kit: StoreKit) -> None:
        first, second = await _published(kit, 2)
        record = await loaded(kit.store, first.instance_id)

        await kit.store.remove([removal(record)])

        assert await _found(kit) == [first, second]
        for delivery in (first, second):
            [claimed] = await _claim(kit)
            assert claimed.id == delivery.id
            assert list(await kit.store.outbox.settle([_done(claimed)], now=NOW)) == [delivery.id]


async def _published(kit: StoreKit, count: int = 1) -> list[Delivery]:
    """As many deliveries of a new instance, as they were stored."""
    record: WorkflowInstance = await created(kit.store)
    await written(kit.store, record.id, *(Publish(a_delivery(record)) for _ in range(count)))
    return list(await kit.store.outbox.find(DeliveryQuery(instance_id=record.id), limit=count))


async def _claim(kit: StoreKit, now: datetime = NOW, *, limit: int = 10) -> list[Delivery]:
    return list(await kit.store.outbox.claim(["mail"], lease=MINUTE, limit=limit, now=now))


async def _found(kit: StoreKit) -> list[Delivery]:
    return list(await kit.store.outbox.find(DeliveryQuery(), limit=20))


def _done(delivery: Delivery) -> DeliveryResult:
    assert delivery.lease_token is not None
    return DeliveryResult(delivery.id, delivery.lease_token, DeliveryStatus.DELIVERED)


def _failed(
    delivery: Delivery, *, delay: timedelta = timedelta(0), error: dict[str, JsonValue] | None = None
) -> DeliveryResult:
    return replace(_done(delivery), status=DeliveryStatus.PENDING, delay=delay, error=error)


def _ids(deliveries: Sequence[Delivery]) -> list[UUID]:
    return [delivery.id for delivery in deliveries]
