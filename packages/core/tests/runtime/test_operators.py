"""What operators do to one instance: each verb, what it leaves in history, and what it refuses."""

from datetime import UTC, datetime, timedelta

import pytest

from detent import Fail, Refuse, command, guard
from detent.errors import (
    EventNotAvailable,
    EventRefused,
    InstanceFinished,
    InstanceNotFound,
    InstancePaused,
    InvalidValue,
    NothingToRetry,
    ReentrantTrigger,
    VersionConflict,
)
from detent.ids import new_id

CLAIM = {
    "name": "claim",
    "initial_state": "open",
    "context_model": {"type": "object", "properties": {"amount": {"type": "integer"}}},
    "states": {
        "open": {
            "context": {"where": "desk"},
            "events": {
                "pay": {"target": "paid", "commands": ["pay"]},
                "remind": {"internal": True, "timeout": "1d"},
                "lapse": {"target": "lapsed", "timeout": "3d", "guard": "may_lapse"},
            },
        },
        "review": {"on_enter": {"commands": ["assess"], "target": "decided"}},
        "decided": {"context": {"where": "office"}, "events": {"close": {"target": "paid"}}},
        "paid": {},
        "lapsed": {"outcome": "failure"},
    },
}


class Mood:
    """What commands and guards of a test shall say."""

    def __init__(self) -> None:
        self.pays: object = None
        self.lapses: object = True
        self.assessed: list[str] = []


@pytest.fixture
def mood() -> Mood:
    return Mood()


@pytest.fixture
async def runtime(running, mood):
    @command("pay")
    def pay(ctx):
        if isinstance(mood.pays, Exception):
            raise mood.pays
        return mood.pays

    @command("assess")
    def assess(ctx):
        mood.assessed.append(ctx.event)
        ctx.context["assessed"] = ctx.trigger_metadata.get("actor")

    @guard("may_lapse")
    def may_lapse(ctx):
        return mood.lapses

    return await running(CLAIM, commands=[pay, assess], guards=[may_lapse])


@pytest.fixture
async def claim(runtime):
    return await runtime.create_instance("claim", context={"amount": 5})


async def test_cancel_keeps_the_state_and_voids_the_timers(runtime, claim, clock, story, recorder):
    cancelled = await runtime.cancel(claim.id, reason="a duplicate", trigger_metadata={"actor": "ana"})
    assert (cancelled.state, cancelled.status, cancelled.timers, cancelled.due_at) == ("open", "cancelled", (), None)
    assert cancelled.finished_at == clock.now()
    assert await runtime.get_instance(claim.id) == cancelled
    [entry, _] = await runtime.get_history(claim.id)
    assert (entry.event, entry.reason, entry.trigger_metadata) == ("$cancelled", "a duplicate", {"actor": "ana"})
    assert (entry.from_state, entry.to_state, entry.outcome) == ("open", "open", "success")
    await runtime.settled()
    assert recorder.heard[-1] == "ended cancelled"
    clock.advance("5d")
    assert (await runtime.process_timeouts()).processed == 0
    with pytest.raises(EventNotAvailable):
        await runtime.trigger_event(claim.id, "pay")


async def test_a_second_cancel_changes_nothing(runtime, claim):
    first = await runtime.cancel(claim.id)
    assert await runtime.cancel(claim.id) == first
    assert len(await runtime.get_history(claim.id)) == 2


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "rearm"])
async def test_what_has_ended_is_not_stopped_or_mended(runtime, claim, verb):
    await runtime.trigger_event(claim.id, "pay")
    with pytest.raises(InstanceFinished) as told:
        await getattr(runtime, verb)(claim.id)
    assert (told.value.instance_id, told.value.status) == (claim.id, "completed")


async def test_a_paused_instance_takes_nothing_and_a_resumed_one_fires_what_is_overdue(runtime, claim, clock, story):
    paused = await runtime.pause(claim.id, reason="audit")
    assert paused.status == "paused"
    assert await runtime.pause(claim.id) == paused
    with pytest.raises(InstancePaused):
        await runtime.trigger_event(claim.id, "pay")
    clock.advance("2d")
    assert (await runtime.process_timeouts()).processed == 0
    resumed = await runtime.resume(claim.id)
    assert (resumed.status, resumed.due_at) == ("active", claim.due_at)
    assert await runtime.resume(claim.id) == resumed
    assert (await runtime.process_timeouts()).processed == 1
    assert await story(runtime, claim) == [
        "1 $created None>open success",
        "2 $paused open>open success",
        "3 $resumed open>open success",
        "4 remind open>open success",
    ]


async def test_a_paused_instance_can_be_cancelled(runtime, claim):
    await runtime.pause(claim.id)
    assert (await runtime.cancel(claim.id)).status == "cancelled"


