"""Definitions that other processes store, taken over without a restart; and the version and the key of a new instance."""

import pytest

from detent import InvalidValue, UnknownWorkflow, WorkflowDefinition, WorkflowRuntime, command
from detent.definition.fingerprint import fingerprint
from detent.store.memory import MemoryStore
from detent.store.records import DefinitionSnapshot
from detent.testing.clock import FakeClock
from detent.workers.worker import Worker


def lamp(version, *, command=None):
    lit = {"on_enter": {"commands": [command]}} if command else {}
    return WorkflowDefinition.from_dict(
        {
            "name": "lamp",
            "version": version,
            "initial_state": "off",
            "states": {"off": {"events": {"press": {"target": "on"}}}, "on": lit},
            "metadata": {"ours": True},
        }
    )


@command("glow")
def glow(ctx):
    """Nothing more."""


def ours(definition):
    return definition.get("metadata", {}).get("ours", False)


def over(store, *definitions, adopts=ours, **more):
    return WorkflowRuntime(store=store, definitions=definitions, commands=[glow], adopts=adopts, **more)


async def stored(store, definition):
    snapshot = DefinitionSnapshot(
        definition.name, definition.version, fingerprint(definition), definition.to_dict(), created_at=store.now()
    )
    await store.save_definitions([snapshot])


@pytest.fixture
async def store():
    return MemoryStore()


async def test_what_another_process_has_stored_is_found_at_the_start(store):
    async with over(store, lamp("1.9.0")), over(store) as other:
        assert (await other.create_instance("lamp")).definition_version == "1.9.0"


async def test_what_is_stored_later_is_found_when_it_is_looked_for_and_the_newest_version_is_taken(store):
    async with over(store, lamp("1.9.0")) as runtime:
        await stored(store, lamp("1.10.0"))
        assert (await runtime.create_instance("lamp")).definition_version == "1.9.0"
        await runtime.adopt_definitions()
        assert (await runtime.create_instance("lamp")).definition_version == "1.10.0"
        assert (await runtime.create_instance("lamp", version="1.9.0")).definition_version == "1.9.0"


async def test_a_worker_looks_for_what_is_new(store):
    async with over(store) as runtime, Worker(runtime) as worker:
        assert "definitions" in worker.loops
    async with over(store, adopts=None) as runtime, Worker(runtime) as worker:
        assert "definitions" not in worker.loops


async def test_what_a_runtime_does_not_adopt_is_left_alone(store):
    await stored(store, lamp("1"))
    for adopts in (None, lambda definition: False):
        async with over(store, adopts=adopts) as runtime:
            await runtime.adopt_definitions()
            with pytest.raises(UnknownWorkflow):
                await runtime.create_instance("lamp")


async def test_what_cannot_run_here_keeps_nothing_else_from_being_adopted(store, caplog):
    await stored(store, lamp("1"))
    await stored(store, lamp("2", command="unheard of"))
    await stored(store, lamp("3", command="glow"))
    async with over(store) as runtime:
        assert (await runtime.create_instance("lamp")).definition_version == "3"
    assert "workflow 'lamp' v2 was stored, and cannot run here" in caplog.text


async def test_a_version_that_is_not_there_is_refused(store):
    async with over(store, lamp("1")) as runtime:
        with pytest.raises(InvalidValue, match="version"):
            await runtime.create_instance("lamp", version="2")


async def test_a_key_is_known_for_as_long_as_its_caller_says(store):
    clock = FakeClock()
    async with over(store, lamp("1"), clock=clock) as runtime:

        async def made(ttl=None):
            return (await runtime.create_instance("lamp", idempotency_key="once", idempotency_ttl=ttl)).id

        first = await made("1h")
        clock.advance("59m")
        assert await made("1h") == first
        clock.advance("2m")
        second = await made()
        assert second != first
        clock.advance("29d")
        assert await made() == second
        with pytest.raises(InvalidValue, match="idempotency_ttl"):
            await made("0s")


async def test_one_instance_is_advanced_by_itself(store):
    @command("later", durable=True)
    async def later(ctx):
        ctx.context["done"] = True

    definition = WorkflowDefinition.from_dict(
        {
            "name": "job",
            "initial_state": "new",
            "states": {"new": {"events": {"go": {"target": "done", "commands": ["later"]}}}, "done": {}},
        }
    )
    async with WorkflowRuntime(store=store, definitions=[definition], commands=[later]) as runtime:
        mine, other = [await runtime.create_instance("job") for _ in range(2)]
        for instance in (mine, other):
            await runtime.trigger_event(instance, "go")
        runs = runtime.running().runs
        assert await runs.once(mine.id, tenant=None) is not None
        assert await runs.once(mine.id, tenant=None) is None
        assert (await runtime.get_instance(mine)).state == "done"
        assert (await runtime.get_instance(other)).state == "new"
