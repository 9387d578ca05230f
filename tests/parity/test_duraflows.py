"""What duraflows was measured by, as Detent has it: one test for each behaviour, under its number there, on every store.

Here are 1 to 28; 29 to 36 are in `test_duraflows_versions.py`, 37 to 41, the durable queue, in `test_duraflows_durable.py`, and
42 to 48 in `test_duraflows_edges.py`. Where the two differ the docstring says so; the rules that differ on purpose are in the
documentation, *Coming from duraflows*.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from detent import (
    Fail,
    Outcome,
    Refuse,
    Retry,
    Settings,
    WorkflowObserver,
    command,
    guard,
)
from detent.errors import (
    ConnectionNotSupported,
    IdempotencyConflict,
    IncompatibleState,
    InvalidValue,
    ReentrantTrigger,
    WorkflowUnavailable,
)
from detent.runtime.parts import Unresolvable
from tests.parity.ground import Gate, Heard, Watched
from tests.parity.workflows import STEADY, bill, count, fail, raise_error, waiting, write

HOUR = timedelta(hours=1)
BYTES_256, BYTES_258 = "k" * 256, "é" * 129


def transitions(heard: Heard) -> list[str]:
    """What observers heard, without creations."""
    return [text for text in heard.texts if not text.startswith("$created")]


# ------------------------------------------------------------------------------------------------ events and entries


async def test_01_a_command_only_event_keeps_the_deadline(running, clock):
    """An internal event keeps the deadline; one without target that is not internal is a re-entry, and the hour begins anew.

    duraflows has only the second.
    """
    definition = waiting()
    definition["states"]["waiting"]["events"] |= {
        "note": {"internal": True, "commands": ["write"]},
        "nudge": {"commands": ["write"]},
    }
    runtime = await running(definition, commands=[write])
    instance = await runtime.create_instance("wait")
    clock.advance("50m")

    noted = (await runtime.trigger_event(instance.id, "note", subject={"k": 1})).instance
    assert (noted.due_at, noted.entered_at) == (instance.due_at, instance.entered_at)
    assert (noted.context, noted.version) == ({"k": 1}, 2)

    nudged = (await runtime.trigger_event(instance.id, "nudge")).instance
    assert (nudged.due_at, nudged.entered_at) == (clock.now() + HOUR, clock.now())


async def test_02_a_command_only_event_keeps_what_it_wrote_over_the_states_context(running):
    """An internal event writes over what its state declares, and `on_enter` does not run again. A re-entry runs it again.

    duraflows applies the state's context once more. Its definitions keep that on a re-entry, not on an internal event.
    """
    declared = {
        "context": {"k": 1},
        "on_enter": {"commands": ["count"]},
        "events": {"note": {"internal": True, "commands": ["write"]}, "nudge": {"commands": ["write"]}},
    }
    ours = {"name": "ours", "initial_state": "s", "states": {"s": declared}}
    theirs = {"name": "theirs", "initialState": "s", "states": {"s": declared}}
    runtime = await running(ours, theirs, commands=[write, count])
    for workflow, after_nudge in (("ours", 3), ("theirs", 1)):
        instance = await runtime.create_instance(workflow)
        assert instance.context == {"k": 1, "entered": 1}
        noted = await runtime.trigger_event(instance.id, "note", subject={"k": 2})
        assert noted.instance.context == {"k": 2, "entered": 1}
        nudged = await runtime.trigger_event(instance.id, "nudge", subject={"k": 3})
        assert nudged.instance.context == {"k": after_nudge, "entered": 2}


async def test_03_a_refused_timeout_stays_armed_and_can_be_rearmed(running, clock, story):
    """A refusal backs the timeout off and is counted; used up, it is parked, and an operator may arm it again.

    In duraflows the first refusal takes the deadline away for good.
    """
    answers: list[Any] = [Refuse("not yet")] * 3

    @guard("may")
    def may(ctx):
        return answers.pop() if answers else True

    runtime = await running(waiting(guard="may"), guards=[may], settings=STEADY)
    instance = await runtime.create_instance("wait")
    clock.advance("1h")
    report = await runtime.process_timeouts()
    assert (report.refused, report.processed, report.failed) == (1, 0, 0)
    assert await story(runtime, instance) == ["1 $created None>waiting success", "2 expire waiting>waiting refused"]
    assert (await runtime.process_timeouts()).refused == 0
    clock.advance("1m")
    assert (await runtime.process_timeouts()).refused == 1
    clock.advance("2m")
    assert (await runtime.process_timeouts()).parked == 1
    clock.advance("30d")
    assert (await runtime.process_timeouts()).processed == 0

    await runtime.rearm(instance.id, "expire")
    assert (await runtime.process_timeouts()).processed == 1
    assert (await runtime.get_instance(instance.id)).state == "done"


async def test_04_a_failing_entry_undoes_the_event(running, kit, heard, story):
    """Event, context and what commands wrote are rolled back, nobody hears of a transition, and the key is not used up.

    Ours leaves a `failed` entry, which raises the version by one, and tells `on_failed`; duraflows leaves no trace.
    """

    @command("stock")
    async def stock(ctx):
        ctx.context["stocked"] = True
        await kit.note(ctx.connection, "stocked")

    definition = bill(commands=["stock"])
    definition["states"]["paid"]["on_enter"] = {"commands": ["raise"]}
    runtime = await running(definition, commands=[stock, raise_error])
    instance = await runtime.create_instance("bill")
    for sequence in (2, 3):
        with pytest.raises(LookupError):
            await runtime.trigger_event(instance.id, "pay", idempotency_key="k")
        after = await runtime.get_instance(instance.id)
        assert (after.state, after.context, after.version) == ("open", {}, sequence)
    assert not await kit.noted("stocked")
    assert (await story(runtime, instance))[1:] == ["2 pay open>open failed", "3 pay open>open failed"]
    await runtime.settled()
    assert transitions(heard) == ["pay open>open failed"] * 2


@pytest.mark.parametrize("answer", ["fails", "raises"])
async def test_05_a_best_effort_command_that_fails_last_changes_no_outcome(running, kit, answer):
    """It is recorded, and what it wrote is undone. The outcome is success, whatever came last."""

    @command("mail", best_effort=True)
    async def mail(ctx):
        ctx.context["mailed"] = True
        await kit.note(ctx.connection, "mailed")
        if answer == "raises":
            raise ConnectionError("smtp is down")
        return Fail("bounced")

    definition = bill(commands=["count"])
    definition["states"]["paid"]["on_enter"] = {"commands": ["count", "mail"], "error": "refunded"}
    runtime = await running(definition, commands=[count, mail])
    instance = await runtime.create_instance("bill")
    result = await runtime.trigger_event(instance.id, "pay")
    assert (result.outcome, result.to_state, result.reason) == (Outcome.SUCCESS, "paid", None)
    assert result.instance.context == {"entered": 2}
    assert [(record.name, record.ok) for record in result.commands] == [
        ("count", True),
        ("count", True),
        ("mail", False),
    ]
    assert result.commands[-1].code == ("raised" if answer == "raises" else "bounced")
    assert (await runtime.get_history(instance.id))[0].commands == result.commands[1:]
    assert not await kit.noted("mailed")


async def test_06_a_failed_hop_makes_the_outcome_a_failure_even_if_later_hops_succeed(running):
    """The outcome adds up the whole chain; `to_state` is where it ended."""
    definition = bill()
    definition["states"] |= {
        "paid": {"on_enter": {"commands": ["fail"], "target": "refunded", "error": "checked"}},
        "checked": {"on_enter": {"commands": ["count"], "target": "closed"}},
        "closed": {},
    }
    runtime = await running(definition, commands=[count, fail])
    instance = await runtime.create_instance("bill")
    result = await runtime.trigger_event(instance.id, "pay")
    assert (result.outcome, result.from_state, result.to_state) == (Outcome.FAILURE, "open", "closed")
    assert (result.reason, result.instance.context) == ("not today", {"entered": 1})
    outcomes = [entry.outcome.value for entry in await runtime.get_history(instance.id, limit=3)]
    assert outcomes == ["success", "failure", "success"]


async def test_07_an_exception_is_never_routed_to_the_error_target(running):
    """What a command raises rolls back and reaches the caller as it is; only `Fail` takes the error target."""
    runtime = await running(bill(commands=["raise"], error="refunded"), commands=[raise_error])
    instance = await runtime.create_instance("bill")
    with pytest.raises(LookupError, match="no such thing"):
        await runtime.trigger_event(instance.id, "pay")
    assert (await runtime.get_instance(instance.id)).state == "open"
    newest = (await runtime.get_history(instance.id))[0]
    assert (newest.outcome, newest.error["code"]) == (Outcome.FAILED, "LookupError")


async def test_08_what_callers_and_commands_write_wins_over_the_states_context(running):
    """One precedence everywhere: the state's context first, then what was written.

    In duraflows that is so at creation only; on transitions the state wins. Its definitions keep that here.
    """
    states = {
        "a": {"context": {"a": 0, "b": 2}, "events": {"go": {"target": "b", "commands": ["write"]}}},
        "b": {"context": {"a": 9}},
    }
    ours = {"name": "ours", "initial_state": "a", "states": states}
    theirs = {"name": "theirs", "initialState": "a", "states": states}
    runtime = await running(ours, theirs, commands=[write])
    for workflow, after in (("ours", 5), ("theirs", 9)):
        instance = await runtime.create_instance(workflow, context={"a": 1})
        assert instance.context == {"a": 1, "b": 2}
        moved = (await runtime.trigger_event(instance.id, "go", subject={"a": 5})).instance
        assert moved.context == {"a": after, "b": 2}
        assert (await runtime.get_instance(instance.id)).context == moved.context


@pytest.mark.parametrize("initial", ["initial_state", "initialState"])
async def test_09_what_on_enter_writes_survives_in_its_own_state(running, initial):
    """The state's context is applied at the entry and not again when its `on_enter` stays, in either precedence."""
    state = {"context": {"entered": 7}, "on_enter": {"commands": ["count"]}, "events": {"x": {"target": "s"}}}
    runtime = await running({"name": "stay", initial: "s", "states": {"s": state}}, commands=[count])
    instance = await runtime.create_instance("stay")
    assert instance.context == {"entered": 8}
    again = (await runtime.trigger_event(instance.id, "x")).instance
    assert again.context == {"entered": 8}