async def test_force_enters_a_state_like_any_entry(runtime, claim, mood):
    result = await runtime.force(
        claim.id, "review", context={"amount": 7}, reason="lost file", trigger_metadata={"actor": "ana"}
    )
    assert (result.event, result.outcome, result.to_state) == ("$forced", "success", "decided")
    assert result.instance.context == {"amount": 7, "where": "office", "assessed": "ana"}
    assert mood.assessed == ["$on_enter"]
    hop, forced, _ = await runtime.get_history(claim.id)
    assert (forced.event, forced.to_state, forced.reason) == ("$forced", "review", "lost file")
    assert forced.payload == {"context": {"amount": 7}}
    assert hop.transition_id == forced.transition_id


async def test_force_brings_a_finished_instance_back_with_its_timers(runtime, claim, clock):
    await runtime.cancel(claim.id)
    clock.advance("1h")
    back = (await runtime.force(claim.id, "open")).instance
    assert (back.status, back.finished_at, back.entered_at) == ("active", None, clock.now())
    assert [timer.event for timer in back.timers] == ["remind", "lapse"]


async def test_a_paused_instance_stays_paused_when_it_is_put_elsewhere_unless_that_ends_it(runtime, claim):
    await runtime.pause(claim.id)
    assert (await runtime.force(claim.id, "decided")).instance.status == "paused"
    assert (await runtime.force(claim.id, "lapsed")).instance.status == "failed"


async def test_force_names_the_near_miss_of_a_state(runtime, claim):
    with pytest.raises(InvalidValue, match=r"'reviw'.*did you mean 'review'"):
        await runtime.force(claim.id, "reviw")
    assert len(await runtime.get_history(claim.id)) == 1


async def test_patch_context_replaces_keys_and_takes_others_out(runtime, claim):
    patched = await runtime.patch_context(claim.id, {"amount": 6, "note": "by phone"}, remove=["where"], reason="typo")
    assert patched.context == {"amount": 6, "note": "by phone"}
    assert (patched.timers, patched.entered_at) == (claim.timers, claim.entered_at)
    [entry, _] = await runtime.get_history(claim.id)
    assert entry.event == "$context_patched"
    assert entry.payload == {"patch": {"amount": 6, "note": "by phone"}, "remove": ["where"]}
    assert await runtime.patch_context(claim.id, {"amount": 6}) == patched


async def test_a_patch_that_breaks_the_context_model_is_refused(runtime, claim):
    with pytest.raises(InvalidValue, match="context"):
        await runtime.patch_context(claim.id, {"amount": "much"})
    assert (await runtime.get_instance(claim.id)).context == claim.context


async def test_a_finished_instance_can_still_be_corrected(runtime, claim, recorder):
    await runtime.trigger_event(claim.id, "pay")
    await runtime.settled()
    heard = len(recorder.heard)
    assert (await runtime.patch_context(claim.id, {"amount": 9})).context["amount"] == 9
    await runtime.settled()
    assert recorder.heard[heard:] == ["$context_patched paid>paid success"]


async def test_rearm_gives_a_parked_timeout_a_new_chance(running, mood, clock):
    from_now = timedelta(days=3)

    @guard("may_lapse")
    def may_lapse(ctx):
        return mood.lapses if mood.lapses is True else Refuse("not yet")

    states = {
        "open": {"events": {"lapse": {"target": "lapsed", "timeout": "3d", "guard": "may_lapse"}}},
        "lapsed": {"outcome": "failure"},
    }
    plain = {"name": "claim", "initial_state": "open", "states": states}
    runtime = await running(plain, guards=[may_lapse])
    mood.lapses = False
    claim = await runtime.create_instance("claim")
    clock.advance(from_now)
    for _ in range(10):
        await runtime.process_timeouts()
        clock.advance("2h")
    [parked] = await runtime.find_parked()
    assert parked.id == claim.id
    assert (parked.timers[0].attempts, parked.timers[0].reason, parked.due_at) == (10, "not yet", None)
    assert parked.parked_at is not None
    rearmed = await runtime.rearm(claim.id, reason="looked at it")
    assert (rearmed.timers[0].attempts, rearmed.due_at, rearmed.parked_at) == (0, clock.now(), None)
    assert len(await runtime.find_parked()) == 0
    mood.lapses = True
    assert (await runtime.process_timeouts()).processed == 1
    assert (await runtime.get_instance(claim.id)).state == "lapsed"


async def test_rearm_without_anything_tried_in_vain_changes_nothing(runtime, claim):
    assert await runtime.rearm(claim.id) == await runtime.get_instance(claim.id)
    assert len(await runtime.get_history(claim.id)) == 1


