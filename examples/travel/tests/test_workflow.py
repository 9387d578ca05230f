"""The definitions alone, in memory: every path, with stubs for all commands that touch something."""

import pytest

from detent import Fail, Ok, validate
from detent.testing import WorkflowHarness, simple_paths
from examples.travel.commands import collect_vouchers, commands_with, order_vouchers, print_voucher
from examples.travel.partners import Partners
from examples.travel.workflow import trip, voucher

CHILDREN = [order_vouchers, collect_vouchers, print_voucher]


@pytest.fixture
async def harness():
    async with WorkflowHarness([trip, voucher], commands=commands_with(Partners())) as harness:
        harness.stub("note_booking")
        harness.stub("strike_booking")
        await harness.start("trip")
        yield harness


def test_the_definitions_are_sound():
    assert validate(trip) == []
    assert validate(voucher) == []


@pytest.mark.parametrize("path", simple_paths(trip, to="called_off"), ids=str)
async def test_a_failing_booking_calls_the_trip_off(path):
    async with WorkflowHarness([trip, voucher], commands=CHILDREN) as harness:
        await harness.run(path)
        await harness.assert_state(path.end)


async def test_an_approval_that_comes_early_waits_for_the_booking(harness):
    await harness.send("approve")
    await harness.assert_state("planned")
    await harness.trigger("book")
    await harness.assert_state("ready")
    assert harness.context["vouchers"] == ["voucher for CAR-1", "voucher for HOTEL-1"]


async def test_an_approval_that_comes_late_is_taken_at_once(harness):
    await harness.trigger("book")
    await harness.assert_state("booked")
    await harness.send("approve")
    await harness.assert_state("ready")


async def test_the_parent_hears_once_of_both_vouchers(harness):
    await harness.run(["book", "approve"])
    heard = [entry for entry in harness.history if entry.event == "vouchers_printed"]
    assert [len(entry.payload["children"]) for entry in heard] == [2]


async def test_without_a_car_hotel_and_flight_are_given_back_in_reverse(harness):
    harness.stub("book_car", answer=Fail("sold_out"))
    await harness.trigger("book")
    await harness.assert_state("called_off")
    cancelled = [call.name for call in harness.calls() if call.name.startswith("cancel_")]
    assert cancelled == ["cancel_hotel", "cancel_flight"]
    harness.assert_not_called("note_booking")


async def test_an_airline_that_is_away_is_asked_again_under_the_same_key(harness):
    harness.stub("book_flight", answers=[ConnectionError("away"), Ok(data="F-1")])
    await harness.trigger("book")
    await harness.advance("1s")
    await harness.assert_state("booked")
    first, second = harness.assert_called("book_flight", times=2)
    assert first.key == second.key


async def test_nobody_approves_for_three_days(harness):
    await harness.trigger("book")
    await harness.advance("3d")
    await harness.assert_state("lapsed")
    harness.assert_called("strike_booking", times=1)
