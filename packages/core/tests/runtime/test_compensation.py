"""Compensation: what was done is undone in reverse, durably, on the way to the error target."""

from datetime import timedelta
from typing import Any

import pytest

from detent import Fail, GiveUp, Goto, Retry, RunStatus, Status, command, guard
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


TRIP: dict[str, Any] = {
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


async def test_a_run_that_is_parked_while_undoing_says_why_it_undoes_and_what_is_left(running, clock):
    commands, _ = trip(undo_answers=[None, KeyError("boom"), KeyError("boom"), None])
    runtime = await running(TRIP, commands=commands)
    result = await booked(runtime)
    await runtime.process_runs()
    explanation = await runtime.explain(result.instance.id)
    told = "What was done is undone, because command 'car' failed with sold_out: no car left; "
    assert f"{told}undone: 'hotel'; not yet undone: 'flight'." in explanation.sentences
    assert (explanation.undoing.undone, explanation.undoing.left) == (("hotel",), ("flight",))
    clock.advance("1m")
    assert (await runtime.process_runs()).parked == 1
    run = await runtime.runs.get(result.run_id)
    assert run.reason == (
        "KeyError: 'boom'; it was undoing what was done, because command 'car' failed with sold_out: no car left"
    )
    assert (run.error["code"], run.error["message"]) == ("KeyError", "'boom'")
    explanation = await runtime.explain(result.instance.id)
    assert run.reason in explanation.problems[0]
    assert f"{told}undone: 'hotel'; not yet undone: 'flight'." in explanation.sentences
    assert explanation.last.reason == run.reason
    await runtime.runs.retry(run.id)
    assert (await runtime.process_runs()).completed == 1
    assert (await runtime.explain(result.instance.id)).undoing is None


async def test_a_run_that_undoes_nothing_says_nothing_of_it(running):
    commands, _ = trip(undo_answers=[Fail("stuck")])
    bare = {**TRIP, "states": {**TRIP["states"], "planned": {"events": {"book": _without_undoing()}}}}
    runtime = await running(bare, commands=commands)
    result = await booked(runtime)
    assert (await runtime.explain(result.instance.id)).undoing is None
    assert (await runtime.process_runs()).completed == 1


def _without_undoing():
    return {"target": "booked", "error": "failed", "commands": ["flight", "car"]}


async def test_what_an_entry_did_before_it_chose_an_event_is_to_be_undone_with_that_event(running):
    commands, done = trip(undo_answers=[KeyError("boom")])

    @command("choose", durable=True)
    async def choose(ctx):
        return Goto("book")

    planned = {
        **TRIP["states"]["planned"],
        "on_enter": {"commands": [{"name": "choose", "compensate": ["undo_hotel"]}], "target": "booked"},
    }
    planned["on_enter"]["error"] = "failed"
    chosen = {**TRIP, "states": {**TRIP["states"], "planned": planned}}
    runtime = await running(chosen, commands=[*commands, choose])
    made = await runtime.create_instance("trip")
    assert (await runtime.process_runs()).retrying == 1
    assert done == ["flight", "hotel", "car", "undo hotel"]
    undoing = (await runtime.explain(made.id)).undoing
    assert (undoing.undone, undoing.left) == ((), ("hotel", "flight", "choose"))


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


CHOICE = {
    "name": "choice",
    "initial_state": "fork",
    "states": {
        "fork": {
            "on_enter": {"commands": [{"name": "flight", "compensate": ["undo_flight"]}, "choose"], "error": "failed"},
            "events": {"left": {"target": "end", "error": "failed", "guard": "open", "commands": ["car"]}},
        },
        "end": {},
        "failed": {"outcome": "failure"},
    },
}


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("is_open", [True, False], ids=["its command fails", "it is refused"])
async def test_what_was_done_before_a_chosen_event_is_undone_where_that_fails(running, durable, is_open):
    commands, done = trip(durable=durable)

    @command("choose")
    async def choose(ctx):
        return Goto("left")

    @guard("open")
    def may(ctx):
        return is_open

    runtime = await running(CHOICE, commands=[*commands, choose], guards=[may])
    instance = await runtime.create_instance("choice")
    await runtime.process_runs()
    assert (await runtime.get_instance(instance.id)).state == "failed"
    assert done == ["flight", *(["car"] if is_open else []), "undo flight"]
