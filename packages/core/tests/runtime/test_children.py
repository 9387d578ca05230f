"""Children: started by a command, heard of by their parent when they end, and cancelled with it."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from detent import InboxReport, InstanceBusy, InvalidValue, Retry, Settings, Status, command

STEADY = Settings(inbox_retry=Retry(attempts=3, initial=timedelta(minutes=1), jitter=0))

PARCEL = {
    "name": "parcel",
    "initial_state": "packed",
    "states": {
        "packed": {
            "events": {
                "arrive": {"target": "arrived"},
                "lose": {"target": "lost"},
                "nest": {"target": "packed", "commands": ["ship"]},
            }
        },
        "arrived": {},
        "lost": {"outcome": "failure"},
    },
}
LETTER = {
    "name": "letter",
    "initial_state": "written",
    "states": {"written": {"context": {"by": "hand"}}},
}


def order(**events):
    """A parent whose event `ship` starts children; in `shipping` it waits for `ended`."""
    return {
        "name": "order",
        "initial_state": "new",
        "states": {
            "new": {"events": {"ship": {"target": "shipping", "commands": ["ship"]}, "skip": {"target": "idle"}}},
            "idle": {"events": {"await": {"target": "shipping"}, "ship": {"internal": True, "commands": ["ship"]}}},
            "shipping": {
                "events": {
                    "ended": {"internal": True, "commands": ["hear"]},
                    "again": {"target": "shipping", "commands": ["ship"]},
                    "ship": {"internal": True, "commands": ["ship"]},
                    "rest": {"target": "idle"},
                    "finish": {"target": "finished"},
                    **events,
                }
            },
            "finished": {},
        },
    }


@command("ship")
async def ship(ctx):
    asked = ctx.payload or {}
    for number in range(asked.get("children", 1)):
        await ctx.start_child(
            asked.get("workflow", "parcel"),
            context={"number": number},
            on_end=asked.get("on_end", "ended"),
            wait_for=asked.get("wait_for", "each"),
            group=asked.get("group", ""),
        )


@command("hear")
async def hear(ctx):
    ctx.context["heard"] = [*ctx.context.get("heard", []), _ids(ctx.payload)]
    ctx.context["last"] = ctx.payload


@pytest.fixture
async def runtime(running):
    return await running(order(), PARCEL, LETTER, commands=[ship, hear], settings=STEADY)


async def children_of(runtime, parent):
    return list(await runtime.find_instances(parent=parent, order="id", limit=1000))


async def shipping(runtime, children, wait_for, event="ship", parent=None, **more):
    """A parent, `shipping`, and the children that it started last."""
    parent = parent or await runtime.create_instance("order")
    known = {child.id for child in await children_of(runtime, parent)}
    await runtime.trigger_event(parent.id, event, payload={"children": children, "wait_for": wait_for, **more})
    return parent, [child for child in await children_of(runtime, parent) if child.id not in known]


async def settle(runtime):
    """Let everything be taken that can be; how many messages that were."""
    applied = 0
    while (report := await runtime.process_inbox()).applied:
        applied += report.applied
    return applied


async def heard(runtime, parent):
    return (await runtime.get_instance(parent.id)).context.get("heard", [])


async def test_a_parent_that_waits_for_each_hears_of_every_end(runtime):
    parent, (one, two) = await shipping(runtime, 2, "each", group="g")
    await runtime.trigger_event(one.id, "arrive")
    await runtime.trigger_event(two.id, "lose")

    assert await runtime.process_inbox() == _report(applied=2)
    now = await runtime.get_instance(parent.id)
    assert now.context["heard"] == [[str(one.id)], [str(two.id)]]
    assert now.context["last"] == {
        "child": str(two.id),
        "workflow": "parcel",
        "state": "lost",
        "status": "failed",
        "wait_for": "each",
        "group": "g",
        "context": {"number": 1},
        "metadata": {},
    }
    said = (await runtime.get_history(parent.id))[0].trigger_metadata
    assert (said["source"], said["child"]) == ("child", str(two.id))


@pytest.mark.parametrize(
    ("asked", "path", "hint"),
    [
        ({"on_end": "endde"}, "on_end", "did you mean 'ended'?"),
        ({"on_end": 7}, "on_end", None),
        ({"wait_for": "al"}, "wait_for", "did you mean 'all'?"),
        ({"wait_for": "all", "on_end": None}, "wait_for", "name the event that the end sends"),
        ({"group": "g", "on_end": None}, "group", "name the event that the end sends"),
    ],
)
async def test_a_child_whose_end_could_never_be_heard_of_is_not_started(runtime, asked, path, hint):
    parent = await runtime.create_instance("order")
    with pytest.raises(InvalidValue) as raised:
        await runtime.trigger_event(parent.id, "ship", payload=asked)
    assert raised.value.path == path
    assert hint is None or raised.value.hint == hint
    assert await children_of(runtime, parent) == []


async def test_a_child_of_which_nobody_is_told_needs_no_event(runtime):
    _, [child] = await shipping(runtime, 1, "each", on_end=None)
    assert child.parent_link is None


async def test_a_durable_command_that_misspells_the_event_waits_for_an_operator(running):
    @command("ship", durable=True)
    async def misspells(ctx):
        await ctx.start_child("parcel", on_end="moer")

    runtime = await running(order(), PARCEL, commands=[misspells, hear], settings=STEADY)
    parent = await runtime.create_instance("order")
    accepted = await runtime.trigger_event(parent.id, "ship")
    assert (await runtime.process_runs()).parked == 1
    assert "on_end is 'moer', which no state of 'order' declares" in (await runtime.runs.get(accepted.run_id)).reason
    assert await children_of(runtime, parent) == []


async def test_an_explanation_does_not_tell_how_children_are_counted(runtime):
    parent, [child] = await shipping(runtime, 1, "all", group="g")
    await runtime.trigger_event(child.id, "arrive")
    await settle(runtime)
    explanation = await runtime.explain(parent.id)
    assert explanation.last.trigger_metadata["group"] == "g"
    assert f"(source: child, child: {child.id})" in str(explanation)


async def test_a_child_that_ends_as_it_starts_is_heard_of(runtime):
    parent, [letter] = await shipping(runtime, 1, "all", workflow="letter")
    assert letter.status is Status.COMPLETED
    assert await settle(runtime) == 1
    assert await heard(runtime, parent) == [[str(letter.id)]]


async def test_a_parent_that_waits_for_any_hears_of_the_first_only(runtime):
    parent, (one, two, three) = await shipping(runtime, 3, "any")
    await runtime.trigger_event(two.id, "arrive")
    await settle(runtime)
    for child in (one, three):
        await runtime.trigger_event(child.id, "arrive")
    await settle(runtime)

    assert await heard(runtime, parent) == [[str(two.id)]]
    assert await runtime.inbox.list() == []


async def test_a_parent_that_waits_for_all_hears_once_of_all(runtime):
    parent, children = await shipping(runtime, 3, "all", group="g")
    for child in children[:2]:
        await runtime.trigger_event(child.id, "arrive")
    assert await settle(runtime) == 2
    assert await heard(runtime, parent) == []
    await runtime.trigger_event(children[2].id, "lose")
    await settle(runtime)

    assert await heard(runtime, parent) == [[str(child.id) for child in children]]
    last = (await runtime.get_instance(parent.id)).context["last"]
    assert sorted(last) == ["children", "group", "wait_for"]
    assert last["children"][0].keys() == {"child", "workflow", "state", "status", "context", "metadata"}
    assert {told["status"] for told in last["children"]} == {"completed", "failed"}
    assert await runtime.inbox.list() == []


@pytest.mark.parametrize("wait_for", ["any", "all"])
async def test_children_that_end_at_once_are_told_of_exactly_once(runtime, wait_for):
    parent, children = await shipping(runtime, 8, wait_for)
    await asyncio.gather(*(runtime.trigger_event(child.id, "arrive") for child in children))
    await asyncio.gather(*(runtime.process_inbox() for _ in range(4)))
    await settle(runtime)

    assert len(await heard(runtime, parent)) == 1
    assert await runtime.inbox.list() == []


async def test_groups_and_events_are_counted_apart(runtime):
    parent, [left] = await shipping(runtime, 1, "all", group="left")
    _, [right] = await shipping(runtime, 1, "all", "ship", parent, group="right")
    await runtime.trigger_event(left.id, "arrive")
    await settle(runtime)
    assert await heard(runtime, parent) == [[str(left.id)]]
    await runtime.trigger_event(right.id, "arrive")
    await settle(runtime)
    assert await heard(runtime, parent) == [[str(left.id)], [str(right.id)]]


async def test_children_started_by_several_steps_before_the_wait_are_counted_together(runtime):
    parent = await runtime.create_instance("order")
    await runtime.trigger_event(parent.id, "skip")
    _, [one] = await shipping(runtime, 1, "all", "ship", parent)
    await runtime.trigger_event(one.id, "arrive")
    assert (await runtime.process_inbox()).waiting == 1
    _, [two] = await shipping(runtime, 1, "all", "ship", parent)
    await runtime.trigger_event(parent.id, "await")
    assert await settle(runtime) == 1
    assert await heard(runtime, parent) == [], "the second one lives"
    await runtime.trigger_event(two.id, "arrive")
    await settle(runtime)
    assert await heard(runtime, parent) == [sorted(_ids_of([one, two]))]


@pytest.mark.parametrize("wait_for", ["any", "all"])
async def test_a_loop_may_start_the_next_children_under_the_same_group(runtime, wait_for):
    parent, children = await shipping(runtime, 2, wait_for)
    generations = [children]
    for _ in range(3):
        for child in children:
            await runtime.trigger_event(child.id, "arrive")
        await settle(runtime)
        _, children = await shipping(runtime, 2, wait_for, "again", parent)
        generations.append(children)

    told = [_ids_of(generation) for generation in generations[:3]]
    assert await heard(runtime, parent) == (told if wait_for == "all" else [ids[:1] for ids in told])


@pytest.mark.parametrize("wait_for", ["any", "all"])
async def test_the_very_step_that_hears_of_children_may_start_the_next_ones(running, wait_for):
    @command("hear and ship")
    async def hear_and_ship(ctx):
        await hear(ctx)
        for number in range(2):
            await ctx.start_child("parcel", context={"number": number}, on_end="ended", wait_for=wait_for)

    definition = order(ended={"internal": True, "commands": ["hear and ship"]})
    runtime = await running(definition, PARCEL, commands=[ship, hear_and_ship], settings=STEADY)
    parent, children = await shipping(runtime, 2, wait_for)
    generations = []
    for _ in range(3):
        generations.append(children)
        # All news are there before the first is judged, and the clock stands still.
        for child in children:
            await runtime.trigger_event(child.id, "arrive")
        known = {child.id for child in await children_of(runtime, parent)}
        await settle(runtime)
        children = [child for child in await children_of(runtime, parent) if child.id not in known]
        assert len(children) == 2, "one generation is followed by one"

    told = [_ids_of(generation) for generation in generations]
    assert await heard(runtime, parent) == (told if wait_for == "all" else [ids[:1] for ids in told])


@pytest.mark.parametrize("wait_for", ["any", "all"])
async def test_a_run_that_hears_of_children_and_was_paused_meanwhile_may_start_the_next_ones(running, wait_for):
    @command("hear and ship", durable=True)
    async def hear_and_ship(ctx):
        await hear(ctx)
        if len(ctx.context["heard"]) == 1:
            await ctx.start_child("parcel", on_end="ended", wait_for=wait_for)

    definition = order(ended={"internal": True, "commands": ["hear and ship"]})
    runtime = await running(definition, PARCEL, commands=[ship, hear_and_ship], settings=STEADY)
    parent, [first] = await shipping(runtime, 1, wait_for)
    await runtime.trigger_event(first.id, "arrive")
    await settle(runtime)
    for verb in (runtime.pause, runtime.resume):
        await verb(parent.id)
    assert (await runtime.process_runs()).completed == 1
    [second] = [child for child in await children_of(runtime, parent) if child.id != first.id]
    await runtime.trigger_event(second.id, "arrive")
    await settle(runtime)
    assert (await runtime.process_runs()).completed == 1

    assert await heard(runtime, parent) == [[str(first.id)], [str(second.id)]]


async def test_an_event_for_all_that_is_refused_is_told_again_with_all(running, clock):
    answers = [RuntimeError("not yet")]

    @command("fail once")
    async def fail_once(ctx):
        if answers:
            raise answers.pop()

    definition = order(ended={"internal": True, "commands": ["fail once", "hear"]})
    runtime = await running(definition, PARCEL, commands=[ship, hear, fail_once], settings=STEADY)
    parent, children = await shipping(runtime, 2, "all")
    for child in children:
        await runtime.trigger_event(child.id, "arrive")
    assert (await runtime.process_inbox()).postponed == 1
    clock.advance("1m")
    await settle(runtime)
    assert await heard(runtime, parent) == [_ids_of(children)]


async def test_the_end_of_a_child_whose_parent_has_ended_is_dropped_without_a_warning(runtime, caplog):
    parent, children = await shipping(runtime, 2, "all")
    await runtime.trigger_event(parent.id, "finish")
    caplog.set_level(logging.INFO)
    for child in children:
        await runtime.trigger_event(child.id, "arrive")
    assert await runtime.process_inbox() == _report(applied=2)
    assert await runtime.inbox.list() == []
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_the_end_of_a_child_whose_parent_is_gone_harms_nothing(runtime):
    parent, [child] = await shipping(runtime, 1, "each")
    await runtime.delete(parent.id, force=True)
    await runtime.trigger_event(child.id, "arrive")
    assert await runtime.process_inbox() == _report()
    assert (await runtime.get_instance(child.id)).status is Status.COMPLETED


async def test_cancelling_reaches_all_descendants_at_once_and_leaves_no_message(runtime):
    parent, children = await shipping(runtime, 3, "each")
    grandchild = await _nest(runtime, children[0])
    great = await _nest(runtime, grandchild)
    await runtime.trigger_event(children[2].id, "arrive")
    await settle(runtime)

    await runtime.cancel(parent.id, reason="no stock")
    for cancelled in (children[0], children[1], grandchild, great):
        now = await runtime.get_instance(cancelled.id)
        assert now.status is Status.CANCELLED
        entry = (await runtime.get_history(cancelled.id))[0]
        assert (entry.event, entry.reason, entry.trigger_metadata["source"]) == ("$cancelled", "no stock", "cancel")
    assert (await runtime.get_history(great.id))[0].trigger_metadata["parent"] == str(grandchild.id)
    assert (await runtime.get_instance(children[2].id)).status is Status.COMPLETED
    assert await runtime.inbox.list() == []


async def test_cancelling_in_a_lent_transaction_reaches_descendants_by_the_inbox(runtime, store):
    parent, [child] = await shipping(runtime, 1, "each")
    grandchild = await _nest(runtime, child)
    async with store.begin() as transaction:
        await runtime.cancel(parent.id, connection=transaction)
    assert (await runtime.get_instance(child.id)).status is Status.ACTIVE

    await settle(runtime)
    for cancelled in (child, grandchild):
        assert (await runtime.get_instance(cancelled.id)).status is Status.CANCELLED
    assert await runtime.inbox.list() == []


async def test_what_stops_the_cancelling_of_a_child_is_tried_again_and_the_others_are_cancelled(runtime, store, clock):
    parent, (held, free) = await shipping(runtime, 2, "each")
    async with store.transaction(held.id):
        await runtime.cancel(parent.id)
        assert (await runtime.get_instance(free.id)).status is Status.CANCELLED
        assert [message.event for message in await runtime.inbox.list(instance=parent)] == ["$cancel_children"]
        report = await runtime.process_inbox()
        assert report.postponed == 1
    clock.advance("1m")
    await settle(runtime)
    assert (await runtime.get_instance(held.id)).status is Status.CANCELLED
    assert await runtime.inbox.list() == []


async def test_cancelling_an_instance_without_children_leaves_nothing_behind(runtime):
    parent = await runtime.create_instance("order")
    await runtime.cancel(parent.id)
    assert await runtime.inbox.list() == []
    assert await runtime.cancel(parent.id) == await runtime.get_instance(parent.id)


async def test_more_children_than_a_page_holds_are_cancelled(runtime):
    parent, children = await shipping(runtime, 150, "all")
    await runtime.cancel(parent.id)
    assert len(children) == 150
    assert {child.status for child in await children_of(runtime, parent)} == {Status.CANCELLED}


async def test_an_order_to_cancel_children_is_void_when_the_parent_lives_again(runtime, store):
    parent, [child] = await shipping(runtime, 1, "each")
    async with store.begin() as transaction:
        await runtime.cancel(parent.id, connection=transaction)
    await runtime.force(parent.id, "shipping")
    await settle(runtime)
    assert (await runtime.get_instance(child.id)).status is Status.ACTIVE
    assert await runtime.inbox.list() == []


async def test_a_child_that_is_started_while_its_parent_is_cancelled_is_cancelled_too(running):
    started = asyncio.Event()
    cancelled = asyncio.Event()

    @command("ship", durable=True)
    async def ship_slowly(ctx):
        started.set()
        await asyncio.shield(_until(cancelled))
        await ctx.start_child("parcel")

    async def _until(event):
        await event.wait()

    runtime = await running(order(), {**PARCEL}, commands=[ship_slowly, hear], settings=STEADY)
    parent = await runtime.create_instance("order")
    await runtime.trigger_event(parent.id, "ship")
    work = asyncio.create_task(runtime.process_runs())
    await asyncio.wait_for(started.wait(), 5)
    # The worker here is deaf to what cancels its run: as if it ran elsewhere, where the word has not come yet.
    runtime.running().parts.store.signals._listeners.clear()
    await runtime.cancel(parent.id)
    cancelled.set()
    await asyncio.wait_for(work, 5)
    await settle(runtime)
    [child] = await children_of(runtime, parent)
    assert child.status is Status.CANCELLED


async def test_the_order_to_cancel_a_late_child_is_dated_by_the_injected_clock(running, clock):
    clock.set(datetime(2001, 1, 1, tzinfo=UTC))
    started, cancelled = asyncio.Event(), asyncio.Event()

    @command("ship", durable=True)
    async def ship_slowly(ctx):
        started.set()
        waiting = asyncio.create_task(cancelled.wait())
        await asyncio.shield(waiting)
        await ctx.start_child("parcel")

    runtime = await running(order(), PARCEL, commands=[ship_slowly, hear], settings=STEADY)
    parent = await runtime.create_instance("order")
    await runtime.trigger_event(parent.id, "ship")
    work = asyncio.create_task(runtime.process_runs())
    await asyncio.wait_for(started.wait(), 5)
    await runtime.cancel(parent.id)
    cancelled.set()
    await asyncio.wait_for(work, 5)
    await settle(runtime)
    [child] = await children_of(runtime, parent)
    assert child.status is Status.CANCELLED


async def test_a_key_of_a_child_is_never_the_number_of_another(running):
    @command("ship", durable=True)
    async def ship_two(ctx):
        await ctx.start_child("parcel")
        await ctx.start_child("parcel", key="1")

    runtime = await running(order(), PARCEL, commands=[ship_two, hear], settings=STEADY)
    parent = await runtime.create_instance("order")
    await runtime.trigger_event(parent.id, "ship")
    assert (await runtime.process_runs()).completed == 1
    assert len(await children_of(runtime, parent)) == 2


async def test_a_tenants_cancellation_does_not_touch_children_of_another(running):
    runtime = await running(order(), PARCEL, commands=[ship, hear], settings=STEADY)
    parent = await runtime.create_instance("order", tenant="a")
    foreign = await runtime.create_instance("parcel", tenant="b", parent=parent)
    await runtime.cancel(parent.id)
    assert (await runtime.get_instance(foreign.id)).status is Status.ACTIVE


async def test_a_busy_child_is_told_of_by_its_error_alone(runtime, store):
    parent, [child] = await shipping(runtime, 1, "each")
    async with store.transaction(child.id):
        with pytest.raises(InstanceBusy):
            await runtime.cancel(child.id)
        await runtime.cancel(parent.id)
    assert (await runtime.get_instance(parent.id)).status is Status.CANCELLED


async def _nest(runtime, parent):
    await runtime.trigger_event(parent.id, "nest", payload={"on_end": None})
    [child] = await children_of(runtime, parent)
    return child


def _ids(payload):
    return sorted(told["child"] for told in payload["children"]) if "children" in payload else [payload["child"]]


def _ids_of(children):
    return [str(child.id) for child in children]


def _report(**counts):
    return InboxReport(**{name: counts.get(name, 0) for name in ("applied", "waiting", "postponed", "dead", "skipped")})