async def test_10_a_chain_of_three_hops_is_four_entries_in_the_order_they_happened(running, story):
    """Sequences are consecutive and are the order, also where all entries of a commit have one instant.

    Creation is an entry as well, which it is not in duraflows, whose order within a commit is by chance before PostgreSQL 18.
    """
    states = {f"s{n}": {"on_enter": {"target": f"s{n + 1}"}} for n in (1, 2, 3)}
    start = {"events": {"go": {"target": "s1"}}}
    runtime = await running({"name": "chain", "initial_state": "s0", "states": {"s0": start, **states, "s4": {}}})
    instance = await runtime.create_instance("chain")
    result = await runtime.trigger_event(instance.id, "go", trigger_metadata={"actor": "ana"})
    assert await story(runtime, instance) == [
        "1 $created None>s0 success",
        "2 go s0>s1 success",
        "3 $on_enter s1>s2 success",
        "4 $on_enter s2>s3 success",
        "5 $on_enter s3>s4 success",
    ]
    assert result.history_sequence == result.instance.version == 5
    entries = await runtime.get_history(instance.id, limit=4)
    assert len({entry.created_at for entry in entries}) == 1
    assert all(entry.trigger_metadata == {"actor": "ana"} for entry in entries)


async def test_11_one_transition_id_for_all_of_a_commit(running, heard):
    """The event's command, the commands of every hop, all entries and observers share it; the next event has another.

    duraflows draws a fresh one for each state that is entered; ours are told apart by their sequence.
    """
    ids = []

    @command("tell")
    def tell(ctx):
        ids.append((ctx.event, ctx.transition_id))

    definition = bill(commands=["tell"])
    definition["states"]["paid"] |= {"on_enter": {"commands": ["tell"], "target": "refunded"}}
    definition["states"]["refunded"] |= {"on_enter": {"commands": ["tell"]}}
    runtime = await running(definition, commands=[tell])
    instance = await runtime.create_instance("bill")
    await runtime.trigger_event(instance.id, "pay")
    await runtime.settled()
    entries = await runtime.get_history(instance.id, limit=3)
    assert [event for event, _ in ids] == ["pay", "$on_enter", "$on_enter"]
    assert {transition_id for _, transition_id in ids} == {entries[0].transition_id}
    assert {entry.transition_id for entry in entries} == {entries[0].transition_id}
    assert [seen.entry for seen in heard.seen[-3:]] == list(reversed(entries))
    again = await runtime.trigger_event(instance.id, "again")
    newest = (await runtime.get_history(instance.id))[0]
    assert newest.sequence == again.history_sequence
    assert newest.transition_id not in {entry.transition_id for entry in entries}


