"""FlowMonkey's behaviours 12 to 21, 24 and 25 on every store: waits, tokens, keys, cancellation and deadlines."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import uuid4

import pytest

from detent import ExecutionStatus, Settings, Timeouts
from detent.errors import InstanceNotFound
from detent.flows import Flow, NotWaiting, TokenRefused, failure, success, wait, wait_for_event, wait_until
from detent.workers import Worker
from tests.parity.flows import Told, becomes_so, chain, process, single
from tests.parity.ground import Gate, Watched

HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
WAITING, COMPLETED = ExecutionStatus.WAITING, ExecutionStatus.COMPLETED
CANCELLED, FAILED = ExecutionStatus.CANCELLED, ExecutionStatus.FAILED


def asking(**step):
    """A flow that waits for somebody, and echoes what it was given."""
    steps = {
        "ask": {"type": "work", "output_key": "answer", "on_success": "tell", **step},
        "tell": {"type": "echo", "input": {"key": "answer"}, "output_key": "told"},
    }
    return Flow("asking", initial_step_id="ask", steps=steps)


async def asked(flowing, **step):
    """A process, and an execution that waits for somebody in its step `ask`."""
    process = await flowing(asking(**step), handlers=[Told(wait_for_event("approval")).handler])
    return process, await process.done("asking")


async def test_12_a_timed_wait_ends_at_its_time_and_not_before(flowing, clock):
    work = Told(wait(HOUR, "to cool down"), success("cool"))
    process = await flowing(chain("a", "b"), handlers=[work.handler])
    seen = await process.done("chain")
    assert (seen.status, seen.current_step, seen.wait_reason) == (WAITING, "a", "to cool down")
    assert seen.wake_at == clock.now() + HOUR
    clock.advance(HOUR - TICK)
    assert await process.flows.run(seen.id) == seen
    assert await process.flows.step(seen.id) == seen
    assert work.steps == ["a"]
    clock.advance(TICK)
    ended = await process.flows.run(seen.id)
    assert (ended.status, ended.context, work.steps) == (COMPLETED, {"b": "cool"}, ["a", "b"])
    assert (ended.wake_at, ended.wait_reason) == (None, None)


async def test_12_an_instant_that_has_passed_is_waited_for_until_somebody_looks(flowing, clock):
    work = Told(wait_until(clock.now() - HOUR), success())
    process = await flowing(chain("a", "b"), handlers=[work.handler])
    assert (await process.done("chain")).status is COMPLETED
    assert work.steps == ["a", "b"]


async def test_12_a_wait_goes_on_to_its_own_step_where_it_names_one(flowing):
    work = Told(wait(HOUR), success())
    flow = chain("a", "b", "c").to_dict()
    flow["steps"]["a"]["on_resume"] = "c"
    process = await flowing(flow, handlers=[work.handler])
    started = await process.flows.start_flow("chain")
    assert (await process.flows.run(started.id, simulate_time=True)).status is COMPLETED
    assert work.steps == ["a", "c"]


async def test_13_a_wait_as_the_last_step_ends_the_flow_well(flowing, clock):
    work = Told(wait(HOUR))
    process = await flowing(single(), handlers=[work.handler])
    seen = await process.done("single")
    clock.advance(HOUR)
    ended = await process.flows.run(seen.id)
    assert (ended.status, ended.step_count, len(work.calls)) == (COMPLETED, 1, 1)


async def test_14_a_wait_for_somebody_outlasts_every_look_and_takes_in_the_data(flowing, clock):
    process, seen = await asked(flowing)
    clock.advance("365d")
    for look in (process.flows.run, process.flows.step):
        again = await look(seen.id)
        assert (again.status, again.wait_reason, again.wake_at) == (WAITING, "approval", None)
    resumed = await process.flows.resume(seen.id, {"ok": True})
    assert resumed.context["answer"] == {"ok": True}
    with pytest.raises(NotWaiting) as refused:
        await process.flows.resume(seen.id, {"ok": False})
    assert refused.value.code == "not_waiting"
    ended = await process.flows.run(seen.id)
    assert (ended.status, ended.context["told"]) == (COMPLETED, {"was": {"ok": True}})
    with pytest.raises(NotWaiting):
        await process.flows.resume(seen.id)
    assert (await process.flows.get(seen.id)).context == ended.context


async def test_14_of_eight_who_resume_at_once_one_is_heard(flowing):
    process, seen = await asked(flowing)
    async with asyncio.timeout(20):
        said = await asyncio.gather(*(process.flows.resume(seen.id, n) for n in range(8)), return_exceptions=True)
    heard = [n for n, one in enumerate(said) if not isinstance(one, BaseException)]
    assert len(heard) == 1
    assert all(isinstance(one, NotWaiting) for n, one in enumerate(said) if n not in heard)
    assert (await process.flows.get(seen.id)).context["answer"] == heard[0]


async def test_15_a_token_resumes_once_and_is_then_used(flowing, store):
    process, seen = await asked(flowing)
    token = await process.flows.tokens.generate(seen.id, "ask", metadata={"to": "ada"})
    assert (len(token), (await process.flows.tokens.validate(token)).valid) == (64, True)
    resumed = await process.flows.resume(token, "yes")
    assert (resumed.id, resumed.context["answer"]) == (seen.id, "yes")
    with pytest.raises(TokenRefused) as refused:
        await process.flows.resume(token, "no")
    assert (refused.value.code, refused.value.reason) == ("token_refused", "used")
    known = await process.flows.tokens.get(token)
    assert (known.state, known.metadata, known.step_id) == ("used", {"to": "ada"}, "ask")
    assert token not in repr(await process.runtime.get_instance(seen.id))
    assert (await process.flows.run(seen.id)).context["told"] == {"was": "yes"}


async def test_15_an_expired_token_is_refused_from_that_instant_on(flowing, clock):
    process, seen = await asked(flowing)
    token, longer = [await process.flows.tokens.generate(seen.id, "ask", expires_in=time) for time in ("1h", "2h")]
    clock.advance(HOUR)
    with pytest.raises(TokenRefused, match="expired"):
        await process.flows.resume(token, "late")
    assert (await process.flows.get(seen.id)).context == seen.context
    assert sorted(one.state for one in await process.flows.tokens.list(seen.id)) == ["expired", "pending"]
    assert (await process.flows.resume(longer, "in time")).context["answer"] == "in time"


async def test_15_a_revoked_token_is_refused(flowing):
    process, seen = await asked(flowing)
    tokens = process.flows.tokens
    token, other = await tokens.generate(seen.id, "ask"), await tokens.generate(seen.id, "ask")
    assert (await tokens.revoke(token), await tokens.revoke(token)) == (True, False)
    judged = await tokens.validate(token)
    assert (judged.valid, judged.reason) == (False, "revoked")
    with pytest.raises(TokenRefused, match="revoked"):
        await process.flows.resume(token)
    assert (await process.flows.get(seen.id)).status is WAITING
    await process.flows.resume(other)


async def test_15_a_token_of_another_step_of_nobody_or_made_up_is_refused(flowing):
    process, seen = await asked(flowing)
    another = await process.flows.tokens.generate(seen.id, "tell")
    stranger = await asked(flowing)
    foreign = await stranger[0].flows.tokens.generate(stranger[1].id, "ask")
    # The secret of one execution's token under the name of another.
    forged = (await process.flows.tokens.generate(seen.id, "ask"))[:20] + foreign[20:]
    for token, reason in ((another, "for another step"), (forged, "unknown"), ("?" * 64, "unknown"), ("", "unknown")):
        judged = await process.flows.tokens.validate(token)
        assert (judged.valid, judged.reason) == (False, reason)
    for token, reason in ((another, "for another step"), (forged, "unknown")):
        with pytest.raises(TokenRefused) as refused:
            await process.flows.resume(token)
        assert refused.value.reason == reason
    assert await process.flows.get(seen.id) == await process.flows.run(seen.id)
    assert (await process.flows.get(seen.id)).status is WAITING


async def test_15_of_eight_uses_of_a_token_at_once_one_is_accepted(flowing, backend, store):
    async with backend.kit(store).second() as second:
        process, seen = await asked(flowing)
        other = await flowing(asking(), handlers=[Told().handler], store=second)
        token = await process.flows.tokens.generate(seen.id, "ask")
        async with asyncio.timeout(20):
            uses = [(process, other)[n % 2].flows.resume(token, n) for n in range(8)]
            said = await asyncio.gather(*uses, return_exceptions=True)
        accepted = [n for n, one in enumerate(said) if not isinstance(one, BaseException)]
        assert len(accepted) == 1
        refused = [one.reason for one in said if isinstance(one, TokenRefused)]
        assert refused == ["used"] * 7
        assert (await other.flows.run(seen.id)).context["told"] == {"was": accepted[0]}


async def test_16_a_key_starts_one_execution_within_its_time_and_for_each_flow(flowing, clock):
    process = await flowing(single(type="echo"), single("other", type="echo"))
    key = {"idempotency_key": "order-7", "idempotency_ttl": "1h"}
    first = await process.flows.start_flow("single", {"n": 1}, **key)
    again = await process.flows.start_flow("single", {"n": 1}, **key)
    assert (first.created, again.created, again.id) == (True, False, first.id)
    other = await process.flows.start_flow("other", **key)
    assert (other.created, other.id == first.id) == (True, False)
    await process.flows.run(first.id)
    clock.advance(HOUR - TICK)
    ended = await process.flows.start_flow("single", {"n": 1}, **key)
    assert (ended.created, ended.id, ended.status) == (False, first.id, COMPLETED)
    clock.advance(TICK)
    later = await process.flows.start_flow("single", {"n": 1}, **key)
    assert (later.created, later.id == first.id) == (True, False)


async def test_17_fifty_who_start_with_one_key_at_once_start_one_execution(flowing, backend, store):
    async with backend.kit(store).second() as second:
        processes = await flowing(single(type="echo")), await flowing(single(type="echo"), store=second)
        async with asyncio.timeout(30):
            started = await asyncio.gather(
                *(processes[n % 2].flows.start_flow("single", idempotency_key="order-7") for n in range(50))
            )
        assert len({one.id for one in started}) == 1
        assert [one.created for one in started].count(True) == 1
        assert (await processes[0].runtime.count_instances())[()] == 1


async def family(process):
    """An execution that waits, with two children that do, and a grandchild; and a token of each child."""
    top = await process.done("asking")
    children = [await process.done("asking", parent=top.id) for _ in range(2)]
    below = [*children, await process.done("asking", parent=children[0].id)]
    return top, below, [await process.flows.tokens.generate(one.id, "ask") for one in below]


async def test_18_children_and_grandchildren_are_cancelled_with_their_parent(flowing):
    process = await flowing(asking(), handlers=[Told(wait_for_event("approval")).handler])
    top, below, tokens = await family(process)
    await process.flows.tokens.generate(top.id, "ask")
    result = await process.flows.cancel(top.id, reason="bored")
    assert (result.cancelled, result.previous_status) == (True, WAITING)
    assert (result.children_cancelled, result.tokens_revoked) == (3, 1)
    seen = await process.flows.get(top.id)
    assert (seen.status, seen.cancellation.source, seen.cancellation.reason) == (CANCELLED, "user", "bored")
    for child in below:
        seen = await process.flows.get(child.id)
        assert (seen.status, seen.cancellation.source, seen.cancellation.reason) == (CANCELLED, "parent", "bored")
    for token in tokens:
        with pytest.raises(TokenRefused, match="revoked"):
            await process.flows.resume(token)


async def test_18_whoever_cancels_says_for_whom_and_why(flowing, clock):
    process, seen = await asked(flowing)
    assert (await process.flows.cancel(seen.id, source="system", reason="release")).cancelled
    told = (await process.flows.get(seen.id)).cancellation
    assert (told.source, told.reason, told.cancelled_at) == ("system", "release", clock.now())


@pytest.mark.parametrize("driven_by", ["run", "worker"])
async def test_19_a_cancel_reaches_the_handler_under_way_and_its_result_is_nothing(flowing, driven_by):
    gate, ended = Gate(), []

    async def stubborn(ctx):
        try:
            await gate.passed()
        except asyncio.CancelledError:
            ended.append("signalled")
        return success("too late")

    process = await flowing(chain("a", "b"), handlers=[Told(stubborn).handler])
    started = await process.flows.start_flow("chain")
    async with asyncio.timeout(5), Worker(process.runtime) if driven_by == "worker" else AsyncExitStack():
        running = asyncio.create_task(process.flows.run(started.id) if driven_by == "run" else gate.reached.wait())
        await gate.reached.wait()
        result = await process.flows.cancel(started.id, reason="bored")
        await running
        await becomes_so(lambda: asyncio.sleep(0, bool(ended)))
    seen = await process.flows.get(started.id)
    assert (result.cancelled, result.previous_status, ended) == (True, ExecutionStatus.RUNNING, ["signalled"])
    assert (seen.status, seen.context, seen.cancellation.reason) == (CANCELLED, {}, "bored")
    assert await process.flows.run(started.id) == seen


async def test_19_a_cancel_of_another_process_reaches_the_handler_too(flowing, backend, store):
    gate, ended = Gate(), asyncio.Event()

    async def held(ctx):
        try:
            await gate.passed()
        finally:
            ended.set()

    async with backend.kit(store).second() as second, asyncio.timeout(10):
        # Where the store carries no signals between processes the sign of life finds out.
        one = await flowing(single(), handlers=[Told(held).handler], settings=Settings(lease=HOUR / 3600))
        two = await flowing(single(), handlers=[Told().handler], store=second)
        started = await one.flows.start_flow("single")
        async with Worker(one.runtime):
            await gate.reached.wait()
            assert (await two.flows.cancel(started.id)).cancelled
            await ended.wait()
        assert (await one.flows.get(started.id)).status is CANCELLED


async def test_20_what_has_ended_or_is_not_there_is_not_cancelled(flowing):
    work = Told(success())
    process = await flowing(single(), single("bad", type="fail"), handlers=[work.handler])
    for flow, status in (("single", COMPLETED), ("bad", FAILED)):
        ended = await process.done(flow)
        result = await process.flows.cancel(ended.id)
        assert (result.cancelled, result.previous_status, result.error) == (False, status, "already_ended")
        assert await process.flows.get(ended.id) == ended
    started = await process.flows.start_flow("single")
    assert [(await process.flows.cancel(started.id)).cancelled for _ in range(2)] == [True, False]
    assert (await process.flows.cancel(uuid4())).error == "not_found"
    with pytest.raises(InstanceNotFound):
        await process.flows.get(uuid4())


async def test_21_what_a_canceller_that_died_left_over_is_cancelled_by_another(flowing, store):
    """Each execution ends in one commit, which orders the end of its children: nothing is ever half cancelled."""
    watched, gate = Watched(store), Gate()
    process = await flowing(asking(), handlers=[Told(wait_for_event("approval")).handler], store=watched)
    other = await flowing(asking(), handlers=[Told().handler])
    top, below, _ = await family(process)

    async def hold_from_the_commit_on():
        watched.before["find"] = gate.passed

    watched.before["apply"] = hold_from_the_commit_on
    dying = asyncio.create_task(process.flows.cancel(top.id, reason="bored"))
    async with asyncio.timeout(20):
        await gate.reached.wait()
        dying.cancel()
        await asyncio.wait([dying])
    assert (await other.flows.get(top.id)).status is CANCELLED
    assert {(await other.flows.get(child.id)).status for child in below} == {WAITING}
    await other.runtime.process_inbox()
    for child in below:
        seen = await other.flows.get(child.id)
        assert (seen.status, seen.cancellation.source, seen.cancellation.reason) == (CANCELLED, "parent", "bored")


@pytest.mark.parametrize(
    ("timeouts", "reason"),
    [(Timeouts(execution="1h"), "the execution took too long"), (Timeouts(wait="1h"), "the wait took too long")],
    ids=["execution", "wait"],
)
async def test_24_an_execution_or_a_wait_that_takes_too_long_is_cancelled_by_a_sweep(flowing, clock, timeouts, reason):
    process = await flowing(asking(), handlers=[Told(wait_for_event("approval")).handler])
    seen = await process.done("asking", {"n": 1}, timeouts=timeouts)
    clock.advance(HOUR - TICK)
    assert (await process.runtime.process_timeouts()).processed == 0
    clock.advance(TICK)
    assert (await process.runtime.process_timeouts()).processed == 1
    ended = await process.flows.get(seen.id)
    told = ended.cancellation
    assert (ended.status, ended.context) == (CANCELLED, {"n": 1})
    assert (told.source, told.reason, told.cancelled_at) == ("timeout", reason, clock.now())
    with pytest.raises(NotWaiting):
        await process.flows.resume(seen.id)


async def test_24_each_wait_has_its_own_time(flowing, clock):
    work = Told(wait_for_event("one"), wait_for_event("two"))
    process = await flowing(chain("a", "b"), handlers=[work.handler])
    seen = await process.done("chain", timeouts=Timeouts(wait="1h"))
    clock.advance("40m")
    await process.flows.resume(seen.id)
    await process.flows.run(seen.id)
    clock.advance("40m")
    assert (await process.flows.run(seen.id)).wait_reason == "two"
    clock.advance("20m")
    assert (await process.flows.run(seen.id)).cancellation.source == "timeout"


async def test_24_a_step_is_not_begun_once_its_execution_took_too_long(flowing, clock):
    work = Told(success())
    process = await flowing(single(), handlers=[work.handler])
    started = await process.flows.start_flow("single", timeouts=Timeouts(execution="1h"))
    clock.advance(HOUR)
    ended = await process.flows.run(started.id)
    assert (ended.status, ended.cancellation.source, work.calls) == (CANCELLED, "timeout", [])


async def test_24_an_execution_that_waits_to_try_again_ends_at_its_deadline(flowing, clock):
    later = failure("LIMITED", retry_after=timedelta(days=1))
    process = await flowing(single(retry={"max_attempts": 9}), handlers=[Told(later).handler])
    seen = await process.done("single", timeouts=Timeouts(execution="1h"))
    assert (seen.status, seen.wake_at) == (WAITING, clock.now() + HOUR)
    clock.advance(HOUR)
    ended = await process.flows.run(seen.id)
    assert (ended.status, ended.cancellation.source, ended.step_count) == (CANCELLED, "timeout", 0)


async def test_24_a_handler_is_stopped_when_the_time_of_its_execution_is_up(flowing):
    stopped, never = [], asyncio.Event()

    async def endless(ctx):
        try:
            await never.wait()
        except asyncio.CancelledError:
            stopped.append(ctx.step_id)
            raise

    process = await flowing(single(), handlers=[Told(endless).handler])
    async with asyncio.timeout(20):
        ended = await process.done("single", timeouts=Timeouts(execution="0.02s"))
    assert (ended.status, ended.cancellation.source, stopped) == (CANCELLED, "timeout", ["only"])


@pytest.mark.parametrize("where", ["step", "handler"])
async def test_24_a_handler_that_takes_longer_than_it_may_fails_and_its_late_result_is_ignored(flowing, where):
    never, heard = asyncio.Event(), []

    async def stubborn(ctx):
        try:
            await never.wait()
        except asyncio.CancelledError:
            heard.append("signalled")
        ctx.set("left", "behind")
        return success("too late")

    options = {"timeout": "0.02s"}
    work = Told(stubborn, **options if where == "handler" else {})
    process = await flowing(single(**options if where == "step" else {}), handlers=[work.handler])
    async with asyncio.timeout(20):
        ended = await process.done("single")
    assert (ended.status, ended.error.code, heard) == (FAILED, "TIMEOUT", ["signalled"])
    assert ended.context.keys() == {"error"}


async def test_25_a_hundred_that_wait_wake_once_each_after_a_restart_with_two_workers(backend, store, clock):
    """A hundred executions wait for their times when their process ends; two new ones wake them."""
    work = Told(*[wait(HOUR)] * 100, success("awake"))
    flow = chain("nap", "wake")
    async with process(flow, store=store, clock=clock, handlers=[work.handler]) as before:
        started = await asyncio.gather(*(before.flows.start_flow("chain") for _ in range(100)))
        await before.runtime.process_runs(limit=200)
        assert (await before.runtime.count_instances(states="nap.waiting"))[()] == 100
    clock.advance(HOUR)
    async with AsyncExitStack() as stack:
        again = await stack.enter_async_context(backend.kit(store).second())
        second = await stack.enter_async_context(backend.kit(store).second())
        one = await stack.enter_async_context(process(flow, store=again, clock=clock, handlers=[work.handler]))
        two = await stack.enter_async_context(process(flow, store=second, clock=clock, handlers=[work.handler]))
        for worked in (one, two):
            await stack.enter_async_context(Worker(worked.runtime, poll="0.05s"))

        async def all_ended():
            return (await one.runtime.count_instances(status="completed"))[()] == 100

        await becomes_so(all_ended)
        ended = [await two.flows.get(one.id) for one in started]
    assert {(one.status, one.context["wake"], one.step_count) for one in ended} == {(COMPLETED, "awake", 2)}
    assert sorted(work.steps) == ["nap"] * 100 + ["wake"] * 100
