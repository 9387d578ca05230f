"""29 to 36 of what duraflows was measured by: versions, the check at the start, and upgrades. See `test_duraflows.py`."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from detent import (
    Settings,
    Status,
    WorkflowService,
    command,
)
from detent.errors import (
    Conflict,
    DefinitionChanged,
    DefinitionInvalid,
    IncompatibleState,
    InvalidValue,
    WorkflowUnavailable,
)
from detent.upgrade.report import UpgradeReport
from tests.parity.ground import Watched
from tests.parity.workflows import bill, count, renamed, waiting


async def test_29_an_instance_goes_on_by_the_version_it_started_on(running):
    """Also when only the newer one is registered: the older is read from its snapshot. New instances take the newer one."""
    before = await running(bill())
    old = await before.create_instance("bill")
    deployed = await running(renamed(), commands=[count])
    moved = (await deployed.trigger_event(old.id, "pay")).instance
    assert (moved.state, moved.context, moved.definition_version) == ("paid", {}, "1")
    assert [entry.definition_version for entry in await deployed.get_history(old.id)] == ["1", "1"]
    new = await deployed.create_instance("bill")
    assert (new.state, new.definition_version) == ("due", "2")
    assert (await deployed.trigger_event(new.id, "pay")).instance.context == {"entered": 1}


async def test_30_a_version_that_was_edited_in_place_is_refused_at_start(running):
    """The error has both fingerprints. Another version or policy around the same content is no edit."""
    await running(bill())
    edited = bill()
    edited["states"]["paid"]["context"] = {"receipt": True}
    with pytest.raises(DefinitionChanged) as refused:
        await running(edited)
    error = refused.value
    assert (error.workflow, error.version, error.stored != error.registered) == ("bill", "1", True)
    assert error.stored[:12] in str(error)
    assert error.registered[:12] in str(error)
    await running(bill() | {"version_policy": "latest"})
    await running(bill() | {"version": 2})


async def test_31_under_latest_a_state_that_is_gone_is_a_conflict(running):
    """It is told as `IncompatibleState`, a conflict, and never as an event that the state does not have.

    Where the start-up check finds such instances, ours withdraws the workflow unless it is told only to warn.
    """
    before = await running(bill())
    instance = await before.create_instance("bill")
    newest = renamed(version_policy="latest")
    deployed = await running(newest, commands=[count], settings=Settings(unresolvable="warn"))
    for event in ("pay", "no such event"):
        with pytest.raises(IncompatibleState, match="'open'") as refused:
            await deployed.trigger_event(instance.id, event)
        assert isinstance(refused.value, Conflict)
        assert (refused.value.state, refused.value.version) == ("open", "2")
    assert (await deployed.get_instance(instance.id)).version == 1
    withdrawn = await running(newest, commands=[count])
    with pytest.raises(WorkflowUnavailable, match="state 'open', which version 2 does not have"):
        await withdrawn.trigger_event(instance.id, "pay")


async def test_32_a_version_with_live_instances_must_be_able_to_run(running, caplog):
    """Without its command the workflow is withdrawn, with workflow, version and count; finished instances do not count.

    duraflows fails the whole process; ours does where `unresolvable="raise"` asks for it, and `"warn"` goes on.
    """
    first = bill(commands=["charge"])
    first["states"]["paid"] = {}

    @command("charge")
    def charge(ctx): ...

    before = await running(first, waiting(), commands=[charge])
    instances = [await before.create_instance("bill") for _ in range(3)]
    await before.trigger_event(instances[0].id, "pay")

    deployed = await running(renamed(), waiting(), commands=[count])
    for refused in (deployed.create_instance("bill"), deployed.trigger_event(instances[1].id, "pay")):
        with pytest.raises(WorkflowUnavailable, match=r"version 1 has 2 live instances .*'charge'") as told:
            await refused
        assert told.value.workflow == "bill"
    assert (await deployed.create_instance("wait")).state == "waiting"

    with pytest.raises(WorkflowUnavailable, match=r"'bill'.*\n.*version 1 has 2 live instances"):
        await running(renamed(), commands=[count], settings=Settings(unresolvable="raise"))

    caplog.clear()
    warned = await running(renamed(), commands=[count], settings=Settings(unresolvable="warn"))
    assert "version 1 has 2 live instances" in caplog.text
    assert (await warned.create_instance("bill")).definition_version == "2"
    with pytest.raises(DefinitionInvalid, match="charge"):
        await warned.trigger_event(instances[1].id, "pay")

    for instance in instances[1:]:
        await before.trigger_event(instance.id, "pay")
    fine = await running(renamed(), commands=[count], settings=Settings(unresolvable="raise"))
    assert (await fine.get_instance(instances[0].id)).status is Status.COMPLETED


async def test_33_a_creation_that_is_rolled_back_does_not_take_the_snapshot_with_it(running, kit):
    """Snapshots are stored at the start, in a transaction of their own, so that no creation can undo one."""
    runtime = await running(bill())
    with suppress(ZeroDivisionError):
        async with kit.lend() as outside:
            await runtime.create_instance("bill", connection=outside)
            raise ZeroDivisionError
    instance = await runtime.create_instance("bill")
    deployed = await running(renamed(), commands=[count])
    assert (await deployed.trigger_event(instance.id, "pay")).instance.definition_version == "1"
    assert [(one.version, one.live) for one in await deployed.list_versions("bill")] == [("1", 1), ("2", 0)]


async def test_34_an_upgrade_runs_no_on_enter(running, store):
    """A mapping into a state that has one is refused before any row is read; a state that grew one is skipped, with a reason.

    Commands that the older version has there as well are no obstacle, because they ran at the entry; duraflows skips those too.
    """
    older, newer = bill(), renamed()
    for definition in (older, newer):
        definition["states"]["refunded"]["on_enter"] = {"commands": ["count"]}
    newer["states"]["paid"]["on_enter"] = {"commands": ["count"]}
    before = await running(older, commands=[count])
    opened, paid, refunded = [await before.create_instance("bill") for _ in range(3)]
    for instance in (paid, refunded):
        await before.trigger_event(instance.id, "pay")
    await before.trigger_event(refunded.id, "refund")
    watched = Watched(store)
    service = WorkflowService(await running(newer, commands=[count], store=watched))

    watched.asked.clear()
    with pytest.raises(InvalidValue, match="on_enter"):
        await service.upgrade_instances("bill", state_mapping={"open": "paid"})
    assert watched.asked.keys() <= {"list_definitions"}

    report = await service.upgrade_instances("bill", state_mapping={"open": "due"})
    assert {one.instance_id: one.to_state for one in report.upgraded} == {opened.id: "due", refunded.id: "refunded"}
    assert [(one.instance_id, one.code) for one in report.skipped] == [(paid.id, "on_enter")]
    assert "'count'" in report.skipped[0].reason
    skipped = await service.get_instance(paid.id)
    assert (skipped.definition_version, skipped.version, skipped.context) == ("1", 2, {})
    assert (await service.get_instance(refunded.id)).context == {"entered": 1}


async def test_35_an_upgrade_counts_deadlines_from_the_entry(running, clock, heard):
    """Ten minutes after the entry a timeout of fifteen has five left. It is one entry, `$upgraded`, and observers hear of it."""
    before = await running(waiting())
    instance = await before.create_instance("wait", context={"k": 1})
    clock.advance("10m")
    newer = waiting(timeout="15m") | {"version": 2}
    newer["states"]["waiting"]["context"] = {"k": 2}
    service = WorkflowService(await running(newer)).acting(actor="ana")

    planned = await service.plan_upgrade("wait")
    assert (await service.get_instance(instance.id)) == replace(instance, created=False)
    report = await service.upgrade_instances("wait", reason="shorter")

    moved = await service.get_instance(instance.id)
    assert (moved.definition_version, moved.version, moved.state) == ("2", 2, "waiting")
    assert moved.due_at == clock.now() + timedelta(minutes=5)
    assert (moved.entered_at, moved.context) == (instance.entered_at, {"k": 1})
    assert [one.deadlines for one in report.upgraded] == [one.deadlines for one in planned.upgraded]
    newest, _ = await service.get_history(instance.id)
    assert (newest.event, newest.from_state, newest.to_state) == ("$upgraded", "waiting", "waiting")
    assert (newest.reason, newest.trigger_metadata, newest.definition_version) == ("shorter", {"actor": "ana"}, "2")
    await service.running().parts.observers.settled()
    assert [seen.entry for seen in heard.seen if seen.entry.event == "$upgraded"] == [newest]
    clock.advance("5m")
    assert (await service.process_timeouts()).processed == 1


async def test_36_an_upgrade_page_by_page_looks_at_every_instance_once(running):
    """Also where some fail and stay as they are: they are listed, and the cursor goes past them."""
    before = await running(bill())
    instances = [await before.create_instance("bill", context={"number": number}) for number in range(24)]
    deployed = WorkflowService(await running(renamed(), commands=[count]))
    looked_at: list[int] = []

    def transform(context, instance):
        looked_at.append(context["number"])
        if context["number"] % 5 == 0:
            raise LookupError("no price")
        return {**context, "price": 7}

    reports: list[UpgradeReport] = []
    cursor: str | None = None
    while not reports or cursor is not None:
        report = await deployed.upgrade_instances(
            "bill", state_mapping={"open": "due"}, transform_context=transform, limit=7, cursor=cursor
        )
        reports.append(report)
        cursor = report.cursor
    assert [len(report.upgraded) + len(report.failed) for report in reports] == [7, 7, 7, 3]
    assert sorted(looked_at) == list(range(24))
    failed = [one for report in reports for one in report.failed]
    assert {one.instance_id for one in failed} == {one.id for one in instances[::5]}
    assert {(one.code, one.reason) for one in failed} == {("transform_failed", "LookupError: no price")}
    assert [(one.version, one.live) for one in await deployed.list_versions("bill")] == [("1", 5), ("2", 19)]
