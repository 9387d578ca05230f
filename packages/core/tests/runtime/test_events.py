"""One event: where it leads, what it writes, and what is left when it fails."""

import asyncio

import pytest

from detent import Fail, Ok, command
from detent.errors import (
    AnswerInvalid,
    CommandFailed,
    EventNotAvailable,
    InstanceNotFound,
    InvalidValue,
    StepCancelled,
)
from detent.ids import new_id

TURNSTILE = {
    "name": "turnstile",
    "initial_state": "locked",
    "states": {
        "locked": {"events": {"coin": {"target": "unlocked"}}},
        "unlocked": {"context": {"open": True}, "events": {"push": {"target": "locked"}}},
    },
}


def paying(**event):
    """A workflow whose one event is `pay`, as given."""
    return {
        "name": "payment",
        "initial_state": "open",
        "states": {"open": {"events": {"pay": event}}, "paid": {"context": {"by": "state"}}, "declined": {}},
    }


async def test_an_event_moves_the_instance_and_answers_both_ends(running):
    runtime = await running(TURNSTILE)
    gate = await runtime.create_instance("turnstile")
    result = await runtime.get_handle(gate.id).trigger_event("coin")
    assert (result.outcome, result.from_state, result.to_state) == ("success", "locked", "unlocked")
    assert result.instance.context == {"open": True}
    assert result.history_sequence == result.instance.version == 2
    assert await runtime.get_instance(gate.id) == result.instance


async def test_the_version_is_the_sequence_of_the_last_history_entry(running, story):
    runtime = await running(TURNSTILE)
    gate = await runtime.create_instance("turnstile", trigger_metadata={"actor": "ana"})
    await runtime.trigger_event(gate.id, "coin", payload={"cents": 50}, trigger_metadata={"actor": "bob"})
    assert await story(runtime, gate) == [
        "1 $created None>locked success",
        "2 coin locked>unlocked success",
    ]
    coin, created = await runtime.get_history(gate.id)
    assert (created.trigger_metadata, coin.trigger_metadata, coin.payload) == (
        {"actor": "ana"},
        {"actor": "bob"},
        {"cents": 50},
    )


async def test_an_undeclared_event_is_an_error_that_names_the_near_miss_and_writes_nothing(running, story):
    runtime = await running(TURNSTILE)
    gate = await runtime.create_instance("turnstile")
    with pytest.raises(EventNotAvailable, match="did you mean 'coin'"):
        await runtime.trigger_event(gate.id, "coins")
    assert len(await story(runtime, gate)) == 1


@pytest.mark.parametrize("name", ["__class__", "toString", "$created", "$on_enter", ""])
async def test_only_declared_names_are_events(running, name):
    runtime = await running(TURNSTILE)
    gate = await runtime.create_instance("turnstile")
    with pytest.raises(EventNotAvailable):
        await runtime.trigger_event(gate.id, name)


async def test_an_unknown_instance_is_named(running):
    runtime = await running(TURNSTILE)
    missing = new_id()
    for call in (runtime.trigger_event(missing, "coin"), runtime.get_instance(missing), runtime.get_history(missing)):
        with pytest.raises(InstanceNotFound, match=str(missing)):
            await call


async def test_a_command_that_fails_takes_the_error_target_and_keeps_what_it_wrote(running):
    @command("charge")
    def charge(ctx):
        ctx.context["tried"] = ctx.payload["card"]
        return Fail("declined", "no funds", data={"balance": 3})

    runtime = await running(paying(target="paid", error="declined", commands=["charge"]), commands=[charge])
    payment = await runtime.create_instance("payment")
    result = await runtime.trigger_event(payment.id, "pay", payload={"card": "42"})
    assert (result.outcome, result.to_state, result.reason) == ("failure", "declined", "no funds")
    assert result.instance.context == {"tried": "42"}
    assert result.commands[0].data == {"balance": 3}