@pytest.mark.parametrize(
    ("due", "after"),
    [("2d", timedelta(days=2)), (timedelta(hours=1), timedelta(hours=1)), (None, timedelta())],
)
async def test_rearm_moves_the_deadline_of_one_event(runtime, claim, clock, due, after):
    rearmed = await runtime.rearm(claim.id, "lapse", due=due)
    assert {timer.event: timer.due for timer in rearmed.timers} == {
        "remind": clock.now() + timedelta(days=1),
        "lapse": clock.now() + after,
    }
    assert rearmed.due_at == min(timer.due for timer in rearmed.timers)
    [entry, _] = await runtime.get_history(claim.id)
    assert (entry.event, entry.payload["event"]) == ("$rearmed", "lapse")


async def test_rearm_of_one_event_leaves_what_else_was_tried_in_vain(running, clock):
    @guard("may")
    def may(ctx):
        return False

    events = {
        name: {"target": "done", "timeout": after, "guard": "may"}
        for name, after in (("lapse", "1d"), ("remind", "2d"))
    }
    two = {"name": "two", "initial_state": "open", "states": {"open": {"events": events}, "done": {}}}
    runtime = await running(two, guards=[may])
    claim = await runtime.create_instance("two")
    clock.advance("2d")
    assert (await runtime.process_timeouts()).refused == 2
    rearmed = await runtime.rearm(claim.id, "remind")
    assert {timer.event: timer.attempts for timer in rearmed.timers} == {"lapse": 1, "remind": 0}


async def test_rearm_at_an_instant(runtime, claim):
    due = datetime(2040, 1, 1, tzinfo=UTC)
    rearmed = await runtime.rearm(claim.id, "lapse", due=due)
    assert due in [timer.due for timer in rearmed.timers]


@pytest.mark.parametrize("due", ["soon", datetime(2040, 1, 1), 5])
async def test_rearm_refuses_what_is_no_deadline(runtime, claim, due):
    with pytest.raises(InvalidValue, match="due"):
        await runtime.rearm(claim.id, "lapse", due=due)


async def test_rearm_of_an_event_without_a_timer_names_the_near_miss(runtime, claim):
    with pytest.raises(InvalidValue, match=r"'laps'.*did you mean 'lapse'"):
        await runtime.rearm(claim.id, "laps")


async def test_retry_takes_the_failed_event_again_with_its_payload(runtime, claim, mood, story):
    mood.pays = RuntimeError("bank is closed")
    with pytest.raises(RuntimeError):
        await runtime.trigger_event(claim.id, "pay", payload={"iban": "x"})
    mood.pays = None
    result = await runtime.retry(claim.id)
    assert (result.event, result.to_state) == ("pay", "paid")
    entry = (await runtime.get_history(claim.id))[0]
    assert entry.payload == {"iban": "x"}
    assert await story(runtime, claim) == [
        "1 $created None>open success",
        "2 pay open>open failed",
        "3 pay open>paid success",
    ]


async def test_retry_fires_a_timeout_that_was_refused_at_once(runtime, claim, clock, mood):
    mood.lapses = Refuse("holiday")
    clock.advance("3d")
    report = await runtime.process_timeouts()
    assert (report.processed, report.refused) == (1, 1)
    assert (await runtime.retry(claim.id)).outcome == "refused"
    assert [timer.attempts for timer in (await runtime.get_instance(claim.id)).timers] == [2]
    mood.lapses = True
    assert (await runtime.retry(claim.id)).to_state == "lapsed"


async def test_there_may_be_nothing_to_retry(runtime, claim):
    with pytest.raises(NothingToRetry):
        await runtime.retry(claim.id)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("cancel", ()),
        ("pause", ()),
        ("resume", ()),
        ("patch_context", ({"a": 1},)),
        ("rearm", ()),
        ("force", ("paid",)),
        ("trigger_event", ("pay",)),
    ],
)
async def test_every_verb_is_fenced_by_the_version_the_caller_has_seen(runtime, claim, verb, arguments):
    with pytest.raises(VersionConflict) as told:
        await getattr(runtime, verb)(claim.id, *arguments, expected_version=claim.version + 1)
    assert (told.value.expected, told.value.found) == (2, 1)
    await getattr(runtime, verb)(claim.id, *arguments, expected_version=claim.version)


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "patch_context", "rearm", "retry"])
async def test_every_verb_says_that_there_is_no_such_instance(runtime, verb):
    missing = new_id()
    with pytest.raises(InstanceNotFound):
        await getattr(runtime, verb)(missing)


async def test_a_handle_has_the_verbs(runtime, claim):
    handle = runtime.get_handle(claim)
    await handle.pause(reason="stop")
    await handle.resume()
    await handle.patch_context({"amount": 8})
    await handle.rearm("lapse", due="4d")
    assert (await handle.force("decided")).to_state == "decided"
    assert (await handle.cancel()).status == "cancelled"
    events = [entry.event for entry in reversed(await handle.get_history())]
    assert events == ["$created", "$paused", "$resumed", "$context_patched", "$rearmed", "$forced", "$cancelled"]
    with pytest.raises(NothingToRetry):
        await handle.retry()


