"""What happens by itself after a state was entered."""

import pytest

from detent import Fail, Goto, Refuse, Settings, command, guard
from detent.errors import ChainTooLong, CommandFailed, GotoNotAllowed


def chain(length):
    states = {
        f"s{index}": {"context": {"last": index}, "on_enter": {"target": f"s{index + 1}"}} for index in range(length)
    }
    return {"name": "chain", "initial_state": "s0", "states": {**states, f"s{length}": {}}}


def choosing(**on_enter):
    """`start` leads to `fork`, whose entry is as given; `fork` declares left, right and an internal note."""
    return {
        "name": "fork",
        "initial_state": "start",
        "states": {
            "start": {"events": {"go": {"target": "fork"}}},
            "fork": {
                "on_enter": on_enter,
                "events": {
                    "left": {"target": "at_left", "commands": ["pack"]},
                    "right": {"target": "at_right", "guard": "open_road"},
                    "note": {"internal": True, "commands": ["pack"]},
                },
            },
            "at_left": {},
            "at_right": {},
            "stuck": {},
        },
    }


@command("pack")
def pack(ctx):
    ctx.context["packed"] = ctx.payload


@guard("open_road")
def open_road(ctx):
    return Refuse("road closed")


async def test_a_chain_without_commands_commits_hop_by_hop_at_once(running, story, recorder):
    runtime = await running(chain(3))
    instance = await runtime.create_instance("chain", trigger_metadata={"actor": "ana"})
    assert (instance.state, instance.status, instance.context) == ("s3", "completed", {"last": 2})
    assert await story(runtime, instance) == [
        "1 $created None>s0 success",
        "2 $on_enter s0>s1 success",
        "3 $on_enter s1>s2 success",
        "4 $on_enter s2>s3 success",
    ]
    entries = await runtime.get_history(instance.id)
    assert len({entry.transition_id for entry in entries}) == 1
    assert all(entry.trigger_metadata == {"actor": "ana"} for entry in entries)


async def test_a_chain_stops_at_its_limit_and_leaves_nothing(running, recorder):
    runtime = await running(chain(4), settings=Settings(max_chain=3))
    with pytest.raises(ChainTooLong, match="3 automatic hops"):
        await runtime.create_instance("chain")
    await runtime.settled()
    assert recorder.heard == []


async def test_on_enter_commands_without_a_target_stay_and_keep_what_they_wrote(running, story):
    @command("greet")
    def greet(ctx):
        ctx.context["greeting"] = "hello"

    hello = {
        "name": "hello",
        "initial_state": "there",
        "states": {
            "there": {
                "context": {"greeting": None},
                "on_enter": {"commands": ["greet"]},
                "events": {"x": {"target": "there"}},
            }
        },
    }
    runtime = await running(hello, commands=[greet])
    instance = await runtime.create_instance("hello")
    assert instance.context == {"greeting": "hello"}
    assert await story(runtime, instance) == ["1 $created None>there success", "2 $on_enter there>there success"]


async def test_a_failing_entry_takes_its_error_target_and_the_outcome_is_a_failure(running):
    @command("choose")
    def choose(ctx):
        return Fail("no")

    runtime = await running(
        choosing(commands=["choose"], target="at_left", error="stuck"), commands=[choose, pack], guards=[open_road]
    )
    instance = await runtime.create_instance("fork")
    result = await runtime.trigger_event(instance.id, "go")
    assert (result.outcome, result.from_state, result.to_state) == ("failure", "start", "stuck")


async def test_an_unrouted_failure_of_an_entry_undoes_the_event_too(running):
    @command("choose")
    def choose(ctx):
        return Fail("no")

    runtime = await running(choosing(commands=["choose"]), commands=[choose, pack], guards=[open_road])
    instance = await runtime.create_instance("fork")
    with pytest.raises(CommandFailed, match=r"\$on_enter"):
        await runtime.trigger_event(instance.id, "go")
    assert (await runtime.get_instance(instance.id)).state == "start"