async def test_a_failure_without_error_target_rolls_back_and_leaves_a_failed_entry(running, story, recorder):
    @command("charge")
    def charge(ctx):
        ctx.context["tried"] = True
        return Fail("declined", "no funds")

    runtime = await running(paying(target="paid", commands=["charge"]), commands=[charge])
    payment = await runtime.create_instance("payment")
    with pytest.raises(CommandFailed, match="declined: no funds"):
        await runtime.trigger_event(payment.id, "pay")
    after = await runtime.get_instance(payment.id)
    assert (after.state, after.context, after.entered_at) == ("open", {}, payment.entered_at)
    assert (await story(runtime, payment))[-1] == "2 pay open>open failed"
    failed = (await runtime.get_history(payment.id))[0]
    assert failed.error["code"] == "command_failed"
    assert [(record.name, record.code) for record in failed.commands] == [("charge", "declined")]
    await runtime.settled()
    assert recorder.heard[-1] == "failed pay: command_failed"


async def test_an_exception_is_never_routed_and_says_where_it_came_from(running, story):
    @command("charge")
    async def charge(ctx):
        raise ZeroDivisionError("by zero")

    runtime = await running(paying(target="paid", error="declined", commands=["charge"]), commands=[charge])
    payment = await runtime.create_instance("payment")
    with pytest.raises(ZeroDivisionError) as caught:
        await runtime.trigger_event(payment.id, "pay")
    assert "command 'charge' of 'pay'" in caught.value.__notes__[0]
    assert (await story(runtime, payment))[-1] == "2 pay open>open failed"
    assert (await runtime.get_history(payment.id))[0].error == {
        "code": "ZeroDivisionError",
        "message": "by zero",
        "raised_in": "command 'charge' of 'pay'",
    }


async def test_what_a_command_wrote_wins_over_the_states_patch_also_when_it_wrote_the_old_value(running):
    @command("sign")
    def sign(ctx):
        ctx.context["by"] = "nobody"

    runtime = await running(paying(target="paid", commands=["sign"]), commands=[sign])
    payment = await runtime.create_instance("payment", context={"by": "nobody"})
    result = await runtime.trigger_event(payment.id, "pay")
    assert result.instance.context == {"by": "nobody"}


async def test_with_state_precedence_the_patch_wins_on_transitions(running):
    @command("sign")
    def sign(ctx):
        ctx.context["by"] = "command"

    runtime = await running(
        {**paying(target="paid", commands=["sign"]), "context_precedence": "state"}, commands=[sign]
    )
    payment = await runtime.create_instance("payment")
    assert (await runtime.trigger_event(payment.id, "pay")).instance.context == {"by": "state"}


async def test_commands_run_in_order_and_stop_at_the_first_failure(running):
    ran = []

    @command("one")
    async def one(ctx):
        ran.append("one")
        return Ok(code="done", data=[1])

    @command("two")
    def two(ctx):
        ran.append("two")
        return Fail("no")

    @command("three")
    def three(ctx):
        ran.append("three")

    event = {"target": "paid", "error": "declined", "commands": ["one", "two", "three"]}
    runtime = await running(paying(**event), commands=[one, two, three])
    payment = await runtime.create_instance("payment")
    result = await runtime.trigger_event(payment.id, "pay")
    assert ran == ["one", "two"]
    assert [(record.name, record.ok) for record in result.commands] == [("one", True), ("two", False)]


@pytest.mark.parametrize("how", ["fails", "raises"])
async def test_a_best_effort_command_is_recorded_and_undone_and_changes_nothing(running, store, how):
    @command("notify", best_effort=True)
    async def notify(ctx):
        ctx.context["notified"] = True
        ctx.connection.put("mails", "1", "sent")
        if how == "raises":
            raise ConnectionError("smtp")
        return Fail("smtp")

    @command("log")
    async def log(ctx):
        ctx.connection.put("mails", "2", "logged")

    runtime = await running(paying(target="paid", commands=["notify", "log"]), commands=[notify, log])
    payment = await runtime.create_instance("payment")
    result = await runtime.trigger_event(payment.id, "pay")
    assert (result.outcome, result.to_state) == ("success", "paid")
    assert "notified" not in result.instance.context
    assert (result.commands[0].ok, result.commands[0].best_effort) == (False, True)
    async with store.begin() as connection:
        assert (connection.get("mails", "1"), connection.get("mails", "2")) == (None, "logged")