async def test_a_handle_shows_its_id(runtime, claim):
    assert repr(runtime.get_handle(claim)) == f"WorkflowHandle('{claim.id}')"


async def test_in_a_lent_transaction_an_operation_is_seen_when_the_caller_commits(runtime, claim, store, recorder):
    async with store.begin() as transaction:
        paused = await runtime.pause(claim.id, connection=transaction)
        assert paused.status == "paused"
        assert (await runtime.get_instance(claim.id)).status == "active"
        assert await runtime.pause(claim.id, connection=transaction) == paused
    await runtime.settled()
    assert (await runtime.get_instance(claim.id)).status == "paused"
    assert recorder.heard[-1] == "$paused open>open success"


async def test_in_a_lent_transaction_what_failed_there_can_be_retried_there(runtime, claim, store, mood):
    mood.pays = RuntimeError("bank is closed")
    async with store.begin() as transaction:
        with pytest.raises(RuntimeError):
            await runtime.trigger_event(claim.id, "pay", connection=transaction)
        mood.pays = None
        assert (await runtime.retry(claim.id, connection=transaction)).to_state == "paid"


async def test_a_command_cannot_operate_on_the_instance_it_runs_for(running):
    async def meddle(ctx):
        await knotted.cancel(ctx.instance_id)

    knotted = await running(
        {
            "name": "knot",
            "initial_state": "a",
            "states": {"a": {"events": {"go": {"target": "b", "commands": ["meddle"]}}}, "b": {}},
        },
        commands=[command("meddle")(meddle)],
    )
    made = await knotted.create_instance("knot")
    with pytest.raises(ReentrantTrigger):
        await knotted.trigger_event(made.id, "go")
    assert (await knotted.get_instance(made.id)).status == "active"


async def test_refusals_can_be_left_out_of_history(running, mood, recorder):
    @guard("never")
    def never(ctx):
        return Refuse("never")

    door = {
        "name": "door",
        "initial_state": "shut",
        "record_refusals": False,
        "states": {"shut": {"events": {"open": {"target": "open", "guard": "never"}}}, "open": {}},
    }
    runtime = await running(door, guards=[never])
    shut = await runtime.create_instance("door")
    refused = await runtime.trigger_event(shut.id, "open")
    assert (refused.outcome, refused.reason, refused.history_sequence) == ("refused", "never", 1)
    assert await runtime.get_instance(shut.id) == refused.instance
    assert len(await runtime.get_history(shut.id)) == 1
    with pytest.raises(EventRefused):
        refused.raise_if_refused()
    await runtime.settled()
    assert recorder.heard == ["created shut"]


async def test_a_refused_timeout_is_recorded_all_the_same(running, clock):
    @guard("never")
    def never(ctx):
        return False

    door = {
        "name": "door",
        "initial_state": "shut",
        "record_refusals": False,
        "states": {"shut": {"events": {"open": {"target": "open", "guard": "never", "timeout": "1h"}}}, "open": {}},
    }
    runtime = await running(door, guards=[never])
    shut = await runtime.create_instance("door")
    clock.advance("1h")
    assert (await runtime.process_timeouts()).refused == 1
    assert [entry.outcome for entry in await runtime.get_history(shut.id)] == ["refused", "success"]


async def test_a_failure_that_a_forced_entry_meets_changes_nothing(running):
    @command("break")
    def broken(ctx):
        return Fail("broken")

    runtime = await running(
        {
            "name": "toy",
            "initial_state": "whole",
            "states": {
                "whole": {"events": {"play": {"target": "shown"}}},
                "shown": {"on_enter": {"commands": ["break"], "target": "done", "error": "bin"}},
                "done": {},
                "bin": {"outcome": "failure"},
            },
        },
        commands=[broken],
    )
    toy = await runtime.create_instance("toy")
    result = await runtime.force(toy.id, "shown")
    assert (result.outcome, result.to_state, result.instance.status) == ("failure", "bin", "failed")


async def test_what_waited_for_an_operator_is_announced(running, store, clock):
    runtime = await running(
        {
            "name": "case",
            "initial_state": "open",
            "states": {"open": {"events": {"expire": {"target": "closed", "timeout": "1d"}}}, "closed": {}},
        }
    )
    case = await runtime.create_instance("case")
    words: list[str] = []
    async with store.signals.listen(words.append):
        await runtime.pause(case.id)
        assert words == []
        await runtime.resume(case.id)
        assert set(words) == {"runs", "inbox", "timers"}
        words.clear()
        await runtime.rearm(case.id, "expire")
        assert words == ["timers"]