# -------------------------------------------------------------------------------------------------- idempotency keys


async def test_12_the_same_key_twice_at_once_runs_once(running, backend, store, heard):
    """The second waits for the first and gets its answer: one run, one entry, observers called once.

    The same where no command runs, so that nothing waits and many decide at once.
    """
    gate, ran = Gate(), []

    @command("charge")
    async def charge(ctx):
        ran.append(1)
        await gate.passed()
        ctx.context["charged"] = len(ran)

    runtime = await running(bill(commands=["charge"]), commands=[charge])
    instance = await runtime.create_instance("bill")
    async with asyncio.timeout(10):
        first = asyncio.create_task(runtime.trigger_event(instance.id, "pay", idempotency_key="k"))
        await gate.reached.wait()
        second = asyncio.create_task(runtime.trigger_event(instance.id, "pay", idempotency_key="k"))
        await backend.until_someone_waits(store)
        gate.open()
        one, two = await first, await second
    assert two == replace(one, replayed=True)
    assert (one.replayed, one.to_state, one.instance.context, len(ran)) == (False, "paid", {"charged": 1}, 1)
    assert len(await runtime.get_history(instance.id)) == 2
    await runtime.settled()
    assert transitions(heard) == ["pay open>paid success", "charge ok"]

    other = await runtime.create_instance("bill")
    calls = [runtime.trigger_event(other.id, "see", idempotency_key="k") for _ in range(12)]
    results = await asyncio.gather(*calls)
    assert [result.replayed for result in results].count(False) == 1
    assert {result.history_sequence for result in results} == {2}
    assert len(await runtime.get_history(other.id)) == 2


