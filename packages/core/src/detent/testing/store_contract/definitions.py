"""Definition snapshots: stored once, never overwritten."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import JSON_KINDS, NOW, definition, within


class DefinitionContract:
    """What was stored first stays."""

    async def test_every_field_of_a_snapshot_comes_back(self, kit: StoreKit) -> None:
        snapshot = replace(definition("1.10.0"), definition=dict(JSON_KINDS))

        assert list(await kit.store.save_definitions([snapshot])) == [snapshot]
        assert await kit.store.load_definition(snapshot.workflow, "1.10.0") == snapshot

    async def test_a_stored_version_is_answered_and_never_overwritten(self, kit: StoreKit) -> None:
        stored = definition("1")
        await kit.store.save_definitions([stored])
        edited = replace(stored, fingerprint="beef", definition={"edited": True})
        newer = definition("2", workflow=stored.workflow)

        answer = await kit.store.save_definitions([edited, newer])

        assert list(answer) == [stored, newer]
        assert await kit.store.load_definition(stored.workflow, "1") == stored

    async def test_saving_again_changes_nothing(self, kit: StoreKit) -> None:
        snapshots = [definition("1"), definition("1")]

        assert list(await kit.store.save_definitions(snapshots)) == snapshots
        assert list(await kit.store.save_definitions(snapshots)) == snapshots

    async def test_saving_nothing_answers_nothing(self, kit: StoreKit) -> None:
        assert list(await kit.store.save_definitions([])) == []

    async def test_what_was_never_saved_is_not_there(self, kit: StoreKit) -> None:
        stored = definition("1")
        await kit.store.save_definitions([stored])

        assert await kit.store.load_definition(stored.workflow, "2") is None
        assert await kit.store.load_definition("unheard of", "1") is None

    async def test_of_many_who_save_one_version_at_once_one_wins_and_all_hear_it(self, kit: StoreKit) -> None:
        candidate = definition("1")
        candidates = [replace(candidate, fingerprint=f"fingerprint {number}") for number in range(8)]

        async with within():
            answers = await asyncio.gather(*(kit.store.save_definitions([each]) for each in candidates))

        stored = await kit.store.load_definition(candidate.workflow, "1")
        assert stored in candidates
        assert [list(answer) for answer in answers] == [[stored]] * 8

    async def test_versions_are_listed_by_name_and_in_the_order_they_were_stored(self, kit: StoreKit) -> None:
        a, b = "a" + definition().workflow, "b" + definition().workflow
        stored = [
            replace(definition(version, workflow=workflow), created_at=NOW + timedelta(minutes=number))
            for number, (workflow, version) in enumerate([(b, "2"), (a, "10"), (b, "1"), (a, "9"), (a, "11")])
        ]
        for snapshot in stored:
            await kit.store.save_definitions([snapshot])

        listed = await kit.store.list_definitions([b, a])

        assert list(listed) == [stored[1], stored[3], stored[4], stored[0], stored[2]]

    async def test_only_versions_of_the_workflows_asked_for_are_listed(self, kit: StoreKit) -> None:
        mine, other = definition(), definition()
        await kit.store.save_definitions([mine, other])

        assert list(await kit.store.list_definitions([mine.workflow, "unheard of"])) == [mine]
        assert list(await kit.store.list_definitions({mine.workflow})) == [mine]
        assert list(await kit.store.list_definitions([])) == []

    async def test_where_no_workflow_is_named_every_stored_version_is_listed(self, kit: StoreKit) -> None:
        assert list(await kit.store.list_definitions(None)) == []
        # Names are sorted by code point, whatever the language.
        upper, lower, umlaut = (f"{first}{definition().workflow}" for first in ("B", "a", "ä"))
        saved = [(umlaut, "1"), (lower, "2"), (upper, "10"), (lower, "1"), (upper, "9")]
        stored = [definition(version, workflow=workflow) for workflow, version in saved]
        await kit.store.save_definitions(stored[:3])
        await kit.store.save_definitions(stored[3:])

        listed = await kit.store.list_definitions(None)

        assert list(listed) == [stored[2], stored[4], stored[1], stored[3], stored[0]]
        assert list(await kit.store.list_definitions([umlaut, lower, upper])) == list(listed)

    async def test_a_stored_version_that_is_saved_again_keeps_its_place(self, kit: StoreKit) -> None:
        first = definition("2")
        second = replace(definition("1", workflow=first.workflow), created_at=NOW + timedelta(minutes=1))
        for snapshots in ([first], [second, first], [first]):
            await kit.store.save_definitions(snapshots)

        assert list(await kit.store.list_definitions(None)) == [first, second]
