from datetime import timedelta

import pytest

from detent import Event, Refuse, State, WorkflowDefinition
from detent.testing import NeverAtRest, WorkflowHarness


def workflow(states, name="w"):
    return WorkflowDefinition(name=name, initial_state=next(iter(states)), states=states)


REMINDED = workflow(
    {
        "sent": State(
            events={
                "remind": Event(internal=True, commands=["mail"], timeout="7d"),
                "expire": Event(target="overdue", timeout="14d"),
            }
        ),
        "overdue": State(events={"give_up": Event(target="lost", timeout="1d")}),
        "lost": State(),
    }
)


async def fired(harness, began, by):
    return [(entry.event, entry.created_at - began, entry.outcome) for entry in await harness.advance(by)]


async def test_each_timeout_fires_at_its_own_instant_and_in_order():
    async with WorkflowHarness(REMINDED) as harness:
        await harness.start()
        began = harness.now
        assert await fired(harness, began, "30d") == [
            ("remind", timedelta(days=7), "success"),
            ("expire", timedelta(days=14), "success"),
            ("give_up", timedelta(days=15), "success"),
        ]
        assert harness.now - began == timedelta(days=30)
        assert harness.state == "lost"


async def test_nothing_fires_before_it_is_due():
    async with WorkflowHarness(REMINDED) as harness:
        await harness.start()
        assert await harness.advance(days=6, hours=23, minutes=59) == []
        (firing,) = await harness.advance(minutes=1)
        assert (firing.event, firing.created_at) == ("remind", harness.now)


async def test_a_refused_timeout_fires_again_after_its_back_off():
    definition = workflow({"a": State(events={"go": Event(target="b", timeout="1d", guard="may")}), "b": State()})
    async with WorkflowHarness(definition) as harness:
        harness.stub_guard("may", Refuse("not yet"))
        began = harness.now
        await harness.start()
        day = timedelta(days=1)
        assert await fired(harness, began, "1d") == [("go", day, "refused")]
        assert await fired(harness, began, "3m") == [
            ("go", day + timedelta(minutes=1), "refused"),
            ("go", day + timedelta(minutes=3), "refused"),
        ]
        harness.stub_guard("may", True)
        assert await fired(harness, began, "4m") == [("go", day + timedelta(minutes=7), "success")]


async def test_a_timeout_whose_command_raises_is_answered_as_failed():
    async with WorkflowHarness(REMINDED) as harness:
        harness.stub("mail", answers=[ConnectionError("down"), None])
        await harness.start()
        first, second = await harness.advance("8d")
        assert (first.outcome, (first.error or {})["code"], second.outcome) == ("failed", "ConnectionError", "success")


async def test_timeouts_of_several_instances_fire_in_the_order_they_are_due():
    async with WorkflowHarness(REMINDED) as harness:
        first = await harness.start()
        await harness.advance("1d")
        second = await harness.start()
        firings = await harness.advance("13d")
        assert [(entry.event, entry.instance_id) for entry in firings] == [
            ("remind", first.id),
            ("remind", second.id),
            ("expire", first.id),
        ]


async def test_instances_that_were_created_elsewhere_fire_at_the_end_unless_they_are_used():
    async with WorkflowHarness(REMINDED) as harness:
        unknown = await harness.runtime.create_instance("w")
        assert await harness.advance("13d") == []
        used = await harness.use(unknown)
        assert [entry.event for entry in harness.history] == ["$created", "remind"]
        (expired,) = await harness.advance("1d")
        assert (expired.event, expired.instance_id) == ("expire", used.id)


async def test_a_state_that_never_comes_to_rest_is_told():
    definition = workflow(
        {
            "a": State(
                context={"due": "2020-01-01T00:00:00Z"}, events={"again": Event(target="a", timeout={"at": "due"})}
            )
        }
    )
    async with WorkflowHarness(definition) as harness:
        await harness.start()
        with pytest.raises(NeverAtRest, match=r"more than 20 timeouts .*'again' in 'a'") as caught:
            await harness.advance("1d", at_most=20)
        assert "deadline in the past" in str(caught.value)


async def test_the_clock_does_not_run_backwards():
    async with WorkflowHarness(REMINDED) as harness:
        with pytest.raises(ValueError, match="backwards"):
            await harness.advance("-1d")
