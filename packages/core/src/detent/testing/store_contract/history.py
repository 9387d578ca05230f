"""History: dense, in order, complete, newest first."""

from dataclasses import replace

import pytest

from detent.ids import new_id
from detent.json_values import JsonValue
from detent.store.change import Change
from detent.store.records import CommandRecord, ContextChange, Outcome
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    JSON_KINDS,
    NOW,
    advance,
    created,
    creation,
    sequences,
    step,
)


class HistoryContract:
    """Entries are kept field by field and read by pages."""

    async def test_a_creation_is_entry_one(self, kit: StoreKit) -> None:
        change = creation()
        await kit.store.create(change)

        assert list(await kit.store.history(change.instance.id, limit=10)) == list(change.entries)

    async def test_every_field_of_an_entry_comes_back(self, kit: StoreKit) -> None:
        change = _with_entry(
            event="Pay",
            from_state="new",
            to_state="paid",
            outcome=Outcome.FAILURE,
            commands=(
                CommandRecord(name="charge", ok=False, code="declined", message="no funds", data={"try": [1, 2.5]}),
                CommandRecord(name="log", ok=True, best_effort=True),
            ),
            reason="charge failed with declined",
            error={"code": "command_failed", "message": "…"},
            payload={"amount": 12.5},
            trigger_metadata={"actor": "Ada", "request": {"id": 5}},
            transition_id=new_id(),
            definition_version="1.10.0",
            created_at=NOW + DAY,
        )
        await kit.store.create(change)

        assert list(await kit.store.history(change.instance.id, limit=1)) == list(change.entries)

    @pytest.mark.parametrize("outcome", Outcome)
    async def test_every_outcome_comes_back(self, kit: StoreKit, outcome: Outcome) -> None:
        change = _with_entry(outcome=outcome)
        await kit.store.create(change)

        [entry] = await kit.store.history(change.instance.id, limit=1)

        assert entry.outcome is outcome

    @pytest.mark.parametrize("value", JSON_KINDS.values(), ids=JSON_KINDS.keys())
    async def test_every_kind_of_json_in_an_entry_comes_back_as_it_was(self, kit: StoreKit, value: JsonValue) -> None:
        change = _with_entry(
            payload=value,
            commands=(CommandRecord(name="fetch", ok=True, data=value),),
            error={"value": value},
            trigger_metadata={"value": value},
        )
        await kit.store.create(change)

        [entry] = await kit.store.history(change.instance.id, limit=1)

        assert entry == change.entries[0]
        assert type(entry.payload) is type(entry.commands[0].data) is type(value)

    @pytest.mark.parametrize("value", JSON_KINDS.values(), ids=JSON_KINDS.keys())
    async def test_what_changed_in_the_context_comes_back(self, kit: StoreKit, value: JsonValue) -> None:
        change = _with_entry(
            changes=(
                ContextChange("add", "/a", value=value),
                ContextChange("replace", "/b~1c", value=value, was={"n": [1, None]}),
                ContextChange("remove", "/", was=value),
                ContextChange("replace", "", omitted=True),
            )
        )
        await kit.store.create(change)

        [entry] = await kit.store.history(change.instance.id, limit=1)

        assert entry == change.entries[0]
        assert entry.changes is not None
        assert type(entry.changes[0].value) is type(entry.changes[2].was) is type(value)

    async def test_nothing_recorded_is_told_from_nothing_changed(self, kit: StoreKit) -> None:
        record = await created(kit.store, _with_entry(changes=None))
        change = step(record, entries=2)
        unchanged, another = change.entries
        async with kit.store.transaction(record.id) as unit:
            await unit.write(replace(change, entries=(replace(unchanged, changes=()), another)))

        entries = await kit.store.history(record.id, limit=3)

        assert [entry.changes for entry in entries] == [None, (), None]

    async def test_entries_are_read_newest_first(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        for _ in range(4):
            await kit.store.apply(record.id, advance)

        assert await sequences(kit.store, record.id) == [5, 4, 3, 2, 1]

    async def test_a_limit_and_a_place_to_go_on_make_pages(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(hops=6))

        first = await kit.store.history(record.id, limit=3)
        second = await kit.store.history(record.id, limit=3, before=first[-1].sequence)
        third = await kit.store.history(record.id, limit=3, before=second[-1].sequence)

        pages = [[entry.sequence for entry in page] for page in (first, second, third)]
        assert pages == [[7, 6, 5], [4, 3, 2], [1]]
        assert list(await kit.store.history(record.id, limit=3, before=1)) == []

    async def test_a_change_may_carry_several_entries(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        change = step(record, entries=3)

        async with kit.store.transaction(record.id) as unit:
            await unit.write(change)

        entries = await kit.store.history(record.id, limit=3)
        assert list(entries) == list(reversed(change.entries))
        assert {entry.transition_id for entry in entries} == {change.transition_id}

    async def test_histories_of_two_instances_do_not_mix(self, kit: StoreKit) -> None:
        one = await created(kit.store, creation(hops=1))
        other = await created(kit.store, creation(hops=2))

        assert await sequences(kit.store, one.id) == [2, 1]
        assert await sequences(kit.store, other.id) == [3, 2, 1]

    async def test_editing_what_was_read_does_not_reach_the_store(self, kit: StoreKit) -> None:
        changes = (ContextChange("replace", "/a", value=[1], was=[1]),)
        change = _with_entry(payload={"list": [1]}, changes=changes)
        await kit.store.create(change)
        [entry] = await kit.store.history(change.instance.id, limit=1)

        entry.payload["list"].append(2)
        assert entry.changes is not None
        entry.changes[0].value.append(2)
        entry.changes[0].was.append(2)

        [again] = await kit.store.history(change.instance.id, limit=1)
        assert (again.payload, again.changes) == ({"list": [1]}, changes)


def _with_entry(**fields: JsonValue) -> Change:
    change = creation()
    return replace(change, entries=(replace(change.entries[0], **fields),))
