"""Forks: branches that run side by side as children, joined when all have ended, and cancelled when they are left."""

from typing import Any

import pytest

from detent import (
    Fail,
    Goto,
    InvalidValue,
    RetentionPolicy,
    Settings,
    Status,
    WorkflowDefinition,
    command,
    guard,
)
from detent.definition.fingerprint import fingerprint
from detent.errors import EventNotAvailable

ORDER: Any = {
    "name": "order",
    "initial_state": "new",
    "states": {
        "new": {"events": {"pay": {"target": "preparing"}}},
        "preparing": {
            "on_enter": {"fork": ["picking", "billing"], "target": "sent", "error": "stuck"},
            "events": {
                "drop": {"target": "dropped"},
                "again": {"target": "preparing"},
                "note": {"internal": True, "commands": ["note"]},
                "late": {"target": "dropped", "timeout": "2d"},
            },
        },
        "picking": {"events": {"picked": {"target": "ready", "commands": ["note"]}, "lose": {"target": "lost"}}},
        "billing": {"context": {"billed": True}, "events": {"billed": {"target": "ready"}}},
        "ready": {},
        "lost": {"outcome": "failure"},
        "sent": {},
        "stuck": {"outcome": "failure"},
        "dropped": {"events": {"revive": {"target": "preparing"}, "end": {"target": "sent"}}},
    },
}


@command("note")
async def note(ctx):
    ctx.context["noted"] = [*ctx.context.get("noted", []), ctx.payload]


@pytest.fixture
async def runtime(running):
    return await running(ORDER, commands=[note])


async def preparing(runtime, **context):
    order = await runtime.create_instance("order", context=context, metadata={"customer": "c1"})
    await runtime.trigger_event(order.id, "pay")
    return order


async def branches_of(runtime, order, **query):
    """The live branches, by their name."""
    found = await runtime.find_instances(parent=order, status="active", **query)
    return {child.metadata["branch"]: child for child in found}


async def settle(runtime):
    while (await runtime.process_inbox()).applied:
        pass


async def state_of(runtime, order):
    return (await runtime.get_instance(order.id)).state


async def test_a_fork_begins_its_branches_in_the_commit_of_its_entry(runtime):
    order = await preparing(runtime, total=7)
    branches = await branches_of(runtime, order)
    assert {name: child.state for name, child in branches.items()} == {"picking": "picking", "billing": "billing"}
    assert branches["billing"].context == {"total": 7, "billed": True}
    assert branches["picking"].metadata == {"customer": "c1", "branch": "picking"}
    assert await state_of(runtime, order) == "preparing"


async def test_it_goes_on_when_all_have_ended_with_what_each_ended_with(runtime):
    order = await preparing(runtime, total=7)
    branches = await branches_of(runtime, order)
    await runtime.trigger_event(branches["picking"].id, "picked", payload="shelf 3")
    await settle(runtime)
    assert await state_of(runtime, order) == "preparing"

    await runtime.trigger_event(branches["billing"].id, "billed")
    await settle(runtime)
    now = await runtime.get_instance(order.id)
    assert (now.state, now.status) == ("sent", Status.COMPLETED)
    assert now.context == {
        "total": 7,
        "picking": {"total": 7, "noted": ["shelf 3"]},
        "billing": {"total": 7, "billed": True},
    }


async def test_two_ends_at_once_join_once(runtime):
    order = await preparing(runtime)
    branches = await branches_of(runtime, order)
    await runtime.trigger_event(branches["picking"].id, "picked")
    await runtime.trigger_event(branches["billing"].id, "billed")
    await settle(runtime)
    assert await state_of(runtime, order) == "sent"
    entries = await runtime.get_history(order.id)
    assert [entry.event for entry in entries].count("$joined") == 1


async def test_where_one_does_not_end_well_the_error_is_taken(runtime):
    order = await preparing(runtime)
    branches = await branches_of(runtime, order)
    await runtime.trigger_event(branches["picking"].id, "lose")
    await runtime.trigger_event(branches["billing"].id, "billed")
    await settle(runtime)
    assert await state_of(runtime, order) == "stuck"
    last = (await runtime.get_history(order.id))[0]
    assert last.reason == "not every branch ended well: 'picking' failed in 'lost'"


