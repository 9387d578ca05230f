"""FlowMonkey's behaviours 1 to 11, 22, 26, 27 and 34 on every store: steps, selectors, retries, who runs what, and history.

The number in a name is that of the acceptance test in its inventory. `test_flowmonkey_waits.py` has those of waits, tokens, keys
and cancellation, `test_flowmonkey_failures.py` those of dead workers, limits and bad input.
"""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from detent import ExecutionStatus, Timeouts, WorkflowObserver
from detent.errors import UnknownVersion
from detent.flows import Flow, UnknownFlow, failure, goto, success, wait, wait_for_event
from tests.parity.flows import Told, chain, single

RETRIED = {"max_attempts": 5, "backoff_ms": 100, "backoff_multiplier": 3, "max_backoff_ms": 1000}


async def test_01_a_flow_of_two_steps_runs_to_its_end_and_keeps_both_outputs(flowing):
    work = Told(success("of a"), success("of b"))
    process = await flowing(chain("a", "b"), handlers=[work.handler])
    ended = await process.done("chain", {"given": 1})
    assert (ended.status, ended.step_count, ended.current_step) == (ExecutionStatus.COMPLETED, 2, None)
    assert ended.context == {"given": 1, "a": "of a", "b": "of b"}
    assert (ended.error, ended.wait_reason, ended.wake_at) == (None, None, None)
    assert work.steps == ["a", "b"]


CONTEXT = {"user": {"name": "Ada", "tags": ["x", "y"]}, "n": 7, "none": None, "a.b": "dotted"}


@pytest.mark.parametrize(
    ("selector", "value"),
    [
        ({"type": "key", "key": "n"}, 7),
        ({"type": "key", "key": "a.b"}, "dotted"),
        ({"type": "key", "key": "missing"}, None),
        ({"type": "keys", "keys": ["n", "none", "missing"]}, {"n": 7, "none": None}),
        ({"type": "path", "path": "user.tags.1"}, "y"),
        ({"type": "path", "path": "none.deeper"}, None),
        ({"type": "path", "path": "user.name.length"}, None),
        ({"type": "template", "template": {"${n}": ["${n}", "#${n}", "[${missing}]", "${none} ${user.tags}", 1]}},
         {"${n}": [7, "#7", "[]", 'null ["x", "y"]', 1]}),
        ({"type": "full"}, CONTEXT),
        ({"type": "static", "value": [1]}, [1]),
    ],
)  # fmt: skip
async def test_02_each_selector_picks_what_its_table_says(flowing, selector, value):
    """In FlowMonkey's spelling; an object inside a text is its JSON, where FlowMonkey writes `[object Object]`."""
    process = await flowing(single(type="echo", input=selector))
    ended = await process.done("single", CONTEXT)
    assert ended.context == {**CONTEXT, "answer": {"was": value}}


def recovered(**first):
    """A flow whose first step fails, and whose other step deals with it."""
    steps = {
        "first": {"type": "fail", "on_failure": "mend", "on_success": "never", **first},
        "mend": {"type": "work", "output_key": "mended"},
        "never": {"type": "work"},
    }
    return Flow("recovered", initial_step_id="first", steps=steps)


async def test_03_a_failed_step_is_followed_by_the_one_that_deals_with_it(flowing):
    work = Told(success("yes"))
    process = await flowing(recovered(), handlers=[work.handler])
    ended = await process.done("recovered")
    assert (ended.status, ended.context["mended"], work.steps) == (ExecutionStatus.COMPLETED, "yes", ["mend"])


async def test_04_the_step_that_deals_with_a_failure_reads_what_it_was(flowing, clock):
    work = Told(success("yes"))
    process = await flowing(recovered(config={"code": "CARD"}), handlers=[work.handler])
    ended = await process.done("recovered")
    [call] = work.calls
    assert call.error == {
        "code": "CARD",
        "message": "not today",
        "step_id": "first",
        "details": {"why": "rain"},
        "timestamp": clock.now().isoformat(),
    }
    assert ended.context["error"] == call.error


async def test_05_without_such_a_step_the_flow_fails_and_says_where_when_and_why(flowing, clock):
    process = await flowing(single(type="fail", config={"code": "CARD"}))
    ended = await process.done("single", {"given": 1})
    assert (ended.status, ended.ended, ended.step_count) == (ExecutionStatus.FAILED, True, 1)
    error = ended.error
    assert (error.code, error.message, error.step_id) == ("CARD", "not today", "only")
    assert (error.details, error.timestamp) == ({"why": "rain"}, clock.now())