async def test_13_when_the_first_of_two_rolls_back_the_second_runs_once(running, backend, store, story):
    """What raised is not remembered, so the one who waited takes the event itself."""
    gate, ran = Gate(), []

    @command("charge")
    async def charge(ctx):
        ran.append(1)
        if len(ran) == 1:
            await gate.passed()
            raise ConnectionError("the bank is down")

    runtime = await running(bill(commands=["charge"]), commands=[charge])
    instance = await runtime.create_instance("bill")
    async with asyncio.timeout(10):
        first = asyncio.create_task(runtime.trigger_event(instance.id, "pay", idempotency_key="k"))
        await gate.reached.wait()
        second = asyncio.create_task(runtime.trigger_event(instance.id, "pay", idempotency_key="k"))
        await backend.until_someone_waits(store)
        gate.open()
        with pytest.raises(ConnectionError):
            await first
        two = await second
    assert (two.replayed, two.to_state, len(ran)) == (False, "paid", 2)
    assert (await runtime.trigger_event(instance.id, "pay", idempotency_key="k")).replayed
    # The trace of the first is a step of its own and may come before or after the second.
    entries = [line.partition(" ")[2] for line in await story(runtime, instance)]
    assert entries.count("pay open>paid success") == 1
    assert sum("failed" in line for line in entries) == 1
    assert len(entries) == 3


