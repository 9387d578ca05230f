"""The runtime around events: lent transactions, observers, versions, handles, re-entry, cancellation."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from detent import Fail, MemoryStore, Retry, Settings, Status, WorkflowDefinition, WorkflowObserver, command
from detent.errors import (
    AlreadyStarted,
    CommandFailed,
    DefinitionChanged,
    DefinitionInvalid,
    IncompatibleState,
    InstanceBusy,
    InstancePaused,
    InvalidValue,
    ReentrantTrigger,
    RegistrationInvalid,
    StepRolledBack,
    StoreUnavailable,
    UnknownVersion,
)
from detent.ids import new_id
from detent.runtime.runtime import WorkflowRuntime
from detent.store.change import Change


def lamp(version=1, **more):
    return {
        "name": "lamp",
        "version": version,
        "initial_state": "off",
        "states": {
            "off": {"events": {"press": {"target": "on"}, "fix": {"target": "on", "commands": ["fix"]}}},
            "on": {"context": {"lit": version}, "events": {"press": {"target": "off"}}},
        },
        **more,
    }


@command("fix")
async def fix(ctx):
    ctx.connection.put("repairs", str(ctx.instance_id), ctx.trigger_metadata.get("actor"))
    if ctx.subject == "fail":
        return Fail("broken")
    return None


@pytest.mark.parametrize("event", ["press", "fix"])
async def test_in_a_lent_transaction_nothing_is_seen_before_the_caller_commits(running, store, recorder, event):
    runtime = await running(lamp(), commands=[fix])
    instance = await runtime.create_instance("lamp")
    await runtime.settled()
    recorder.heard.clear()
    async with store.begin() as connection:
        result = await runtime.trigger_event(instance.id, event, connection=connection)
        assert result.to_state == "on"
        assert (await runtime.get_instance(instance.id)).state == "off"
        await runtime.settled()
        assert recorder.heard == []
    assert (await runtime.get_instance(instance.id)).state == "on"
    await runtime.settled()
    assert recorder.heard[0] == f"{event} off>on success"


async def test_a_savepoint_of_the_caller_rolled_back_leaves_no_trace_and_no_observer_call(running, store, recorder):
    runtime = await running(lamp(), commands=[fix])
    instance = await runtime.create_instance("lamp")
    async with store.begin() as connection:
        with suppress(KeyError):
            async with connection.savepoint():
                await runtime.trigger_event(instance.id, "fix", connection=connection)
                raise KeyError
        created = await runtime.create_instance("lamp", connection=connection)
    assert (await runtime.get_instance(instance.id)).version == 1
    assert (await runtime.get_instance(created.id)).state == "off"
    await runtime.settled()
    assert recorder.heard == ["created off", "created off"]


async def test_a_failure_inside_a_lent_transaction_leaves_its_entry_there_and_the_transaction_usable(
    running, store, story
):
    runtime = await running(lamp(), commands=[fix])
    instance = await runtime.create_instance("lamp")
    async with store.begin() as connection:
        with pytest.raises(Exception, match="broken"):
            await runtime.trigger_event(instance.id, "fix", subject="fail", connection=connection)
        assert connection.get("repairs", str(instance.id)) is None
        await runtime.trigger_event(instance.id, "press", connection=connection)
    assert await story(runtime, instance) == [
        "1 $created None>off success",
        "2 fix off>off failed",
        "3 press off>on success",
    ]


async def test_a_failing_observer_is_contained_and_the_others_are_told_in_order(store, running, recorder, caplog):
    class Broken(WorkflowObserver):
        async def on_transition(self, seen):
            raise RuntimeError("observer bug")

    definitions = [WorkflowDefinition.from_dict(lamp())]
    async with WorkflowRuntime(
        store=store, definitions=definitions, commands=[fix], observers=[Broken(), recorder]
    ) as runtime:
        instance = await runtime.create_instance("lamp")
        for _ in range(3):
            await runtime.trigger_event(instance.id, "press")
        await runtime.settled()
    assert recorder.heard == [
        "created off",
        "press off>on success",
        "press on>off success",
        "press off>on success",
    ]
    assert "observer Broken failed" in caplog.text


@pytest.mark.parametrize("event", ["press", "fix"])
async def test_observers_are_told_how_long_a_step_took(store, event):
    told = []

    class Watch(WorkflowObserver):
        async def on_created(self, seen):
            told.append(seen.duration)

        async def on_transition(self, seen):
            told.append(seen.duration)

    definitions = [WorkflowDefinition.from_dict(lamp())]
    async with WorkflowRuntime(store=store, definitions=definitions, commands=[fix], observers=[Watch()]) as runtime:
        await runtime.trigger_event(await runtime.create_instance("lamp"), event)
        await runtime.settled()
    assert [timedelta(0) <= took < timedelta(minutes=1) for took in told] == [True, True]


async def test_an_observer_may_trigger_the_next_event(store):
    class Next(WorkflowObserver):
        async def on_created(self, seen):
            await runtime.trigger_event(seen.instance.id, "press")

    definitions = [WorkflowDefinition.from_dict(lamp())]
    async with WorkflowRuntime(store=store, definitions=definitions, commands=[fix], observers=[Next()]) as runtime:
        instance = await runtime.create_instance("lamp")
        await runtime.settled()
        assert (await runtime.get_instance(instance.id)).state == "on"


async def test_instances_stay_on_the_version_they_started_on(running, store):
    old = await running(lamp(1), commands=[fix])
    instance = await old.create_instance("lamp")
    new = await running(lamp(2), commands=[fix])
    assert (await new.trigger_event(instance.id, "press")).instance.context == {"lit": 1}
    fresh = await new.create_instance("lamp")
    assert (await new.trigger_event(fresh.id, "press")).instance.context == {"lit": 2}
    assert (await new.get_instance(instance.id)).definition_version == "1"


async def test_an_instance_of_a_workflow_that_is_only_stored_goes_on(running):
    old = await running(lamp(), commands=[fix])
    instance = await old.create_instance("lamp")
    other = await running({**lamp(), "name": "torch"}, commands=[fix])
    assert (await other.trigger_event(instance.id, "press")).to_state == "on"
    assert [event.name for event in await other.get_available_events(instance)] == ["press"]


async def test_versions_are_ordered_as_versions(running):
    runtime = await running(lamp("1.9.0"), lamp("1.10.0"), commands=[fix])
    assert (await runtime.create_instance("lamp")).definition_version == "1.10.0"


async def test_with_policy_latest_an_instance_follows_the_newest_version(running):
    old = await running(lamp(1), commands=[fix])
    instance = await old.create_instance("lamp")
    lit = await old.create_instance("lamp")
    await old.trigger_event(lit.id, "press")
    newest = lamp(2, version_policy="latest", initial_state="off")
    newest["states"] = {"off": {"events": {"press": {"target": "bright"}}}, "bright": {}}
    new = await running(newest, commands=[fix], settings=Settings(unresolvable="warn"))
    moved = (await new.trigger_event(instance.id, "press")).instance
    assert (moved.state, moved.definition_version) == ("bright", "2")
    with pytest.raises(IncompatibleState, match="'on'"):
        await new.trigger_event(lit.id, "press")


async def test_editing_a_stored_version_is_refused_at_start(running):
    await running(lamp(1), commands=[fix])
    edited = lamp(1)
    edited["states"]["on"]["context"] = {"lit": "brighter"}
    with pytest.raises(DefinitionChanged, match="give the edited definition a new version"):
        await running(edited, commands=[fix])


async def test_a_version_that_is_nowhere_is_an_error(running, store, clock):
    from_elsewhere = await running(lamp(1), commands=[fix])
    instance = await from_elsewhere.create_instance("lamp")
    store._definitions.clear()
    other = await running(lamp(2), commands=[fix])
    with pytest.raises(UnknownVersion, match="version 1 of workflow 'lamp'"):
        await other.trigger_event(instance.id, "press")


@pytest.mark.parametrize(
    ("reference", "code"),
    [({"name": "fix", "compensate": ["fix"]}, "compensation_never_runs"), ({"name": "mend"}, "unknown_command")],
)
async def test_what_cannot_be_run_is_refused_at_start_with_its_place(running, reference, code):
    definition = lamp()
    definition["states"]["off"]["events"]["fix"]["commands"] = [reference]
    with pytest.raises(DefinitionInvalid) as caught:
        await running(definition, commands=[fix])
    (problem,) = caught.value.problems
    assert (problem.code, problem.path.startswith("states.off.events.fix.commands")) == (code, True)


async def test_a_command_with_a_parameter_nobody_provides_fails_at_start_with_its_name(running):
    @command("fix")
    async def wants(ctx, gateway: WorkflowObserver): ...

    with pytest.raises(RegistrationInvalid, match=r"'fix', parameter 'gateway'.*give the runtime an injector"):
        await running(lamp(), commands=[wants])


async def test_a_command_that_triggers_its_own_instance_is_an_error_and_its_step_is_undone(running):
    @command("fix")
    async def again(ctx):
        await runtime.trigger_event(ctx.instance_id, "press")

    runtime = await running(lamp(), commands=[again])
    instance = await runtime.create_instance("lamp")
    with pytest.raises(ReentrantTrigger):
        await runtime.trigger_event(instance.id, "fix")
    assert (await runtime.get_instance(instance.id)).state == "off"


async def test_a_task_that_outlives_the_step_of_its_command_may_trigger_the_instance(running):
    over, later = asyncio.Event(), []

    async def press(instance_id):
        await over.wait()
        return await runtime.trigger_event(instance_id, "press")

    @command("fix")
    async def leaving(ctx):
        later.append(asyncio.create_task(press(ctx.instance_id)))

    runtime = await running(lamp(), commands=[leaving])
    instance = await runtime.create_instance("lamp")
    await runtime.trigger_event(instance.id, "fix")
    over.set()
    assert (await later[0]).to_state == "off"


async def test_a_command_may_trigger_another_instance_in_its_own_transaction(running):
    @command("fix")
    async def other_too(ctx):
        await runtime.trigger_event(other.id, "press", connection=ctx.connection)

    runtime = await running(lamp(), commands=[other_too])
    instance, other = await runtime.create_instance("lamp"), await runtime.create_instance("lamp")
    await runtime.trigger_event(instance.id, "fix")
    assert (await runtime.get_instance(other.id)).state == "on"


async def test_cancelling_the_caller_does_not_tear_the_step(running):
    reached, go_on = asyncio.Event(), asyncio.Event()

    @command("fix")
    async def slow(ctx):
        reached.set()
        await go_on.wait()

    runtime = await running(lamp(), commands=[slow])
    instance = await runtime.create_instance("lamp")
    call = asyncio.create_task(runtime.trigger_event(instance.id, "fix"))
    async with asyncio.timeout(5):
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        go_on.set()
        await asyncio.wait(set(runtime.running().parts.tasks))
    assert (await runtime.get_instance(instance.id)).state == "on"


async def test_leaving_the_runtime_waits_for_steps_under_way(store):
    reached = asyncio.Event()

    @command("fix")
    async def slow(ctx):
        reached.set()
        await asyncio.sleep(0)

    definitions = [WorkflowDefinition.from_dict(lamp())]
    async with WorkflowRuntime(store=store, definitions=definitions, commands=[slow]) as runtime:
        instance = await runtime.create_instance("lamp")
        call = asyncio.create_task(runtime.trigger_event(instance.id, "fix"))
        await reached.wait()
    assert (await call).to_state == "on"


@pytest.mark.parametrize("limit", [0, -1, 1001, 1.5, True, 2**53])
async def test_a_page_size_out_of_range_is_an_argument_error(running, limit):
    runtime = await running(lamp(), commands=[fix])
    instance = await runtime.create_instance("lamp")
    with pytest.raises(InvalidValue, match="limit"):
        await runtime.get_history(instance.id, limit=limit)


@pytest.mark.parametrize("before", [0, -1, True, 1.5, "2"])
async def test_a_sequence_that_cannot_be_one_is_an_argument_error(running, before):
    runtime = await running(lamp(), commands=[fix])
    instance = await runtime.create_instance("lamp")
    with pytest.raises(InvalidValue, match="before must be a sequence"):
        await runtime.get_history(instance.id, before=before)


async def test_history_pages_backwards_from_the_newest(running):
    runtime = await running(lamp(), commands=[fix])
    instance = await runtime.create_instance("lamp")
    for _ in range(4):
        await runtime.trigger_event(instance.id, "press")
    page = await runtime.get_history(instance.id, limit=2)
    after = await runtime.get_history(instance.id, limit=2, before=page[-1].sequence)
    assert [entry.sequence for entry in (*page, *after)] == [5, 4, 3, 2]
    assert await runtime.get_history(instance.id, before=1) == []


async def test_a_page_holds_fifty_unless_told_otherwise(running):
    runtime = await running(lamp(), commands=[fix])
    instance = await runtime.create_instance("lamp")
    for _ in range(51):
        await runtime.create_instance("lamp")
        await runtime.trigger_event(instance.id, "press")
    assert len(await runtime.get_history(instance.id)) == 50
    assert len(await runtime.get_handle(instance).get_history()) == 50
    assert len(await runtime.find_instances()) == 50


async def test_an_id_that_is_none_is_an_argument_error(running):
    runtime = await running(lamp(), commands=[fix])
    with pytest.raises(InvalidValue, match="not a UUID"):
        runtime.get_handle("order-1")


async def test_a_paused_instance_takes_no_event(running, store):
    runtime = await running(lamp(), commands=[fix])
    instance = await runtime.create_instance("lamp")
    resting = replace(instance, status=Status.PAUSED, version=2, created=False)
    entries = await runtime.get_history(instance.id)
    pause = Change(resting, 1, new_id(), (replace(entries[0], sequence=2, event="$paused"),))
    await store.apply(instance.id, lambda record, receipt, now: (pause, None))
    with pytest.raises(InstancePaused):
        await runtime.trigger_event(instance.id, "press")


async def test_an_observer_of_another_instance_may_trigger_the_one_whose_command_caused_it(running, store):
    class Ping(WorkflowObserver):
        async def on_transition(self, seen):
            if seen.instance.id == other.id:
                await runtime.trigger_event(first.id, "press")

    @command("fix")
    async def other_too(ctx):
        await runtime.trigger_event(other.id, "press")

    definitions = [WorkflowDefinition.from_dict(lamp())]
    async with WorkflowRuntime(
        store=store, definitions=definitions, commands=[other_too], observers=[Ping()]
    ) as runtime:
        first, other = await runtime.create_instance("lamp"), await runtime.create_instance("lamp")
        await runtime.trigger_event(first.id, "fix")
        await runtime.settled()
        assert (await runtime.get_instance(first.id)).state == "off"


async def test_a_step_that_uses_the_runtime_finishes_while_it_is_left(store):
    reached = asyncio.Event()

    @command("fix")
    async def slow(ctx):
        reached.set()
        await asyncio.sleep(0)
        await runtime.get_instance(ctx.instance_id)

    definitions = [WorkflowDefinition.from_dict(lamp())]
    async with WorkflowRuntime(store=store, definitions=definitions, commands=[slow]) as runtime:
        instance = await runtime.create_instance("lamp")
        call = asyncio.create_task(runtime.trigger_event(instance.id, "fix"))
        await reached.wait()
    assert (await call).to_state == "on"


async def test_what_does_not_end_in_time_is_cancelled_before_the_store_is_closed(store, caplog):
    reached, ended = asyncio.Event(), []

    class Closing(MemoryStore):
        async def close(self):
            ended.append("store")

    @command("fix")
    async def endless(ctx):
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("command")

    definitions = [WorkflowDefinition.from_dict(lamp())]
    settings = Settings(drain=timedelta(milliseconds=10))
    async with WorkflowRuntime(
        store=Closing(), definitions=definitions, commands=[endless], settings=settings
    ) as runtime:
        instance = await runtime.create_instance("lamp")
        call = asyncio.create_task(runtime.trigger_event(instance.id, "fix"))
        await reached.wait()
    assert ended == ["command", "store"]
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_an_observer_that_does_not_end_in_time_is_cancelled(store):
    begun, ended = asyncio.Event(), asyncio.Event()

    class Endless(WorkflowObserver):
        async def on_created(self, seen):
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    definitions, settings = [WorkflowDefinition.from_dict(lamp())], Settings(drain=timedelta(0))
    async with WorkflowRuntime(
        store=store, definitions=definitions, commands=[fix], observers=[Endless()], settings=settings
    ) as runtime:
        await runtime.create_instance("lamp")
        await begun.wait()
    async with asyncio.timeout(1):
        await ended.wait()


async def test_the_error_of_a_step_survives_a_failure_to_record_it(running, store, caplog):
    @command("fix")
    async def broken(ctx):
        store.apply = unreachable
        raise ValueError("the real error")

    async def unreachable(*args, **kwargs):
        raise InstanceBusy(instance.id)

    runtime = await running(lamp(), commands=[broken])
    instance = await runtime.create_instance("lamp")
    with pytest.raises(ValueError, match="the real error"):
        await runtime.trigger_event(instance.id, "fix")
    assert "was not recorded" in caplog.text


async def test_under_latest_every_entry_names_the_version_that_wrote_it(running, story):
    old = await running(lamp(1), commands=[fix])
    instance = await old.create_instance("lamp")
    newest = lamp(2, version_policy="latest")
    newest["states"]["off"]["events"]["note"] = {"internal": True, "commands": ["fix"]}
    new = await running(newest, commands=[fix])
    noted = (await new.trigger_event(instance.id, "note")).instance
    with pytest.raises(CommandFailed):
        await new.trigger_event(instance.id, "fix", subject="fail")
    versions = [entry.definition_version for entry in await new.get_history(instance.id)]
    assert (noted.definition_version, versions) == ("2", ["2", "2", "1"])


async def test_a_runtime_is_entered_once(running):
    runtime = await running(lamp(), commands=[fix])
    with pytest.raises(AlreadyStarted):
        await runtime.__aenter__()


ORDER = WorkflowDefinition.from_dict({"name": "x", "initial_state": "a", "states": {"a": {}}})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"definitions": ORDER}, "definitions is a WorkflowDefinition.*pass a list"),
        ({"definitions": [{"name": "x"}]}, "holds dict, which is no WorkflowDefinition"),
        ({"definitions": [], "commands": fix}, "commands is a function.*pass a list"),
        ({"definitions": [], "observers": [WorkflowObserver]}, "holds WorkflowObserver, which is no"),
    ],
)
async def test_the_slips_of_a_first_day_are_told_in_words(store, given, said):
    with pytest.raises(InvalidValue, match=said):
        WorkflowRuntime(store=store, **given)


@pytest.mark.parametrize("instance_id", [17, None, "order-1", object()])
async def test_what_is_no_id_is_an_argument_error_everywhere(running, instance_id):
    runtime = await running(lamp(), commands=[fix])
    with pytest.raises(InvalidValue, match="not a UUID"):
        await runtime.get_instance(instance_id)
    with pytest.raises(InvalidValue, match="not a UUID"):
        await runtime.trigger_event(instance_id, "press")


async def test_an_instance_stands_for_its_id(running):
    runtime = await running(lamp(), commands=[fix])
    instance = await runtime.create_instance("lamp")
    assert (await runtime.trigger_event(instance, "press")).to_state == "on"
    assert (await runtime.get_instance(instance)).state == "on"


@pytest.mark.parametrize(
    ("settings", "runs"),
    [
        (Settings(step_retry=Retry(attempts=3, initial=timedelta(0), jitter=0)), 3),
        (Settings(step_budget=timedelta(0)), 1),
    ],
)
async def test_a_step_the_database_rolls_back_is_repeated_within_its_attempts_and_its_budget(running, settings, runs):
    ran = []

    @command("fix")
    async def unlucky(ctx):
        ran.append(1)
        raise StepRolledBack("deadlock")

    runtime = await running(lamp(), commands=[unlucky], settings=settings)
    instance = await runtime.create_instance("lamp")
    with pytest.raises(StoreUnavailable, match="deadlock"):
        await runtime.trigger_event(instance.id, "fix")
    assert len(ran) == runs


async def test_a_failed_entry_tells_only_of_the_repetition_that_failed(running):
    answers = [StepRolledBack("deadlock"), ValueError("no bulb")]

    @command("look")
    def look(ctx): ...

    @command("fix")
    def unlucky(ctx):
        raise answers.pop(0)

    definition = lamp()
    definition["states"]["off"]["events"]["fix"]["commands"] = ["look", "fix"]
    settings = Settings(step_retry=Retry(attempts=3, initial=timedelta(0), jitter=0))
    runtime = await running(definition, commands=[look, unlucky], settings=settings)
    instance = await runtime.create_instance("lamp")
    with pytest.raises(ValueError, match="no bulb"):
        await runtime.trigger_event(instance.id, "fix")
    failed = (await runtime.get_history(instance.id))[0]
    assert (failed.outcome, [record.name for record in failed.commands]) == ("failed", ["look"])


async def test_a_joined_step_inside_a_step_is_repeated_with_it(running):
    ran = []

    @command("fix")
    async def other_too(ctx):
        ran.append(ctx.workflow)
        if ctx.workflow == "outer":
            await runtime.trigger_event(inner.id, "fix", connection=ctx.connection)
        elif len(ran) < 4:
            raise StepRolledBack("deadlock")

    runtime = await running(lamp(), {**lamp(), "name": "outer"}, commands=[other_too])
    inner, outer = await runtime.create_instance("lamp"), await runtime.create_instance("outer")
    await runtime.trigger_event(outer.id, "fix")
    assert ran == ["outer", "lamp", "outer", "lamp"]
    assert (await runtime.get_instance(inner.id)).state == "on"


async def test_what_a_caller_does_to_an_answer_does_not_reach_the_definition(running):
    definition = {
        "name": "nested",
        "initial_state": "a",
        "states": {
            "a": {"context": {"n": {"x": 1}}, "events": {"go": {"target": "b", "metadata": {"k": [1]}}}},
            "b": {"context": {"m": [1]}},
        },
    }
    runtime = await running(definition)
    first = await runtime.create_instance("nested")
    first.context["n"]["x"] = 99
    (await runtime.get_available_events(first))[0].metadata["k"].append(2)
    (await runtime.trigger_event(first, "go")).instance.context["m"].append(2)
    second = await runtime.create_instance("nested")
    assert second.context == {"n": {"x": 1}}
    assert (await runtime.get_available_events(second))[0].metadata == {"k": [1]}
    assert (await runtime.trigger_event(second, "go")).instance.context == {"n": {"x": 1}, "m": [1]}
