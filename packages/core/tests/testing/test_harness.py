from datetime import timedelta

import pytest

from detent import EventNotAvailable, GuardContext, Outcome, Refuse, Registry, SqliteStore, Status, command, guard
from detent.errors import DefinitionInvalid
from detent.testing import FakeClock, HarnessMisused, WorkflowHarness


@pytest.fixture
async def harness(order):
    async with WorkflowHarness(order) as harness:
        harness.stub_guard("is_large", False)
        yield harness


async def test_names_without_code_are_stubbed_and_the_instance_moves(harness):
    await harness.start(context={"total": 40}, metadata={"shop": "x"})
    result = await harness.trigger("pay", payload={"card": 1}, subject="ada")
    assert (result.to_state, harness.state, harness.context) == ("shipped", "shipped", {"paid": True, "total": 40})
    assert [entry.event for entry in harness.history] == ["$created", "pay", "$on_enter"]
    assert harness.instance.metadata == {"shop": "x"}


async def test_without_stubs_what_is_not_registered_is_refused_as_in_the_application(order):
    with pytest.raises(DefinitionInvalid, match="no command 'charge' is registered"):
        async with WorkflowHarness(order, stubs=False):
            pass


async def test_real_commands_and_guards_are_called(order):
    @command("charge")
    def charge(ctx):
        ctx.context["charged"] = ctx.payload

    @guard("is_large")
    async def is_large(ctx: GuardContext) -> bool:
        return bool(ctx.context["total"] > 500)

    async with WorkflowHarness(order, commands=[charge], guards=[is_large]) as harness:
        await harness.start(context={"total": 501})
        await harness.trigger("pay", payload=7)
        await harness.assert_state("review")
        await harness.assert_context(charged=7)


async def test_the_current_instance_is_the_one_started_last_and_others_are_named(harness):
    first = await harness.start()
    second = await harness.start()
    await harness.trigger("pay", instance=first)
    assert harness.instance.id == second.id
    assert harness.state == "new"
    await harness.use(first.id)
    await harness.assert_state("shipped")


async def test_a_list_of_events_payloads_and_durations_is_run(harness):
    ended = await harness.run(["note", ("pay", {"card": 1}), "13d", timedelta(days=1)])
    assert (ended.state, ended.status, ended.id) == ("closed", Status.COMPLETED, harness.instance.id)


async def test_a_list_goes_on_with_the_current_instance(harness):
    started = await harness.start()
    assert (await harness.run(["pay"])).id == started.id
    assert (await harness.run([], context={"total": 1})).id != started.id


async def test_an_instance_that_a_list_has_made_is_the_current_one_also_where_the_list_breaks_off(harness):
    with pytest.raises(EventNotAvailable):
        await harness.run(["pay", "pay"])
    await harness.assert_state("shipped")


async def test_a_long_history_is_read_whole(harness):
    started = await harness.start()
    for _ in range(205):
        await harness.runtime.trigger_event(started, "note")
    await harness.assert_history(["note"] * 205)


async def test_one_event_alone_is_a_path_and_other_things_are_none(harness):
    assert (await harness.run("pay")).state == "shipped"
    for wrong in ({"pay": 1}, 7):
        with pytest.raises(HarnessMisused, match="a path is no"):
            await harness.run(wrong)


async def test_several_workflows_are_told_apart_by_name(order):
    other = order.model_copy(update={"name": "other"})
    async with WorkflowHarness([order, other]) as harness:
        with pytest.raises(HarnessMisused, match="name one of order, other"):
            await harness.start()
        with pytest.raises(HarnessMisused, match="did you mean 'other'"):
            await harness.start("othre")
        assert (await harness.start("other")).workflow == "other"
        with pytest.raises(HarnessMisused, match=r"harness\.coverages"):
            _ = harness.coverage
        assert [coverage.definition.name for coverage in harness.coverages] == ["order", "other"]


async def test_it_works_on_another_store(order, tmp_path):
    async with WorkflowHarness(order, store=SqliteStore(tmp_path / "orders.db"), clock=FakeClock()) as harness:
        harness.stub_guard("is_large", False)
        await harness.run(["pay", "14d"])
        await harness.assert_state("closed")


async def test_what_something_else_has_moved_is_seen_by_assertions(harness):
    started = await harness.start()
    await harness.runtime.trigger_event(started.id, "pay")
    assert harness.state == "new"
    await harness.assert_state("shipped")
    assert harness.state == "shipped"


# -- assertions


async def test_a_wrong_state_is_told_with_the_path_that_led_there(harness):
    await harness.start()
    await harness.trigger("pay")
    with pytest.raises(AssertionError) as caught:
        await harness.assert_state("paid")
    assert str(caught.value).splitlines() == [
        "expected state 'paid', found 'shipped'",
        "the path that led there:",
        "  1. $created → new",
        "  2. pay: new → paid",
        "  3. $on_enter: paid → shipped",
    ]