async def test_14_a_key_is_answered_although_the_instance_has_moved_on(running):
    """Also where the event is no longer declared, and where the version that governs it lacks the state altogether."""
    runtime = await running(bill())
    instance = await runtime.create_instance("bill")
    first = await runtime.trigger_event(instance.id, "pay", idempotency_key="k")
    moved = (await runtime.trigger_event(instance.id, "refund")).instance
    again = await runtime.trigger_event(instance.id, "pay", idempotency_key="k")
    assert again == replace(first, replayed=True, instance=moved)

    newer = bill() | {"version": 2, "version_policy": "latest"}
    newer["states"] = {"open": {"events": {"shred": {"target": "gone"}}}, "gone": {}}
    told: tuple[tuple[Unresolvable, type[Exception]], ...] = (
        ("warn", IncompatibleState),
        ("withdraw", WorkflowUnavailable),
    )
    for unresolvable, error in told:
        deployed = await running(newer, settings=Settings(unresolvable=unresolvable))
        with pytest.raises(error):
            await deployed.trigger_event(instance.id, "pay")
        assert await deployed.trigger_event(instance.id, "pay", idempotency_key="k") == again
    assert (await runtime.get_instance(instance.id)) == moved


async def test_15_a_key_with_a_fingerprint_is_not_answered_without_it(running):
    """A fingerprint that is there, missing or another makes it another request: a conflict, and nothing runs."""
    runtime = await running(bill())
    instance = await runtime.create_instance("bill")
    await runtime.trigger_event(instance.id, "see", idempotency_key="k", idempotency_fingerprint="a")
    await runtime.trigger_event(instance.id, "see", idempotency_key="bare")
    for key, fingerprint in (("k", None), ("k", "b"), ("bare", "a")):
        with pytest.raises(IdempotencyConflict):
            await runtime.trigger_event(instance.id, "see", idempotency_key=key, idempotency_fingerprint=fingerprint)
    assert (await runtime.get_instance(instance.id)).version == 3


async def test_16_the_same_key_from_its_own_command_is_refused_and_the_step_goes_on(running):
    """Ours is `ReentrantTrigger`, with or without a key; in duraflows it is an error of the key."""
    told: list[ReentrantTrigger] = []

    @command("charge")
    async def charge(ctx):
        with pytest.raises(ReentrantTrigger) as refused:
            await runtime.trigger_event(ctx.instance_id, "pay", idempotency_key="k", connection=ctx.connection)
        told.append(refused.value)

    runtime = await running(bill(commands=["charge"]), commands=[charge])
    instance = await runtime.create_instance("bill")
    result = await runtime.trigger_event(instance.id, "pay", idempotency_key="k")
    assert (result.to_state, result.replayed, len(told)) == ("paid", False, 1)
    assert (await runtime.trigger_event(instance.id, "pay", idempotency_key="k")).replayed


async def test_17_keys_are_compared_to_the_byte_and_have_256_of_them(running):
    """Case, spaces and Unicode forms make different keys; blanks, NULs, lone surrogates and long ones are none at all."""
    runtime = await running(bill())
    instance = await runtime.create_instance("bill")
    keys = ["Key", "key", " key", "\u00e9", "e\u0301", BYTES_256, "é" * 128]
    for key in keys:
        assert not (await runtime.trigger_event(instance.id, "see", idempotency_key=key)).replayed
    for key in keys:
        assert (await runtime.trigger_event(instance.id, "see", idempotency_key=key)).replayed
    none: Any = ("", " ", "k\0", "\ud800", BYTES_256 + "k", BYTES_258, 7)
    for key in none:
        with pytest.raises(InvalidValue, match="idempotency_key"):
            await runtime.trigger_event(instance.id, "see", idempotency_key=key)
        with pytest.raises(InvalidValue, match="idempotency_fingerprint"):
            await runtime.trigger_event(instance.id, "see", idempotency_key="k", idempotency_fingerprint=key)
    assert (await runtime.get_instance(instance.id)).version == 1 + len(keys)


# ------------------------------------------------------------------------------------- transactions and observers