@pytest.mark.parametrize(("raised", "said"), [(LookupError("no such thing"), "LookupError: no such thing")])
async def test_05_what_a_handler_raises_is_a_failure(flowing, raised, said):
    process = await flowing(single(), handlers=[Told(raised).handler])
    ended = await process.done("single")
    assert (ended.status, ended.error.code, ended.error.message) == (ExecutionStatus.FAILED, "HANDLER_ERROR", said)


async def test_05_an_answer_that_is_no_result_is_a_failure(flowing):
    process = await flowing(single(), handlers=[Told({"outcome": "success"}).handler])
    ended = await process.done("single")
    assert (ended.status, ended.error.code) == (ExecutionStatus.FAILED, "HANDLER_ERROR")


@pytest.mark.parametrize("targets", [True, False, lambda config: config.get("to", [])])
async def test_06_going_to_a_step_that_is_not_there_fails(flowing, targets):
    work = Told(goto("nowhere", "lost"), targets=targets)
    process = await flowing(single(), handlers=[work.handler])
    ended = await process.done("single")
    assert (ended.status, ended.error.code, ended.context.keys()) == ("failed", "INVALID_TRANSITION", {"error"})


async def test_06_a_handler_chooses_the_next_step_or_the_end_whatever_the_transitions_say(flowing):
    work = Told(goto("c", "jumped"), goto(None, "enough"))
    process = await flowing(chain("a", "b", "c", "d"), handlers=[work.handler])
    ended = await process.done("chain")
    assert (ended.status, work.steps) == (ExecutionStatus.COMPLETED, ["a", "c"])
    assert ended.context == {"a": "jumped", "c": "enough"}


async def test_07_an_endless_loop_ends_when_it_has_begun_as_many_steps_as_it_may(flowing):
    work = Told(success())
    step = {"type": "work", "on_success": "again"}
    flow = {"id": "loop", "initialStepId": "again", "steps": {"again": step}, "maxSteps": 20}
    process = await flowing(flow, handlers=[work.handler])
    ended = await process.done("loop")
    assert (ended.status, ended.error.code, ended.step_count) == (ExecutionStatus.FAILED, "MAX_STEPS", 20)
    assert len(work.calls) == 20


async def test_08_a_step_that_may_be_tried_twice_more_is_tried_three_times(flowing):
    work = Told(failure("BUSY", "come back"))
    process = await flowing(single(retry={"max_attempts": 2}), handlers=[work.handler])
    ended = await process.flows.run((await process.flows.start_flow("single")).id, simulate_time=True)
    assert (ended.status, ended.error.code, ended.step_count) == (ExecutionStatus.FAILED, "BUSY", 1)
    assert [call.attempt for call in work.calls] == [1, 2, 3]
    assert len({call.key for call in work.calls}) == 1


async def test_08_the_count_begins_anew_with_each_step(flowing):
    busy = failure("BUSY")
    work = Told(busy, busy, success(), busy, busy, success())
    flow = chain("a", "b").to_dict()
    for step in flow["steps"].values():
        step["retry"] = {"max_attempts": 2}
    process = await flowing(flow, handlers=[work.handler])
    ended = await process.flows.run((await process.flows.start_flow("chain")).id, simulate_time=True)
    assert ended.status is ExecutionStatus.COMPLETED
    assert [(call.step, call.attempt) for call in work.calls] == [(step, n) for step in "ab" for n in (1, 2, 3)]
    assert len({call.key for call in work.calls}) == 2


async def test_09_the_delays_between_attempts_grow_up_to_their_cap_and_are_waits(flowing, clock):
    work = Told(failure("BUSY", "come back"))
    process = await flowing(single(retry=RETRIED), handlers=[work.handler])
    seen = await process.done("single")
    delays = []
    while not seen.ended:
        assert (seen.status, seen.current_step, seen.wait_reason) == ("waiting", "only", "the step is tried again")
        delays.append(seen.wake_at - clock.now())
        clock.advance(delays[-1] - timedelta(microseconds=1))
        await process.flows.run(seen.id)
        assert len(work.calls) == len(delays)
        clock.advance(timedelta(microseconds=1))
        seen = await process.flows.run(seen.id)
    assert [delay / timedelta(milliseconds=1) for delay in delays] == [100, 300, 900, 1000, 1000]
    assert (seen.status, len(work.calls)) == (ExecutionStatus.FAILED, 6)


