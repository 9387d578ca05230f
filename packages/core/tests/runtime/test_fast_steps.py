"""Steps that a store decides by itself: callers who go away, runtimes that are left, and what was seen last."""

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest

from detent import EventNotAvailable, MemoryStore, Outcome, WorkflowDefinition, WorkflowObserver, command, guard
from detent.errors import IdempotencyConflict, InvalidValue, VersionConflict
from detent.runtime.parts import Settings
from detent.runtime.runtime import WorkflowRuntime
from detent.service.service import WorkflowService
from detent.testing.clock import FakeClock

DOOR = {
    "name": "door",
    "initial_state": "shut",
    "states": {
        "shut": {
            "events": {
                "open": {"target": "open"},
                "knock": {"target": "shut", "guard": "awake"},
                "paint": {"target": "shut", "commands": ["paint"]},
            }
        },
        "open": {"context": {"opened": True}, "events": {"close": {"target": "shut"}}},
    },
}


@guard("awake")
def awake(ctx):
    if ctx.subject == "break":
        raise KeyError("nobody")
    return ctx.context.get("awake", False)


@command("paint")
def paint(ctx):
    ctx.context["colour"] = "red"


class GroupingStore(MemoryStore):
    """Writes what it is given once it may, like one that commits in groups: whoever is cut off leaves a step that goes on."""

    def __init__(self):
        super().__init__()
        self.asked, self.may = asyncio.Event(), asyncio.Event()
        self._cut_off = set()

    async def create(self, *arguments, **more):
        return await self._later(super().create(*arguments, **more))

    async def apply(self, *arguments, **more):
        return await self._later(super().apply(*arguments, **more))

    async def close(self):
        self.may.set()
        if self._cut_off:
            await asyncio.wait(self._cut_off)
        await super().close()

    async def _later(self, step):
        task = asyncio.create_task(self._once_it_may(step))
        self._cut_off.add(task)
        task.add_done_callback(self._cut_off.discard)
        return await asyncio.shield(task)

    async def _once_it_may(self, step):
        self.asked.set()
        await self.may.wait()
        return await step


class ReadingLessStore(MemoryStore):
    """Decides over what it is told to be known, as far as a store may, and remembers what that was."""

    def __init__(self):
        super().__init__()
        self.told = []

    async def apply(self, instance_id, decide, *, known=None, **more):
        known = known and known(instance_id)
        self.told.append((known and known.version, more.get("workflow")))

        def over_known(record, receipt, now):
            if known is not None:
                with suppress(Exception):
                    change, answer = decide(known, None, now)
                    if change is not None and change.expected_version == record.version:
                        return change, answer
            return decide(record, receipt, now)

        return await super().apply(instance_id, over_known, **more)


class Heard(WorkflowObserver):
    def __init__(self):
        self.events = []

    async def on_created(self, seen):
        self.events.append(seen.entry.event)

    async def on_transition(self, seen):
        self.events.append(seen.entry.event)


def over(store, *, definitions=(DOOR,), **options):
    return WorkflowRuntime(
        store=store,
        definitions=[WorkflowDefinition.from_dict(definition) for definition in definitions],
        commands=[paint],
        guards=[awake],
        **options,
    )


@pytest.fixture
def heard():
    return Heard()


# ------------------------------------------------------------------------------------- callers who go away