@pytest.mark.parametrize(
    ("argument", "value", "path"),
    [
        ("payload", {"at": object()}, "payload.at"),
        ("payload", [1.0, float("nan")], r"payload\[1\]"),
        ("trigger_metadata", {"who": {"name": "a\0b"}}, "trigger_metadata.who.name"),
    ],
)
async def test_what_is_not_json_is_refused_before_any_command_runs(running, argument, value, path):
    ran = []

    @command("charge")
    def charge(ctx):
        ran.append(1)

    runtime = await running(paying(target="paid", commands=["charge"]), commands=[charge])
    payment = await runtime.create_instance("payment")
    with pytest.raises(InvalidValue, match=path):
        await runtime.trigger_event(payment.id, "pay", **{argument: value})
    assert not ran
    assert (await runtime.get_instance(payment.id)).version == 1


@pytest.mark.parametrize("answer", ["done", True, {"ok": True}])
async def test_an_answer_that_is_no_answer_rolls_back(running, answer):
    @command("charge")
    def charge(ctx):
        return answer

    runtime = await running(paying(target="paid", commands=["charge"]), commands=[charge])
    payment = await runtime.create_instance("payment")
    with pytest.raises(AnswerInvalid, match="answer Ok, Fail, Goto or None"):
        await runtime.trigger_event(payment.id, "pay")


async def test_a_context_that_a_command_spoils_is_refused_with_its_place(running):
    @command("charge")
    def charge(ctx):
        ctx.context["when"] = {"exactly": object()}

    runtime = await running(paying(target="paid", commands=["charge"]), commands=[charge])
    payment = await runtime.create_instance("payment")
    with pytest.raises(InvalidValue, match=r"context\.when\.exactly"):
        await runtime.trigger_event(payment.id, "pay")
    assert (await runtime.get_instance(payment.id)).state == "open"


async def test_input_is_selected_from_the_context_and_output_put_into_it(running):
    seen = []

    @command("charge")
    def charge(ctx):
        seen.append(ctx.input)
        return Ok(data={"id": "ch_1"})

    reference = {"name": "charge", "input": {"path": "order.total"}, "output": "payment.charge"}
    runtime = await running(paying(target="paid", commands=[reference]), commands=[charge])
    payment = await runtime.create_instance("payment", context={"order": {"total": 12}})
    result = await runtime.trigger_event(payment.id, "pay")
    assert seen == [12]
    assert result.instance.context["payment"] == {"charge": {"id": "ch_1"}}


async def test_the_subject_reaches_commands_as_it_is_and_is_never_stored(running):
    subject = object()
    seen = []

    @command("charge")
    def charge(ctx):
        seen.append(ctx.subject)

    runtime = await running(paying(target="paid", commands=["charge"]), commands=[charge])
    payment = await runtime.create_instance("payment")
    await runtime.get_handle(str(payment.id)).trigger_event("pay", subject=subject)
    assert seen == [subject]