async def test_09_a_failure_may_say_itself_when_to_come_back(flowing, clock):
    work = Told(failure("LIMITED", retry_after=timedelta(minutes=7)), success("in"))
    process = await flowing(single(retry=RETRIED), handlers=[work.handler])
    seen = await process.done("single")
    assert seen.wake_at == clock.now() + timedelta(minutes=7)
    clock.advance("7m")
    assert (await process.flows.run(seen.id)).context["answer"] == "in"


async def test_10_a_failure_with_another_code_than_those_to_repeat_is_not_repeated(flowing):
    work = Told(failure("TRANSIENT"), failure("PERMANENT"))
    process = await flowing(single(retry={"max_attempts": 5, "retry_on": ["TRANSIENT"]}), handlers=[work.handler])
    ended = await process.flows.run((await process.flows.start_flow("single")).id, simulate_time=True)
    assert (ended.error.code, len(work.calls)) == ("PERMANENT", 2)


async def test_11_a_failure_that_says_that_nothing_helps_is_not_repeated(flowing):
    work = Told(failure("CARD", retryable=False))
    process = await flowing(single(retry=RETRIED), handlers=[work.handler])
    ended = await process.done("single")
    assert (ended.status, ended.error.code, len(work.calls)) == (ExecutionStatus.FAILED, "CARD", 1)


async def test_22_three_that_run_the_same_execution_at_once_call_each_handler_once(flowing, backend, store):
    """Three callers, in two processes where the store allows; whoever finds a step taken leaves it to who has it."""

    async def answered(ctx):
        # Others come in between.
        await asyncio.gather(*(process.flows.get(ctx.execution_id) for process in processes))
        return success(ctx.step_id)

    work, steps = Told(answered), ["a", "b", "c", "d", "e"]
    flow = chain(*steps)
    async with backend.kit(store).second() as second:
        one = await flowing(flow, handlers=[work.handler])
        two = await flowing(flow, handlers=[work.handler], store=second)
        processes = [one, two, two]
        started = await one.flows.start_flow("chain")
        async with asyncio.timeout(20):
            await asyncio.gather(*(process.flows.run(started.id) for process in processes))
        ended = await two.flows.get(started.id)
    assert (ended.status, ended.step_count, work.steps) == (ExecutionStatus.COMPLETED, 5, steps)
    assert ended.context == {step: step for step in steps}


@pytest.mark.parametrize("knows", ["nothing of the flow", "an older version"])
async def test_26_a_process_without_the_handlers_leaves_an_execution_to_another(flowing, backend, store, knows):
    """In a rolling deployment the old processes meet executions of flows that only the new ones can run."""
    new, old = Told(success("new"), type_="new"), Told(success("old"))
    async with backend.kit(store).second() as second:
        one = await flowing(*[chain("a")] * (knows == "an older version"), handlers=[old.handler])
        two = await flowing(chain("a", "b", version="2", type_="new"), handlers=[new.handler], store=second)
        started = await two.flows.start_flow("chain", {"n": 1})
        assert (await one.runtime.process_runs()).completed == 0
        left = await one.flows.run(started.id)
        assert (left.status, left.flow_version, left.context, left.error) == ("pending", "2", {"n": 1}, None)
        ended = await two.flows.run(started.id)
    assert (ended.status, ended.context) == ("completed", {"n": 1, "a": "new", "b": "new"})
    assert [call.attempt for call in new.calls] == [1, 1]
    assert old.calls == []


async def test_26_a_process_with_the_handlers_alone_runs_the_version_that_it_was_started_with(flowing, backend, store):
    """The flow itself is in the store."""
    work = Told(success("done"))
    async with backend.kit(store).second() as second:
        one = await flowing(chain("a"), handlers=[work.handler])
        two = await flowing(chain("b", "c", version="2"), handlers=[work.handler], store=second)
        started = await two.flows.start_flow("chain")
        ended = await one.flows.run(started.id)
    assert (ended.status, ended.flow_version, work.steps) == ("completed", "2", ["b", "c"])


async def test_27_versions_are_ordered_as_versions_and_an_execution_stays_on_its_own(flowing):
    work = Told(wait_for_event("a person"), success("late"))
    process = await flowing(chain("a", "b", version="1.9.0"), handlers=[work.handler])
    old = await process.done("chain")
    await process.flows.flows.save(chain("a", "c", version="1.10.0"))
    await process.flows.flows.save(chain("a", "d", version="1.2.0"))
    assert (await process.flows.flows.latest("chain")).version == "1.10.0"
    assert await process.flows.flows.versions("chain") == ["1.2.0", "1.9.0", "1.10.0"]
    assert (await process.flows.start_flow("chain")).flow_version == "1.10.0"
    assert (await process.flows.start_flow("chain", version="1.2.0")).flow_version == "1.2.0"

    await process.flows.resume(old.id)
    ended = await process.flows.run(old.id)
    assert (ended.status, ended.flow_version, ended.context) == ("completed", "1.9.0", {"b": "late"})


