"""Counting: how many instances a query asks for, by what they are."""

from typing import get_args

import pytest

from detent.errors import ConnectionNotSupported
from detent.store.query import GroupKey, InstanceQuery, Span
from detent.store.records import Status
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import DAY, NOW, created, creation, creation_with, removal, step

GROUPS = {
    "workflow": {("order",): 3, ("return",): 1},
    "definition_version": {("1",): 2, ("1.10.0",): 2},
    "state": {("new",): 3, ("New",): 1},
    "status": {("active",): 2, ("paused",): 1, ("completed",): 1},
    "tenant": {("",): 3, ("acme",): 1},
}
"""How many instances there are by each key, of those that `_some` creates."""


class CountContract:
    """`count` counts what `find` would find."""

    async def test_without_groups_everything_is_counted_under_the_empty_tuple(self, kit: StoreKit) -> None:
        await _some(kit)

        assert dict(await kit.store.count(InstanceQuery())) == {(): 4}

    async def test_nothing_is_counted_as_zero_and_belongs_to_no_group(self, kit: StoreKit) -> None:
        assert dict(await kit.store.count(InstanceQuery())) == {(): 0}
        assert dict(await kit.store.count(InstanceQuery(), group_by=["workflow"])) == {}

    @pytest.mark.parametrize("key", get_args(GroupKey))
    async def test_instances_are_counted_by_any_key(self, kit: StoreKit, key: GroupKey) -> None:
        await _some(kit)

        assert dict(await kit.store.count(InstanceQuery(), group_by=[key])) == GROUPS[key]

    async def test_instances_are_counted_by_several_keys_in_the_order_given(self, kit: StoreKit) -> None:
        await _some(kit)

        assert dict(await kit.store.count(InstanceQuery(), group_by=["workflow", "status"])) == {
            ("order", "active"): 2,
            ("order", "paused"): 1,
            ("return", "completed"): 1,
        }
        assert dict(await kit.store.count(InstanceQuery(), group_by=("status", "tenant", "workflow"))) == {
            ("active", "", "order"): 1,
            ("active", "acme", "order"): 1,
            ("paused", "", "order"): 1,
            ("completed", "", "return"): 1,
        }

    async def test_groups_are_plain_texts(self, kit: StoreKit) -> None:
        await created(kit.store)

        [group] = await kit.store.count(InstanceQuery(), group_by=["status"])

        assert [type(value) for value in group] == [str]

    async def test_only_what_the_query_asks_for_is_counted(self, kit: StoreKit) -> None:
        await _some(kit)

        active = InstanceQuery(statuses=(Status.ACTIVE,))
        assert dict(await kit.store.count(active)) == {(): 2}
        assert dict(await kit.store.count(active, group_by=["tenant"])) == {("",): 1, ("acme",): 1}
        large = InstanceQuery(context={"total": 2.0}, created=Span(since=NOW), exclude_states=("New",))
        assert dict(await kit.store.count(large)) == {(): 1}
        assert dict(await kit.store.count(InstanceQuery(states=()))) == {(): 0}
        assert dict(await kit.store.count(InstanceQuery(states=()), group_by=["state"])) == {}

    async def test_more_than_a_page_is_counted(self, kit: StoreKit) -> None:
        for _ in range(30):
            await created(kit.store)

        assert dict(await kit.store.count(InstanceQuery(), group_by=["state"])) == {("new",): 30}

    async def test_counting_through_the_callers_transaction_sees_what_it_wrote(self, kit: StoreKit) -> None:
        known, removed = [await created(kit.store) for _ in range(2)]

        async with kit.lend() as outside:
            async with kit.store.join(outside, known.id) as unit:
                await unit.write(step(known, status=Status.FAILED))
            async with kit.store.join(outside, None) as unit:
                await unit.write(creation())
            await kit.store.remove([removal(removed)], outside=outside)

            seen = await kit.store.count(InstanceQuery(), group_by=["status"], outside=outside)
            assert dict(seen) == {("failed",): 1, ("active",): 1}
            assert dict(await kit.store.count(InstanceQuery(), group_by=["status"])) == {("active",): 2}

        assert dict(await kit.store.count(InstanceQuery(), group_by=["status"])) == dict(seen)

    @pytest.mark.parametrize("foreign", [object(), "postgresql://"], ids=["an object", "a text"])
    async def test_counting_through_what_the_store_did_not_lend_is_refused(
        self, kit: StoreKit, foreign: object
    ) -> None:
        with pytest.raises(ConnectionNotSupported):
            await kit.store.count(InstanceQuery(), outside=foreign)


async def _some(kit: StoreKit) -> None:
    await created(kit.store, creation_with(tenant="acme", context={"total": 2}, created_at=NOW - DAY))
    await created(kit.store, creation_with(state="New", context={"total": 2}))
    await created(kit.store, creation_with(status=Status.PAUSED, definition_version="1.10.0", context={"total": 2}))
    await created(kit.store, creation_with(workflow="return", status=Status.COMPLETED, definition_version="1.10.0"))
