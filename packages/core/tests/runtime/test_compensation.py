"""Compensation: what was done is undone in reverse, durably, on the way to the error target."""

from datetime import timedelta

import pytest

from detent import Fail, GiveUp, Retry, RunStatus, Status, command
from detent.errors import CommandFailed

STEADY = Retry(attempts=2, initial=timedelta(minutes=1), jitter=0)


def trip(*, durable=True, car_fails=True, undo_answers=None):
    """Commands that book a flight, a hotel and a car, and those that undo the first two; and the list of what was done."""
    done = []
    answers = list(undo_answers or [])

    def booking(name, answer=None):
        @command(name, durable=durable, retry=STEADY)
        async def book(ctx):
            done.append(name)
            ctx.context[name] = "booked"
            return answer

        return book

    def undoing(name):
        @command(f"undo_{name}", durable=durable, retry=STEADY)
        async def undo(ctx):
            done.append(f"undo {name}")
            ctx.context[name] = "undone"
            answer = answers.pop(0) if answers else None
            if isinstance(answer, Exception):
                raise answer
            return answer

        return undo

    car = booking("car", Fail("sold_out", "no car left") if car_fails else None)
    commands = [booking("flight"), booking("hotel"), car, undoing("flight"), undoing("hotel")]
    return commands, done


TRIP = {
    "name": "trip",
    "initial_state": "planned",
    "states": {
        "planned": {
            "events": {
                "book": {
                    "target": "booked",
                    "error": "failed",
                    "commands": [
                        {"name": "flight", "compensate": ["undo_flight"]},
                        {"name": "hotel", "compensate": ["undo_hotel"]},
                        "car",
                    ],
                }
            }
        },
        "booked": {},
        "failed": {"outcome": "failure"},
    },
}


async def booked(runtime):
    created = await runtime.create_instance("trip")
    return await runtime.trigger_event(created.id, "book")


async def test_what_was_done_is_undone_in_reverse(running):
    commands, done = trip()
    runtime = await running(TRIP, commands=commands)
    result = await booked(runtime)
    assert (await runtime.process_runs()).completed == 1
    assert done == ["flight", "hotel", "car", "undo hotel", "undo flight"]
    after = await runtime.get_instance(result.instance.id)
    assert (after.state, after.status) == ("failed", Status.FAILED)
    assert (after.context["flight"], after.context["hotel"]) == ("undone", "undone")
    last = (await runtime.get_history(after.id))[0]
    assert last.reason == "no car left"
    assert [(c.name, c.ok, c.compensates) for c in last.commands] == [
        ("flight", True, None),
        ("hotel", True, None),
        ("car", False, None),
        ("undo_hotel", True, "hotel"),
        ("undo_flight", True, "flight"),
    ]


async def test_nothing_is_undone_where_all_succeeds(running):
    commands, done = trip(car_fails=False)
    runtime = await running(TRIP, commands=commands)
    await booked(runtime)
    await runtime.process_runs()
    assert done == ["flight", "hotel", "car"]


async def test_an_undoing_that_fails_is_repeated_and_what_is_undone_stays_undone(running, clock):
    commands, done = trip(undo_answers=[None, OSError("down"), None])
    runtime = await running(TRIP, commands=commands)
    result = await booked(runtime)
    assert (await runtime.process_runs()).retrying == 1
    clock.advance("1m")
    assert (await runtime.process_runs()).completed == 1
    assert done == ["flight", "hotel", "car", "undo hotel", "undo flight", "undo flight"]
    assert (await runtime.get_instance(result.instance.id)).state == "failed"


@pytest.mark.parametrize("answer", [Fail("stuck"), GiveUp("stuck")])
async def test_an_undoing_that_cannot_be_done_waits_for_an_operator(running, answer):
    commands, done = trip(undo_answers=[answer, None, None])
    runtime = await running(TRIP, commands=commands)
    result = await booked(runtime)
    assert (await runtime.process_runs()).parked == 1
    run = await runtime.runs.get(result.run_id)
    assert (run.status, run.command) == (RunStatus.PARKED, "undo_hotel")
    await runtime.runs.retry(run.id)
    assert (await runtime.process_runs()).completed == 1
    assert done == ["flight", "hotel", "car", "undo hotel", "undo hotel", "undo flight"]


async def test_a_command_whose_attempts_are_used_up_is_compensated_for_as_well(running, clock):
    commands, done = trip()

    @command("car", durable=True, retry=STEADY)
    async def car(ctx):
        done.append("car")
        raise OSError("no line")

    runtime = await running(TRIP, commands=[*commands[:2], car, *commands[3:]])
    result = await booked(runtime)
    await runtime.process_runs()
    clock.advance("1m")
    await runtime.process_runs()
    assert done == ["flight", "hotel", "car", "car", "undo hotel", "undo flight"]
    assert (await runtime.get_instance(result.instance.id)).state == "failed"


async def test_in_one_transaction_it_works_the_same(running):
    commands, done = trip(durable=False)
    runtime = await running(TRIP, commands=commands)
    result = await booked(runtime)
    assert (result.outcome, result.to_state) == ("failure", "failed")
    assert done == ["flight", "hotel", "car", "undo hotel", "undo flight"]


async def test_in_one_transaction_an_undoing_that_fails_rolls_everything_back(running):
    commands, _ = trip(durable=False, undo_answers=[Fail("stuck")])
    runtime = await running(TRIP, commands=commands)
    created = await runtime.create_instance("trip")
    with pytest.raises(CommandFailed, match="undo_hotel"):
        await runtime.trigger_event(created.id, "book")
    after = await runtime.get_instance(created.id)
    assert (after.state, after.context) == ("planned", {})


async def test_a_transactional_command_with_a_durable_undoing_becomes_a_run(running):
    commands, done = trip(durable=False)

    @command("undo_flight", durable=True)
    async def undo_flight(ctx):
        done.append("undo flight outside")

    runtime = await running(TRIP, commands=[*commands[:3], undo_flight, commands[4]])
    assert (await booked(runtime)).outcome == "accepted"
    await runtime.process_runs()
    assert done == ["flight", "hotel", "car", "undo hotel", "undo flight outside"]