async def test_an_internal_event_keeps_deadline_and_context_patch_and_runs_no_entry(running, clock):
    @command("note")
    def note(ctx):
        ctx.context["notes"] = ctx.context.get("notes", 0) + 1
        ctx.context["phase"] = "noted"

    @command("greet")
    def greet(ctx):
        ctx.context["greeted"] = ctx.context.get("greeted", 0) + 1

    chat = {
        "name": "chat",
        "initial_state": "open",
        "states": {
            "open": {
                "context": {"phase": "open"},
                "on_enter": {"commands": ["greet"]},
                "events": {
                    "note": {"internal": True, "commands": ["note"]},
                    "again": {"target": "open"},
                    "expire": {"target": "closed", "timeout": "1h"},
                },
            },
            "closed": {},
        },
    }
    runtime = await running(chat, commands=[note, greet])
    instance = await runtime.create_instance("chat")
    clock.advance("50m")
    noted = (await runtime.trigger_event(instance.id, "note")).instance
    assert noted.context == {"phase": "noted", "greeted": 1, "notes": 1}
    assert (noted.due_at, noted.entered_at) == (instance.due_at, instance.entered_at)
    again = (await runtime.trigger_event(instance.id, "again")).instance
    assert again.context == {"phase": "open", "greeted": 2, "notes": 1}
    assert again.due_at > instance.due_at


async def test_payload_and_context_are_checked_by_their_models(running, story):
    definition = paying(
        target="paid",
        payload={"type": "object", "properties": {"cents": {"type": "integer"}}, "required": ["cents"]},
    )
    definition["context_model"] = {"type": "object", "properties": {"by": {"type": "string"}}}
    runtime = await running(definition)
    payment = await runtime.create_instance("payment")
    with pytest.raises(InvalidValue, match="payload does not fit"):
        await runtime.trigger_event(payment.id, "pay", payload={"cents": "many"})
    with pytest.raises(InvalidValue, match="context does not fit"):
        await runtime.create_instance("payment", context={"by": 3})
    await runtime.trigger_event(payment.id, "pay", payload={"cents": 5})
    assert len(await story(runtime, payment)) == 2


async def test_a_terminal_state_sets_the_status_by_its_outcome(running, recorder):
    ends = {
        "name": "ends",
        "initial_state": "open",
        "states": {
            "open": {"events": {"win": {"target": "won"}, "lose": {"target": "lost"}, "stop": {"target": "off"}}},
            "won": {},
            "lost": {"outcome": "failure"},
            "off": {"outcome": "cancelled"},
        },
    }
    runtime = await running(ends)
    statuses = []
    for event in ("win", "lose", "stop"):
        instance = await runtime.create_instance("ends")
        statuses.append((await runtime.trigger_event(instance.id, event)).instance.status)
    assert statuses == ["completed", "failed", "cancelled"]
    await runtime.settled()
    assert [text for text in recorder.heard if text.startswith("ended")] == [
        "ended completed",
        "ended failed",
        "ended cancelled",
    ]


async def test_nothing_a_command_is_given_reaches_history_or_the_definition(running):
    @command("charge")
    def greedy(ctx):
        ctx.payload["card"] = "***"
        ctx.trigger_metadata["who"] = "mallory"
        ctx.command_metadata["n"] += 1
        ctx.metadata["seen"] = True

    reference = {"name": "charge", "metadata": {"n": 1}}
    runtime = await running(paying(target="paid", commands=[reference]), commands=[greedy])
    payment = await runtime.create_instance("payment")
    result = await runtime.trigger_event(payment.id, "pay", payload={"card": "42"}, trigger_metadata={"who": "ana"})
    entry = (await runtime.get_history(payment.id))[0]
    assert (entry.payload, entry.trigger_metadata) == ({"card": "42"}, {"who": "ana"})
    assert result.instance.metadata == {}
    assert runtime.definition("payment").states["open"].events["pay"].commands[0].metadata == {"n": 1}


@pytest.mark.parametrize("replaced", [{"b": 2}, {}])
async def test_assigning_the_context_replaces_what_it_holds(running, replaced):
    @command("charge")
    def charge(ctx):
        ctx.context = replaced
        ctx.context |= {"c": 3}

    runtime = await running(paying(target="declined", commands=["charge"]), commands=[charge])
    payment = await runtime.create_instance("payment", context={"a": 1})
    assert (await runtime.trigger_event(payment.id, "pay")).instance.context == {**replaced, "c": 3}


