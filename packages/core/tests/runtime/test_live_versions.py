"""The check of live versions: what cannot run stops its workflow alone, before it could do harm."""

import logging
from datetime import timedelta

import pytest

from detent import (
    MemoryStore,
    Retry,
    Settings,
    SqliteStore,
    Status,
    WorkflowDefinition,
    WorkflowRuntime,
    command,
    guard,
)
from detent.errors import DefinitionInvalid, IncompatibleState, InvalidValue, UnknownWorkflow, WorkflowUnavailable
from detent.runtime.caller import Caller
from detent.runtime.machines import Machines
from detent.service.service import WorkflowService


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    """Kept open, so that runtimes over it may come and go."""
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "detent.db")
    await store.open()
    yield store
    await store.close()


@command("reserve")
async def reserve(ctx): ...


@guard("in_stock")
def in_stock(ctx):
    return True


def order(version=1, **first):
    """A workflow whose version 1 needs a command and a guard that later ones do without."""
    events = {"ship": {"target": "shipped", **first}, "expire": {"target": "expired", "timeout": "1h"}}
    return {
        "name": "order",
        "version": version,
        "initial_state": "open",
        "states": {"open": {"events": events}, "shipped": {}, "expired": {}},
    }


OLD = order(commands=["reserve"], guard="in_stock")
TICKET = {
    "name": "ticket",
    "initial_state": "open",
    "states": {"open": {"events": {"close": {"target": "shut"}}}, "shut": {}},
}
FAULT = "version 1 has 2 live instances and cannot run: no command 'reserve' is registered, no guard 'in_stock' is registered"


@pytest.fixture
async def left_behind(running):
    """Three orders of version 1: an active one, a paused one, and one that is through."""
    runtime = await running(OLD, TICKET, commands=[reserve], guards=[in_stock])
    active, paused, shipped = [await runtime.create_instance("order") for _ in range(3)]
    await runtime.pause(paused)
    await runtime.trigger_event(shipped, "ship")
    return active


async def test_a_version_that_lost_its_command_withdraws_its_workflow_and_no_other(running, left_behind, caplog):
    runtime = await running(order(2), TICKET)
    assert runtime.unavailable == {"order": (FAULT,)}
    with pytest.raises(WorkflowUnavailable, match="version 1 has 2 live instances") as caught:
        await runtime.trigger_event(left_behind.id, "ship")
    assert (caught.value.workflow, caught.value.problems) == ("order", (FAULT,))
    with pytest.raises(WorkflowUnavailable):
        await runtime.create_instance("order")
    ticket = await runtime.create_instance("ticket")
    assert (await runtime.trigger_event(ticket, "close")).instance.status is Status.COMPLETED
    (logged,) = [record for record in caplog.records if record.name == "detent.runtime"]
    assert (logged.levelno, "'order'" in logged.getMessage(), FAULT in logged.getMessage()) == (
        logging.ERROR,
        True,
        True,
    )


async def test_every_version_that_cannot_run_is_told_in_the_order_of_versions(running):
    for version in ("10", "9"):
        runtime = await running(order(version, commands=["reserve"]), commands=[reserve])
        await runtime.create_instance("order")
    runtime = await running(order(11))
    told = [problem.partition(" has ")[0] for problem in runtime.unavailable["order"]]
    assert told == ["version 9", "version 10"]


async def test_no_timeout_of_a_withdrawn_workflow_fires_here(running, left_behind, clock):
    runtime = await running(order(2), TICKET)
    clock.advance("2h")
    report = await runtime.process_timeouts()
    assert (report.processed, report.failed, report.skipped) == (0, 0, 0)
    assert (await runtime.get_instance(left_behind)).timers == left_behind.timers


async def test_a_timeout_claimed_before_its_workflow_was_withdrawn_is_put_off_and_not_parked(
    running, left_behind, clock, monkeypatch
):
    hasty = Settings(timeout_retry=Retry(attempts=1, initial=timedelta(minutes=1), jitter=0))
    runtime = await running(order(2), settings=hasty)
    monkeypatch.setattr(Machines, "available", property(lambda machines: machines.workflows))
    clock.advance("2h")
    report = await runtime.process_timeouts()
    assert (report.failed, report.parked) == (1, 0)
    (timer,) = (await runtime.get_instance(left_behind)).timers
    assert (timer.attempts, timer.parked, "cannot run here" in timer.reason) == (1, False, True)


