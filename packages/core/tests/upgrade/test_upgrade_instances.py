"""The verbs on real stores: what they plan, what they write, and what they leave alone."""

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from detent import (
    InvalidValue,
    MemoryStore,
    Observation,
    Status,
    Store,
    UnknownWorkflow,
    WorkflowDefinition,
    WorkflowInstance,
    WorkflowObserver,
    WorkflowRuntime,
    WorkflowService,
    command,
)
from detent.errors import UnknownVersion
from detent.ids import new_id
from detent.store.records import Outcome
from detent.testing.clock import FakeClock
from detent.upgrade.options import InstanceId
from detent.upgrade.outcome import SkipCode
from detent.upgrade.report import UpgradeReport
from packages.core.tests.upgrade.claims import NEW, OLD, Serving

CHECKING = {"checking": "review"}


@pytest.fixture
async def claim(old: WorkflowService, clock: FakeClock) -> WorkflowInstance:
    """An instance of version 1 that is being checked since ten minutes."""
    made = await old.create_instance("claim", context={"amount": 5}, metadata={"region": "eu"})
    checked = await old.trigger_event(made, "check")
    clock.advance(minutes=10)
    return checked.instance


def skips(report: UpgradeReport) -> dict[UUID, str]:
    return {skipped.instance_id: skipped.code.value for skipped in report.skipped}


async def test_a_claim_goes_on_by_the_rules_of_the_new_version(
    service: WorkflowService, claim: WorkflowInstance, clock: FakeClock
):
    due = claim.entered_at + timedelta(minutes=15)
    report = await service.acting(actor="ana").upgrade_instances(
        "claim", state_mapping=CHECKING, reason="renamed", trigger_metadata={"ticket": 7}
    )
    (moved,) = report.upgraded
    assert (report.workflow, report.to_version, report.cursor) == ("claim", "2", None)
    assert (moved.from_state, moved.to_state, moved.from_version, moved.to_version) == ("checking", "review", "1", "2")

    now = await service.get_instance(claim)
    assert now == moved.after
    expected = replace(
        claim,
        state="review",
        definition_version="2",
        version=3,
        updated_at=clock.now(),
        timers=(replace(claim.timers[0], due=due),),
        due_at=due,
    )
    assert now == expected
    assert due - clock.now() == timedelta(minutes=5)

    entry = (await service.get_history(claim))[0]
    assert (entry.event, entry.from_state, entry.to_state) == ("$upgraded", "checking", "review")
    assert (entry.reason, entry.payload) == ("renamed", {"from_version": "1", "to_version": "2"})
    assert entry.trigger_metadata == {"actor": "ana", "ticket": 7}
    assert (entry.definition_version, entry.outcome, entry.commands) == ("2", Outcome.SUCCESS, ())

    clock.advance(minutes=5)
    assert (await service.process_timeouts()).processed == 1
    assert (await service.get_instance(claim)).state == "new"


async def test_a_plan_says_what_would_happen_and_writes_nothing(service: WorkflowService, claim: WorkflowInstance):
    waiting = await service.create_instance("claim")
    report = await service.plan_upgrade(
        "claim",
        state_mapping=CHECKING,
        transform_context=lambda context, instance: {"currency": "EUR"},
    )
    (planned,) = report.upgraded
    assert planned.before == claim
    assert (planned.context_put, planned.context_removed) == ({"currency": "EUR"}, ("amount",))
    (deadline,) = planned.deadlines
    assert (deadline.event, deadline.after) == ("escalate", claim.entered_at + timedelta(minutes=15))
    assert deadline.before == claim.due_at
    assert {difference.code for difference in report.differences["1"]} == {
        "event_retargeted",
        "state_added",
        "state_removed",
    }
    assert await service.get_instance(claim) == claim
    assert len(await service.get_history(claim)) == 2
    assert waiting.definition_version == "2"


async def test_what_a_transform_changed_stands_in_history(service: WorkflowService, claim: WorkflowInstance):
    await service.upgrade_instances(
        "claim", state_mapping=CHECKING, transform_context=lambda context, instance: {"currency": "EUR"}
    )
    assert (await service.get_instance(claim)).context == {"currency": "EUR"}
    entry = (await service.get_history(claim))[0]
    assert entry.payload == {
        "from_version": "1",
        "to_version": "2",
        "patch": {"currency": "EUR"},
        "remove": ["amount"],
    }


