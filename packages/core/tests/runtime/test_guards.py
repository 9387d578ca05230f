"""Guards: who may pass, why not, and what a refusal leaves."""

import functools
from datetime import datetime

import pytest
from pydantic import BaseModel, ConfigDict

from detent import CommandContext, GuardContext, Ok, Refuse, command, guard
from detent.errors import AnswerInvalid, EventRefused, InvalidValue


def gate(**event):
    return {
        "name": "gate",
        "initial_state": "outside",
        "states": {
            "outside": {"context": {"age": 7}, "events": {"enter": {"target": "inside", **event}}},
            "inside": {},
        },
    }


@guard("adult")
def adult(ctx):
    return ctx.context["age"] >= 18 or Refuse(f"{ctx.context['age']} is too young")


@guard("invited")
async def invited(ctx):
    return bool(ctx.payload and ctx.payload.get("invited"))


@guard("staff")
def staff(ctx):
    return ctx.context.get("staff", False)


ALL = (adult, invited, staff)


async def test_a_refusal_is_an_answer_with_its_reason_and_one_entry_and_nothing_else_moves(running, story, recorder):
    runtime = await running(gate(guard="adult"), guards=ALL)
    visitor = await runtime.create_instance("gate")
    result = await runtime.trigger_event(visitor.id, "enter")
    assert (result.outcome, result.reason, result.to_state) == ("refused", "7 is too young", "outside")
    after = result.instance
    assert (after.context, after.timers, after.entered_at) == (visitor.context, visitor.timers, visitor.entered_at)
    assert after.version == 2
    assert (await story(runtime, visitor))[-1] == "2 enter outside>outside refused"
    await runtime.settled()
    assert recorder.heard[-1] == "refused enter: 7 is too young"


async def test_an_asynchronous_guard_is_awaited_and_sees_the_payload(running):
    runtime = await running(gate(guard="invited"), guards=ALL)
    visitor = await runtime.create_instance("gate")
    assert (await runtime.trigger_event(visitor.id, "enter")).reason == "guard 'invited' refused"
    assert (await runtime.trigger_event(visitor.id, "enter", payload={"invited": True})).outcome == "success"


@pytest.mark.parametrize(
    ("expression", "context", "reason"),
    [
        ({"all_of": ["adult", "staff"]}, {"age": 20, "staff": True}, None),
        ({"all_of": ["adult", "staff"]}, {"age": 20}, "guard 'staff' refused"),
        ({"any_of": ["adult", "staff"]}, {"age": 7, "staff": True}, None),
        ({"any_of": ["adult", "staff"]}, {"age": 7}, "7 is too young; guard 'staff' refused"),
        ({"not": "staff"}, {"staff": True}, "not allowed while staff"),
        ({"not": {"any_of": ["adult", "staff"]}}, {"age": 7}, None),
    ],
)
async def test_guards_compose(running, expression, context, reason):
    runtime = await running(gate(guard=expression), guards=ALL)
    visitor = await runtime.create_instance("gate", context=context)
    assert (await runtime.trigger_event(visitor.id, "enter")).reason == reason


async def test_branches_are_tried_in_order_before_the_target(running):
    definition = gate(branches=[{"guard": "staff", "target": "office"}, {"guard": "adult", "target": "bar"}])
    definition["states"] |= {"office": {}, "bar": {}}
    runtime = await running(definition, guards=ALL)

    async def where(context):
        visitor = await runtime.create_instance("gate", context=context)
        return (await runtime.trigger_event(visitor.id, "enter")).to_state

    assert await where({"age": 20, "staff": True}) == "office"
    assert await where({"age": 20}) == "bar"
    assert await where({"age": 3}) == "inside"


async def test_a_guard_that_raises_rolls_back_and_leaves_a_failed_entry(running, story):
    @guard("adult")
    def broken(ctx):
        raise LookupError("no age")

    runtime = await running(gate(guard="adult"), guards=[broken])
    visitor = await runtime.create_instance("gate")
    with pytest.raises(LookupError):
        await runtime.trigger_event(visitor.id, "enter")
    assert (await story(runtime, visitor))[-1] == "2 enter outside>outside failed"


async def test_a_guard_cannot_change_the_instance(running):
    @guard("adult")
    def greedy(ctx):
        ctx.context["age"] = 99
        ctx.metadata["seen"] = True
        return True

    runtime = await running(gate(guard="adult"), guards=[greedy])
    visitor = await runtime.create_instance("gate")
    result = await runtime.trigger_event(visitor.id, "enter")
    assert (result.instance.context, result.instance.metadata) == ({"age": 7}, {})