async def test_instances_of_the_newest_version_are_withdrawn_with_the_others(running, left_behind):
    both = await running(OLD, order(2), commands=[reserve], guards=[in_stock])
    newest = await both.create_instance("order")
    runtime = await running(order(2))
    with pytest.raises(WorkflowUnavailable):
        await runtime.trigger_event(newest, "ship")


async def test_what_steps_nowhere_still_works_on_a_withdrawn_workflow(running, left_behind):
    runtime = await running(order(2))
    assert (await runtime.pause(left_behind)).status is Status.PAUSED
    assert (await runtime.resume(left_behind)).status is Status.ACTIVE
    assert len(await runtime.find_instances(workflow="order")) == 3
    assert (await runtime.get_history(left_behind))[0].event == "$resumed"
    assert (await runtime.cancel(left_behind)).status is Status.CANCELLED
    with pytest.raises(WorkflowUnavailable):
        await runtime.force(left_behind, "open")


async def test_a_withdrawn_workflow_can_be_looked_at_where_the_version_compiles(running, left_behind):
    both = await running(OLD, order(2), commands=[reserve], guards=[in_stock])
    newest = await both.create_instance("order")
    runtime = await running(order(2))
    assert [event.name for event in await runtime.get_available_events(newest)] == ["ship", "expire"]
    assert (await runtime.definition_of(newest)).version == "2"
    assert "shipped" in await WorkflowService(runtime).instance_to_mermaid(newest)
    assert (await runtime.patch_context(newest, {"note": "seen"})).context == {"note": "seen"}
    with pytest.raises(DefinitionInvalid, match="no command 'reserve' is registered"):
        await runtime.get_available_events(left_behind)
    with pytest.raises(DefinitionInvalid, match="v1"):
        await runtime.definition_of(left_behind)


async def test_an_answer_given_before_is_repeated_by_a_withdrawn_workflow(running, left_behind):
    both = await running(OLD, commands=[reserve], guards=[in_stock])
    await both.trigger_event(left_behind, "ship", idempotency_key="k")
    runtime = await running(order(2))
    assert runtime.unavailable
    assert (await runtime.trigger_event(left_behind, "ship", idempotency_key="k")).replayed


async def test_finished_instances_do_not_count(running, left_behind):
    first = await running(OLD, TICKET, commands=[reserve], guards=[in_stock])
    await first.cancel_instances(workflow="order", states="open")
    runtime = await running(order(2), TICKET, settings=Settings(unresolvable="raise"))
    assert runtime.unavailable == {}
    assert (await runtime.create_instance("order")).definition_version == "2"


async def test_a_stored_version_that_can_run_is_no_problem_and_is_compiled_by_then(running, left_behind, store):
    runtime = await running(order(2), commands=[reserve], guards=[in_stock])
    assert runtime.unavailable == {}
    assert runtime.running().parts.machines.is_compiled("order", "1")
    assert (await runtime.trigger_event(left_behind, "ship")).instance.definition_version == "1"


async def test_warned_only_every_instance_that_can_goes_on(running, left_behind, caplog):
    both = await running(OLD, order(2), commands=[reserve], guards=[in_stock])
    newest = await both.create_instance("order")
    runtime = await running(order(2), settings=Settings(unresolvable="warn"))
    assert runtime.unavailable == {}
    assert (await runtime.trigger_event(newest, "ship")).to_state == "shipped"
    with pytest.raises(DefinitionInvalid, match="reserve"):
        await runtime.trigger_event(left_behind, "ship")
    assert [record.levelname for record in caplog.records if FAULT in record.getMessage()] == ["WARNING"]


async def test_raising_refuses_to_start_and_closes_the_store(running, left_behind, store, monkeypatch):
    closed, close = [], store.close

    async def closing():
        closed.append(True)
        await close()

    monkeypatch.setattr(store, "close", closing)
    with pytest.raises(WorkflowUnavailable, match="order"):
        await running(order(2), TICKET, settings=Settings(unresolvable="raise"))
    assert closed == [True]


async def test_a_runtime_bound_to_a_tenant_checks_the_instances_of_all(running):
    everybodys = await running(OLD, commands=[reserve], guards=[in_stock])
    await everybodys.create_instance("order", tenant="acme")
    runtime = await running(order(2), tenant="globex")
    assert list(runtime.unavailable) == ["order"]


def followed(version, *states):
    events = {state: {"events": {"next": {"target": "end"}}} for state in states}
    return {
        "name": "claim",
        "version": version,
        "version_policy": "latest",
        "initial_state": states[0],
        "states": {**events, "end": {}},
    }