async def test_observers_hear_of_it_as_of_a_transition(serving: Serving, old: WorkflowService, claim: WorkflowInstance):
    class Listening(WorkflowObserver):
        def __init__(self) -> None:
            self.heard: list[str] = []

        async def on_transition(self, seen: Observation) -> None:
            self.heard.append(f"{seen.entry.event} {seen.instance.definition_version}")

        async def on_completed(self, seen: Observation) -> None:
            self.heard.append("completed")

    paid = (await old.trigger_event(claim, "approve")).instance
    assert paid.status is Status.COMPLETED
    listening = Listening()
    service = await serving(OLD, NEW, observers=(listening,))
    await service.upgrade_instances("claim", include_finished=True)
    await service._runtime.settled()
    assert listening.heard == ["$upgraded 2"]


async def test_mapping_into_an_on_enter_is_refused_before_any_row_is_touched(
    serving: Serving, old: WorkflowService, claim: WorkflowInstance
):
    def read(record: Any) -> Any:
        raise AssertionError("an instance was looked at")

    new = copy.deepcopy(NEW)
    new["states"]["review"]["on_enter"] = {"commands": ["assign"]}
    service = await serving(new, commands=(command("assign")(lambda: None),))
    waiting = await old.create_instance("claim")
    for verb in (service.upgrade_instances, service.plan_upgrade):
        with pytest.raises(InvalidValue, match=r"state_mapping\.checking .*on_enter") as refused:
            await verb("claim", state_mapping=CHECKING, transform_context=lambda context, record: read(record))
        assert refused.value.path == "state_mapping.checking"
    assert await service.get_instance(claim) == claim
    assert (await service.get_instance(waiting)).version == waiting.version


async def test_a_state_that_grew_an_on_enter_is_passed_over_and_its_command_never_runs(
    serving: Serving, old: WorkflowService
):
    waiting = await old.create_instance("claim")
    new = copy.deepcopy(NEW)
    new["states"]["new"]["on_enter"] = {"commands": ["assign"]}
    ran: list[str] = []
    service = await serving(OLD, new, commands=(command("assign")(lambda: ran.append("assign")),))
    report = await service.upgrade_instances("claim")
    (skipped,) = report.skipped
    assert (skipped.instance_id, skipped.code) == (waiting.id, SkipCode.ON_ENTER)
    assert "'assign'" in skipped.reason
    assert ran == []
    assert (await service.get_instance(waiting)).version == waiting.version


async def test_every_id_that_is_asked_for_is_reported_on(
    service: WorkflowService, old: WorkflowService, claim: WorkflowInstance, serving: Serving
):
    other = await serving({**OLD, "name": "order"})
    order = await other.create_instance("order")
    paid = (await old.trigger_event((await old.create_instance("claim")), "check")).instance
    paid = (await old.trigger_event(paid, "approve")).instance
    today = await service.create_instance("claim")
    nobody = new_id()
    asked: list[InstanceId] = [claim, order, str(paid.id), today.id, nobody, nobody]
    report = await service.upgrade_instances("claim", ids=asked, state_mapping=CHECKING)
    assert [moved.instance_id for moved in report.upgraded] == [claim.id]
    assert skips(report) == {
        order.id: "other_workflow",
        paid.id: "finished",
        today.id: "already_there",
        nobody: "not_found",
    }
    assert report.failed == ()


async def test_ids_come_page_by_page_too(service: WorkflowService, old: WorkflowService):
    made = [await old.create_instance("claim") for _ in range(3)]
    nobody = new_id()
    asked: list[InstanceId] = [*made, nobody]
    looked_at: list[UUID] = []
    cursor = None
    for _ in range(2):
        report = await service.upgrade_instances("claim", ids=asked, limit=2, cursor=cursor)
        looked_at += [moved.instance_id for moved in report.upgraded] + list(skips(report))
        cursor = report.cursor
    assert cursor is None
    assert sorted(looked_at) == sorted([each.id for each in made] + [nobody])


