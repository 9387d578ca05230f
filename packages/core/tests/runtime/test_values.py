"""Values beside an instance: those that applications set by keys, and those that durable commands put."""

import pytest

from detent import MemoryStore, SqliteStore, WorkflowDefinition, WorkflowRuntime, WorkflowService, command
from detent.errors import InstanceNotFound, InvalidValue
from detent.ids import new_id

REPORT = WorkflowDefinition.from_dict(
    {
        "name": "report",
        "initial_state": "asked",
        "states": {
            "asked": {"events": {"write": {"target": "written", "commands": ["draft"]}, "sign": {"target": "signed"}}},
            "written": {"events": {"sign": {"target": "signed", "commands": ["stamp"]}}},
            "signed": {},
        },
    }
)
LARGE = {"text": "long " * 400_000}


@command("stamp")
def stamp(ctx):
    pass


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "reports.db")


@pytest.fixture
async def service(store, clock):
    @command("draft", durable=True)
    def draft(ctx):
        pass

    async with WorkflowRuntime(store=store, definitions=[REPORT], commands=[draft, stamp], clock=clock) as runtime:
        yield WorkflowService(runtime)


# ------------------------------------------------------------------------------------------------ what applications set


async def test_a_value_is_set_read_replaced_and_deleted(service):
    values = service.values(await service.create_instance("report"))

    await values.set("body", LARGE)
    assert await values.get("body") == LARGE
    await values.set("body", None)
    assert await values.get("body", "nothing") is None

    assert await values.delete("body") is True
    assert await values.delete("body") is False
    assert await values.get("body") is None
    assert await values.get("body", "nothing") == "nothing"


async def test_keys_are_listed_in_order_and_cleared_together(service):
    values = service.values((await service.create_instance("report")).id)
    for key in ("b", "a", "key:a", "ü"):
        await values.set(key, key)

    assert await values.keys() == ["a", "b", "key:a", "ü"]
    assert await values.clear() == 4
    assert (await values.keys(), await values.clear()) == ([], 0)


async def test_setting_a_value_is_no_step(service):
    made = await service.create_instance("report")

    await service.values(made.id).set("body", LARGE)

    assert (await service.get_instance(made.id)).version == 1
    assert len(await service.get_history(made.id)) == 1


async def test_a_value_is_copied_on_its_way_in_and_out(service):
    values = service.values(await service.create_instance("report"))
    said = {"list": [1]}
    await values.set("body", said)
    said["list"].append(2)
    (await values.get("body"))["list"].append(3)

    assert await values.get("body") == {"list": [1]}


@pytest.mark.parametrize("key", ["", None, 7, "a\0b", "\ud800", "x" * 509])
async def test_a_key_that_no_store_takes_is_refused(service, key):
    values = service.values(await service.create_instance("report"))

    for call in (values.set(key, 1), values.get(key), values.delete(key)):
        with pytest.raises(InvalidValue, match="key"):
            await call
    assert await values.keys() == []


async def test_the_longest_key_is_taken(service):
    values = service.values(await service.create_instance("report"))

    await values.set("x" * 508, 1)

    assert await values.keys() == ["x" * 508]


@pytest.mark.parametrize("value", [float("nan"), {1: 2}, object(), "a\0b"])
async def test_what_is_not_json_is_refused_and_what_was_there_stays(service, value):
    values = service.values(await service.create_instance("report"))
    await values.set("body", 1)

    with pytest.raises(InvalidValue, match="value 'body'"):
        await values.set("body", value)

    assert await values.get("body") == 1


async def test_an_instance_that_is_not_there_or_not_theirs_has_no_values(service):
    made = await service.for_tenant("acme").create_instance("report")
    await service.values(made.id).set("body", 1)

    for values in (service.values(new_id()), service.for_tenant("zeta").values(made.id)):
        for call in (values.set("a", 1), values.get("body"), values.delete("body"), values.clear(), values.keys()):
            with pytest.raises(InstanceNotFound):
                await call
    assert await service.for_tenant("acme").values(made.id).get("body") == 1


