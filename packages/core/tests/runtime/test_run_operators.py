"""What operators see of runs, and do about them."""

from datetime import timedelta

import pytest

from detent import Fail, Retry, RunStatus, WorkflowService, command
from detent.errors import InvalidValue, NothingToRetry, RunNotActive, RunNotFound
from detent.ids import new_id

ORDER = {
    "name": "order",
    "initial_state": "new",
    "states": {
        "new": {
            "events": {
                "pay": {"target": "paid", "commands": ["charge"]},
                "hurry": {"target": "paid", "commands": ["charge"], "timeout": "1h"},
                "drop": {"target": "off"},
            }
        },
        "paid": {},
        "off": {},
    },
}


@command("charge", durable=True, queue="payments", retry=Retry(attempts=1))
async def charge(ctx):
    if ctx.context.get("broken"):
        return Fail("broken", "it is broken")


@pytest.fixture
async def runtime(running):
    return await running(ORDER, commands=[charge])


async def paying(runtime, **context):
    created = await runtime.create_instance("order", context=context)
    return await runtime.trigger_event(created.id, "pay")


async def test_runs_are_listed_newest_first_and_by_what_they_are(runtime):
    first, second = await paying(runtime), await paying(runtime, broken=True)
    listed = await runtime.runs.list()
    assert [run.id for run in listed] == [second.run_id, first.run_id]
    assert [run.id for run in await runtime.runs.list(limit=1, after=second.run_id)] == [first.run_id]
    await runtime.process_runs()
    assert [run.id for run in await runtime.runs.list(status="parked")] == [second.run_id]
    assert [run.id for run in await runtime.runs.list(status=["completed", RunStatus.CANCELLED])] == [first.run_id]
    assert await runtime.runs.list(queue="mails") == []
    assert len(await runtime.runs.list(queue="payments", workflow="order")) == 2
    assert len(await runtime.runs.list(state=["new", "paid"], workflow=["order", "other"])) == 2
    assert await runtime.runs.list(state="paid") == []
    assert [run.id for run in await runtime.runs.for_instance(first.instance)] == [first.run_id]


async def test_parked_runs_are_retried_many_at_once_within_what_the_caller_sees(running, runtime):
    broken = [await paying(runtime, broken=True) for _ in range(3)]
    theirs = await running(ORDER, commands=[charge], tenant="acme")
    await paying(theirs, broken=True)
    assert (await runtime.process_runs()).parked == 4
    assert (await theirs.runs.retry_parked(reason="ours")).changed != ()
    assert (await runtime.runs.retry_parked(workflow="order", state="paid")).changed == ()

    retried = await runtime.runs.retry_parked(limit=2, reason="mended", trigger_metadata={"actor": "ada"})
    assert (retried.changed, retried.failed, retried.cursor) == (
        (broken[2].instance.id, broken[1].instance.id), (), None,
    )  # fmt: skip
    last = (await runtime.get_history(broken[2].instance.id))[0]
    assert (last.event, last.reason, last.trigger_metadata) == ("$run_retried", "mended", {"actor": "ada"})
    with pytest.raises(InvalidValue, match="state"):
        await runtime.runs.retry_parked(state=7)


async def test_a_status_that_does_not_exist_is_refused_with_near_misses(runtime):
    with pytest.raises(InvalidValue) as refused:
        await runtime.runs.list(status="parkt")
    assert "parked" in (refused.value.hint or "")


async def test_a_run_that_is_not_there_is_not_found(runtime):
    with pytest.raises(RunNotFound):
        await runtime.runs.get(new_id())


async def test_runs_of_other_tenants_are_not_there(running):
    everybody = await running(ORDER, commands=[charge])
    created = await everybody.create_instance("order", tenant="a")
    result = await everybody.trigger_event(created.id, "pay")
    other = await running(ORDER, commands=[charge], tenant="b")
    assert await other.runs.list() == []
    assert (await other.process_runs()).worked_on == 0
    with pytest.raises(RunNotFound):
        await other.runs.get(result.run_id)
    with pytest.raises(RunNotFound):
        await other.runs.cancel(result.run_id)
    assert (await everybody.process_runs()).completed == 1


