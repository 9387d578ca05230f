"""Runs: what is stored comes back, effects move them, and what has ended is taken out when it is old."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from detent.errors import ConnectionNotSupported, StoreError
from detent.ids import new_id
from detent.json_values import JsonValue
from detent.store.change import AddRun, MoveRun
from detent.store.records import Status
from detent.store.run_records import ENDED_RUNS, Lease, Run, RunQuery, RunStatus
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    JSON_KINDS,
    MINUTE,
    NOW,
    TICK,
    a_checkpoint,
    a_claim,
    a_run,
    accepted,
    assert_untouched,
    claimed,
    created,
    creation,
    creation_with,
    loaded,
    loaded_run,
    removal,
    step,
    with_run,
    written,
)

# Ids that a store sorting them by bytes with a sign, or as they came, would get wrong; the highest first.
IDS = [
    UUID("ffffffff-0000-7000-8000-000000000000"),
    UUID("80000000-0000-7000-8000-000000000000"),
    UUID("7fffffff-ffff-7fff-bfff-ffffffffffff"),
    UUID("0000000a-0000-7000-8000-000000000000"),
    UUID("00000000-0000-7000-8000-000000000001"),
]


ENDED = sorted(ENDED_RUNS)


class RunContract:
    """What a run is, and where effects take it."""

    # -------------------------------------------------------------------------------------------- what is stored

    async def test_every_field_of_a_run_comes_back(self, kit: StoreKit) -> None:
        change = creation_with(workflow="return", definition_version="1.10.0", tenant="acme")
        wanted = a_run(
            change.instance,
            event="$on_enter",
            state="waiting for goods",
            target=None,
            payload=[1, {"two": None}],
            subject={"table": "orders", "id": 17},
            trigger_metadata={"actor": "Ada"},
            by_timer=True,
            status=RunStatus.RUNNING,
            command="ship",
            queue="parcels",
            priority=-3,
            attempts=2,
            crashes=1,
            journal=({"command": "charge", "data": {"list": [1]}}, {"guard": "paid", "ok": True}),
            kept={"page": 3},
            progress={"fraction": 0.5, "message": "half"},
            available_at=NOW + MINUTE,
            lease_token=new_id(),
            lease_until=NOW + 2 * MINUTE,
            worker="one",
            error={"code": "timeout", "message": "too slow"},
            reason="no reason",
            trace={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
            created_at=NOW - DAY,
            updated_at=NOW - MINUTE,
        )

        await kit.store.create(replace(change, effects=(AddRun(wanted),)))

        assert await kit.store.runs.load(wanted.id) == wanted
        assert list(await kit.store.runs.find(RunQuery(), limit=10)) == [wanted]

    async def test_a_run_that_begins_held_is_nobody_elses_until_its_lease_ends(self, kit: StoreKit) -> None:
        run = await accepted(
            kit.store,
            status=RunStatus.RUNNING,
            attempts=1,
            lease_token=new_id(),
            lease_until=NOW + MINUTE,
            worker="one",
        )
        lease = Lease(run.id, run.lease_token or new_id())

        assert list(await kit.store.runs.claim(a_claim(), now=NOW)) == []
        assert list(await kit.store.runs.heartbeat([lease], extend=2 * MINUTE, now=NOW)) == [run.id]
        assert await kit.store.runs.checkpoint(a_checkpoint(lease), now=NOW + MINUTE) is Status.ACTIVE
        taken = await claimed(kit.store, now=NOW + 10 * MINUTE)
        assert (taken.run.id, taken.run.crashes) == (run.id, 1)

    async def test_what_a_run_does_not_have_is_not_made_up(self, kit: StoreKit) -> None:
        change = creation()
        wanted = a_run(change.instance, payload=None, subject=None, command="")

        await kit.store.create(replace(change, effects=(AddRun(wanted),)))

        assert await kit.store.runs.load(wanted.id) == wanted

    @pytest.mark.parametrize("value", JSON_KINDS.values(), ids=JSON_KINDS.keys())
    async def test_every_kind_of_json_in_a_run_comes_back_as_it_was(self, kit: StoreKit, value: JsonValue) -> None:
        said = {"value": value}
        run = await accepted(kit.store, payload=value, subject=value, journal=(said, said), kept=said, error=said)

        assert run.payload == run.subject == value
        assert type(run.payload) is type(run.subject) is type(value)
        assert run.journal == (said, said)
        assert run.kept == run.error == said

    async def test_editing_a_run_does_not_reach_the_store(self, kit: StoreKit) -> None:
        change = with_run(creation(), payload={"list": [1]}, journal=({"list": [1]},), kept={"list": [1]})
        [added] = change.effects_of(AddRun)
        await created(kit.store, change)
        before = await loaded_run(kit.store, added.run.id)
        [found] = await kit.store.runs.find(RunQuery(), limit=10)
        taken = await claimed(kit.store)

        for run in (added.run, before, found, taken.run):
            run.payload["list"].append(2)
            run.journal[0]["list"].append(2)
            run.kept["new"] = True
            run.trigger_metadata["new"] = True
        taken.instance.context["new"] = True

        after = await loaded_run(kit.store, added.run.id)
        assert (after.payload, after.journal, after.kept) == ({"list": [1]}, ({"list": [1]},), {"list": [1]})
        assert after.trigger_metadata == {"actor": "Ada"}
        assert (await loaded(kit.store, after.instance_id)).context == {}

    async def test_no_run_is_known_under_an_unknown_id(self, kit: StoreKit) -> None:
        await accepted(kit.store)

        assert await kit.store.runs.load(new_id()) is None

    async def test_a_run_that_a_transaction_began_is_seen_through_it_and_by_others_after_the_commit(
        self, kit: StoreKit
    ) -> None:
        record = await created(kit.store)
        change = with_run(step(record))
        [added] = change.effects_of(AddRun)
        query = RunQuery(instance_id=record.id)

        async with kit.lend() as outside:
            async with kit.store.join(outside, record.id) as unit:
                await unit.write(change)
            assert await kit.store.runs.load(added.run.id, outside=outside) == added.run
            assert list(await kit.store.runs.find(query, limit=10, outside=outside)) == [added.run]
            assert await kit.store.runs.load(added.run.id) is None
            assert list(await kit.store.runs.find(query, limit=10)) == []

        assert await kit.store.runs.load(added.run.id) == added.run

    async def test_reading_runs_through_what_the_store_did_not_lend_is_refused(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)

        with pytest.raises(ConnectionNotSupported):
            await kit.store.runs.load(run.id, outside=object())
        with pytest.raises(ConnectionNotSupported):
            await kit.store.runs.find(RunQuery(), limit=10, outside=object())

    # -------------------------------------------------------------------------------------------- find

    async def test_a_query_for_runs_finds_what_it_asks_for_and_nothing_else(self, kit: StoreKit) -> None:
        plain = await accepted(kit.store)
        parked = await accepted(
            kit.store,
            creation_with(workflow="return", tenant="acme"),
            status=RunStatus.PARKED,
            queue="slow",
            state="sent",
        )
        ended = await accepted(
            kit.store, creation_with(tenant="acme"), status=RunStatus.COMPLETED, finished_at=NOW, queue="fast"
        )

        wanted: list[tuple[RunQuery, list[Run]]] = [
            (RunQuery(), [plain, parked, ended]),
            (RunQuery(statuses=(RunStatus.PARKED,)), [parked]),
            (RunQuery(statuses=(RunStatus.PENDING, RunStatus.COMPLETED)), [plain, ended]),
            (RunQuery(statuses=()), []),
            (RunQuery(instance_id=plain.instance_id), [plain]),
            (RunQuery(instance_id=new_id()), []),
            (RunQuery(workflows=("return",)), [parked]),
            (RunQuery(workflows=("return", "order")), [plain, parked, ended]),
            (RunQuery(workflows=()), []),
            (RunQuery(states=("sent",)), [parked]),
            (RunQuery(states=("new", "sent"), tenant="acme"), [parked, ended]),
            (RunQuery(states=()), []),
            (RunQuery(states=("Sent", "unheard of")), []),
            (RunQuery(queues=("slow", "fast")), [parked, ended]),
            (RunQuery(queues=("SLOW",)), []),
            (RunQuery(tenant="acme"), [parked, ended]),
            (RunQuery(tenant=""), [plain]),
            (RunQuery(tenant="acme", statuses=(RunStatus.COMPLETED,), workflows=("order",)), [ended]),
            (RunQuery(expired_before=NOW + 99 * DAY), []),
        ]
        for query, runs in wanted:
            assert _by_id(await kit.store.runs.find(query, limit=10)) == _by_id(runs), query

    async def test_the_newest_runs_are_found_first_and_page_after_page(self, kit: StoreKit) -> None:
        for run_id in (IDS[2], IDS[0], IDS[4], IDS[1], IDS[3]):
            await accepted(kit.store, id=run_id)

        places = [None, IDS[1], IDS[3], IDS[4]]
        pages = [await kit.store.runs.find(RunQuery(), limit=2, after=place) for place in places]

        assert [[run.id for run in page] for page in pages] == [IDS[:2], IDS[2:4], IDS[4:], []]

    async def test_runs_whose_lease_expired_before_an_instant_are_found(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)
        await accepted(kit.store, available_at=NOW + DAY)
        await claimed(kit.store)
        end = NOW + MINUTE

        found = [
            [found.id for found in await kit.store.runs.find(RunQuery(expired_before=before), limit=10)]
            for before in (end - TICK, end, end + TICK)
        ]

        assert found == [[], [], [run.id]]

    async def test_a_run_that_nobody_holds_any_more_has_no_lease_that_could_expire(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)
        await claimed(kit.store)
        await written(kit.store, run.instance_id, MoveRun(run.id, RunStatus.PARKED, NOW))

        assert list(await kit.store.runs.find(RunQuery(expired_before=NOW + 99 * DAY), limit=10)) == []

    # -------------------------------------------------------------------------------------------- moved by effects

    @pytest.mark.parametrize("held", [False, True], ids=["nobody holds", "a worker holds"])
    @pytest.mark.parametrize("status", [*ENDED, RunStatus.PARKED, RunStatus.PENDING])
    async def test_a_moved_run_has_its_status_and_nobody_holds_it(
        self, kit: StoreKit, status: RunStatus, held: bool
    ) -> None:
        run = await accepted(kit.store)
        taken = await claimed(kit.store) if held else None

        await written(kit.store, run.instance_id, MoveRun(run.id, status, NOW + DAY, reason="as told"))

        after = await loaded_run(kit.store, run.id)
        assert (after.status, after.reason) == (status, "as told")
        assert after.finished_at == (NOW + DAY if status in ENDED_RUNS else None)
        if taken is not None:
            assert not after.held_under(taken.lease.token, NOW + TICK)
            assert list(await kit.store.runs.heartbeat([taken.lease], extend=MINUTE, now=NOW + TICK)) == []
        claimable = [one.run.id for one in await kit.store.runs.claim(a_claim(9), now=NOW + DAY)]
        assert claimable == ([run.id] if status is RunStatus.PENDING else [])

    async def test_a_run_that_is_made_pending_forgets_its_attempts_and_waits_until_then(self, kit: StoreKit) -> None:
        run = await accepted(
            kit.store,
            status=RunStatus.PARKED,
            attempts=4,
            crashes=2,
            reason="four attempts failed",
            error={"code": "declined"},
            kept={"page": 3},
            journal=({"command": "before"},),
        )

        await written(kit.store, run.instance_id, MoveRun(run.id, RunStatus.PENDING, NOW + DAY))

        after = await loaded_run(kit.store, run.id)
        assert (after.attempts, after.crashes, after.available_at, after.reason) == (0, 0, NOW + DAY, None)
        assert (after.error, after.kept, after.journal) == (run.error, run.kept, run.journal)
        assert list(await kit.store.runs.claim(a_claim(), now=NOW + DAY - TICK)) == []
        assert (await claimed(kit.store, now=NOW + DAY)).run.attempts == 1

    @pytest.mark.parametrize("status", [*ENDED, RunStatus.PARKED])
    async def test_a_run_that_is_parked_or_ends_keeps_its_attempts(self, kit: StoreKit, status: RunStatus) -> None:
        run = await accepted(kit.store, attempts=4, crashes=2, available_at=NOW - DAY)

        await written(kit.store, run.instance_id, MoveRun(run.id, status, NOW))

        after = await loaded_run(kit.store, run.id)
        assert (after.attempts, after.crashes, after.available_at) == (4, 2, NOW - DAY)

    @pytest.mark.parametrize("error", [None, {"code": "new", "message": "the last one"}], ids=["kept", "replaced"])
    async def test_an_error_is_replaced_only_where_one_is_given(
        self, kit: StoreKit, error: dict[str, Any] | None
    ) -> None:
        run = await accepted(kit.store, error={"code": "old", "message": "the first one"})

        await written(kit.store, run.instance_id, MoveRun(run.id, RunStatus.PARKED, NOW, error=error))

        assert (await loaded_run(kit.store, run.id)).error == (error or run.error)

    @pytest.mark.parametrize("ended", ENDED)
    @pytest.mark.parametrize("status", [*ENDED, RunStatus.PARKED, RunStatus.PENDING])
    async def test_a_run_that_has_ended_stays_as_it_is(
        self, kit: StoreKit, ended: RunStatus, status: RunStatus
    ) -> None:
        run = await accepted(kit.store)
        await written(kit.store, run.instance_id, MoveRun(run.id, ended, NOW, reason="first"))
        before = await loaded_run(kit.store, run.id)

        await written(
            kit.store, run.instance_id, MoveRun(run.id, status, NOW + DAY, reason="second", error={"code": "late"})
        )

        assert await loaded_run(kit.store, run.id) == before

    async def test_an_instance_may_have_one_run_after_another(self, kit: StoreKit) -> None:
        first = await accepted(kit.store)
        record = await loaded(kit.store, first.instance_id)
        change = step(record)
        change = with_run(replace(change, effects=(MoveRun(first.id, RunStatus.COMPLETED, NOW),)))
        [second] = change.effects_of(AddRun)

        await kit.store.apply(record.id, lambda *_: (change, None))

        assert (await loaded_run(kit.store, first.id)).status is RunStatus.COMPLETED
        assert await loaded_run(kit.store, second.run.id) == second.run
        assert (await loaded(kit.store, record.id)).run_id == second.run.id

    async def test_an_instance_has_one_run_at_a_time(self, kit: StoreKit) -> None:
        first = await accepted(kit.store)
        record = await loaded(kit.store, first.instance_id)
        second = with_run(step(record))

        with pytest.raises(StoreError):
            await kit.store.apply(record.id, lambda *_: (second, None))
        with pytest.raises(StoreError):
            async with kit.store.transaction(record.id) as unit:
                await unit.write(second)

        await assert_untouched(kit.store, record)
        assert list(await kit.store.runs.find(RunQuery(), limit=10)) == [first]

    # -------------------------------------------------------------------------------------------- the end

    @pytest.mark.parametrize(("shift", "taken"), [(-1, 0), (0, 0), (1, 1)])
    async def test_runs_that_ended_before_an_instant_are_taken_out(self, kit: StoreKit, shift: int, taken: int) -> None:
        run = await accepted(kit.store)
        await written(kit.store, run.instance_id, MoveRun(run.id, RunStatus.COMPLETED, NOW + DAY))

        assert await kit.store.runs.prune(before=NOW + DAY + shift * TICK, limit=10) == taken

        assert (await kit.store.runs.load(run.id) is None) == bool(taken)
        assert await kit.store.load(run.instance_id) is not None

    async def test_only_runs_that_ended_are_taken_out(self, kit: StoreKit) -> None:
        left = [await accepted(kit.store) for _ in range(3)]
        await claimed(kit.store)
        await written(kit.store, left[2].instance_id, MoveRun(left[2].id, RunStatus.PARKED, NOW))

        assert await kit.store.runs.prune(before=NOW + 99 * DAY, limit=10) == 0

        assert _ids(await kit.store.runs.find(RunQuery(), limit=10)) == {run.id for run in left}

    async def test_a_limit_leaves_other_ended_runs_for_the_next_time(self, kit: StoreKit) -> None:
        for _ in range(5):
            await accepted(kit.store, status=RunStatus.CANCELLED, finished_at=NOW)

        counts = [await kit.store.runs.prune(before=NOW + DAY, limit=2) for _ in range(4)]

        assert counts == [2, 2, 1, 0]

    async def test_only_runs_of_the_tenant_asked_for_are_taken_out(self, kit: StoreKit) -> None:
        for tenant in ("acme", "globex", ""):
            ended: dict[str, Any] = {"status": RunStatus.COMPLETED, "finished_at": NOW}
            await accepted(kit.store, creation_with(tenant=tenant), **ended)

        asked = ("ACME", "acme", "", None)
        assert [await kit.store.runs.prune(before=NOW + DAY, limit=9, tenant=tenant) for tenant in asked] == [
            0,
            1,
            1,
            1,
        ]

    async def test_runs_go_with_their_instance(self, kit: StoreKit) -> None:
        gone, kept = await accepted(kit.store), await accepted(kit.store)

        await kit.store.remove([removal(await loaded(kit.store, gone.instance_id))])

        assert await kit.store.runs.load(gone.id) is None
        assert list(await kit.store.runs.find(RunQuery(), limit=10)) == [kept]
        assert [one.run.id for one in await kit.store.runs.claim(a_claim(9), now=NOW)] == [kept.id]

    async def test_a_worker_whose_run_went_with_its_instance_is_refused(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)
        taken = await claimed(kit.store)
        await kit.store.remove([removal(await loaded(kit.store, run.instance_id))])

        assert list(await kit.store.runs.heartbeat([taken.lease], extend=MINUTE, now=NOW)) == []
        assert not await kit.store.runs.keep(taken.lease, kept={"page": 1}, extend=MINUTE, now=NOW)


def _ids(runs: Sequence[Run]) -> set[UUID]:
    return {run.id for run in runs}


def _by_id(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run.id)
