"""The record: what is stored comes back, and nothing else."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from detent.errors import InstanceNotFound, StoreError
from detent.ids import new_id
from detent.json_values import JsonValue
from detent.store.query import InstanceQuery, Order
from detent.store.records import ParentLink, Status, Timer
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    JSON_KINDS,
    NOW,
    advance,
    assert_untouched,
    created,
    creation,
    creation_with,
    loaded,
    step,
)


class InstanceContract:
    """Records are kept field by field."""

    async def test_every_field_of_an_instance_comes_back(self, kit: StoreKit) -> None:
        change = creation(hops=2)
        full = replace(
            change.instance,
            workflow="return",
            state="waiting for goods",
            status=Status.PAUSED,
            definition_version="1.10.0",
            context={"order": {"id": 17}},
            metadata={"customer": "Ada"},
            timers=(
                Timer(event="remind", due=NOW + DAY, interrupts=True),
                Timer(event="expire", due=NOW + 2 * DAY, attempts=3, parked=True, reason="the guard said no"),
            ),
            due_at=NOW + DAY,
            entered_at=NOW - 3 * DAY,
            created_at=NOW - 4 * DAY,
            updated_at=NOW - 2 * DAY,
            finished_at=NOW - 5 * DAY,
            parked_at=NOW - 6 * DAY,
            tenant="acme",
            parent_id=new_id(),
            parent_link=ParentLink(event="child ended", wait_for="any", group="parcels"),
            run_id=new_id(),
        )

        await kit.store.create(replace(change, instance=full))

        assert await kit.store.load(full.id) == full

    async def test_every_field_that_a_step_changes_comes_back(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(due=NOW + DAY))
        change = step(record)
        after = replace(
            change.instance,
            state="done",
            status=Status.COMPLETED,
            definition_version="2",
            context={"total": 9.99},
            timers=(),
            due_at=None,
            entered_at=NOW + DAY,
            updated_at=NOW + DAY,
            finished_at=NOW + 2 * DAY,
            parked_at=NOW + 3 * DAY,
            run_id=new_id(),
        )

        async with kit.store.transaction(record.id) as unit:
            await unit.write(replace(change, instance=after))

        assert await kit.store.load(record.id) == after

    async def test_what_a_record_does_not_have_is_not_made_up(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        assert (record.finished_at, record.parked_at, record.tenant, record.parent_id) == (None, None, "", None)
        assert (record.parent_link, record.run_id) == (None, None)

    @pytest.mark.parametrize(
        "link",
        [ParentLink("ended"), ParentLink("ended", "all"), ParentLink("ended", "any", "a group", since=3)],
        ids=["each", "all", "any"],
    )
    async def test_how_a_parent_hears_of_an_end_stays_through_every_step(self, kit: StoreKit, link: ParentLink) -> None:
        record = await created(kit.store, creation_with(parent_id=new_id(), parent_link=link))
        await kit.store.apply(record.id, advance)
        async with kit.store.transaction(record.id) as unit:
            assert unit.record is not None
            await unit.write(step(unit.record))

        after = await loaded(kit.store, record.id)

        assert (after.version, after.parent_id, after.parent_link) == (3, record.parent_id, link)
        assert list(await kit.store.find(InstanceQuery(), order=Order(), limit=10)) == [after]

    async def test_a_step_may_take_back_that_an_instance_is_finished_parked_or_busy(self, kit: StoreKit) -> None:
        before = creation_with(finished_at=NOW, parked_at=NOW, tenant="acme", run_id=new_id())
        record = await created(kit.store, before)
        change = step(record)
        after = replace(change.instance, finished_at=None, parked_at=None, run_id=None)

        await kit.store.apply(record.id, lambda *_: (replace(change, instance=after), None))

        assert await kit.store.load(record.id) == after

    @pytest.mark.parametrize("status", Status)
    async def test_every_status_comes_back(self, kit: StoreKit, status: Status) -> None:
        record = await created(kit.store, creation(status=status))

        assert record.status is status

    @pytest.mark.parametrize("value", JSON_KINDS.values(), ids=JSON_KINDS.keys())
    async def test_every_kind_of_json_in_an_instance_comes_back_as_it_was(
        self, kit: StoreKit, value: JsonValue
    ) -> None:
        change = creation(context={"value": value})
        labelled = replace(change, instance=replace(change.instance, metadata={"value": value}))

        record = await created(kit.store, labelled)

        assert record.context == record.metadata == {"value": value}
        assert type(record.context["value"]) is type(value)

    async def test_instants_come_back_as_the_same_instants_from_any_time_zone(self, kit: StoreKit) -> None:
        somewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=45)))

        record = await created(kit.store, creation(due=somewhere, now=somewhere))

        assert record.created_at == record.due_at == record.timers[0].due == NOW
        assert record.created_at.utcoffset() is not None

    async def test_whether_a_call_created_it_is_not_stored(self, kit: StoreKit) -> None:
        change = creation()

        record = await created(kit.store, replace(change, instance=replace(change.instance, created=True)))

        assert record.created is False

    async def test_nothing_is_known_under_an_unknown_id(self, kit: StoreKit) -> None:
        unknown = new_id()

        assert await kit.store.load(unknown) is None
        assert list(await kit.store.history(unknown, limit=10)) == []
        with pytest.raises(InstanceNotFound):
            await kit.store.apply(unknown, advance)
        with pytest.raises(InstanceNotFound):
            async with kit.store.transaction(unknown):
                pass

    async def test_creating_one_id_twice_leaves_the_first(self, kit: StoreKit) -> None:
        first = creation(context={"first": True})
        record = await created(kit.store, first)

        with pytest.raises(StoreError):
            await kit.store.create(replace(first, instance=replace(first.instance, context={"first": False})))

        await assert_untouched(kit.store, record)

    async def test_editing_what_was_read_or_written_does_not_reach_the_store(self, kit: StoreKit) -> None:
        change = creation(context={"list": [1]})
        record = await created(kit.store, change)

        change.instance.context["list"].append(2)
        record.context["list"].append(3)
        record.metadata["new"] = True

        again = await loaded(kit.store, record.id)
        assert (again.context, again.metadata) == ({"list": [1]}, {})
