"""Idempotency keys of events: the same key gets the same answer and nothing runs twice."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from detent import Fail, Refuse, Settings, command, guard
from detent.errors import CommandFailed, IdempotencyConflict, InstanceNotFound, InvalidValue, ReentrantTrigger
from detent.ids import new_id
from detent.testing.clock import FakeClock

BILL = {
    "name": "bill",
    "initial_state": "open",
    "states": {
        "open": {
            "events": {
                "see": {"target": "open"},
                "pay": {"target": "paid", "commands": ["charge"], "error": "declined"},
                "post": {"target": "sent", "guard": "has_stamp"},
            }
        },
        "sent": {"events": {"return": {"target": "open"}}},
        "paid": {},
        "declined": {"outcome": "failure"},
    },
}


class Bank:
    def __init__(self) -> None:
        self.charged = 0
        self.answer: object = None
        self.stamped: object = True


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
async def runtime(running, bank):
    @command("charge")
    async def charge(ctx):
        bank.charged += 1
        if isinstance(bank.answer, Exception):
            raise bank.answer
        return bank.answer

    @guard("has_stamp")
    def has_stamp(ctx):
        return bank.stamped

    return await running(BILL, commands=[charge], guards=[has_stamp])


@pytest.fixture
async def bill(runtime):
    return await runtime.create_instance("bill")


@pytest.mark.parametrize("event", ["pay", "post", "see"])
async def test_the_same_key_gets_the_same_answer_and_nothing_runs_twice(runtime, bill, bank, recorder, event):
    first = await runtime.trigger_event(bill.id, event, idempotency_key="k1")
    await runtime.settled()
    heard = len(recorder.heard)
    again = await runtime.trigger_event(bill.id, event, idempotency_key="k1")
    assert again == replace(first, replayed=True)
    assert not first.replayed
    assert bank.charged == (event == "pay")
    await runtime.settled()
    assert len(recorder.heard) == heard
    assert len(await runtime.get_history(bill.id)) == 2


async def test_a_routed_failure_and_a_refusal_are_remembered(runtime, bill, bank):
    bank.stamped = Refuse("no stamp")
    refused = await runtime.trigger_event(bill.id, "post", idempotency_key="r")
    bank.stamped = True
    assert (await runtime.trigger_event(bill.id, "post", idempotency_key="r")).reason == "no stamp"
    assert refused.outcome == "refused"
    bank.answer = Fail("no_money", "account is empty")
    failed = await runtime.trigger_event(bill.id, "pay", idempotency_key="f")
    again = await runtime.trigger_event(bill.id, "pay", idempotency_key="f")
    assert again.commands == failed.commands
    assert (again.outcome, again.to_state, again.reason) == ("failure", "declined", "account is empty")
    assert bank.charged == 1


async def test_a_refusal_that_is_not_recorded_is_remembered_without_an_entry(running):
    @guard("has_stamp")
    def has_stamp(ctx):
        return False

    states = {"open": {"events": {"post": {"target": "sent", "guard": "has_stamp"}}}, "sent": {}}
    quiet = {"name": "quiet", "initial_state": "open", "record_refusals": False, "states": states}
    runtime = await running(quiet, guards=[has_stamp])
    made = await runtime.create_instance("quiet")
    first = await runtime.trigger_event(made.id, "post", idempotency_key="k")
    again = await runtime.trigger_event(made.id, "post", idempotency_key="k")
    assert (first.replayed, again.replayed) == (False, True)
    assert (await runtime.get_instance(made.id)).version == 1
    with pytest.raises(IdempotencyConflict):
        await runtime.trigger_event(made.id, "post", idempotency_key="k", idempotency_fingerprint="other")


async def test_what_raised_is_not_remembered(runtime, bill, bank):
    bank.answer = RuntimeError("down")
    with pytest.raises(RuntimeError):
        await runtime.trigger_event(bill.id, "pay", idempotency_key="k")
    bank.answer = None
    result = await runtime.trigger_event(bill.id, "pay", idempotency_key="k")
    assert (result.replayed, result.to_state, bank.charged) == (False, "paid", 2)


async def test_a_key_is_answered_wherever_the_instance_is_by_now(runtime, bill):
    first = await runtime.trigger_event(bill.id, "post", idempotency_key="k")
    await runtime.trigger_event(bill.id, "return")
    await runtime.cancel(bill.id)
    again = await runtime.trigger_event(bill.id, "post", idempotency_key="k")
    assert (again.to_state, again.history_sequence) == (first.to_state, first.history_sequence)
    assert (again.instance.state, again.instance.status) == ("open", "cancelled")


@pytest.mark.parametrize(
    ("event", "fingerprint"),
    [("pay", "a"), ("see", "b"), ("see", None)],
    ids=["another event", "another fingerprint", "no fingerprint"],
)
async def test_the_same_key_for_another_request_is_a_conflict(runtime, bill, event, fingerprint):
    await runtime.trigger_event(bill.id, "see", idempotency_key="k", idempotency_fingerprint="a")
    with pytest.raises(IdempotencyConflict) as told:
        await runtime.trigger_event(bill.id, event, idempotency_key="k", idempotency_fingerprint=fingerprint)
    assert told.value.key == "k"


async def test_a_key_is_unique_per_instance_and_apart_from_creations(runtime, bill):
    other = await runtime.create_instance("bill", idempotency_key="k")
    for made in (bill, other):
        assert not (await runtime.trigger_event(made.id, "see", idempotency_key="k")).replayed


async def test_a_key_expires(running, clock: FakeClock, bank):
    runtime = await running(
        {"name": "bell", "initial_state": "on", "states": {"on": {"events": {"ring": {"target": "on"}}}}},
        settings=Settings(),
    )
    bell = await runtime.create_instance("bell")
    await runtime.trigger_event(bell.id, "ring", idempotency_key="k")
    clock.advance("29d")
    assert (await runtime.trigger_event(bell.id, "ring", idempotency_key="k")).replayed
    clock.advance("1d")
    assert not (await runtime.trigger_event(bell.id, "ring", idempotency_key="k")).replayed
    assert (await runtime.get_instance(bell.id)).version == 3


@pytest.mark.parametrize("event", ["pay", "see"])
async def test_of_many_at_once_one_runs_and_all_get_its_answer(runtime, bill, bank, event):
    calls = [runtime.trigger_event(bill.id, event, idempotency_key="k") for _ in range(16)]
    results = await asyncio.gather(*calls)
    assert [result.replayed for result in results].count(False) == 1
    assert {result.history_sequence for result in results} == {2}
    assert bank.charged == (event == "pay")


async def test_a_command_that_asks_again_under_its_own_key_is_told_so_and_the_step_succeeds(running):
    told: list[Exception] = []

    @command("charge")
    async def charge(ctx):
        try:
            await asking.trigger_event(ctx.instance_id, "pay", idempotency_key="k")
        except ReentrantTrigger as error:
            told.append(error)

    @guard("has_stamp")
    def has_stamp(ctx):
        return True

    asking = await running(BILL, commands=[charge], guards=[has_stamp])
    bill = await asking.create_instance("bill")
    assert (await asking.trigger_event(bill.id, "pay", idempotency_key="k")).to_state == "paid"
    assert len(told) == 1


async def test_a_key_shares_the_fate_of_a_lent_transaction(runtime, bill, store):
    with suppress(ZeroDivisionError):
        async with store.begin() as transaction:
            await runtime.trigger_event(bill.id, "see", idempotency_key="k", connection=transaction)
            again = await runtime.trigger_event(bill.id, "see", idempotency_key="k", connection=transaction)
            assert again.replayed
            raise ZeroDivisionError
    assert not (await runtime.trigger_event(bill.id, "see", idempotency_key="k")).replayed


async def test_keys_are_compared_to_the_byte(runtime, bill):
    keys = ["Key", "key", " key", "\u00e9", "e\u0301", "k" * 256, "\u20ac" * 85]
    results = [await runtime.trigger_event(bill.id, "see", idempotency_key=key) for key in keys]
    assert [result.replayed for result in results] == [False] * len(keys)


@pytest.mark.parametrize("key", ["", "  ", "a\0b", "\ud800", "k" * 257, "\u20ac" * 86, 5, b"k"])
async def test_a_key_that_cannot_be_one_is_refused(runtime, bill, key):
    with pytest.raises(InvalidValue, match="idempotency_key"):
        await runtime.trigger_event(bill.id, "see", idempotency_key=key)
    with pytest.raises(InvalidValue, match="idempotency_fingerprint"):
        await runtime.trigger_event(bill.id, "see", idempotency_key="k", idempotency_fingerprint=key)
    assert (await runtime.get_instance(bill.id)).version == 1


async def test_an_instance_is_found_by_the_key_it_was_created_under(runtime, clock):
    made = await runtime.create_instance("bill", idempotency_key="order-7")
    await runtime.trigger_event(made.id, "post")
    found = await runtime.find_by_idempotency_key("bill", "order-7")
    assert (found.id, found.state) == (made.id, "sent")
    assert await runtime.find_by_idempotency_key("bill", "order-8") is None
    assert await runtime.find_by_idempotency_key("other", "order-7") is None
    clock.advance("30d")
    assert await runtime.find_by_idempotency_key("bill", "order-7") is None


async def test_a_key_does_not_answer_for_an_instance_that_is_not_there(runtime, bill):
    with pytest.raises(InstanceNotFound):
        await runtime.trigger_event(new_id(), "see", idempotency_key="k")


async def test_an_unrouted_failure_leaves_no_receipt(running):
    @command("charge")
    def charge(ctx):
        return Fail("no")

    runtime = await running(
        {"name": "b", "initial_state": "o", "states": {"o": {"events": {"pay": {"commands": ["charge"]}}}}},
        commands=[charge],
    )
    made = await runtime.create_instance("b")
    for _ in range(2):
        with pytest.raises(CommandFailed):
            await runtime.trigger_event(made.id, "pay", idempotency_key="k")
    assert len(await runtime.get_history(made.id)) == 3