async def test_18_a_step_that_fails_in_a_lent_transaction_undoes_only_itself(running, kit, heard, story):
    """The caller catches it and commits: its own writes and other steps stay, and observers hear of those.

    Ours also leaves the `failed` entry of the step, in the caller's transaction.
    """

    @command("charge")
    async def charge(ctx):
        await kit.note(ctx.connection, f"charged {ctx.subject}")
        if ctx.subject == "broken":
            raise ConnectionError("the bank is down")

    runtime = await running(bill(commands=["charge"]), commands=[charge])
    sound, broken = await runtime.create_instance("bill"), await runtime.create_instance("bill")
    async with kit.lend() as outside:
        await kit.note(outside, "before")
        await runtime.trigger_event(sound.id, "pay", subject="sound", connection=outside)
        with pytest.raises(ConnectionError):
            await runtime.trigger_event(broken.id, "pay", subject="broken", connection=outside)
        await kit.note(outside, "after")
        await runtime.settled()
        assert transitions(heard) == []
    assert [await kit.noted(said) for said in ("before", "charged sound", "after")] == [True, True, True]
    assert not await kit.noted("charged broken")
    assert (await story(runtime, sound))[1:] == ["2 pay open>paid success"]
    assert (await story(runtime, broken))[1:] == ["2 pay open>open failed"]
    await runtime.settled()
    assert sorted(transitions(heard)) == ["charge ok", "pay open>open failed", "pay open>paid success"]


async def test_19_a_lent_transaction_that_rolls_back_leaves_nothing_of_its_steps(running, kit, heard):
    """No change, no entry, no receipt, and nobody hears of it."""
    runtime = await running(bill())
    instance = await runtime.create_instance("bill")
    with suppress(ZeroDivisionError):
        async with kit.lend() as outside:
            await kit.note(outside, "undone")
            result = await runtime.trigger_event(instance.id, "pay", idempotency_key="k", connection=outside)
            born = await runtime.create_instance("bill", idempotency_key="k", connection=outside)
            assert (result.to_state, born.created) == ("paid", True)
            raise ZeroDivisionError
    assert not await kit.noted("undone")
    assert (await runtime.get_instance(instance.id)).version == 1
    assert await runtime.find_by_idempotency_key("bill", "k") is None
    await runtime.settled()
    assert heard.texts == ["$created None>open success"]
    assert not (await runtime.trigger_event(instance.id, "pay", idempotency_key="k")).replayed


async def test_20_an_error_swallowed_in_a_transaction_is_not_taken_for_a_commit(running, backend, kit, heard):
    """Where a command loses its transaction and says nothing, the step raises, and observers hear of no transition.

    The instance is free afterwards and takes the next event.
    """

    @command("charge")
    async def charge(ctx):
        await kit.note(ctx.connection, "charged")
        await backend.spoil(ctx.connection)

    settings = Settings(step_retry=Retry(attempts=1))
    runtime = await running(bill(commands=["charge"]), commands=[charge], settings=settings)
    instance = await runtime.create_instance("bill")
    with pytest.raises(Exception, match=r"transaction|swallowed"):
        await runtime.trigger_event(instance.id, "pay")
    assert (await runtime.get_instance(instance.id)).state == "open"
    assert not await kit.noted("charged")

    with suppress(Exception):
        async with kit.lend() as outside:
            await runtime.trigger_event(instance.id, "see", connection=outside)
            await backend.spoil(outside)
    assert "see" not in [entry.event for entry in await runtime.get_history(instance.id)]
    await runtime.settled()
    assert [text for text in transitions(heard) if "failed" not in text] == []
    assert (await runtime.trigger_event(instance.id, "see")).to_state == "open"


async def test_21_a_runtime_writes_to_its_own_database(running, backend, kit):
    """Called inside another database's transaction it neither joins nor follows it; that transaction is not accepted either.

    In duraflows the transaction is ambient; ours is lent by name.
    """

    @command("relay")
    async def relay(ctx):
        await there.trigger_event(theirs.id, ctx.subject)
        raise LookupError("undone here")

    elsewhere = await backend.elsewhere()
    here = await running(bill() | {"name": "relay"}, bill(commands=["relay"]), commands=[relay])
    there = await running(bill(), store=elsewhere)
    mine, theirs = await here.create_instance("relay"), await there.create_instance("bill")
    with suppress(ZeroDivisionError):
        async with kit.lend() as outside:
            await here.trigger_event(mine.id, "pay", connection=outside)
            await there.trigger_event(theirs.id, "pay")
            with pytest.raises(ConnectionNotSupported):
                await there.trigger_event(theirs.id, "refund", connection=outside)
            raise ZeroDivisionError
    assert (await here.get_instance(mine.id)).state == "open"
    assert (await there.get_instance(theirs.id)).state == "paid"

    caller = await here.create_instance("bill")
    with pytest.raises(LookupError):
        await here.trigger_event(caller.id, "pay", subject="refund")
    assert (await here.get_instance(caller.id)).state == "open"
    assert (await there.get_instance(theirs.id)).state == "refunded"