CALLS = {
    "create": lambda runtime, door: runtime.create_instance("door"),
    "trigger": lambda runtime, door: runtime.trigger_event(door, "open"),
    "trigger by a handle": lambda runtime, door: runtime.get_handle(door.id).trigger_event("open"),
    "pause": lambda runtime, door: runtime.pause(door.id),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_step_whose_caller_went_away_is_reported_once(heard, call):
    store = GroupingStore()
    async with over(store, observers=[heard]) as runtime, asyncio.timeout(5):
        store.may.set()
        door = await runtime.create_instance("door")
        await runtime.settled()
        heard.events.clear()
        store.asked.clear()
        store.may.clear()
        caller = asyncio.create_task(CALLS[call](runtime, door))
        await store.asked.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert heard.events == []
        store.may.set()
        while not heard.events:  # noqa: ASYNC110 (it is seen when it is heard)
            await asyncio.sleep(0)
        await runtime.settled()
    assert len(heard.events) == 1


async def test_a_failure_is_noted_although_its_caller_goes_away_meanwhile(heard):
    store = GroupingStore()
    async with over(store, observers=[heard]) as runtime, asyncio.timeout(5):
        store.may.set()
        door = await runtime.create_instance("door")
        store.asked.clear()
        store.may.clear()
        caller = asyncio.create_task(runtime.trigger_event(door, "knock", subject="break"))
        await store.asked.wait()
        store.asked.clear()
        store.may.set()
        await store.asked.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        while runtime.running().parts.tasks:
            await asyncio.wait(set(runtime.running().parts.tasks))
        last = (await runtime.get_history(door.id))[0]
    assert (last.event, last.outcome) == ("knock", Outcome.FAILED)


# ---------------------------------------------------------------------------------- runtimes that are left


@pytest.mark.parametrize("call", CALLS)
async def test_leaving_the_runtime_waits_for_a_fast_step_and_its_observers(heard, call):
    store = GroupingStore()
    async with AsyncExitStack() as stack, asyncio.timeout(5):
        runtime = await stack.enter_async_context(over(store, observers=[heard]))
        store.may.set()
        door = await runtime.create_instance("door")
        await runtime.settled()
        heard.events.clear()
        store.asked.clear()
        store.may.clear()
        caller = asyncio.create_task(CALLS[call](runtime, door))
        await store.asked.wait()
        leaving = asyncio.create_task(stack.pop_all().aclose())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not leaving.done()
        assert runtime.running().parts.underway
        store.may.set()
        await leaving
        assert len(heard.events) == 1
        assert await caller is not None


async def test_what_the_store_ends_while_it_is_closed_is_heard_before_the_runtime_is_left(heard):
    store = GroupingStore()
    async with asyncio.timeout(5):
        async with over(store, observers=[heard]) as runtime:
            caller = asyncio.create_task(runtime.create_instance("door"))
            await store.asked.wait()
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
        assert heard.events == ["$created"]


async def test_whoever_takes_step_after_step_lets_others_have_their_turn(heard):
    async with over(MemoryStore(), observers=[heard]) as runtime:
        door = await runtime.create_instance("door")
        for _ in range(200):
            await runtime.trigger_event(door, "open")
            await runtime.trigger_event(door, "close")
        assert len(heard.events) > 100
        await runtime.settled()
        assert len(heard.events) == 401


# ---------------------------------------------------------------------------------- what was seen last


@pytest.fixture
async def knowing():
    return ReadingLessStore()


@pytest.fixture
async def runtime(knowing):
    async with over(knowing) as runtime:
        yield runtime


@pytest.fixture
async def elsewhere(knowing):
    """What another process has over the same store."""
    async with over(knowing) as elsewhere:
        yield elsewhere


async def test_the_store_is_told_what_the_last_step_left_behind(runtime, knowing):
    identity = (await runtime.create_instance("door")).id
    await runtime.get_handle(identity).trigger_event("open")
    await runtime.trigger_event(identity, "close")
    await WorkflowService(runtime).get_handle(identity).trigger_event("open", idempotency_key="once")
    await runtime.patch_context(identity, {"number": 7})
    await runtime.trigger_event(identity, "close")
    events = [(1, "door"), (2, "door"), (None, "door"), (5, "door")]
    assert [told for told in knowing.told if told[1] is not None] == events


async def test_nothing_is_remembered_where_nothing_shall_be(knowing):
    async with over(knowing, settings=Settings(remember=0)) as runtime:
        identity = (await runtime.create_instance("door")).id
        for event in ("open", "close", "open"):
            await runtime.trigger_event(identity, event)
    assert knowing.told == [(None, None)] * 3


async def test_a_step_of_another_process_is_seen_by_none_of_it(runtime, elsewhere, knowing):
    identity = (await elsewhere.create_instance("door")).id
    await runtime.trigger_event(identity, "open")
    assert knowing.told == [(None, None)]


async def test_a_timeout_that_fired_is_not_taken_for_what_was_there_before(knowing):
    clock = FakeClock()
    opened = {"events": {"fall": {"target": "shut", "timeout": "1m"}}}
    timed = {
        "name": "door",
        "initial_state": "shut",
        "states": {"shut": {"events": {"open": {"target": "open"}}}, "open": opened},
    }
    async with over(knowing, definitions=[timed], clock=clock) as runtime:
        identity = (await runtime.create_instance("door")).id
        await runtime.trigger_event(identity, "open")
        clock.advance("2m")
        assert (await runtime.process_timeouts()).processed == 1
        knowing.told.clear()
        assert (await runtime.trigger_event(identity, "open")).instance.version == 4
    assert knowing.told == [(None, None)]


async def test_it_goes_on_from_what_commands_have_left(runtime, knowing):
    handle = runtime.get_handle(await runtime.create_instance("door"))
    await handle.trigger_event("paint")
    opened = await handle.trigger_event("open")
    assert knowing.told == [(2, "door")]
    assert opened.instance.context == {"colour": "red", "opened": True}


async def test_what_was_seen_is_forgotten_when_a_call_fails(runtime, knowing):
    handle = runtime.get_handle(await runtime.create_instance("door"))
    await handle.trigger_event("open")
    with pytest.raises(EventNotAvailable):
        await handle.trigger_event("open")
    await handle.trigger_event("close")
    assert knowing.told == [(1, "door"), (2, "door"), (None, "door")]


async def test_another_writer_in_between_is_never_overlooked(runtime, elsewhere):
    door = await runtime.create_instance("door")
    mine, other = runtime.get_handle(door), elsewhere.get_handle(door)
    await mine.trigger_event("open")
    await other.trigger_event("close")
    await elsewhere.patch_context(door.id, {"number": 7})
    again = await mine.trigger_event("open")
    assert (again.from_state, again.instance.version) == ("shut", 5)
    assert again.instance == await runtime.get_instance(door.id)
    assert again.instance.context == {"opened": True, "number": 7}


async def test_what_is_available_is_judged_over_what_is_stored(runtime, elsewhere):
    door = await runtime.create_instance("door")
    mine, other = runtime.get_handle(door), elsewhere.get_handle(door)
    await mine.trigger_event("open")
    await other.trigger_event("close")
    # As `mine` has seen it, the door is open: it could be closed and not be opened.
    with pytest.raises(EventNotAvailable, match="shut"):
        await mine.trigger_event("close")
    await mine.trigger_event("open")
    await other.trigger_event("close")
    assert (await mine.trigger_event("open")).to_state == "open"


async def test_a_version_that_was_seen_elsewhere_is_compared_with_what_is_stored(runtime, elsewhere):
    door = await runtime.create_instance("door")
    mine, other = runtime.get_handle(door), elsewhere.get_handle(door)
    await mine.trigger_event("open")
    await other.trigger_event("close")
    with pytest.raises(VersionConflict):
        await mine.trigger_event("close", expected_version=2)
    await mine.trigger_event("open", expected_version=3)
    await other.trigger_event("close")
    await mine.trigger_event("open", expected_version=5)


async def test_a_guard_is_asked_about_what_is_stored(runtime, elsewhere):
    door = await runtime.create_instance("door")
    handle = runtime.get_handle(door)
    assert (await handle.trigger_event("knock")).outcome is Outcome.REFUSED
    await elsewhere.patch_context(door.id, {"awake": True})
    assert (await handle.trigger_event("knock")).outcome is Outcome.SUCCESS
    await elsewhere.patch_context(door.id, {"awake": False})
    refused = await handle.trigger_event("knock")
    assert refused.outcome is Outcome.REFUSED
    assert refused.instance == await runtime.get_instance(door.id)


async def test_what_callers_and_observers_do_to_an_answer_is_their_own_affair(knowing):
    class Scribbler(WorkflowObserver):
        async def on_transition(self, seen):
            seen.instance.context["scribbled"] = True
            seen.entry.trigger_metadata["scribbled"] = True

    async with over(knowing, observers=[Scribbler()]) as runtime:
        door = await runtime.create_instance("door", context={"list": [1]}, metadata={"owner": {"name": "ana"}})
        handle = runtime.get_handle(door)
        for event in ("open", "close", "open", "paint", "close")[:3]:
            result = await handle.trigger_event(event, trigger_metadata={"actor": "ana"})
            result.instance.context["list"].append(2)
            result.instance.context["mine"] = True
            result.instance.metadata["owner"]["name"] = "bob"
            await runtime.settled()
        stored = await runtime.get_instance(door.id)
        assert stored.context == {"list": [1], "opened": True}
        assert stored.metadata == {"owner": {"name": "ana"}}
        assert {str(entry.trigger_metadata) for entry in (await runtime.get_history(door.id))[:3]} == {
            "{'actor': 'ana'}"
        }
    assert [known for known, _ in knowing.told] == [1, 2, 3]


async def test_what_the_caller_of_an_instance_has_edited_is_not_taken_for_seen(runtime):
    door = await runtime.create_instance("door")
    door.context["forged"] = True
    opened = await runtime.get_handle(door).trigger_event("open")
    assert opened.instance.context == {"opened": True}


async def test_what_was_rolled_back_in_a_lent_transaction_was_never_seen(runtime, knowing):
    door = await runtime.create_instance("door", context={"number": 7})
    handle = runtime.get_handle(door)
    with suppress(KeyError):
        async with knowing.begin() as connection:
            undone = await handle.trigger_event("open", connection=connection)
            undone.instance.context["number"] = 8
            raise KeyError
    opened = await handle.trigger_event("open")
    assert opened.instance.context == {"number": 7, "opened": True}
    assert [known for known, _ in knowing.told] == [1, 1]


async def test_handles_that_race_for_one_instance_lose_nothing(runtime):
    door = await runtime.create_instance("door", context={"awake": True})
    one, two = runtime.get_handle(door), runtime.get_handle(door)
    results = await asyncio.gather(*(handle.trigger_event("knock") for handle in (one, two, one, two) * 8))
    assert sorted(result.history_sequence for result in results) == list(range(2, 34))
    assert [entry.sequence for entry in await runtime.get_history(door.id)] == list(range(33, 0, -1))


async def test_a_replayed_answer_is_the_one_of_the_receipt(runtime):
    handle = runtime.get_handle(await runtime.create_instance("door"))
    first = await handle.trigger_event("open", idempotency_key="once")
    await handle.trigger_event("close")
    again = await handle.trigger_event("open", idempotency_key="once")
    assert again.replayed
    assert (again.to_state, again.history_sequence) == (first.to_state, first.history_sequence)
    assert again.instance.state == "shut"
    with pytest.raises(IdempotencyConflict):
        await handle.trigger_event("close", idempotency_key="once")


@pytest.mark.parametrize(("policy", "lit"), [("pinned", 1), ("latest", 2)])
async def test_a_handle_follows_the_version_policy(knowing, policy, lit):
    def version(number):
        shut = {"events": {"open": {"target": "open"}}}
        opened = {"context": {"lit": number}, "events": {"close": {"target": "shut"}}}
        more = {"version": number, "version_policy": policy}
        return {"name": "door", "initial_state": "shut", "states": {"shut": shut, "open": opened}, **more}

    async with over(knowing, definitions=[version(1)]) as before:
        door = await before.create_instance("door")
        await before.trigger_event(door.id, "open")
    async with over(knowing, definitions=[version(1), version(2)]) as after:
        await after.trigger_event(door.id, "close")
        result = await after.trigger_event(door.id, "open")
    assert [known for known, _ in knowing.told] == [1, None, 3]
    assert result.instance.context == {"lit": lit}
    assert result.instance.definition_version == str(lit)


async def test_what_is_no_json_is_refused_before_anything_is_forgotten(runtime, knowing):
    handle = runtime.get_handle(await runtime.create_instance("door"))
    await handle.trigger_event("open")
    with pytest.raises(InvalidValue, match=r"payload\.list\[1\]\.when"):
        await handle.trigger_event("close", payload={"list": [1, {"when": {2}}]})
    await handle.trigger_event("close")
    assert knowing.told[-1] == (2, "door")