async def test_a_goto_takes_the_event_with_its_commands_and_payload_in_place_of_the_hop(running, story):
    @command("choose")
    def choose(ctx):
        return Goto("left", payload={"box": 1})

    runtime = await running(choosing(commands=["choose"], target="stuck"), commands=[choose, pack], guards=[open_road])
    instance = await runtime.create_instance("fork")
    result = await runtime.trigger_event(instance.id, "go")
    assert (result.to_state, result.instance.context) == ("at_left", {"packed": {"box": 1}})
    assert [record.name for record in result.commands] == ["choose", "pack"]
    assert (await story(runtime, instance))[-1] == "3 left fork>at_left success"


async def test_a_goto_that_a_guard_refuses_counts_as_a_failure(running):
    @command("choose")
    def choose(ctx):
        return Goto("right")

    runtime = await running(choosing(commands=["choose"], error="stuck"), commands=[choose, pack], guards=[open_road])
    instance = await runtime.create_instance("fork")
    result = await runtime.trigger_event(instance.id, "go")
    assert (result.outcome, result.to_state) == ("failure", "stuck")
    assert "road closed" in result.reason
    assert [(record.ok, record.code) for record in result.commands] == [(False, "goto_refused")]


@pytest.mark.parametrize(
    ("answers", "said"),
    [((Goto("nowhere"),), "does not declare"), ((Goto("left"), Goto("note")), "has already chosen")],
)
async def test_a_goto_that_cannot_be_followed_is_an_error(running, answers, said):
    left = list(answers)

    @command("choose")
    def choose(ctx):
        return left.pop(0)

    runtime = await running(choosing(commands=["choose"] * len(answers)), commands=[choose, pack], guards=[open_road])
    instance = await runtime.create_instance("fork")
    with pytest.raises(GotoNotAllowed, match=said):
        await runtime.trigger_event(instance.id, "go")


async def test_a_goto_from_an_events_command_is_an_error(running):
    @command("pack")
    def wrong(ctx):
        return Goto("right")

    runtime = await running(choosing(), commands=[wrong], guards=[open_road])
    instance = await runtime.create_instance("fork")
    await runtime.trigger_event(instance.id, "go")
    with pytest.raises(GotoNotAllowed, match="only on_enter commands"):
        await runtime.trigger_event(instance.id, "left")


async def test_the_hops_after_a_goto_see_the_payload_it_brought(running):
    seen = []

    @command("choose")
    def choose(ctx):
        seen.append(ctx.payload)
        return Goto("left", payload={"box": 1}) if ctx.payload == {"first": 1} else None

    definition = choosing(commands=["choose"])
    definition["states"]["at_left"] = {"on_enter": {"commands": ["choose"]}}
    runtime = await running(definition, commands=[choose, pack], guards=[open_road])
    instance = await runtime.create_instance("fork")
    await runtime.trigger_event(instance.id, "go", payload={"first": 1})
    assert seen == [{"first": 1}, {"box": 1}]


async def test_a_chain_of_exactly_its_limit_may_end_in_a_state_that_only_runs_commands(running):
    definition = chain(3)
    definition["states"]["s3"] = {"on_enter": {"commands": ["pack"]}}
    runtime = await running(definition, commands=[pack], settings=Settings(max_chain=3))
    assert (await runtime.create_instance("chain")).state == "s3"


async def test_the_commands_of_an_entry_are_told_where_it_leads(running):
    seen = []

    @command("look")
    def look(ctx):
        seen.append((ctx.event, ctx.from_state, ctx.to_state))

    states = {
        "first": {"on_enter": {"commands": ["look"], "target": "second"}},
        "second": {"on_enter": {"commands": ["look"]}, "events": {"go": {"target": "second"}}},
    }
    runtime = await running({"name": "road", "initial_state": "first", "states": states}, commands=[look])
    await runtime.create_instance("road")
    assert seen == [("$on_enter", "first", "second"), ("$on_enter", "second", "second")]


async def test_the_entry_of_an_error_target_is_followed(running):
    @command("pack")
    def failing(ctx):
        return Fail("torn")

    definition = choosing()
    definition["states"]["fork"]["events"]["left"]["error"] = "stuck"
    definition["states"]["stuck"] = {"on_enter": {"target": "at_right"}}
    runtime = await running(definition, commands=[failing], guards=[open_road])
    instance = await runtime.create_instance("fork")
    await runtime.trigger_event(instance.id, "go")
    result = await runtime.trigger_event(instance.id, "left")
    assert (result.outcome, result.to_state) == ("failure", "at_right")
