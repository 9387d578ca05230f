"""The inbox: events sent and not yet applied, in the order of arrival."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from detent.errors import ConnectionNotSupported, InstanceNotFound
from detent.ids import new_id
from detent.json_values import JsonValue
from detent.store.change import AddMessage, MoveRun, PutBack, TakeMessage
from detent.store.messages import InboxMessage, InboxQuery
from detent.store.records import Status
from detent.store.run_records import RunStatus
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    JSON_KINDS,
    NOW,
    TICK,
    a_message,
    accepted,
    advance,
    created,
    creation,
    creation_with,
    loaded,
    removal,
    step,
    within,
    written,
)


class Boom(Exception):
    """What an application may raise."""


class InboxContract:
    """Messages to instances."""

    # -------------------------------------------------------------------------------------------- what is stored

    async def test_every_field_of_a_message_comes_back(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation_with(tenant="acme"))
        wanted = a_message(
            record,
            event="$child ended",
            payload=[1, {"two": None}],
            trigger_metadata={"actor": "Ada"},
            key="order-17",
            created_at=NOW - DAY,
            available_at=NOW + DAY,
            expires_at=NOW + 2 * DAY,
            attempts=2,
            seen_version=1,
            dead_at=NOW + 3 * DAY,
            reason="the guard said no",
            trace={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        )

        await kit.store.inbox.put(wanted)

        assert await _found(kit) == [replace(wanted, number=(await _found(kit))[0].number)]

    async def test_what_a_message_does_not_have_is_not_made_up(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        wanted = a_message(record, payload=None)

        await kit.store.inbox.put(wanted)

        [message] = await _found(kit)
        assert replace(message, number=0) == wanted

    @pytest.mark.parametrize("value", JSON_KINDS.values(), ids=JSON_KINDS.keys())
    async def test_every_kind_of_json_in_a_message_comes_back_as_it_was(self, kit: StoreKit, value: JsonValue) -> None:
        record = await created(kit.store)

        await kit.store.inbox.put(a_message(record, payload=value, trigger_metadata={"value": value}))
        await written(kit.store, record.id, AddMessage(a_message(record, payload=value)))

        for message in await _found(kit):
            assert message.payload == value
            assert type(message.payload) is type(value)

    async def test_editing_a_message_does_not_reach_the_store(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        wanted = a_message(record, payload={"list": [1]})
        await kit.store.inbox.put(wanted)
        [found] = await _found(kit)
        async with kit.store.transaction(record.id) as unit:
            [seen] = await unit.messages()

        for message in (wanted, found, seen):
            message.payload["list"].append(2)
            message.trigger_metadata["new"] = True

        [after] = await _found(kit)
        assert (after.payload, after.trigger_metadata) == ({"list": [1]}, {})

    async def test_numbers_rise_in_the_order_of_arrival_whatever_else_is_said(self, kit: StoreKit) -> None:
        one, other = await created(kit.store), await created(kit.store)
        sent = [
            a_message(one, created_at=NOW),
            a_message(other, created_at=NOW - DAY, number=99),
            a_message(one, available_at=NOW - 2 * DAY, number=-3),
            a_message(other),
        ]

        await kit.store.inbox.put(sent[0])
        await written(kit.store, one.id, AddMessage(sent[1]), AddMessage(sent[2]))
        await kit.store.inbox.put(sent[3])

        found = await _found(kit)
        assert [message.id for message in found] == [message.id for message in sent]
        numbers = [message.number for message in found]
        assert numbers == sorted(set(numbers))

    async def test_a_message_to_nobody_is_refused(self, kit: StoreKit) -> None:
        with pytest.raises(InstanceNotFound):
            await kit.store.inbox.put(a_message(creation().instance))

        assert await _found(kit) == []

    async def test_a_message_in_a_callers_transaction_is_visible_when_the_caller_commits(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        message = a_message(record)

        async with kit.lend() as outside:
            await kit.note(outside, f"with a message {record.id}")
            await kit.store.inbox.put(message, outside=outside)
            assert await _found(kit) == []
            seen = await kit.store.inbox.find(InboxQuery(), limit=10, outside=outside)
            assert [one.id for one in seen] == [message.id]

        assert [one.id for one in await _found(kit)] == [message.id]
        assert await kit.noted(f"with a message {record.id}")

    async def test_a_message_in_a_callers_transaction_goes_when_that_is_undone(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async def undone() -> None:
            async with kit.lend() as outside:
                await kit.store.inbox.put(a_message(record), outside=outside)
                raise Boom

        with pytest.raises(Boom):
            await undone()

        assert await _found(kit) == []

    async def test_a_message_may_be_sent_to_what_the_same_transaction_created(self, kit: StoreKit) -> None:
        change = creation()

        async with kit.lend() as outside:
            async with kit.store.join(outside, None) as unit:
                await unit.write(change)
            await kit.store.inbox.put(a_message(change.instance), outside=outside)

        assert len(await _found(kit)) == 1

    async def test_a_message_to_nobody_leaves_a_callers_transaction_usable(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with kit.lend() as outside:
            with pytest.raises(InstanceNotFound):
                await kit.store.inbox.put(a_message(creation().instance), outside=outside)
            await kit.store.inbox.put(a_message(record), outside=outside)

        assert len(await _found(kit)) == 1

    async def test_a_message_through_what_the_store_did_not_lend_is_refused(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        with pytest.raises(ConnectionNotSupported):
            await kit.store.inbox.put(a_message(record), outside=object())
        with pytest.raises(ConnectionNotSupported):
            await kit.store.inbox.find(InboxQuery(), limit=10, outside=object())

        assert await _found(kit) == []

    async def test_of_many_sent_at_once_none_is_lost(self, kit: StoreKit) -> None:
        records = [await created(kit.store) for _ in range(3)]
        messages = [a_message(record) for record in records for _ in range(6)]

        async with within():
            await asyncio.gather(*(kit.store.inbox.put(message) for message in messages))

        found = await _found(kit, limit=99)
        assert sorted(message.id for message in found) == sorted(message.id for message in messages)
        assert len({message.number for message in found}) == len(messages)

    # -------------------------------------------------------------------------------------------- due

    async def test_an_instance_with_messages_is_due_once_the_longest_waiting_first(self, kit: StoreKit) -> None:
        records = [await created(kit.store) for _ in range(3)]
        for number, index in enumerate((1, 0, 1, 2, 0)):
            sent = NOW - (9 - number) * DAY
            await kit.store.inbox.put(a_message(records[index], created_at=sent, available_at=sent))

        wanted = [records[index].id for index in (1, 0, 2)]
        assert await _due(kit) == wanted
        assert list(await kit.store.inbox.due(limit=2, now=NOW)) == wanted[:2]

    async def test_where_nothing_was_sent_nothing_is_due(self, kit: StoreKit) -> None:
        await created(kit.store)

        assert await _due(kit) == []

    @pytest.mark.parametrize(("shift", "due"), [(-1, False), (0, True), (1, True)])
    async def test_a_message_is_due_when_its_instant_has_come(self, kit: StoreKit, shift: int, due: bool) -> None:
        record = await created(kit.store)
        await kit.store.inbox.put(a_message(record, available_at=NOW))

        assert await _due(kit, NOW + shift * TICK) == [record.id] * due

    async def test_without_a_given_now_the_stores_clock_says_which_messages_are_due(self, kit: StoreKit) -> None:
        record, other = await created(kit.store), await created(kit.store)
        await kit.store.inbox.put(a_message(record, available_at=kit.store.now() - DAY))
        await kit.store.inbox.put(a_message(other, available_at=kit.store.now() + DAY))

        assert list(await kit.store.inbox.due(limit=10)) == [record.id]

    async def test_a_dead_message_is_not_due(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        await kit.store.inbox.put(a_message(record, dead_at=NOW, expires_at=NOW))

        assert await _due(kit, NOW + DAY) == []

    async def test_a_message_that_its_state_did_not_declare_is_due_when_the_instance_has_moved(
        self, kit: StoreKit
    ) -> None:
        record = await created(kit.store, creation(hops=2))
        await kit.store.inbox.put(a_message(record, seen_version=record.version))
        assert await _due(kit) == []

        await kit.store.apply(record.id, advance)

        assert await _due(kit) == [record.id]

    @pytest.mark.parametrize(("shift", "due"), [(-1, False), (0, True), (1, True)])
    async def test_an_expired_message_is_due_although_the_instance_has_not_moved(
        self, kit: StoreKit, shift: int, due: bool
    ) -> None:
        record = await created(kit.store)
        await kit.store.inbox.put(a_message(record, seen_version=1, expires_at=NOW + DAY))

        assert await _due(kit, NOW + DAY + shift * TICK) == [record.id] * due

    async def test_an_expired_message_waits_for_its_instant_like_any_other(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        await kit.store.inbox.put(a_message(record, available_at=NOW + DAY, expires_at=NOW))

        assert await _due(kit, NOW + DAY - TICK) == []
        assert await _due(kit, NOW + DAY) == [record.id]

    @pytest.mark.parametrize("status", Status)
    async def test_messages_to_all_but_paused_instances_are_judged(self, kit: StoreKit, status: Status) -> None:
        record = await created(kit.store, creation(status=status))
        await kit.store.inbox.put(a_message(record))

        assert await _due(kit) == [record.id] * (status is not Status.PAUSED)

    async def test_messages_wait_for_the_end_of_a_run(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)
        record = await loaded(kit.store, run.instance_id)
        await kit.store.inbox.put(a_message(record, expires_at=NOW))
        assert await _due(kit) == []
        ended = MoveRun(run.id, RunStatus.COMPLETED, NOW)

        await kit.store.apply(
            record.id, lambda current, *_: (step(replace(current, run_id=None), effects=(ended,)), None)
        )

        assert await _due(kit) == [record.id]

    async def test_a_later_message_makes_an_instance_due_whose_earlier_one_waits(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        await kit.store.inbox.put(a_message(record, dead_at=NOW))
        await kit.store.inbox.put(a_message(record, available_at=NOW + DAY))
        await kit.store.inbox.put(a_message(record, seen_version=1))
        await kit.store.inbox.put(a_message(record))

        assert await _due(kit) == [record.id]

    async def test_only_messages_to_instances_that_were_asked_for_are_due(self, kit: StoreKit) -> None:
        one = await created(kit.store, creation_with(tenant="acme"))
        other = await created(kit.store, creation_with(workflow="return"))
        for record in (one, other):
            await kit.store.inbox.put(a_message(record))

        wanted: list[tuple[dict[str, Any], list[UUID]]] = [
            ({}, [one.id, other.id]),
            ({"workflows": ["order"]}, [one.id]),
            ({"workflows": ["return", "order", "unheard of"]}, [one.id, other.id]),
            ({"workflows": []}, []),
            ({"tenant": "acme"}, [one.id]),
            ({"tenant": ""}, [other.id]),
            ({"tenant": "ACME"}, []),
            ({"tenant": "acme", "workflows": ["return"]}, []),
        ]
        for fields, ids in wanted:
            assert list(await kit.store.inbox.due(limit=10, now=NOW, **fields)) == ids, fields

    # -------------------------------------------------------------------------------------------- under the lock

    async def test_a_step_sees_the_messages_to_its_instance_that_are_not_dead(self, kit: StoreKit) -> None:
        record, other = await created(kit.store), await created(kit.store)
        sent = [
            a_message(record),
            a_message(record, dead_at=NOW),
            a_message(record, available_at=NOW + DAY, seen_version=9),
            a_message(other),
            a_message(record, created_at=NOW - DAY),
        ]
        for message in sent:
            await kit.store.inbox.put(message)
        wanted = [message for message in await _found(kit) if message.id in {sent[0].id, sent[2].id, sent[4].id}]

        async with kit.store.transaction(record.id, now=NOW) as unit:
            assert list(await unit.messages()) == wanted
        async with kit.lend() as outside, kit.store.join(outside, record.id, now=NOW) as unit:
            assert list(await unit.messages()) == wanted

        assert [message.id for message in wanted] == [sent[0].id, sent[2].id, sent[4].id]

    async def test_a_step_sees_messages_by_the_thousand(self, kit: StoreKit) -> None:
        record, other = await created(kit.store), await created(kit.store)
        await written(kit.store, record.id, *(AddMessage(a_message(record)) for _ in range(1000)))
        await kit.store.inbox.put(a_message(other))
        await kit.store.inbox.put(a_message(record, dead_at=NOW))
        last = a_message(record, event="the last")
        await kit.store.inbox.put(last)
        sent = await _found(kit, limit=1000)

        async with kit.store.transaction(record.id) as unit:
            first = await unit.messages()
            second = await unit.messages(after=first[-1].number)
            beyond = await unit.messages(after=second[-1].number)

        assert list(first) == sent
        assert [message.id for message in second] == [last.id]
        assert list(beyond) == []

    async def test_a_step_sees_in_any_page_what_it_wrote_itself(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        for _ in range(4):
            await kit.store.inbox.put(a_message(record))

        async with kit.store.transaction(record.id, now=NOW) as unit:
            first, second, third, fourth = await unit.messages()
            back = replace(fourth, attempts=1, available_at=NOW + DAY, reason="refused")
            dead = replace(third, dead_at=NOW)
            await unit.write(step(record, effects=(TakeMessage(second.id), PutBack(dead), PutBack(back))))
            assert list(await unit.messages(after=first.number)) == [back]
            assert list(await unit.messages(after=first.number - 1)) == [first, back]
            assert list(await unit.messages(after=back.number)) == []

    async def test_a_step_takes_one_message_and_puts_another_back(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        for event in ("first", "second", "third"):
            await kit.store.inbox.put(a_message(record, event=event))

        async with kit.store.transaction(record.id, now=NOW) as unit:
            first, second, _third = await unit.messages()
            back = replace(second, attempts=1, available_at=NOW + DAY, reason="refused")
            await unit.write(step(record, effects=(TakeMessage(first.id), PutBack(back))))
            assert len(await _found(kit)) == 3

        found = await _found(kit)
        assert [message.event for message in found] == ["second", "third"]
        assert found[0] == back

    # -------------------------------------------------------------------------------------------- find

    async def test_a_query_for_messages_finds_what_it_asks_for_by_rising_number(self, kit: StoreKit) -> None:
        one = await created(kit.store, creation_with(tenant="acme"))
        other = await created(kit.store)
        sent = [a_message(one), a_message(other, event="cancel"), a_message(one, event="cancel", dead_at=NOW)]
        for message in sent:
            await kit.store.inbox.put(message)

        wanted = [
            (InboxQuery(), [0, 1, 2]),
            (InboxQuery(instance_id=one.id), [0, 2]),
            (InboxQuery(instance_id=new_id()), []),
            (InboxQuery(events=("cancel",)), [1, 2]),
            (InboxQuery(events=("approve", "cancel")), [0, 1, 2]),
            (InboxQuery(events=()), []),
            (InboxQuery(dead=True), [2]),
            (InboxQuery(dead=False), [0, 1]),
            (InboxQuery(tenant="acme"), [0, 2]),
            (InboxQuery(tenant=""), [1]),
            (InboxQuery(tenant="acme", events=("cancel",), dead=False), []),
            (InboxQuery(ids=(sent[2].id, sent[0].id, new_id())), [0, 2]),
            (InboxQuery(ids=(sent[0].id, sent[1].id), tenant="acme"), [0]),
            (InboxQuery(ids=()), []),
        ]
        for query, places in wanted:
            found = await kit.store.inbox.find(query, limit=10)
            assert [message.id for message in found] == [sent[place].id for place in places], query

    async def test_messages_are_found_page_after_page(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        for _ in range(5):
            await kit.store.inbox.put(a_message(record))
        numbers = [message.number for message in await _found(kit)]

        pages = [await kit.store.inbox.find(InboxQuery(), limit=2, after=after) for after in (None, *numbers[1::2])]
        last = await kit.store.inbox.find(InboxQuery(), limit=2, after=numbers[-1])

        assert [[message.number for message in page] for page in pages] == [numbers[:2], numbers[2:4], numbers[4:]]
        assert list(last) == []

    # -------------------------------------------------------------------------------------------- by operators

    async def test_a_dead_message_that_is_revived_is_tried_at_once(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        dead = a_message(record, dead_at=NOW, attempts=9, available_at=NOW + 9 * DAY, reason="nine refusals")
        undeclared = a_message(await created(kit.store), dead_at=NOW, seen_version=1)
        alive = a_message(await created(kit.store), attempts=3, available_at=NOW + 9 * DAY)
        for message in (dead, undeclared, alive):
            await kit.store.inbox.put(message)
        before = await _found(kit)

        ids = [alive.id, undeclared.id, new_id(), dead.id]
        assert sorted(await kit.store.inbox.revive(ids, now=NOW + DAY)) == sorted([dead.id, undeclared.id])

        first, second, third = await _found(kit)
        assert (first.dead_at, first.attempts, first.available_at) == (None, 0, NOW + DAY)
        assert (first.number, first.payload) == (before[0].number, before[0].payload)
        assert second.dead_at is None
        assert third == before[2]
        assert sorted(await _due(kit, NOW + DAY)) == sorted([record.id, undeclared.instance_id])
        assert list(await kit.store.inbox.revive([dead.id], now=NOW + DAY)) == []
        assert list(await kit.store.inbox.revive([], now=NOW)) == []

    async def test_discarded_messages_are_gone(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        messages = [a_message(record), a_message(record, dead_at=NOW), a_message(record)]
        for message in messages:
            await kit.store.inbox.put(message)

        gone = await kit.store.inbox.discard([messages[0].id, new_id(), messages[1].id])

        assert sorted(gone) == sorted([messages[0].id, messages[1].id])
        assert [message.id for message in await _found(kit)] == [messages[2].id]
        assert list(await kit.store.inbox.discard([messages[0].id])) == []
        assert list(await kit.store.inbox.discard([])) == []

    @pytest.mark.parametrize(("shift", "taken"), [(-1, 0), (0, 0), (1, 1)])
    async def test_messages_that_died_before_an_instant_are_taken_out(
        self, kit: StoreKit, shift: int, taken: int
    ) -> None:
        record = await created(kit.store)
        await kit.store.inbox.put(a_message(record, dead_at=NOW + DAY))
        await kit.store.inbox.put(a_message(record, created_at=NOW - 99 * DAY, expires_at=NOW - 9 * DAY))

        assert await kit.store.inbox.prune(before=NOW + DAY + shift * TICK, limit=10) == taken

        assert len(await _found(kit)) == 2 - taken

    async def test_a_limit_leaves_other_dead_messages_for_the_next_time(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        for _ in range(5):
            await kit.store.inbox.put(a_message(record, dead_at=NOW))

        assert [await kit.store.inbox.prune(before=NOW + DAY, limit=2) for _ in range(4)] == [2, 2, 1, 0]

    async def test_messages_go_with_their_instance(self, kit: StoreKit) -> None:
        gone, kept = await created(kit.store), await created(kit.store)
        for record in (gone, kept, gone):
            await kit.store.inbox.put(a_message(record))

        await kit.store.remove([removal(gone)])

        assert [message.instance_id for message in await _found(kit)] == [kept.id]
        assert await _due(kit) == [kept.id]
        with pytest.raises(InstanceNotFound):
            await kit.store.inbox.put(a_message(gone))


async def _found(kit: StoreKit, limit: int = 20) -> list[InboxMessage]:
    return list(await kit.store.inbox.find(InboxQuery(), limit=limit))


async def _due(kit: StoreKit, now: datetime = NOW) -> list[UUID]:
    return list(await kit.store.inbox.due(limit=10, now=now))