async def test_a_cancelled_run_frees_its_instance_where_it_stands(runtime):
    result = await paying(runtime)
    after = await runtime.runs.cancel(result.run_id, reason="wrong card", trigger_metadata={"actor": "ops"})
    assert (after.state, after.run_id) == ("new", None)
    run = await runtime.runs.get(result.run_id)
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "wrong card")
    entry = (await runtime.get_history(after.id))[0]
    assert (entry.event, entry.reason, entry.trigger_metadata) == ("$run_cancelled", "wrong card", {"actor": "ops"})
    assert (await runtime.process_runs()).worked_on == 0
    assert (await runtime.trigger_event(after.id, "drop")).to_state == "off"
    with pytest.raises(RunNotActive, match="cancelled"):
        await runtime.runs.cancel(result.run_id)


async def test_a_parked_run_that_is_cancelled_parks_its_instance_no_more(runtime):
    result = await paying(runtime, broken=True)
    await runtime.process_runs()
    after = await runtime.runs.cancel(result.run_id)
    assert (after.parked_at, after.due_at is None) == (None, False)


async def test_the_timeout_that_began_a_cancelled_run_is_parked_and_does_not_fire_at_once(runtime, clock):
    created = await runtime.create_instance("order")
    clock.advance("1h")
    await runtime.process_timeouts()
    run_id = (await runtime.get_instance(created.id)).run_id
    after = await runtime.runs.cancel(run_id, reason="not so fast")
    assert [(t.event, t.parked, t.reason) for t in after.timers] == [("hurry", True, "not so fast")]
    assert (await runtime.process_timeouts()).processed == 0
    await runtime.rearm(created.id)
    assert (await runtime.process_timeouts()).processed == 1


async def test_only_a_parked_run_is_retried(runtime):
    result = await paying(runtime)
    with pytest.raises(NothingToRetry):
        await runtime.runs.retry(result.run_id)
    await runtime.process_runs()
    with pytest.raises(RunNotActive):
        await runtime.runs.retry(result.run_id)


async def test_a_retried_run_is_in_history_with_who_and_why(runtime):
    result = await paying(runtime, broken=True)
    await runtime.process_runs()
    await runtime.runs.retry(result.run_id, reason="mended", trigger_metadata={"actor": "ops"})
    entry = (await runtime.get_history(result.instance.id))[0]
    assert (entry.event, entry.reason, entry.trigger_metadata["actor"]) == ("$run_retried", "mended", "ops")
    assert entry.payload == {"run": str(result.run_id)}
    run = await runtime.runs.get(result.run_id)
    assert (run.status, run.attempts, run.reason) == (RunStatus.PENDING, 0, None)


async def test_a_context_cannot_be_patched_until_the_parked_run_is_given_up(runtime):
    result = await paying(runtime, broken=True)
    await runtime.process_runs()
    await runtime.runs.cancel(result.run_id)
    await runtime.patch_context(result.instance.id, remove=["broken"])
    again = await runtime.trigger_event(result.instance.id, "pay")
    await runtime.process_runs()
    assert (await runtime.get_instance(again.instance.id)).state == "paid"


async def test_old_runs_are_deleted_and_those_under_way_are_not(runtime, clock):
    await paying(runtime)
    await runtime.process_runs()
    waiting = await paying(runtime)
    clock.advance("1d")
    assert await runtime.runs.delete_old(clock.now() - timedelta(days=2)) == 0
    assert await runtime.runs.delete_old(clock.now()) == 1
    assert [run.id for run in await runtime.runs.list()] == [waiting.run_id]


async def test_only_the_queues_that_are_asked_for_are_worked_on(runtime):
    result = await paying(runtime)
    assert (await runtime.process_runs(queues=["mails"])).worked_on == 0
    assert (await runtime.process_runs(queues=["payments"])).completed == 1
    assert (await runtime.get_instance(result.instance.id)).state == "paid"


async def test_an_upgrade_passes_over_an_instance_with_a_run_under_way(running, runtime):
    result = await paying(runtime)
    second = await running(ORDER, {**ORDER, "version": 2}, commands=[charge])
    report = await WorkflowService(second).upgrade_instances("order", to_version=2)
    assert [skipped.code for skipped in report.skipped] == ["busy"]
    await second.process_runs()
    assert result.instance.definition_version == "1"