async def test_22_an_observer_that_fails_twice_over_harms_nobody(running, heard, caplog):
    """Neither what it raises nor what its `on_error` raises reaches the caller or the next observer."""

    class Broken(WorkflowObserver):
        async def on_transition(self, seen):
            raise RuntimeError("observer bug")

        async def on_error(self, error, seen):
            raise RuntimeError("and a bug in that") from error

    runtime = await running(bill(), observers=[Broken(), heard])
    instance = await runtime.create_instance("bill")
    assert (await runtime.trigger_event(instance.id, "pay")).to_state == "paid"
    await runtime.settled()
    assert transitions(heard) == ["pay open>paid success"]
    assert "and a bug in that" in caplog.text


async def test_23_an_observer_may_trigger_the_next_event(running, kit):
    """It is told after the commit, the caller's where the transaction was lent, and its event is a step of its own."""
    states = []

    class Next(WorkflowObserver):
        async def on_transition(self, seen):
            states.append((await runtime.get_instance(seen.instance.id)).state)
            if seen.entry.event == "pay":
                await runtime.trigger_event(seen.instance.id, "refund")

    runtime = await running(bill(), observers=[Next()])
    instance = await runtime.create_instance("bill")
    async with kit.lend() as outside:
        await runtime.trigger_event(instance.id, "pay", connection=outside)
        await runtime.settled()
        assert states == []
    await runtime.settled()
    assert states == ["paid", "refunded"]
    pay, refund = reversed(await runtime.get_history(instance.id, limit=2))
    assert (refund.event, refund.transition_id == pay.transition_id) == ("refund", False)


# ---------------------------------------------------------------------------------------------------------- timeouts


@command("post")
async def post(ctx):
    if ctx.context.get("broken"):
        raise ConnectionError("smtp is down")


async def test_24_failing_timeouts_do_not_starve_the_others(running, clock):
    """Three that always fail are due before two that do not: with two at a time all had their turn after three sweeps."""
    runtime = await running(waiting(commands=["post"]), commands=[post], settings=STEADY)
    broken = [await runtime.create_instance("wait", context={"broken": True}) for _ in range(3)]
    clock.advance("1s")
    sound = [await runtime.create_instance("wait") for _ in range(2)]
    clock.advance("1h")
    reports = [await runtime.process_timeouts(limit=2) for _ in range(3)]
    assert [(report.processed, report.failed) for report in reports] == [(0, 2), (1, 1), (1, 0)]
    assert [(await runtime.get_instance(one.id)).state for one in sound] == ["done"] * 2
    for one in broken:
        (timer,) = (await runtime.get_instance(one.id)).timers
        assert (timer.attempts, timer.reason) == (1, "smtp is down")


async def test_25_the_back_off_is_exact_and_outlives_the_worker(running, clock):
    """Delays of 10, 20, 25 and 25 seconds; nothing runs a millisecond early, and a runtime that has just started waits too."""
    retry = Retry(attempts=5, initial=timedelta(seconds=10), maximum=timedelta(seconds=25), jitter=0)
    definition, settings = waiting(commands=["post"]), Settings(timeout_retry=retry)
    runtime = await running(definition, commands=[post], settings=settings)
    instance = await runtime.create_instance("wait", context={"broken": True})
    clock.advance("1h")
    assert (await runtime.process_timeouts()).failed == 1
    for seconds in (10, 20, 25, 25):
        runtime = await running(definition, commands=[post], settings=settings)
        due = (await runtime.get_instance(instance.id)).due_at
        assert due == clock.now() + timedelta(seconds=seconds)
        clock.set(due - timedelta(milliseconds=1))
        assert (await runtime.process_timeouts()).failed == 0
        clock.advance(timedelta(milliseconds=1))
        assert (await runtime.process_timeouts()).failed == 1
    parked = await runtime.get_instance(instance.id)
    assert (parked.due_at, parked.timers[0].attempts, parked.timers[0].parked) == (None, 5, True)