async def test_under_the_policy_latest_the_newest_version_must_have_every_state_that_is_lived_in(running):
    old = await running(followed(1, "filed", "checked"))
    stranded = await old.create_instance("claim")
    await old.force(stranded, "checked")
    gone = await old.create_instance("claim")
    await old.force(gone, "checked")
    await old.cancel(gone)
    await old.create_instance("claim")
    runtime = await running(followed(2, "filed", "reviewed"))
    problem = "version 1 has 1 live instance in state 'checked', which version 2 does not have"
    assert runtime.unavailable == {"claim": (problem,)}
    with pytest.raises(WorkflowUnavailable):
        await runtime.trigger_event(stranded, "next")
    with pytest.raises(IncompatibleState):
        await runtime.get_available_events(stranded)
    third = await running(followed(3, "filed", "checked"))
    assert third.unavailable == {}
    assert (await third.trigger_event(stranded, "next")).to_state == "end"


async def test_under_the_policy_latest_old_versions_need_not_run_themselves(running):
    claim = followed(1, "filed")
    claim["states"]["filed"]["events"]["next"]["commands"] = ["reserve"]
    old = await running(claim, commands=[reserve])
    filed = await old.create_instance("claim")
    runtime = await running(followed(2, "filed"))
    assert (await runtime.trigger_event(filed, "next")).to_state == "end"


async def test_checking_again_restores_what_can_run_by_now_and_finds_what_cannot_any_more(running, left_behind, caplog):
    runtime = await running(order(2), TICKET)
    assert await runtime.check_versions() == {"order": (FAULT,)}
    assert len([record for record in caplog.records if FAULT in record.getMessage()]) == 1
    await runtime.cancel_instances(workflow="order", version="1", status=["active", "paused"])
    assert await runtime.check_versions() == {}
    assert runtime.unavailable == {}
    fresh = await runtime.create_instance("order")
    assert (await runtime.trigger_event(fresh, "ship")).to_state == "shipped"
    other = await running(OLD, order(2), commands=[reserve], guards=[in_stock])
    fourth = await running(order(3, commands=["reserve"]), commands=[reserve])
    await fourth.create_instance("order")
    assert await other.check_versions() == {}
    assert list(await runtime.check_versions()) == ["order"]
    with pytest.raises(WorkflowUnavailable, match="version 3 has 1 live instance"):
        await runtime.trigger_event(fresh, "ship")


async def test_a_snapshot_that_breaks_the_reader_concerns_its_workflow_alone(running, left_behind, store, monkeypatch):
    read = WorkflowDefinition.from_dict

    def broken(data):
        raise RuntimeError("not today")

    definitions = [read(order(2)), read(TICKET)]
    monkeypatch.setattr(WorkflowDefinition, "from_dict", broken)
    await store.open()
    async with WorkflowRuntime(store=store, definitions=definitions) as runtime:
        assert runtime.unavailable == {
            "order": ("version 1 has 2 live instances and cannot run: RuntimeError: not today",)
        }
        assert (await runtime.create_instance("ticket")).state == "open"


async def test_versions_are_listed_with_who_is_on_them(running, left_behind, clock):
    stored = clock.now()
    clock.advance(timedelta(days=1))
    await running(order("10"), commands=[reserve], guards=[in_stock])
    runtime = await running(order(2), TICKET, commands=[reserve], guards=[in_stock])
    await runtime.create_instance("order")
    listed = await runtime.list_versions("order")
    assert [(one.version, one.registered, one.live, one.total) for one in listed] == [
        ("1", False, 2, 3),
        ("2", True, 1, 1),
        ("10", False, 0, 0),
    ]
    assert [one.registered_at - stored for one in listed] == [timedelta(0), timedelta(days=1), timedelta(days=1)]
    assert len({one.fingerprint for one in listed}) == 2
    with pytest.raises(UnknownWorkflow, match="did you mean 'order'"):
        await runtime.list_versions("ordr")


async def test_a_tenant_counts_its_own_instances(running):
    runtime = await running(order())
    await runtime.create_instance("order", tenant="acme")
    await runtime.create_instance("order", tenant="globex")
    service = WorkflowService(runtime).for_tenant("acme")
    assert [one.live for one in await service.list_versions("order")] == [1]
    assert service._caller == Caller(tenant="acme")


def test_a_word_that_is_no_setting_is_refused():
    with pytest.raises(InvalidValue, match="did you mean 'warn'"):
        Settings(unresolvable="warning")  # type: ignore[arg-type]  # that is the point
