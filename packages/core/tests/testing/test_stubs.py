import inspect
from typing import Any

import pytest
from dishka import FromDishka, Provider, Scope, make_async_container
from pydantic import BaseModel

from detent import (
    CommandContext,
    CommandFailed,
    Event,
    Fail,
    Goto,
    Ok,
    OnEnter,
    Refuse,
    State,
    WorkflowDefinition,
    command,
    guard,
)
from detent.errors import RegistrationInvalid
from detent.integrations.dishka import DishkaInjector, WorkflowProvider
from detent.testing import HarnessMisused, WorkflowHarness


@pytest.fixture
async def harness(order):
    async with WorkflowHarness(order) as harness:
        harness.stub_guard("is_large", False)
        await harness.start(context={"total": 40})
        yield harness


async def test_a_stub_answers_always_the_same(harness):
    harness.stub("charge", answer=Fail("declined", "no money"))
    result = await harness.trigger("pay")
    assert (result.to_state, result.reason) == ("declined", "no money")


async def test_a_stub_answers_in_order_and_says_when_it_has_no_more(harness):
    harness.stub("charge", answers=[Fail("declined"), ValueError("odd"), Ok()])
    await harness.run(["pay", "retry"])
    with pytest.raises(ValueError, match="odd"):
        await harness.trigger("pay")
    await harness.trigger("pay")
    await harness.assert_state("shipped")
    await harness.start()
    with pytest.raises(HarnessMisused, match=r"asked for the 4\. time and has 3 answers"):
        await harness.trigger("pay")


async def test_a_stub_may_be_a_function_plain_or_not(harness):
    async def slow(ctx):
        ctx.context["by"] = ctx.subject

    harness.stub("charge", lambda ctx: Ok(data=ctx.context["total"]))
    harness.stub("ship", slow)
    result = await harness.trigger("pay", subject="ada")
    assert [record.data for record in result.commands] == [40, None]
    await harness.assert_context(by="ada")


async def test_a_stub_may_raise(harness):
    harness.stub("charge", raises=ConnectionError)
    with pytest.raises(ConnectionError):
        await harness.trigger("pay")


async def test_a_stub_stands_before_a_real_command_and_guard(order):
    @command("charge", best_effort=True)
    def charge(ctx):
        raise AssertionError("called")

    @guard("is_large")
    async def is_large(ctx):
        raise AssertionError("asked")

    async with WorkflowHarness(order, commands=[charge], guards=[is_large]) as harness:
        harness.stub("charge")
        harness.stub_guard("is_large", True)
        await harness.start()
        result = await harness.trigger("pay")
        assert (result.to_state, result.commands[0].ok) == ("review", True)


async def test_a_guard_is_stubbed_with_a_reason_an_error_or_a_function(harness):
    harness.stub_guard("is_open", Refuse("no"))
    assert (await harness.trigger("pay")).reason == "no"
    harness.stub_guard("is_open", lambda ctx: ctx.payload == 1)
    assert (await harness.trigger("pay", payload=2)).reason == "guard 'is_open' refused"
    harness.stub_guard("is_open", KeyError("total"))
    with pytest.raises(KeyError):
        await harness.trigger("pay")


def test_slips_in_stubs_are_told(order):
    harness = WorkflowHarness(order)
    with pytest.raises(HarnessMisused, match="did you mean 'charge'"):
        harness.stub("chrage")
    with pytest.raises(HarnessMisused, match="did you mean 'is_open'"):
        harness.stub_guard("is_opne", True)
    with pytest.raises(HarnessMisused, match="write answer="):
        harness.stub("charge", Fail("x"))  # type: ignore[arg-type]
    with pytest.raises(HarnessMisused, match="several things"):
        harness.stub("charge", answer=Ok(), raises=ValueError)
    with pytest.raises(HarnessMisused, match="cannot answer Ok"):
        harness.stub_guard("is_open", Ok())  # type: ignore[arg-type]


# -- the recorder


async def test_calls_are_recorded_with_what_they_were_told(harness):
    def charge(ctx):
        ctx.context["total"] = 0
        return Ok("done")

    harness.stub("charge", charge)
    await harness.trigger("pay", payload={"card": "x"}, subject="ada")
    (call,) = harness.calls("charge")
    assert (call.name, call.event, call.from_state, call.to_state) == ("charge", "pay", "new", "paid")
    assert (call.context, call.payload, call.subject) == ({"paid": False, "total": 40}, {"card": "x"}, "ada")
    assert (call.answer, call.raised, call.number) == (Ok("done"), None, 1)
    assert [(call.number, call.name, call.event) for call in harness.calls()] == [
        (1, "charge", "pay"),
        (2, "ship", "$on_enter"),
    ]