async def test_26_an_event_by_hand_unparks_an_instance(running, clock):
    """Leaving the state, or entering it anew, forgets what was tried in vain; so does `rearm`."""
    settings = Settings(timeout_retry=Retry(attempts=1))
    runtime = await running(waiting(commands=["post"]), commands=[post], settings=settings)
    left, entered, woken = [await runtime.create_instance("wait", context={"broken": True}) for _ in range(3)]
    clock.advance("1h")
    assert (await runtime.process_timeouts()).parked == 3
    parked = await runtime.find_parked()
    assert {one.id for one in parked} == {left.id, entered.id, woken.id}
    assert {one.parked_at for one in parked} == {clock.now()}

    assert (await runtime.trigger_event(left.id, "pay")).instance.timers == ()
    again = (await runtime.trigger_event(entered.id, "restart")).instance
    assert [(timer.attempts, timer.parked, timer.due) for timer in again.timers] == [(0, False, clock.now() + HOUR)]
    rearmed = await runtime.rearm(woken.id)
    assert [(timer.attempts, timer.parked, timer.due) for timer in rearmed.timers] == [(0, False, clock.now())]
    assert [(await runtime.get_instance(one.id)).parked_at for one in parked] == [None] * 3
    assert len(await runtime.find_parked()) == 0


@pytest.mark.parametrize("event", ["pay", "restart"])
async def test_27_a_failure_is_not_recorded_on_an_instance_that_has_moved_on(running, store, clock, story, event):
    """Somebody moves it between the rollback of its timeout and the note of the failure: nothing is noted."""
    watched = Watched(store)
    sweeper = await running(waiting(commands=["post"]), commands=[post], store=watched, settings=STEADY)
    other = await running(waiting(commands=["post"]), commands=[post])
    instance = await other.create_instance("wait", context={"broken": True})
    clock.advance("1h")
    watched.before["apply"] = lambda: other.trigger_event(instance.id, event)
    report = await sweeper.process_timeouts()
    assert (report.processed, report.failed, watched.asked["apply"]) == (0, 0, 1)
    moved = await other.get_instance(instance.id)
    assert [timer.attempts for timer in moved.timers] == ([] if event == "pay" else [0])
    assert (await story(other, instance))[1:] == [f"2 {event} waiting>{moved.state} success"]


async def test_28_two_sweepers_share_a_thousand_due_rows_without_waiting_for_each_other(running, backend, clock):
    """Each row fires once. One sweeper is held inside a command, with its row locked, and the other one does all the rest.

    In duraflows the locks end with the scan, and both queue for the same rows. On SQLite, where one step holds the file, the
    other finds nothing and goes home.
    """
    gate = Gate()

    @command("hold")
    async def hold(ctx):
        await gate.passed()

    slow = waiting(commands=["hold"]) | {"name": "slow"}
    store = await backend.store(lock_timeout=0.5)
    async with asyncio.timeout(30), backend.kit(store).second() as other:
        one = await running(waiting(), slow, commands=[hold], store=store)
        two = await running(waiting(), slow, commands=[hold], store=other)
        rows = [await one.create_instance("slow")]
        clock.advance("1s")
        for _ in range(50):
            rows += await asyncio.gather(*(one.create_instance("wait") for _ in range(20)))
        clock.advance("1h")
        sweeps = {asyncio.create_task(runtime.process_timeouts(limit=2000)) for runtime in (one, two)}
        await gate.reached.wait()
        done, stuck = await asyncio.wait(sweeps, return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), len(stuck)) == (1, 1)
        left = await one.count_instances(states="waiting", group_by="workflow")
        gate.open()
        reports = [task.result() for task in done] + [await task for task in stuck]
    if backend.locks_rows:
        assert left == {"slow": 1}
    assert sum(report.processed for report in reports) == 1001
    assert sum(report.failed for report in reports) == 0
    assert await one.count_instances(group_by=("workflow", "state")) == {("slow", "done"): 1, ("wait", "done"): 1000}
    newest = [await store.history(row.id, limit=3) for row in rows]
    assert {tuple(entry.event for entry in entries) for entries in newest} == {("expire", "$created")}