async def test_values_are_gone_when_their_instance_is_deleted(service, store):
    made = await service.create_instance("report")
    await service.cancel(made.id)
    await service.values(made.id).set("body", 1)

    await service.delete(made.id)

    assert await store.values.sizes(made.id) == {}


# ------------------------------------------------------------------------------------------------ what commands put


async def taken(store, clock, draft):
    """What came of the run of `draft`, the keys of the application, the sizes of all values, and the instance."""
    async with WorkflowRuntime(store=store, definitions=[REPORT], commands=[draft, stamp], clock=clock) as runtime:
        made = await runtime.create_instance("report")
        values = runtime.values(made.id)
        await values.set("sha256:1", "the application's")
        await runtime.trigger_event(made.id, "write")
        report = await runtime.process_runs()
        return report, await values.keys(), dict(await store.values.sizes(made.id)), await runtime.get_instance(made.id)


async def test_a_durable_command_keeps_what_is_too_large_for_the_context(store, clock):
    found = []

    @command("draft", durable=True)
    async def draft(ctx):
        await ctx.values.put("sha256:1", LARGE)
        await ctx.values.put("sha256:1", "another one")
        await ctx.values.put("sha256:2", 2)
        ctx.context["body"] = "sha256:1"
        found.append(await ctx.values.load(["sha256:1", "sha256:2", "sha256:3"]))
        assert await ctx.values.delete(["sha256:2", "sha256:3"]) == 1

    report, keys, sizes, after = await taken(store, clock, draft)

    assert report.completed == 1
    assert found == [{"sha256:1": LARGE, "sha256:2": 2}]
    assert after.context == {"body": "sha256:1"}
    assert keys == ["sha256:1"]
    assert sizes.keys() == {"key:sha256:1", "sha256:1"}


async def test_what_a_command_clears_is_not_what_applications_set(store, clock):
    @command("draft", durable=True)
    async def draft(ctx):
        for ref in ("a", "b"):
            await ctx.values.put(ref, ref)
        assert await ctx.values.clear() == 2
        assert await ctx.values.clear() == 0

    report, keys, sizes, _ = await taken(store, clock, draft)

    assert report.completed == 1
    assert keys == ["sha256:1"]
    assert sizes.keys() == {"key:sha256:1"}


async def test_the_keys_of_applications_are_not_there_for_commands(store, clock):
    refused = []

    @command("draft", durable=True)
    async def draft(ctx):
        assert await ctx.values.load(["key:sha256:1", "a\0b", "\ud800"]) == {}
        assert await ctx.values.delete(["key:sha256:1", "a\0b", "\ud800"]) == 0
        for ref in ("key:sha256:1", "", "x" * 513, "a\0b"):
            with pytest.raises(InvalidValue, match="ref"):
                await ctx.values.put(ref, 1)
            refused.append(ref)

    report, keys, _, _ = await taken(store, clock, draft)

    assert (report.completed, len(refused), keys) == (1, 4, ["sha256:1"])


async def test_clearing_the_values_of_an_application_leaves_those_of_commands(store, clock):
    @command("draft", durable=True)
    async def draft(ctx):
        await ctx.values.put("a", 1)

    _, _, _, made = await taken(store, clock, draft)
    async with WorkflowRuntime(store=store, definitions=[REPORT], commands=[draft, stamp], clock=clock) as runtime:
        assert await runtime.values(made.id).clear() == 1
        assert await store.values.load(made.id, ["a"]) == {"a": 1}


async def test_a_transactional_command_has_no_values(store, clock):
    seen = []

    @command("stamp")
    def look(ctx):
        seen.append(ctx.values)

    @command("draft", durable=True)
    def draft(ctx):
        seen.append(ctx.values)

    async with WorkflowRuntime(store=store, definitions=[REPORT], commands=[draft, look], clock=clock) as runtime:
        made = await runtime.create_instance("report")
        await runtime.trigger_event(made.id, "write")
        await runtime.process_runs()
        await runtime.trigger_event(made.id, "sign")

    assert seen[0] is not None
    assert seen[1:] == [None]