async def test_every_candidate_is_looked_at_once_whatever_becomes_of_it(service: WorkflowService, old: WorkflowService):
    made = [await old.create_instance("claim", context={"odd": index % 3}) for index in range(20)]

    def transform(context: dict[str, Any], instance: WorkflowInstance) -> dict[str, Any]:
        seen.append(instance.id)
        if context["odd"] == 1:
            raise ValueError("odd")
        return context

    seen: list[UUID] = []
    moved: list[UUID] = []
    failed: list[UUID] = []
    codes: set[str] = set()
    cursor, calls = None, 0
    while calls == 0 or cursor is not None:
        report = await service.upgrade_instances("claim", transform_context=transform, limit=7, cursor=cursor)
        moved += [each.instance_id for each in report.upgraded]
        failed += [each.instance_id for each in report.failed]
        codes |= {each.code for each in report.failed}
        cursor, calls = report.cursor, calls + 1
    assert calls == 3
    assert seen == sorted(each.id for each in made)
    assert sorted(moved + failed) == seen
    assert len(failed) == 7
    assert codes == {"transform_failed"}
    assert (await service.count_instances(workflow="claim", group_by="definition_version")) == {"1": 7, "2": 13}
    again = await service.plan_upgrade("claim")
    assert len(again.upgraded) == 7
    assert again.skipped == ()


async def test_the_conditions_narrow_what_is_looked_at(service: WorkflowService, old: WorkflowService):
    eu = await old.create_instance("claim", metadata={"region": "eu"})
    us = await old.create_instance("claim", metadata={"region": "us"})
    checking = (await old.trigger_event(await old.create_instance("claim"), "check")).instance

    async def looked_at(**conditions: Any) -> set[UUID]:
        report = await service.plan_upgrade("claim", **conditions)
        return {each.instance_id for each in report.upgraded} | set(skips(report))

    assert await looked_at() == {eu.id, us.id, checking.id}
    assert await looked_at(metadata={"region": "eu"}) == {eu.id}
    assert await looked_at(states="checking") == {checking.id}
    assert await looked_at(exclude_states=["checking"]) == {eu.id, us.id}
    assert await looked_at(from_version=1, to_version="2") == {eu.id, us.id, checking.id}


async def test_another_tenants_instances_are_not_there(serving: Serving, old: WorkflowService):
    ours = await old.create_instance("claim", tenant="ours")
    theirs = await old.create_instance("claim", tenant="theirs")
    service = await serving(OLD, NEW)
    planned = await service.for_tenant("ours").plan_upgrade("claim", ids=[ours, theirs])
    assert skips(planned) == {theirs.id: "not_found"}
    assert [each.instance_id for each in (await service.plan_upgrade("claim", tenant="ours")).upgraded] == [ours.id]
    report = await service.for_tenant("ours").upgrade_instances("claim", ids=[ours, theirs])
    assert [moved.instance_id for moved in report.upgraded] == [ours.id]
    assert skips(report) == {theirs.id: "not_found"}
    assert (await service.get_instance(theirs)).definition_version == "1"
    assert (await service.plan_upgrade("claim", tenant="ours")).upgraded == ()
    assert [moved.instance_id for moved in (await service.plan_upgrade("claim")).upgraded] == [theirs.id]
    with pytest.raises(InvalidValue, match="bound to 'ours'"):
        await service.for_tenant("ours").plan_upgrade("claim", tenant="theirs")


async def test_a_version_whose_commands_are_gone_can_be_left(serving: Serving):
    source = copy.deepcopy(OLD)
    source["states"]["new"]["events"]["check"]["commands"] = ["forgotten"]
    yesterday = await serving(source, commands=(command("forgotten")(lambda: None),))
    made = await yesterday.create_instance("claim")
    service = await serving(NEW)
    assert service.running().parts.machines.unavailable.keys() == {"claim"}
    report = await service.upgrade_instances("claim", from_version=1)
    assert [moved.instance_id for moved in report.upgraded] == [made.id]
    assert await service.check_versions() == {}
    assert (await service.trigger_event(made, "check")).to_state == "review"


async def test_a_version_that_this_release_cannot_read_can_be_left(
    service: WorkflowService,
    old: WorkflowService,
    claim: WorkflowInstance,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
):
    """Nobody knows its states then, so that names are not checked; and whether an `on_enter` ran, so that it is not assumed."""
    listed = store.list_definitions

    async def newer(workflows: Any) -> Any:
        return [replace(each, definition={**each.definition, "word": 1}) for each in await listed(workflows)]

    monkeypatch.setattr(store, "list_definitions", newer)
    report = await service.upgrade_instances("claim", state_mapping={**CHECKING, "formerly": "new"})
    assert [moved.instance_id for moved in report.upgraded] == [claim.id]
    assert report.differences == {}


