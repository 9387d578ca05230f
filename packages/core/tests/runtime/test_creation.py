"""The birth of an instance."""

import asyncio

import pytest

from detent import Fail, command
from detent.errors import CommandFailed, IdempotencyConflict, InvalidValue, NotStarted, UnknownWorkflow
from detent.runtime.runtime import WorkflowRuntime

SIGNUP = {
    "name": "signup",
    "initial_state": "new",
    "states": {
        "new": {"context": {"a": 0, "b": 2}, "on_enter": {"commands": ["welcome"], "target": "ready"}},
        "ready": {"events": {"end": {"target": "gone"}}},
        "gone": {},
    },
}
PLAIN = {
    "name": "plain",
    "initial_state": "new",
    "states": {"new": {"context": {"a": 0, "b": 2}, "events": {"end": {"target": "gone"}}}, "gone": {}},
}


@command("welcome")
async def welcome(ctx):
    if ctx.context.get("refuse"):
        return Fail("refused")
    ctx.connection.put("mails", str(ctx.instance_id), ctx.context["a"])
    return None


async def test_the_callers_context_wins_over_the_initial_states(running):
    runtime = await running(PLAIN)
    instance = await runtime.create_instance("plain", context={"a": 1}, metadata={"region": "eu"})
    assert (instance.context, instance.metadata, instance.created) == ({"a": 1, "b": 2}, {"region": "eu"}, True)
    assert (await runtime.get_instance(instance.id)).created is False


async def test_creation_runs_the_entry_of_the_initial_state_in_the_same_commit(running, store):
    runtime = await running(SIGNUP, commands=[welcome])
    instance = await runtime.create_instance("signup", context={"a": 1})
    assert (instance.state, instance.version) == ("ready", 2)
    async with store.begin() as connection:
        assert connection.get("mails", str(instance.id)) == 1


async def test_a_failing_entry_leaves_no_instance_and_no_write(running, recorder):
    runtime = await running(SIGNUP, commands=[welcome])
    with pytest.raises(CommandFailed):
        await runtime.create_instance("signup", context={"refuse": True}, idempotency_key="k")
    again = await runtime.create_instance("signup", idempotency_key="k")
    assert again.created
    await runtime.settled()
    assert recorder.heard[0] == "created new"


@pytest.mark.parametrize("definition", [PLAIN, SIGNUP], ids=["fast", "locked"])
async def test_the_same_key_answers_the_same_instance(running, definition, recorder):
    runtime = await running(definition, commands=[welcome])
    name = definition["name"]
    first = await runtime.create_instance(name, context={"a": 1}, idempotency_key="order-1")
    again = await runtime.create_instance(name, context={"a": 9}, idempotency_key="order-1")
    other = await runtime.create_instance(name, idempotency_key="Order-1")
    assert (again.id, again.created, again.context["a"]) == (first.id, False, 1)
    assert other.id != first.id
    await runtime.settled()
    assert sum(text.startswith("created") for text in recorder.heard) == 2


@pytest.mark.parametrize("definition", [PLAIN, SIGNUP], ids=["fast", "locked"])
async def test_many_creations_at_once_under_one_key_leave_one_instance(running, definition):
    runtime = await running(definition, commands=[welcome])
    made = await asyncio.gather(*(runtime.create_instance(definition["name"], idempotency_key="k") for _ in range(16)))
    assert len({instance.id for instance in made}) == 1
    assert sum(instance.created for instance in made) == 1


async def test_a_key_expires(running, clock):
    runtime = await running(PLAIN)
    first = await runtime.create_instance("plain", idempotency_key="k")
    clock.advance("30d")
    assert (await runtime.create_instance("plain", idempotency_key="k")).id != first.id


@pytest.mark.parametrize("key", ["", "  ", "a\0b", "k" * 257, "\ud800"])
async def test_a_key_that_cannot_be_one_is_refused(running, key):
    runtime = await running(PLAIN)
    with pytest.raises(InvalidValue, match="idempotency_key"):
        await runtime.create_instance("plain", idempotency_key=key)


@pytest.mark.parametrize(("argument", "value"), [("context", {"a": {1}}), ("metadata", {"b": b""}), ("context", [1])])
async def test_values_that_are_not_json_are_refused_with_their_place(running, argument, value):
    runtime = await running(PLAIN)
    with pytest.raises(InvalidValue, match=argument):
        await runtime.create_instance("plain", **{argument: value})


async def test_what_the_caller_changes_afterwards_changes_nothing(running):
    runtime = await running(PLAIN)
    context = {"items": [1]}
    instance = await runtime.create_instance("plain", context=context)
    context["items"].append(2)
    assert (await runtime.get_instance(instance.id)).context["items"] == [1]


async def test_an_unknown_workflow_is_named_with_its_near_miss(running):
    runtime = await running(PLAIN)
    with pytest.raises(UnknownWorkflow, match="did you mean 'plain'"):
        await runtime.create_instance("plane")


async def test_a_runtime_that_is_not_entered_says_so(store):
    runtime = WorkflowRuntime(store=store, definitions=[])
    with pytest.raises(NotStarted, match="async with"):
        await runtime.create_instance("plain")


@pytest.mark.parametrize("definition", [PLAIN, SIGNUP], ids=["fast", "locked"])
async def test_the_same_key_with_another_fingerprint_is_a_conflict_and_with_the_same_finds_it(running, definition):
    runtime = await running(definition, commands=[welcome])
    name = definition["name"]
    first = await runtime.create_instance(name, idempotency_key="k", idempotency_fingerprint="a")
    again = await runtime.create_instance(name, idempotency_key="k", idempotency_fingerprint="a")
    assert again.id == first.id
    for other in ("b", None):
        with pytest.raises(IdempotencyConflict, match="'k'"):
            await runtime.create_instance(name, idempotency_key="k", idempotency_fingerprint=other)


async def test_a_fingerprint_wants_a_key(running):
    runtime = await running(PLAIN)
    with pytest.raises(InvalidValue, match="idempotency_fingerprint"):
        await runtime.create_instance("plain", idempotency_fingerprint="a")