async def test_a_context_is_compared_at_dotted_paths(harness):
    await harness.start(context={"lines": [{"sku": "a"}], "a.b": 1, "person": {"name": "ada"}})
    await harness.assert_context({"lines.0.sku": "a", "a.b": 1, "person.name": "ada"}, paid=False)
    with pytest.raises(AssertionError) as caught:
        await harness.assert_context({"person.nam": "ada"}, paid=True)
    assert "person.nam: expected 'ada', there is nothing (did you mean 'person.name' or 'person'?)" in str(caught.value)
    assert "paid: expected True, found False" in str(caught.value)


async def test_null_in_a_context_is_not_the_same_as_nothing(harness):
    await harness.start(context={"a": None})
    await harness.assert_context(a=None)
    with pytest.raises(AssertionError, match="there is nothing"):
        await harness.assert_context(nothing_like_it=None)


async def test_a_refusal_is_asserted_with_its_reason(harness):
    harness.stub_guard("is_open", Refuse("closed on Sundays"))
    await harness.start()
    await harness.trigger("pay")
    await harness.assert_refused("pay", reason="Sundays")
    with pytest.raises(AssertionError, match="the reason was 'closed on Sundays'"):
        await harness.assert_refused(reason="Mondays")
    await harness.trigger("note")
    with pytest.raises(AssertionError, match="expected 'pay' to be refused, the last thing was: note"):
        await harness.assert_refused("pay")


async def test_a_history_is_compared_by_events_and_states(harness):
    await harness.run(["pay", "14d"])
    await harness.assert_history(["pay", ("close", "closed")])
    await harness.assert_history(["$created", ("pay", "paid"), "$on_enter", "close"])
    for wrong in (["pay"], ["pay", "pay"], [("pay", "closed"), "close"], []):
        with pytest.raises(AssertionError, match="it is different"):
            await harness.assert_history(wrong)


async def test_available_events_are_asserted_with_the_reason_of_those_that_are_not(harness):
    harness.stub_guard("is_open", Refuse("closed on Sundays"))
    await harness.start()
    await harness.assert_available("note", only=True)
    with pytest.raises(AssertionError, match="expected 'pay' to be available in state 'new'") as caught:
        await harness.assert_available("pay", "note")
    assert "pay: closed on Sundays" in str(caught.value)
    harness.stub_guard("is_open", True)
    with pytest.raises(AssertionError, match="expected 'pay' not to be available"):
        await harness.assert_available("note", only=True)


# -- the mistakes of a first day


async def test_an_unknown_event_says_which_one_was_meant(harness):
    await harness.start()
    with pytest.raises(EventNotAvailable) as caught:
        await harness.trigger("paay")
    assert caught.value.__notes__ == ["no state of 'order' declares an event 'paay' (did you mean 'pay'?)"]


async def test_an_event_of_another_state_says_where_it_is_declared(harness):
    await harness.start()
    with pytest.raises(EventNotAvailable) as caught:
        await harness.trigger("approve")
    assert caught.value.__notes__ == ["'approve' is declared in 'review'"]


async def test_a_harness_that_was_not_entered_says_what_to_write(order):
    harness = WorkflowHarness(order)
    with pytest.raises(HarnessMisused, match="async with WorkflowHarness"):
        await harness.start()
    with pytest.raises(HarnessMisused, match="async with WorkflowHarness"):
        _ = harness.state
    with pytest.raises(HarnessMisused, match="plain `with`"), harness:
        pass


async def test_a_harness_that_was_left_says_so_and_can_still_be_read(order):
    async with WorkflowHarness(order) as harness:
        await harness.start()
    assert harness.state == "new"
    with pytest.raises(HarnessMisused, match="left already"):
        await harness.trigger("pay")
    with pytest.raises(HarnessMisused, match="entered before"):
        async with harness:
            pass


async def test_a_state_that_is_not_declared_is_no_failed_assertion(harness):
    await harness.start()
    with pytest.raises(HarnessMisused, match=r"has no state 'shiped' \(did you mean 'shipped'"):
        await harness.assert_state("shiped")


async def test_events_that_are_not_declared_are_no_failed_assertions(harness):
    await harness.start()
    for asserting in (harness.assert_available, harness.assert_refused):
        with pytest.raises(HarnessMisused, match="has no event 'paay'"):
            await asserting("paay")


async def test_nothing_started_says_so(harness):
    with pytest.raises(HarnessMisused, match=r"await harness\.start\(\)"):
        await harness.trigger("pay")


def test_wrong_arguments_are_told_at_once(order):
    with pytest.raises(HarnessMisused, match="commands is a function"):
        WorkflowHarness(order, commands=lambda ctx: None)  # type: ignore[arg-type]
    with pytest.raises(HarnessMisused, match="definitions holds a Registry"):
        WorkflowHarness([Registry()])  # type: ignore[list-item]
    with pytest.raises(HarnessMisused, match="no definition"):
        WorkflowHarness([])


async def test_a_failed_attempt_is_in_the_history_although_it_raised(harness):
    harness.stub("charge", raises=ConnectionError("down"))
    await harness.start()
    with pytest.raises(ConnectionError):
        await harness.trigger("pay")
    assert harness.history[-1].outcome is Outcome.FAILED
    with pytest.raises(AssertionError, match="pay: new → new  failed: down"):
        await harness.assert_state("shipped")
