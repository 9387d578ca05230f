"""The states of a trigger: what may be done in each, and how triggers are found by them."""

import pytest

from detent import InvalidValue, RetentionPolicy
from detent.errors import InstancePaused
from detent.service.triggers import Answer
from detent.triggers import CronTrigger, EventTrigger, HttpTrigger, TriggerDisabled, UnknownTrigger
from packages.core.tests.service.trigger_world import statuses

OFTEN = CronTrigger(name="often", flow="order", expression="*/10 * * * *", misfire="all")


async def listed(world, state):
    return [one.name for one in await world.service.list(state=state)]


async def test_triggers_are_listed_by_every_state_there_is(world):
    for name in ("on", "off", "held", "gone"):
        await world.service.register(HttpTrigger(name=name, flow="order", enabled=name != "off"))
    await world.service.pause("held")
    await world.service.delete("gone")
    by_state = {state: await listed(world, state) for state in ("enabled", "disabled", "paused", "deleted")}
    assert by_state == {"enabled": ["on"], "disabled": ["off"], "paused": ["held"], "deleted": ["gone"]}
    assert await listed(world, None) == ["held", "off", "on"]
    with pytest.raises(InvalidValue, match="'pausd'") as raised:
        await world.service.list(state="pausd")
    assert "paused" in str(raised.value.hint)


async def test_what_an_operator_does_to_the_instance_is_seen_in_the_trigger(world):
    for name in ("held", "cancelled"):
        await world.service.register(HttpTrigger(name=name, flow="order"))
    held, cancelled = await world.service.get("held"), await world.service.get("cancelled")
    await world.workflows.pause(held.id)
    await world.workflows.cancel(cancelled.id)
    assert (await listed(world, "paused"), await listed(world, "deleted")) == (["held"], ["cancelled"])
    assert await listed(world, "enabled") == []
    assert (await world.service.receive("held", b"{}", {})).answer is Answer.PAUSED
    assert (await world.service.receive(cancelled.id, b"{}", {})).answer is Answer.UNKNOWN_TRIGGER
    with pytest.raises(InstancePaused):
        await world.service.enable("held")
    assert (await world.service.resume("held")).state == "enabled"


async def test_the_name_of_a_trigger_that_was_cancelled_is_free(world):
    first = await world.service.register(HttpTrigger(name="hook", flow="order"))
    await world.workflows.cancel(first.id)
    with pytest.raises(UnknownTrigger):
        await world.service.fire("hook")
    second = await world.service.register(HttpTrigger(name="hook", flow="order"))
    assert (second.created, second.state, second.id == first.id) == (True, "enabled", False)


async def test_a_paused_trigger_is_configured_and_stays_paused(world, clock):
    await world.service.register(OFTEN)
    await world.service.pause("often", "maintenance")
    clock.advance("25m")
    again = await world.service.register(OFTEN.model_copy(update={"static_context": {"release": 2}}))
    assert (again.state, again.trigger.static_context) == ("paused", {"release": 2})
    assert (await world.service.update("often", description="of the new release")).state == "paused"
    await world.runtime.process_timeouts()
    assert await world.executions() == []
    await world.service.resume("often")
    await world.runtime.process_timeouts()
    assert await world.contexts() == [{"release": 2}] * 2


@pytest.mark.parametrize(("verb", "state"), [("disable", "disabled"), ("delete", "deleted")])
async def test_a_paused_trigger_is_switched_off_and_fires_nothing_of_what_it_missed(world, clock, verb, state):
    made = await world.service.register(OFTEN)
    await world.service.pause("often")
    clock.advance("25m")
    assert (await getattr(world.service, verb)("often")).state == state
    await world.runtime.process_timeouts()
    assert await world.executions() == []
    assert (await world.service.get(made.id)).next_at is None


async def test_a_paused_trigger_that_is_enabled_forgets_what_it_missed(world, clock):
    await world.service.register(OFTEN)
    await world.service.pause("often")
    clock.advance("25m")
    assert (await world.service.enable("often")).state == "enabled"
    assert (await world.runtime.process_timeouts()).processed == 0


async def test_what_a_paused_trigger_missed_is_made_up_for(world, clock):
    await world.service.register(OFTEN)
    begin = clock.now()
    await world.service.pause("often")
    clock.advance("25m")
    assert len(await world.service.backfill("often", begin, clock.now())) == 3


async def test_calls_of_a_paused_trigger_stand_in_its_log(world):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    await world.service.pause("hook")
    await world.service.receive("hook", b'{"id": 1}', {})
    assert await statuses(world, "hook") == ["paused"]


async def test_a_message_for_a_paused_trigger_comes_again(world):
    await world.service.register(EventTrigger(name="paid", flow="order", topics=["order.*"]))
    await world.service.pause("paid")
    shop = await world.workflows.create_instance("shop")
    await world.workflows.trigger_event(shop, "sell", payload={"id": 1})
    await world.runtime.process_outbox()
    assert await world.executions() == []
    await world.service.resume("paid")
    world.runtime.running().parts.clock.advance("1h")
    await world.runtime.process_outbox()
    assert len(await world.executions()) == 1


async def test_pausing_is_for_what_is_at_work(world):
    await world.service.register(HttpTrigger(name="off", flow="order", enabled=False))
    with pytest.raises(TriggerDisabled):
        await world.service.pause("off")
    with pytest.raises(TriggerDisabled):
        await world.service.resume("off")
    await world.service.enable("off")
    assert (await world.service.resume("off")).state == "enabled"
    assert [(await world.service.pause("off")).state for _ in range(2)] == ["paused", "paused"]


async def test_a_name_outlives_what_retention_takes(opened, clock):
    async with opened(retention=[RetentionPolicy("detent.trigger", after="1d")]) as world:
        first = await world.service.register(HttpTrigger(name="hook", flow="order"))
        await world.service.delete("hook")
        second = await world.service.register(HttpTrigger(name="hook", flow="order"))
        clock.advance("2d")
        await world.runtime.apply_retention()
        with pytest.raises(UnknownTrigger):
            await world.service.get(first.id)
        assert (await world.service.get("hook")).id == second.id
        again = await world.service.register(HttpTrigger(name="hook", flow="order"))
        assert (again.created, again.id) == (False, second.id)


async def test_a_name_may_be_given_up_and_taken_again_any_number_of_times(world):
    made = set()
    for _ in range(4):
        made.add((await world.service.register(HttpTrigger(name="hook", flow="order"))).id)
        await world.service.delete("hook")
    assert len(made) == 4