async def test_commands_do_not_run_when_a_guard_refuses(running):
    ran = []

    @command("greet")
    def greet(ctx):
        ran.append(1)

    runtime = await running(gate(guard="adult", commands=["greet"]), guards=ALL, commands=[greet])
    visitor = await runtime.create_instance("gate")
    await runtime.trigger_event(visitor.id, "enter")
    assert not ran


async def test_available_events_say_what_would_pass_and_why_not(running):
    definition = gate(guard={"all_of": ["adult", "invited"]}, timeout="2h")
    definition["states"]["outside"]["events"]["leave"] = {"target": "gone", "description": "Go home."}
    definition["states"]["gone"] = {}
    runtime = await running(definition, guards=ALL)
    visitor = await runtime.create_instance("gate")
    enter, leave = await runtime.get_handle(visitor).get_available_events()
    assert (enter.name, enter.available, enter.reason, enter.target) == ("enter", False, "7 is too young", "inside")
    assert enter.due_at == visitor.due_at
    assert (leave.available, leave.reason, leave.description) == (True, None, "Go home.")
    await runtime.trigger_event(visitor.id, "leave")
    assert await runtime.get_available_events(visitor.id) == []
    assert len(await runtime.get_history(visitor.id)) == 2


async def test_a_guard_that_raises_while_being_looked_at_is_told_as_a_reason(running):
    @guard("adult")
    def broken(ctx):
        raise LookupError("no age")

    runtime = await running(gate(guard="adult"), guards=[broken])
    visitor = await runtime.create_instance("gate")
    (enter,) = await runtime.get_available_events(visitor.id)
    assert (enter.available, enter.reason) == (False, "guard 'adult' raised LookupError: no age")


class Ticket(BaseModel):
    number: int


class Visitor(BaseModel):
    age: int


async def test_parameters_annotated_with_models_get_the_validated_payload_and_context(running):
    seen = []

    @guard("adult")
    def numbered(ctx: GuardContext, payload: Ticket) -> bool:
        return payload.number > 0

    @command("greet")
    async def greet(payload: Ticket, context: Visitor, ctx: CommandContext) -> None:
        seen.append((payload.number, context.age, ctx.to_state))

    definition = gate(guard="adult", commands=["greet"], payload=Ticket)
    runtime = await running(definition, guards=[numbered], commands=[greet])
    visitor = await runtime.create_instance("gate")
    await runtime.trigger_event(visitor.id, "enter", payload={"number": 3})
    assert seen == [(3, 7, "inside")]
    other = await runtime.create_instance("gate")
    with pytest.raises(InvalidValue, match=r"number"):
        await runtime.trigger_event(other.id, "enter", payload={"number": "three"})


@pytest.mark.parametrize("answer", [None, "yes", 1, [], Ok(), (False, "because")])
async def test_a_guard_answers_a_bool_or_refuse_and_nothing_else(running, answer):
    @guard("adult")
    def odd(ctx):
        return answer

    runtime = await running(gate(guard="adult"), guards=[odd])
    visitor = await runtime.create_instance("gate")
    with pytest.raises(AnswerInvalid, match=r"guard 'adult' answered.*answer True, False or Refuse"):
        await runtime.trigger_event(visitor.id, "enter")


async def test_a_decorated_asynchronous_guard_is_awaited(running):
    def logged(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs)

        return inner

    @guard("adult")
    @logged
    async def never(ctx):
        return False

    runtime = await running(gate(guard="adult"), guards=[never])
    visitor = await runtime.create_instance("gate")
    assert (await runtime.trigger_event(visitor.id, "enter")).outcome == "refused"


class Dated(BaseModel):
    model_config = ConfigDict(strict=True)
    when: datetime


async def test_a_strict_model_takes_the_texts_that_json_has(running):
    runtime = await running(gate(payload=Dated))
    visitor = await runtime.create_instance("gate")
    payload = {"when": "2030-01-01T00:00:00Z"}
    assert (await runtime.trigger_event(visitor.id, "enter", payload=payload)).outcome == "success"


async def test_a_refusal_is_raised_for_those_who_ask_and_a_success_passes_through(running):
    runtime = await running(gate(guard="adult"), guards=ALL)
    visitor = await runtime.create_instance("gate")
    refused = await runtime.trigger_event(visitor.id, "enter")
    with pytest.raises(EventRefused, match="'enter' was refused in state 'outside': 7 is too young") as caught:
        refused.raise_if_refused()
    assert (caught.value.history_sequence, caught.value.instance_id) == (2, visitor.id)
    grown = await runtime.create_instance("gate", context={"age": 20})
    assert (await runtime.trigger_event(grown.id, "enter")).raise_if_refused().to_state == "inside"