@pytest.mark.parametrize("how", ["output", "context", "model"])
async def test_what_a_best_effort_command_leaves_cannot_fail_the_step(running, how):
    @command("notify", best_effort=True)
    def notify(ctx):
        if how == "context":
            ctx.context["at"] = object()
        if how == "model":
            ctx.context["n"] = "many"
        return Ok(data=1)

    reference = {"name": "notify", **({"output": "n.total"} if how == "output" else {})}
    definition = paying(target="paid", commands=[reference])
    definition["context_model"] = {"type": "object", "properties": {"n": {"type": "integer"}}}
    runtime = await running(definition, commands=[notify])
    payment = await runtime.create_instance("payment", context={"n": 1})
    result = await runtime.trigger_event(payment.id, "pay")
    assert (result.outcome, result.commands[0].ok) == ("success", False)
    assert result.instance.context == {"n": 1, "by": "state"}


async def test_what_a_best_effort_command_wrote_is_kept_when_it_succeeds(running):
    @command("notify", best_effort=True)
    def notify(ctx):
        ctx.context["notified"] = True

    runtime = await running(paying(target="paid", commands=["notify"]), commands=[notify])
    payment = await runtime.create_instance("payment")
    result = await runtime.trigger_event(payment.id, "pay")
    assert result.instance.context == {"notified": True, "by": "state"}


async def test_a_best_effort_command_that_fails_and_spoils_the_context_is_recorded_with_its_own_answer(running):
    @command("notify", best_effort=True)
    def notify(ctx):
        ctx.context["at"] = object()
        return Fail("smtp")

    runtime = await running(paying(target="paid", commands=["notify"]), commands=[notify])
    payment = await runtime.create_instance("payment")
    assert [record.code for record in (await runtime.trigger_event(payment.id, "pay")).commands] == ["smtp"]


async def test_the_context_need_not_fit_its_model_between_two_commands(running):
    @command("spoil")
    def spoil(ctx):
        ctx.context["n"] = "many"

    @command("mend")
    def mend(ctx):
        ctx.context["n"] = 2

    definition = paying(target="paid", commands=["spoil", "mend"])
    definition["context_model"] = {"type": "object", "properties": {"n": {"type": "integer"}}}
    runtime = await running(definition, commands=[spoil, mend])
    payment = await runtime.create_instance("payment")
    assert (await runtime.trigger_event(payment.id, "pay")).instance.context == {"n": 2, "by": "state"}


async def test_an_internal_event_cannot_break_the_context_model(running):
    @command("spoil")
    def spoil(ctx):
        ctx.context["n"] = "many"

    definition = paying(internal=True, commands=["spoil"])
    definition["context_model"] = {"type": "object", "properties": {"n": {"type": "integer"}}}
    runtime = await running(definition, commands=[spoil])
    payment = await runtime.create_instance("payment", context={"n": 1})
    with pytest.raises(InvalidValue, match=r"\bn\b"):
        await runtime.trigger_event(payment.id, "pay")
    assert (await runtime.get_instance(payment.id)).context == {"n": 1}


async def test_an_answer_says_text_where_text_belongs(running):
    @command("charge")
    def charge(ctx):
        return Fail("gateway", ValueError("declined"))  # type: ignore[arg-type]

    runtime = await running(paying(target="paid", error="declined", commands=["charge"]), commands=[charge])
    payment = await runtime.create_instance("payment")
    with pytest.raises(InvalidValue, match=r"pass str\(it\)"):
        await runtime.trigger_event(payment.id, "pay")


async def test_a_cancellation_of_the_commands_own_making_is_an_error_of_that_command(running, story):
    @command("charge")
    async def charge(ctx):
        task = asyncio.create_task(asyncio.Event().wait())
        task.cancel()
        await task

    runtime = await running(paying(target="paid", commands=["charge"]), commands=[charge])
    payment = await runtime.create_instance("payment")
    with pytest.raises(StepCancelled):
        await runtime.trigger_event(payment.id, "pay")
    assert (await story(runtime, payment))[-1] == "2 pay open>open failed"
