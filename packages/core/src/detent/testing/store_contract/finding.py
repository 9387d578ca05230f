"""Finding: which instances a query asks for, in which order, and page after page."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import get_args
from uuid import UUID

import pytest

from detent.errors import ConnectionNotSupported
from detent.json_values import JsonObject, JsonValue
from detent.store.query import InstanceQuery, Order, OrderKey, Position, Span
from detent.store.records import ParentLink, Status, Timer, WorkflowInstance
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    JSON_KINDS,
    NOW,
    created,
    creation,
    creation_with,
    place,
    step,
)

TICK = timedelta(microseconds=1)

# Ids that a store sorting them by bytes with a sign, by their fields or as they came would get wrong.
IDS = [
    UUID("ffffffff-0000-4000-8000-000000000000"),
    UUID("00000000-0000-7000-8000-000000000001"),
    UUID("80000000-0000-4000-8000-000000000000"),
    UUID("00000000-0000-4000-8000-00000000000a"),
    UUID("0000000a-0000-4000-8000-000000000000"),
    UUID("7fffffff-ffff-4fff-bfff-ffffffffffff"),
]

PARENT = UUID("10000000-0000-4000-8000-000000000000")
RUN = UUID("20000000-0000-7000-8000-000000000000")

NAMED = {
    "new": {
        "metadata": {"customer": "Ada"},
        "context": {"total": 10},
        "due_at": NOW + DAY,
        "tenant": "acme",
    },
    "paid": {
        "state": "paid",
        "definition_version": "2",
        "timers": (Timer(event="expire", due=NOW, attempts=9, parked=True),),
        "parked_at": NOW + DAY,
        "created_at": NOW + DAY,
        "updated_at": NOW + 2 * DAY,
        "context": {"total": 10, "paid": True},
        "run_id": RUN,
    },
    "done": {
        "state": "done",
        "status": Status.COMPLETED,
        "definition_version": "2",
        "finished_at": NOW + 3 * DAY,
        "created_at": NOW + 2 * DAY,
        "updated_at": NOW + 3 * DAY,
        "tenant": "globex",
        "parent_id": PARENT,
        "parent_link": ParentLink(event="ended", wait_for="all", group="parcels"),
    },
    "failed": {
        "workflow": "return",
        "state": "lost",
        "status": Status.FAILED,
        "finished_at": NOW + 4 * DAY,
        "created_at": NOW + 3 * DAY,
        "updated_at": NOW + 4 * DAY,
        "metadata": {"customer": "Ada", "by": "phone"},
    },
    "held": {
        "workflow": "return",
        "status": Status.PAUSED,
        "due_at": NOW + 2 * DAY,
        "created_at": NOW + 4 * DAY,
        "updated_at": NOW + 5 * DAY,
        "tenant": "acme",
        "parent_id": PARENT,
    },
}
"""Instances by name, each with what sets it apart from a plain new order."""

QUERIES = {
    "nothing asked": (InstanceQuery(), "new paid done failed held"),
    "a workflow": (InstanceQuery(workflows=("order",)), "new paid done"),
    "two workflows": (InstanceQuery(workflows=("return", "order")), "new paid done failed held"),
    "one of two workflows": (InstanceQuery(workflows=("return", "unheard of")), "failed held"),
    "a workflow in capitals": (InstanceQuery(workflows=("ORDER",)), ""),
    "a version": (InstanceQuery(versions=("2",)), "paid done"),
    "two versions": (InstanceQuery(versions=("2", "1")), "new paid done failed held"),
    "a state": (InstanceQuery(states=("new",)), "new held"),
    "two states": (InstanceQuery(states=("paid", "done")), "paid done"),
    "a state that is part of another": (InstanceQuery(states=("ne",)), ""),
    "not in a state": (InstanceQuery(exclude_states=("new",)), "paid done failed"),
    "not in two states": (InstanceQuery(exclude_states=("new", "lost")), "paid done"),
    "in a state and not in it": (InstanceQuery(states=("new", "paid"), exclude_states=("new",)), "paid"),
    "a status": (InstanceQuery(statuses=(Status.PAUSED,)), "held"),
    "two statuses": (InstanceQuery(statuses=(Status.ACTIVE, Status.FAILED)), "new paid failed"),
    "a label": (InstanceQuery(metadata={"customer": "Ada"}), "new failed"),
    "two labels": (InstanceQuery(metadata={"customer": "Ada", "by": "phone"}), "failed"),
    "part of the context": (InstanceQuery(context={"total": 10}), "new paid"),
    "label and context": (InstanceQuery(metadata={"customer": "Ada"}, context={"total": 10}), "new"),
    "created since": (InstanceQuery(created=Span(since=NOW + 2 * DAY)), "done failed held"),
    "created a moment after": (InstanceQuery(created=Span(since=NOW + 2 * DAY + TICK)), "failed held"),
    "created before": (InstanceQuery(created=Span(until=NOW + 2 * DAY)), "new paid"),
    "created just before": (InstanceQuery(created=Span(until=NOW + 2 * DAY + TICK)), "new paid done"),
    "created between": (InstanceQuery(created=Span(NOW + DAY, NOW + 3 * DAY)), "paid done"),
    "created in no time": (InstanceQuery(created=Span(NOW + DAY, NOW + DAY)), ""),
    "created at some time": (InstanceQuery(created=Span()), "new paid done failed held"),
    "updated since": (InstanceQuery(updated=Span(since=NOW + 4 * DAY)), "failed held"),
    "updated before": (InstanceQuery(updated=Span(until=NOW + 3 * DAY)), "new paid"),
    "finished since": (InstanceQuery(finished=Span(since=NOW + 4 * DAY)), "failed"),
    "finished before": (InstanceQuery(finished=Span(until=NOW + 4 * DAY)), "done"),
    "finished at some time": (InstanceQuery(finished=Span()), "done failed"),
    "due since": (InstanceQuery(due=Span(since=NOW + 2 * DAY)), "held"),
    "due before": (InstanceQuery(due=Span(until=NOW + 2 * DAY)), "new"),
    "due at some time": (InstanceQuery(due=Span()), "new held"),
    "parked": (InstanceQuery(parked=True), "paid"),
    "not parked": (InstanceQuery(parked=False), "new done failed held"),
    "busy": (InstanceQuery(busy=True), "paid"),
    "not busy": (InstanceQuery(busy=False), "new done failed held"),
    "busy and of a tenant": (InstanceQuery(busy=True, tenant="acme"), ""),
    "children": (InstanceQuery(parent_id=PARENT), "done held"),
    "children of another": (InstanceQuery(parent_id=IDS[0]), ""),
    "a tenant": (InstanceQuery(tenant="acme"), "new held"),
    "no tenant": (InstanceQuery(tenant=""), "paid failed"),
    "a tenant in capitals": (InstanceQuery(tenant="Acme"), ""),
    "of one tenant": (InstanceQuery(workflows=("return",)).of_tenant("acme"), "held"),
    "of every tenant": (InstanceQuery(workflows=("return",)).of_tenant(None), "failed held"),
    "many conditions": (
        InstanceQuery(
            workflows=("return",),
            versions=("1",),
            states=("new",),
            exclude_states=("lost",),
            statuses=(Status.PAUSED,),
            created=Span(NOW, NOW + 5 * DAY),
            updated=Span(NOW, NOW + 6 * DAY),
            due=Span(NOW, NOW + 3 * DAY),
            parked=False,
            parent_id=PARENT,
            tenant="acme",
        ),
        "held",
    ),
    "conditions that exclude each other": (InstanceQuery(workflows=("order",), tenant="acme", parked=True), ""),
}
"""A query, and the names of what it finds."""

CONTAINED = {
    "itself": ({"a": 1}, {"a": 1}, True),
    "another value": ({"a": 1}, {"a": 2}, False),
    "some of the keys": ({"a": 1, "b": 2}, {"b": 2}, True),
    "more keys than there are": ({"a": 1}, {"a": 1, "b": 2}, False),
    "a key under another key": ({"a": {"b": 1}}, {"b": 1}, False),
    "a key in capitals": ({"a": 1}, {"A": 1}, False),
    "an integer as a float": ({"a": 1}, {"a": 1.0}, True),
    "a float as an integer": ({"a": 1.0}, {"a": 1}, True),
    "zero and minus zero": ({"a": 0}, {"a": -0.0}, True),
    "a number as a text": ({"a": 1}, {"a": "1"}, False),
    "a text as a number": ({"a": "1"}, {"a": 1}, False),
    "one is not true": ({"a": 1}, {"a": True}, False),
    "true is not one": ({"a": True}, {"a": 1}, False),
    "false is not zero": ({"a": False}, {"a": 0}, False),
    "true": ({"a": True}, {"a": True}, True),
    "true is not false": ({"a": True}, {"a": False}, False),
    "null": ({"a": None}, {"a": None}, True),
    "null is not absence": ({}, {"a": None}, False),
    "absence is not null": ({"a": None}, {}, True),
    "null is not false": ({"a": None}, {"a": False}, False),
    "part of a text": ({"a": "abc"}, {"a": "ab"}, False),
    "a text in capitals": ({"a": "abc"}, {"a": "ABC"}, False),
    "a text with wildcards": ({"a": "abc"}, {"a": "%"}, False),
    "a nested object": ({"a": {"b": {"c": 1, "d": 2}, "e": 3}}, {"a": {"b": {"d": 2}}}, True),
    "a nested object with another value": ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, False),
    "an empty object in an object": ({"a": {"b": 1}}, {"a": {}}, True),
    "an object in null": ({"a": None}, {"a": {}}, False),
    "an object in a list": ({"a": []}, {"a": {}}, False),
    "a list in an object": ({"a": {}}, {"a": []}, False),
    "an empty list in a list": ({"a": [1]}, {"a": []}, True),
    "a list in an empty list": ({"a": []}, {"a": [1]}, False),
    "items in another order": ({"a": [1, 2, 3]}, {"a": [3, 1]}, True),
    "one item twice": ({"a": [1, 2]}, {"a": [1, 1, 1]}, True),
    "an item that is not there": ({"a": [1, 2]}, {"a": [1, 4]}, False),
    "an item as a float": ({"a": [1, 2]}, {"a": [2.0]}, True),
    "an item that is true": ({"a": [1, 2]}, {"a": [True]}, False),
    "an item that is null": ({"a": [1, None]}, {"a": [None]}, True),
    "an item without its list": ({"a": [1, 2]}, {"a": 1}, False),
    "a list for a value": ({"a": 1}, {"a": [1]}, False),
    "an item that is a list": ({"a": [[1, 2], 3]}, {"a": [[2]]}, True),
    "an item of an item": ({"a": [[1, 2], 3]}, {"a": [2]}, False),
    "an item that is an object": ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, True),
    "an object spread over two items": ({"a": [{"b": 1}, {"c": 2}]}, {"a": [{"b": 1, "c": 2}]}, False),
    "two objects in one item": ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}, {"c": 2}]}, True),
}
"""A document, a part, and whether the part is contained in it."""

ORDERS = [Order(by, descending) for by in get_args(OrderKey) for descending in (False, True)]
BY_INSTANT = [order for order in ORDERS if order.by != "id"]


def _said(order: Order) -> str:
    return f"{order.by} {'down' if order.descending else 'up'}"


class FindContract:
    """`find` filters, sorts and cuts into pages."""

    @pytest.mark.parametrize(("query", "names"), QUERIES.values(), ids=QUERIES.keys())
    async def test_a_query_finds_what_it_asks_for_and_nothing_else(
        self, kit: StoreKit, query: InstanceQuery, names: str
    ) -> None:
        known = {name: await created(kit.store, creation_with(**fields)) for name, fields in NAMED.items()}

        found = await _found(kit, query)

        assert {name for name, record in known.items() if record in found} == set(names.split())
        assert len(found) == len(names.split())

    async def test_instances_are_found_by_their_ids(self, kit: StoreKit) -> None:
        first, second, third = [await created(kit.store) for _ in range(3)]

        found = await _found(kit, InstanceQuery(ids=(third.id, first.id, third.id, IDS[0])))

        assert sorted(record.id for record in found) == sorted([first.id, third.id])
        assert await _found(kit, InstanceQuery(ids=(second.id,), workflows=("other",))) == []

    @pytest.mark.parametrize(
        "query",
        [
            InstanceQuery(ids=()),
            InstanceQuery(workflows=()),
            InstanceQuery(versions=()),
            InstanceQuery(states=()),
            InstanceQuery(statuses=()),
        ],
        ids=["ids", "workflows", "versions", "states", "statuses"],
    )
    async def test_none_of_nothing_is_found(self, kit: StoreKit, query: InstanceQuery) -> None:
        await created(kit.store)

        assert await _found(kit, query) == []

    async def test_what_is_found_is_the_whole_record(self, kit: StoreKit) -> None:
        timers = (Timer(event="expire", due=NOW, attempts=3, parked=True, reason="no"),)
        record = await created(
            kit.store,
            creation_with(
                context=dict(JSON_KINDS),
                metadata={"customer": "Ada"},
                timers=timers,
                parked_at=NOW,
                finished_at=NOW + DAY,
                tenant="acme",
                parent_id=PARENT,
            ),
        )

        assert await _found(kit, InstanceQuery()) == [record]

    async def test_instances_are_found_by_what_they_are_now(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        change = step(record, context={"paid": True}, status=Status.COMPLETED)

        await kit.store.apply(record.id, lambda *_: (change, None))

        assert await _found(kit, InstanceQuery(context={"paid": True}, statuses=(Status.COMPLETED,))) == [
            change.instance
        ]
        assert await _found(kit, InstanceQuery(states=("new",))) == []

    async def test_editing_what_was_found_does_not_reach_the_store(self, kit: StoreKit) -> None:
        await created(kit.store, creation(context={"list": [1]}))
        [record] = await _found(kit, InstanceQuery())

        record.context["list"].append(2)

        [again] = await _found(kit, InstanceQuery())
        assert again.context == {"list": [1]}

    # -------------------------------------------------------------------------------------------- containment

    @pytest.mark.parametrize("column", ["context", "metadata"])
    @pytest.mark.parametrize(("document", "part", "contained"), CONTAINED.values(), ids=CONTAINED.keys())
    async def test_a_document_is_found_by_what_it_contains(
        self, kit: StoreKit, column: str, document: JsonObject, part: JsonObject, contained: bool
    ) -> None:
        record = await created(kit.store, creation_with(**{column: document}))

        query = InstanceQuery(context=part) if column == "context" else InstanceQuery(metadata=part)
        found = await _found(kit, query)

        assert found == ([record] if contained else [])

    @pytest.mark.parametrize("value", JSON_KINDS.values(), ids=JSON_KINDS.keys())
    async def test_every_kind_of_json_is_found_by_itself_alone(self, kit: StoreKit, value: JsonValue) -> None:
        record = await created(kit.store, creation(context={"value": value, "more": [1]}))
        await created(kit.store, creation(context={"value": "something else"}))

        assert await _found(kit, InstanceQuery(context={"value": value})) == [record]
        assert await _found(kit, InstanceQuery(context={"other": value})) == []

    # -------------------------------------------------------------------------------------------- order

    @pytest.mark.parametrize("order", ORDERS, ids=_said)
    async def test_instances_are_sorted_by_the_key_and_then_by_id(self, kit: StoreKit, order: Order) -> None:
        records = await _sortable(kit, order.by)

        found = await _found(kit, InstanceQuery(), order=order)

        assert found == _sorted(records, order)

    @pytest.mark.parametrize("by", ["due_at", "finished_at", "parked_at"])
    async def test_what_does_not_have_the_instant_is_not_found_in_its_order(self, kit: StoreKit, by: OrderKey) -> None:
        await created(kit.store)
        record = await created(kit.store, creation_with(**{by: NOW}))

        for descending in (False, True):
            assert await _found(kit, InstanceQuery(), order=Order(by, descending)) == [record]

    async def test_the_newest_come_first_unless_another_order_is_given(self, kit: StoreKit) -> None:
        old, new = [await created(kit.store, creation(now=NOW + days * DAY)) for days in (0, 1)]

        assert list(await kit.store.find(InstanceQuery(), order=Order(), limit=10)) == [new, old]

    @pytest.mark.parametrize("order", ORDERS, ids=_said)
    async def test_a_limit_takes_the_first_of_what_the_query_asks_for(self, kit: StoreKit, order: Order) -> None:
        records = [record for record in _sorted(await _sortable(kit, order.by), order) if record.tenant == "acme"]

        found = await kit.store.find(InstanceQuery(tenant="acme"), order=order, limit=2)

        assert list(found) == records[:2]

    # -------------------------------------------------------------------------------------------- pages

    @pytest.mark.parametrize("size", [1, 2, 4])
    @pytest.mark.parametrize("order", ORDERS, ids=_said)
    async def test_pages_have_everything_once_and_in_order(self, kit: StoreKit, order: Order, size: int) -> None:
        records = await _sortable(kit, order.by)

        paged = [record for page in await _pages(kit, order, size) for record in page]

        assert paged == _sorted(records, order)

    @pytest.mark.parametrize("order", BY_INSTANT, ids=_said)
    async def test_a_page_goes_on_among_equal_instants(self, kit: StoreKit, order: Order) -> None:
        records = [await created(kit.store, creation_with(**{"id": each, order.by: NOW})) for each in IDS]

        pages = await _pages(kit, order, 2)

        expected = _sorted(records, order)
        assert pages == [expected[0:2], expected[2:4], expected[4:6]]

    @pytest.mark.parametrize("order", BY_INSTANT, ids=_said)
    async def test_what_is_written_between_pages_comes_by_its_place_and_moves_nobody(
        self, kit: StoreKit, order: Order
    ) -> None:
        one, two, three, four = [
            await created(kit.store, creation_with(**{order.by: NOW + days * DAY})) for days in (0, 1, 2, 3)
        ]
        listed = [four, three, two, one] if order.descending else [one, two, three, four]
        first = await _found(kit, InstanceQuery(), order=order, limit=2)
        passed, coming = [NOW + 1.5 * DAY + sign * DAY for sign in (-1, 1)]
        if order.descending:
            passed, coming = coming, passed

        await created(kit.store, creation_with(**{order.by: passed}))
        late = await created(kit.store, creation_with(**{order.by: coming}))
        rest = await _found(kit, InstanceQuery(), order=order, after=place(first[-1], order))

        assert first == listed[:2]
        assert rest == [listed[2], late, listed[3]]

    async def test_a_page_goes_on_from_an_instance_that_has_moved_since(self, kit: StoreKit) -> None:
        order = Order("updated_at", descending=False)
        one, two, three = [
            await created(kit.store, creation_with(updated_at=NOW + hours * DAY / 24)) for hours in (0, 1, 2)
        ]
        [first] = await _found(kit, InstanceQuery(), order=order, limit=1)
        moved = step(one, now=NOW + DAY)

        await kit.store.apply(one.id, lambda *_: (moved, None))
        rest = await _found(kit, InstanceQuery(), order=order, after=place(first, order))

        assert rest == [two, three, moved.instance]

    @pytest.mark.parametrize("order", ORDERS, ids=_said)
    async def test_a_page_after_the_last_is_empty(self, kit: StoreKit, order: Order) -> None:
        last = _sorted(await _sortable(kit, order.by), order)[-1]

        assert await _found(kit, InstanceQuery(), order=order, after=place(last, order)) == []

    async def test_a_page_has_only_what_the_query_asks_for(self, kit: StoreKit) -> None:
        order = Order("id", descending=False)
        records = await _sortable(kit, "id")
        first, *others = _sorted(records, order)

        found = await _found(kit, InstanceQuery(tenant="acme"), order=order, after=place(first, order))

        assert found == [record for record in others if record.tenant == "acme"]
        assert found != others

    async def test_instants_of_any_time_zone_are_the_same_instants(self, kit: StoreKit) -> None:
        before, after = [await created(kit.store, creation(now=NOW + ticks * TICK)) for ticks in (0, 1)]
        for hours in (-11, 13):
            zone = timezone(timedelta(hours=hours))
            late = InstanceQuery(created=Span(since=(NOW + TICK).astimezone(zone)))
            early = InstanceQuery(created=Span(until=(NOW + TICK).astimezone(zone)))

            assert (await _found(kit, late), await _found(kit, early)) == ([after], [before])
            behind = Position(before.id, before.created_at.astimezone(zone))
            order = Order("created_at", descending=False)
            assert await _found(kit, InstanceQuery(), order=order, after=behind) == [after]

    # -------------------------------------------------------------------------------------------- outside

    async def test_finding_through_the_callers_transaction_sees_what_it_wrote(self, kit: StoreKit) -> None:
        known = await created(kit.store, creation(now=NOW))
        change, new = step(known, status=Status.COMPLETED), creation(now=NOW + DAY)
        order = Order("created_at", descending=False)

        async with kit.lend() as outside:
            async with kit.store.join(outside, known.id) as unit:
                await unit.write(change)
            async with kit.store.join(outside, None) as unit:
                await unit.write(new)

            seen = await kit.store.find(InstanceQuery(), order=order, limit=10, outside=outside)
            assert list(seen) == [change.instance, new.instance]
            behind = await kit.store.find(
                InstanceQuery(), order=order, limit=10, after=place(known, order), outside=outside
            )
            assert list(behind) == [new.instance]
            active = InstanceQuery(statuses=(Status.ACTIVE,), context={}, metadata={})
            assert list(await kit.store.find(active, order=order, limit=10, outside=outside)) == [new.instance]
            assert await _found(kit, InstanceQuery()) == [known]

        assert await _found(kit, InstanceQuery(), order=order) == [change.instance, new.instance]

    async def test_containment_is_asked_through_the_callers_transaction_too(self, kit: StoreKit) -> None:
        new = creation(context={"a": [1, {"b": 2}]})

        async with kit.lend() as outside:
            async with kit.store.join(outside, None) as unit:
                await unit.write(new)
            query = InstanceQuery(context={"a": [{"b": 2.0}]})
            assert list(await kit.store.find(query, order=Order(), limit=10, outside=outside)) == [new.instance]

    @pytest.mark.parametrize("foreign", [object(), "postgresql://"], ids=["an object", "a text"])
    async def test_finding_through_what_the_store_did_not_lend_is_refused(self, kit: StoreKit, foreign: object) -> None:
        with pytest.raises(ConnectionNotSupported):
            await kit.store.find(InstanceQuery(), order=Order(), limit=1, outside=foreign)


async def _found(
    kit: StoreKit,
    query: InstanceQuery,
    *,
    order: Order = Order(),  # noqa: B008 (a frozen value)
    limit: int = 100,
    after: Position | None = None,
) -> list[WorkflowInstance]:
    return list(await kit.store.find(query, order=order, limit=limit, after=after))


async def _pages(kit: StoreKit, order: Order, size: int) -> list[list[WorkflowInstance]]:
    pages: list[list[WorkflowInstance]] = []
    after = None
    # One page too many, so that a list that goes in circles fails instead of going on.
    for _ in range(len(IDS) + 2):
        page = await _found(kit, InstanceQuery(), order=order, limit=size, after=after)
        if not page:
            break
        pages.append(page)
        after = place(page[-1], order)
    return pages


async def _sortable(kit: StoreKit, by: OrderKey) -> list[WorkflowInstance]:
    """Instances that only `by` tells apart, some of them with equal instants, and every other one of the tenant acme."""
    instants = [NOW + DAY, NOW, NOW + TICK, NOW, NOW + DAY, NOW + TICK]
    records = [
        await created(kit.store, creation_with(id=each, tenant=tenant, **_at(by, instant)))
        for each, instant, tenant in zip(IDS, instants, ["acme", ""] * 3, strict=True)
    ]
    assert len({record.id for record in records}) == len(IDS)
    return records


def _at(by: OrderKey, instant: datetime) -> dict[str, datetime]:
    return {} if by == "id" else {by: instant}


def _sorted(records: Sequence[WorkflowInstance], order: Order) -> list[WorkflowInstance]:
    return sorted(records, key=lambda record: _sort_key(record, order), reverse=order.descending)


def _sort_key(record: WorkflowInstance, order: Order) -> tuple[datetime, int]:
    return (NOW if order.by == "id" else getattr(record, order.by), record.id.int)