async def test_calls_of_steps_that_were_rolled_back_are_recorded_with_what_they_raised(harness):
    harness.stub("ship", raises=ConnectionError("down"))
    with pytest.raises(ConnectionError):
        await harness.trigger("pay")
    assert [type(call.raised) for call in harness.calls()] == [type(None), ConnectionError]


async def test_how_often_a_command_was_called_is_asserted(harness):
    harness.assert_not_called("charge")
    with pytest.raises(AssertionError, match=r"'charge' to be called at least once.*\n  no command was called"):
        harness.assert_called("charge")
    await harness.trigger("pay")
    (call,) = harness.assert_called("charge", times=1)
    assert call.event == "pay"
    with pytest.raises(AssertionError) as caught:
        harness.assert_called("charge", times=2)
    assert str(caught.value).splitlines() == [
        "expected 'charge' to be called 2 times, it was called 1 times; calls:",
        "  1. charge of pay in new, answered None",
        "  2. ship of $on_enter in paid, answered None",
    ]
    with pytest.raises(HarnessMisused, match="did you mean 'charge'"):
        harness.assert_called("chrage")


async def test_a_choice_of_the_next_event_passes_through():
    states = {
        "a": State(on_enter=OnEnter(commands=["choose"], target="c"), events={"b": Event(target="b")}),
        "b": State(),
        "c": State(),
    }
    async with WorkflowHarness(WorkflowDefinition(name="w", initial_state="a", states=states)) as harness:
        harness.stub("choose", answer=Goto("b"))
        assert (await harness.start()).state == "b"


# -- real commands are wrapped without a change of what they ask for


class Card(BaseModel):
    number: int


class Mailer:
    def __init__(self) -> None:
        self.sent: list[Any] = []


class Ship:
    def __init__(self, mailer: Mailer) -> None:
        self.mailer = mailer

    async def __call__(self, ctx: CommandContext) -> None:
        self.mailer.sent.append(ctx.event)


class Charge:
    def __call__(self, anything, /, payload: Card, *, fee: int = 3) -> Ok:
        return Ok(data=payload.number + fee)


async def test_models_defaults_and_injected_objects_arrive(order):
    mailer = Mailer()
    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: mailer, provides=Mailer)
    provider.provide(Ship, scope=Scope.REQUEST)

    @guard("is_large")
    async def is_large(ctx, mailer: FromDishka[Mailer]) -> bool:
        mailer.sent.append("asked")
        return False

    container = make_async_container(provider, WorkflowProvider())
    harness = WorkflowHarness(
        order,
        commands=[command("charge")(Charge), command("ship")(Ship)],
        guards=[is_large],
        injector=DishkaInjector(container),
    )
    async with harness:
        await harness.start()
        result = await harness.trigger("pay", payload={"number": 4})
        assert [record.data for record in result.commands] == [7, None]
        assert mailer.sent == ["asked", "$on_enter"]
        assert [call.name for call in harness.calls()] == ["charge", "ship"]
    await container.close()


async def test_what_nobody_provides_is_refused_as_in_the_application(order):
    @command("charge")
    def charge(ctx, mailer: Mailer) -> None: ...

    for wrong, parameter in ((charge, "mailer"), (command("charge")(Ship), "mailer")):
        with pytest.raises(RegistrationInvalid) as caught:
            async with WorkflowHarness(order, commands=[wrong]):
                pass
        assert (caught.value.name, caught.value.parameter) == ("charge", parameter)


async def test_a_wrapped_plain_guard_is_still_asked_without_a_lock(order):
    @guard("is_open")
    def is_open(ctx):
        return ctx.payload != "late"

    async with WorkflowHarness(order, guards=[is_open]) as harness:
        specs = harness.runtime.registry.guards
        assert not specs["is_open"].signature.is_async
        assert not inspect.iscoroutinefunction(specs["is_large"].target)
        await harness.start()
        await harness.trigger("pay", payload="late")
        await harness.assert_refused("pay")


async def test_a_guard_that_is_a_coroutine_function_is_awaited_and_told_apart(order):
    @guard("is_large")
    async def is_large(ctx):
        return ctx.payload == "large"

    async with WorkflowHarness(order, guards=[is_large]) as harness:
        await harness.start()
        await harness.trigger("pay", payload="large")
        await harness.assert_state("review")
        assert [str(way) for way, count in harness.coverage.taken.items() if count] == ["new -pay if is_large-> review"]


async def test_a_failure_without_a_way_is_raised(order):
    async with WorkflowHarness(order) as harness:
        harness.stub("write_down", answer=Fail("full"))
        await harness.start()
        with pytest.raises(CommandFailed, match="full"):
            await harness.trigger("note")