async def test_what_is_left_before_it_was_joined_cancels_its_branches(runtime):
    order = await preparing(runtime)
    branches = await branches_of(runtime, order)
    await runtime.trigger_event(order.id, "drop")
    await settle(runtime)
    assert await branches_of(runtime, order) == {}
    ended = await runtime.get_instance(branches["picking"].id)
    assert ended.status is Status.CANCELLED
    assert (await runtime.get_history(ended.id))[0].reason == "its parent left 'preparing' by 'drop'"
    assert await state_of(runtime, order) == "dropped"


async def test_a_timeout_leaves_a_fork_as_an_event_does(runtime, clock):
    order = await preparing(runtime)
    clock.advance(days=2)
    await runtime.process_timeouts()
    await settle(runtime)
    assert await state_of(runtime, order) == "dropped"
    assert await branches_of(runtime, order) == {}


async def test_an_event_that_stays_leaves_branches_alone(runtime):
    order = await preparing(runtime)
    await runtime.trigger_event(order.id, "note", payload=1)
    await settle(runtime)
    assert len(await branches_of(runtime, order)) == 2


@pytest.mark.parametrize("apart", ["0s", "1s"])
@pytest.mark.parametrize("ended", [[], ["picking"]])
async def test_a_fork_that_is_entered_again_waits_for_its_new_branches_alone(runtime, clock, ended, apart):
    order = await preparing(runtime)
    old = await branches_of(runtime, order)
    for name in ended:
        await runtime.trigger_event(old[name].id, "picked")
    clock.advance(apart)
    await runtime.trigger_event(order.id, "again")
    await settle(runtime)
    new = await branches_of(runtime, order)
    assert set(new) == {"picking", "billing"}
    assert {child.id for child in new.values()}.isdisjoint(child.id for child in old.values())

    await runtime.trigger_event(new["picking"].id, "picked", payload="new")
    await runtime.trigger_event(new["billing"].id, "billed")
    await settle(runtime)
    now = await runtime.get_instance(order.id)
    assert (now.state, now.context["picking"]) == ("sent", {"noted": ["new"]})


@pytest.mark.parametrize("apart", ["0s", "1s"])
async def test_a_fork_that_was_left_is_entered_again_before_anybody_cancelled_what_it_left(runtime, clock, apart):
    order = await preparing(runtime)
    old = await branches_of(runtime, order)
    await runtime.trigger_event(old["picking"].id, "picked")
    await runtime.trigger_event(order.id, "drop")
    clock.advance(apart)
    await runtime.trigger_event(order.id, "revive")
    await settle(runtime)
    assert await state_of(runtime, order) == "preparing"
    assert (await runtime.get_instance(old["billing"].id)).status is Status.CANCELLED
    assert len(await branches_of(runtime, order)) == 2


def choosing(event):
    """The order, whose entry into the fork chooses an event at once."""

    @command("choose")
    async def choose(ctx):
        return Goto(event)

    before = ORDER["states"]["preparing"]
    entry = {**before["on_enter"], "commands": ["choose"]}
    shut = {"target": "dropped", "guard": "never"}
    states = {**ORDER["states"], "preparing": {"on_enter": entry, "events": {**before["events"], "shut": shut}}}
    return {**ORDER, "states": states}, choose


@guard("never")
def never(ctx):
    return False


@pytest.mark.parametrize(("event", "state"), [("drop", "dropped"), ("shut", "stuck")])
async def test_what_leaves_by_a_choice_on_entry_or_by_its_failure_cancels_its_branches(running, event, state):
    definition, choose = choosing(event)
    runtime = await running(definition, commands=[note, choose], guards=[never])
    order = await preparing(runtime)
    await settle(runtime)
    assert await state_of(runtime, order) == state
    assert await branches_of(runtime, order) == {}


async def test_branches_that_a_run_began_are_cancelled_when_a_timeout_interrupts_it(running, clock):
    """The run has begun them, and cannot take what was chosen before."""

    @command("work", durable=True)
    async def work(ctx):
        return Goto("drop")

    @guard("broken")
    def broken(ctx):
        raise LookupError("nothing is known")

    late = {"target": "dropped", "timeout": {"after_hours": 1, "interrupts": True}}
    drop = {"target": "dropped", "guard": "broken"}
    entry = {"commands": ["work"], "fork": ["picking"], "target": "sent", "error": "stuck"}
    states = {**ORDER["states"], "preparing": {"on_enter": entry, "events": {"late": late, "drop": drop}}}
    runtime = await running({**ORDER, "states": states}, commands=[note, work], guards=[broken])
    order = await preparing(runtime)
    await runtime.process_runs()
    assert set(await branches_of(runtime, order)) == {"picking"}
    clock.advance(hours=1)
    await runtime.process_timeouts()
    await settle(runtime)
    assert await state_of(runtime, order) == "dropped"
    assert await branches_of(runtime, order) == {}