async def test_27_a_version_or_a_flow_that_is_not_there_cannot_be_started(flowing):
    process = await flowing(single(type="echo"))
    for name, version in (("single", "7"), ("nothing", None)):
        with pytest.raises((UnknownFlow, UnknownVersion)) as refused:
            await process.flows.start_flow(name, version=version)
        assert refused.value.code == "unknown_flow"
    assert (await process.runtime.count_instances())[()] == 0


async def test_34_history_tells_in_order_all_that_happened(flowing, clock):
    """A retry is no entry of its own: observers hear of it, and the record of the command says which attempt answered."""
    work = Told(failure("BUSY"), wait_for_event("a person"), wait(timedelta(hours=1)), failure("CARD"), success())
    steps: dict[str, Any] = {
        "ask": {"type": "work", "retry": {"max_attempts": 1}, "on_success": "nap"},
        "nap": {"type": "work", "on_success": "pay"},
        "pay": {"type": "work", "on_failure": "mend"},
        "mend": {"type": "work"},
    }
    process = await flowing(Flow("long", initial_step_id="ask", steps=steps), handlers=[work.handler])
    waits = await process.done("long")
    waits = await process.flows.run(waits.id, simulate_time=True)
    assert waits.wait_reason == "a person"
    await process.flows.resume(waits.id, {"ok": True})
    await process.flows.run(waits.id)
    clock.advance("1h")
    assert (await process.flows.run(waits.id)).status is ExecutionStatus.COMPLETED
    entries = await process.runtime.get_history(waits.id)
    assert [entry.sequence for entry in entries] == list(range(len(entries), 0, -1))
    told = [line for line in await process.events(waits.id) if not line.endswith("accepted")]
    assert told == [
        "$created None>ask success",
        "wait ask>ask.waiting success",
        "resume ask.waiting>nap success",
        "wait nap>nap.waiting success",
        "wake nap.waiting>pay success",
        "$on_enter pay>mend failure",
        "$on_enter mend>completed success",
    ]
    assert (await process.runtime.get_instance(waits.id)).version == len(entries)


async def test_34_the_ends_by_cancellation_and_by_time_are_told_too(flowing, clock):
    process = await flowing(single(), handlers=[Told(wait_for_event()).handler])
    cancelled = await process.done("single")
    late = await process.done("single", timeouts=Timeouts(wait="1h"))
    await process.flows.cancel(cancelled.id, reason="bored")
    clock.advance("1h")
    await process.runtime.process_timeouts()
    begun = ["$created None>only success", "wait only>only.waiting success"]
    assert await process.events(cancelled.id) == [*begun, "$cancelled only.waiting>only.waiting success"]
    assert await process.events(late.id) == [*begun, "wait_timeout only.waiting>cancelled success"]


async def test_34_observers_hear_of_attempts_and_of_commits_in_order(flowing, heard):
    class Runs(WorkflowObserver):
        def __init__(self):
            self.advanced = []

        async def on_run(self, worked):
            self.advanced.append(worked.advanced.value)

    runs, work = Runs(), Told(failure("BUSY"), success())
    process = await flowing(
        single(retry={"max_attempts": 1, "backoff_ms": 100}), handlers=[work.handler], observers=[heard, runs]
    )
    started = await process.flows.start_flow("single")
    await process.flows.run(started.id, simulate_time=True)
    await process.runtime.settled()
    assert runs.advanced == ["retrying", "completed"]
    sequences = [seen.entry.sequence for seen in heard.seen]
    assert sequences == sorted(set(sequences)) == list(range(1, len(sequences) + 1))


async def test_35_an_observer_that_raises_harms_neither_the_flow_nor_other_observers(flowing, heard, caplog):
    class Broken(WorkflowObserver):
        async def on_created(self, seen):
            raise RuntimeError("no")

        async def on_transition(self, seen):
            raise RuntimeError("no")

        async def on_completed(self, seen):
            raise RuntimeError("no")

    process = await flowing(single(type="echo"), observers=[Broken(), heard])
    ended = await process.done("single")
    await process.runtime.settled()
    assert ended.status is ExecutionStatus.COMPLETED
    assert heard.texts[0].startswith("$created")
    assert heard.seen[-1].instance.state == "completed"
    assert "observer Broken failed" in caplog.text