async def test_a_version_whose_snapshot_is_lost_can_be_left(
    service: WorkflowService, claim: WorkflowInstance, store: Store, monkeypatch: pytest.MonkeyPatch
):
    async def none(workflows: Any) -> Any:
        return []

    monkeypatch.setattr(store, "list_definitions", none)
    report = await service.upgrade_instances("claim", from_version=1, state_mapping=CHECKING)
    assert [moved.instance_id for moved in report.upgraded] == [claim.id]


async def test_an_instance_that_moved_meanwhile_is_decided_anew(
    service: WorkflowService, old: WorkflowService, store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Between the decision and the write, somebody else takes an event."""
    made = await old.create_instance("claim")
    apply = store.apply
    interfered: list[UUID] = []

    async def late(instance_id: UUID, *args: Any, **kwargs: Any) -> Any:
        if not interfered:
            interfered.append(instance_id)
            await old.trigger_event(made, "check")
        return await apply(instance_id, *args, **kwargs)

    monkeypatch.setattr(store, "apply", late)
    report = await service.upgrade_instances("claim", state_mapping=CHECKING)
    (moved,) = report.upgraded
    assert interfered == [made.id]
    assert (moved.from_state, moved.to_state) == ("checking", "review")
    assert [entry.event for entry in await service.get_history(made)] == ["$upgraded", "check", "$created"]


async def test_an_instance_that_ended_meanwhile_is_passed_over(
    service: WorkflowService, old: WorkflowService, store: Store, monkeypatch: pytest.MonkeyPatch
):
    made = await old.create_instance("claim")
    apply = store.apply
    interfered: list[UUID] = []

    async def late(instance_id: UUID, *args: Any, **kwargs: Any) -> Any:
        if not interfered:
            interfered.append(instance_id)
            await old.cancel(made)
        return await apply(instance_id, *args, **kwargs)

    monkeypatch.setattr(store, "apply", late)
    report = await service.upgrade_instances("claim")
    assert skips(report) == {made.id: "finished"}
    assert (await service.get_instance(made)).definition_version == "1"


async def test_an_instance_that_never_stands_still_fails_and_stops_nothing(
    service: WorkflowService, old: WorkflowService, store: Store, monkeypatch: pytest.MonkeyPatch
):
    restless, calm = sorted([await old.create_instance("claim"), await old.create_instance("claim")], key=_id)
    apply = store.apply
    busy: list[UUID] = []

    async def late(instance_id: UUID, *args: Any, **kwargs: Any) -> Any:
        if instance_id == restless.id and not busy:
            busy.append(instance_id)
            await old.patch_context(restless, {"touched": str(new_id())})
            busy.clear()
        return await apply(instance_id, *args, **kwargs)

    monkeypatch.setattr(store, "apply", late)
    report = await service.upgrade_instances("claim")
    (failed,) = report.failed
    assert (failed.instance_id, failed.code) == (restless.id, "version_conflict")
    assert [moved.instance_id for moved in report.upgraded] == [calm.id]


def _id(instance: WorkflowInstance) -> UUID:
    return instance.id


async def test_in_a_lent_transaction_it_sees_what_was_done_there(
    service: WorkflowService, claim: WorkflowInstance, store: Store
):
    async with store.begin() as connection:  # type: ignore[attr-defined]
        joined = service.within(connection)
        await joined.trigger_event(claim, "escalate")
        planned = await joined.plan_upgrade("claim", state_mapping=CHECKING)
        assert [moved.from_state for moved in planned.upgraded] == ["new"]
        report = await joined.upgrade_instances("claim", state_mapping=CHECKING)
        assert [moved.from_state for moved in report.upgraded] == ["new"]
        assert (await joined.plan_upgrade("claim")).upgraded == ()
    assert (await service.get_instance(claim)).definition_version == "2"


async def test_in_a_lent_transaction_all_is_done_or_nothing(
    serving: Serving, old: WorkflowService, store: Store, claim: WorkflowInstance
):
    service = await serving(OLD, NEW)
    waiting = await old.create_instance("claim")

    class Undone(Exception):
        pass

    async def upgraded(service: WorkflowService) -> int:
        return len((await service.upgrade_instances("claim", state_mapping=CHECKING)).upgraded)

    async def undone() -> None:
        async with store.begin() as connection:  # type: ignore[attr-defined]
            assert await upgraded(service.within(connection)) == 2
            raise Undone

    with pytest.raises(Undone):
        await undone()
    assert (await service.get_instance(claim)) == claim
    async with store.begin() as connection:  # type: ignore[attr-defined]
        assert await upgraded(service.within(connection)) == 2
        assert (await service.get_instance(claim)) == claim
    assert {(await service.get_instance(each)).definition_version for each in (claim, waiting)} == {"2"}


async def test_instances_that_follow_the_newest_version_are_mapped_into_it(serving: Serving, old: WorkflowService):
    """Under the policy `latest` an instance in a state that is gone takes no event any more; an upgrade is the way out."""
    made = (await old.trigger_event(await old.create_instance("claim"), "check")).instance
    service = await serving(OLD, {**NEW, "version_policy": "latest"})
    assert (await service.check_versions()).keys() == {"claim"}
    await service.upgrade_instances("claim", state_mapping=CHECKING)
    assert await service.check_versions() == {}
    assert (await service.trigger_event(made, "approve")).to_state == "paid"
    with pytest.raises(InvalidValue, match="to_version is '1', and instances of 'claim' follow version 2"):
        await service.upgrade_instances("claim", from_version=2, to_version=1)


async def _transform(context: dict[str, Any], instance: WorkflowInstance) -> dict[str, Any]:
    return context


@pytest.fixture
async def sound() -> AsyncIterator[WorkflowService]:
    """A service that knows both versions."""
    definitions = [WorkflowDefinition.from_dict(each) for each in (OLD, NEW)]
    async with WorkflowRuntime(store=MemoryStore(), definitions=definitions) as runtime:
        yield WorkflowService(runtime)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"to_version": 3}, r"version is '3'.*known: '1', '2'"),
        ({"to_version": "two"}, "to_version 'two' is neither"),
        ({"to_version": 1.5}, "to_version is 1.5"),
        ({"from_version": True}, "from_version is True"),
        ({"from_version": "2"}, "from_version is '2', which is the version to upgrade to"),
        ({"state_mapping": {"checking": "reviews"}}, r"state_mapping\.checking is 'reviews'.*did you mean 'review'"),
        ({"state_mapping": {"cheking": "review"}}, r"state_mapping names 'cheking'.*did you mean 'checking'"),
        ({"state_mapping": ["checking"]}, "state_mapping must map"),
        ({"state_mapping": {"checking": 1}}, "state_mapping must map texts"),
        ({"states": "cheking"}, r"states names 'cheking'.*did you mean 'checking'"),
        ({"exclude_states": ["review"]}, "exclude_states names 'review'"),
        ({"states": 5}, "states must be a text"),
        ({"transform_context": {}}, "transform_context is a dict"),
        ({"transform_context": _transform}, "transform_context is asynchronous"),
        ({"ids": "abc"}, "ids is a str"),
        ({"ids": ["abc"]}, "ids is 'abc'"),
        ({"metadata": []}, "metadata must be an object"),
        ({"limit": 0}, "limit must be"),
        ({"limit": 1001}, "limit must be"),
        ({"cursor": "abc"}, "cursor is none"),
        ({"cursor": 5}, "cursor is none"),
        ({"tenant": " "}, "tenant must be"),
        ({"mapping": {}}, "mapping is no option.*state_mapping"),
    ],
)
async def test_what_cannot_be_meant_is_refused(options: dict[str, Any], says: str, sound: WorkflowService) -> None:
    for verb in (sound.plan_upgrade, sound.upgrade_instances):
        with pytest.raises(InvalidValue, match=says):
            await verb("claim", **options)


async def test_workflows_and_versions_that_do_not_exist(sound: WorkflowService):
    with pytest.raises(UnknownWorkflow, match="did you mean 'claim'"):
        await sound.plan_upgrade("clam")
    with pytest.raises(UnknownVersion, match="version 7"):
        await sound.upgrade_instances("claim", from_version=7)