async def test_what_it_left_behind_does_not_keep_its_other_children_alive(running, store):
    """An order about branches is carried out before the one that is about all children, and leaves that one alone."""

    @command("spawn")
    async def spawn(ctx):
        await ctx.start_child("order")

    dropped = {"on_enter": {"commands": ["spawn"]}, "events": {"end": {"target": "sent"}}}
    runtime = await running({**ORDER, "states": {**ORDER["states"], "dropped": dropped}}, commands=[note, spawn])
    order = await preparing(runtime)
    async with store.transaction(order.id, now=None) as unit:
        await runtime.trigger_event(order.id, "drop", connection=unit.connection)
        await runtime.cancel(order.id, connection=unit.connection)
    await settle(runtime)
    assert not list(await runtime.find_instances(parent=order, status="active"))


async def test_retention_keeps_a_branch_until_it_is_joined(running, clock):
    policy = RetentionPolicy("order", after="1d")
    runtime = await running(ORDER, commands=[note], retention=[policy])
    order = await preparing(runtime)
    branches = await branches_of(runtime, order)
    await runtime.trigger_event(branches["picking"].id, "lose")
    await settle(runtime)
    clock.advance(days=1)
    assert (await runtime.apply_retention(limit=1)).deleted == 0
    await runtime.trigger_event(branches["billing"].id, "billed")
    await settle(runtime)
    assert await state_of(runtime, order) == "stuck"
    assert (await runtime.apply_retention()).deleted == 1
    clock.advance(days=1)
    assert (await runtime.apply_retention()).deleted == 2


async def test_an_end_of_ones_own_children_is_not_told_as_that_of_branches(running):
    @command("spawn")
    async def spawn(ctx):
        await ctx.start_child("order", on_end="$joined", wait_for="all")

    dropped = {"on_enter": {"commands": ["spawn"]}}
    runtime = await running({**ORDER, "states": {**ORDER["states"], "dropped": dropped}}, commands=[note, spawn])
    order = await preparing(runtime)
    with pytest.raises(InvalidValue, match="on_end"):
        await runtime.trigger_event(order.id, "drop")


async def test_an_instance_that_waits_for_its_branches_is_not_stuck(running):
    alone = {"on_enter": {"fork": ["picking"], "target": "sent", "error": "stuck"}}
    runtime = await running({**ORDER, "states": {**ORDER["states"], "preparing": alone}}, commands=[note])
    order = await preparing(runtime)
    assert (await runtime.explain(order.id)).problems == ()
    await runtime.trigger_event((await branches_of(runtime, order))["picking"].id, "picked")
    assert (await runtime.explain(order.id)).problems == ()


async def test_branches_are_cancelled_although_their_parent_has_ended_well(runtime):
    order = await preparing(runtime)
    await runtime.trigger_event(order.id, "drop")
    await runtime.trigger_event(order.id, "end")
    await settle(runtime)
    assert await branches_of(runtime, order) == {}


async def test_an_operator_who_forces_it_elsewhere_cancels_its_branches(runtime):
    order = await preparing(runtime)
    await runtime.force(order.id, "sent", reason="done by hand")
    await settle(runtime)
    assert await branches_of(runtime, order) == {}


async def test_cancelling_it_cancels_its_branches(runtime):
    order = await preparing(runtime)
    await runtime.cancel(order.id, reason="no more")
    assert await branches_of(runtime, order) == {}


async def test_nobody_else_may_say_that_branches_have_joined(runtime):
    order = await preparing(runtime)
    with pytest.raises(EventNotAvailable) as refused:
        await runtime.trigger_event(order.id, "$joined", payload={"children": []})
    assert "$joined" not in str(refused.value.hint)
    available = await runtime.get_available_events(order.id)
    assert [event.name for event in available] == ["drop", "again", "note", "late"]
    with pytest.raises(InvalidValue):
        await runtime.send(order.id, "$joined", payload={"children": []})


async def test_a_workflow_may_begin_with_a_fork(running):
    both = {
        "name": "both",
        "initial_state": "both",
        "states": {"both": {"on_enter": {"fork": ["a", "b"], "target": "end"}}, "a": {"on_enter": {"target": "done"}},
                   "b": {"on_enter": {"target": "done"}}, "done": {}, "end": {}},
    }  # fmt: skip
    runtime = await running(both)
    instance = await runtime.create_instance("both")
    await settle(runtime)
    assert (await runtime.get_instance(instance.id)).status is Status.COMPLETED


async def test_a_fork_behind_durable_work_begins_when_the_work_is_done(running):
    made = []

    @command("work", durable=True)
    async def work(ctx):
        made.append(ctx.from_state)
        ctx.context["made"] = ctx.from_state

    deep = {
        "name": "deep",
        "initial_state": "first",
        "states": {
            "first": {"on_enter": {"commands": ["work"], "fork": ["a", "b"], "target": "last"}},
            "a": {"on_enter": {"commands": ["work"], "target": "done"}},
            "b": {"on_enter": {"fork": ["c"], "target": "done"}},
            "c": {"on_enter": {"commands": ["work"], "target": "done"}},
            "done": {},
            "last": {"on_enter": {"commands": ["work"], "target": "end"}},
            "end": {},
        },
    }
    runtime = await running(deep, commands=[work], settings=Settings())
    instance = await runtime.create_instance("deep")
    for _ in range(4):
        await runtime.process_runs()
        await settle(runtime)
    now = await runtime.get_instance(instance.id)
    assert now.status is Status.COMPLETED
    assert sorted(made) == ["a", "c", "first", "last"]
    assert now.context["b"]["c"]["made"] == "c"


async def test_a_failure_of_what_runs_before_the_branches_begins_none(running):
    @command("fail")
    async def fail(ctx):
        return Fail("no")

    failing = {
        "name": "failing",
        "initial_state": "a",
        "states": {
            "a": {"on_enter": {"commands": ["fail"], "fork": ["b"], "target": "end", "error": "bad"}},
            "b": {"events": {"go": {"target": "end"}}},
            "end": {},
            "bad": {"outcome": "failure"},
        },
    }
    runtime = await running(failing, commands=[fail])
    instance = await runtime.create_instance("failing")
    assert (await runtime.get_instance(instance.id)).state == "bad"
    assert await branches_of(runtime, instance) == {}


async def test_without_an_error_target_a_failed_join_waits_for_somebody(running, clock):
    definition = {**ORDER, "states": {**ORDER["states"]}}
    definition["states"]["preparing"] = {"on_enter": {"fork": ["picking"], "target": "sent"}}
    runtime = await running(definition, commands=[note])
    order = await preparing(runtime)
    await runtime.trigger_event((await branches_of(runtime, order))["picking"].id, "lose")
    for _ in range(20):
        await runtime.process_inbox()
        clock.advance(hours=2)
    explained = await runtime.explain(order.id)
    assert await state_of(runtime, order) == "preparing"
    assert any("not every branch ended well" in problem for problem in explained.problems)


def test_a_version_that_forks_otherwise_is_another_definition():
    states = {**ORDER["states"], "preparing": {"on_enter": {"fork": ["picking"], "target": "sent"}}}
    other = WorkflowDefinition.from_dict({**ORDER, "states": states})
    assert fingerprint(WorkflowDefinition.from_dict(ORDER)) != fingerprint(other)


async def test_the_picture_of_an_instance_shows_the_branches_that_began_and_how_it_went_on(runtime):
    order = await preparing(runtime)
    branches = await branches_of(runtime, order)
    await runtime.trigger_event(branches["picking"].id, "picked")
    await runtime.trigger_event(branches["billing"].id, "billed")
    await settle(runtime)
    drawn = await runtime.get_handle(order.id).to_mermaid()
    assert "preparing --> picking : on enter branch (once)" in drawn
    assert "preparing --> sent : when joined (once)" in drawn


async def test_when_branches_have_joined_nothing_of_them_is_left_in_the_inbox(running):
    states = {**ORDER["states"], "sent": {"events": {"done": {"target": "ready"}}}}
    runtime = await running({**ORDER, "states": states}, commands=[note])
    order = await preparing(runtime)
    branches = await branches_of(runtime, order)
    await runtime.trigger_event(branches["picking"].id, "picked")
    await runtime.trigger_event(branches["billing"].id, "billed")
    await settle(runtime)
    assert await state_of(runtime, order) == "sent"
    assert await runtime.inbox.list(instance=order.id) == []
