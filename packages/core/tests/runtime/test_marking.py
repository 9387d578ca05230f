"""What an instance adds to the picture of its definition: told by its row and its history."""

from datetime import timedelta

import pytest

from detent import Fail, Retry, Settings, command
from detent.errors import InstanceNotFound
from detent.ids import new_id
from detent.notation import Marks, Passage

CLAIM = {
    "name": "claim",
    "initial_state": "open",
    "states": {
        "open": {
            "events": {
                "note": {"internal": True, "payload": {"type": "object"}},
                "again": {"target": "open"},
                "check": {"target": "checked", "error": "broken", "commands": ["check"]},
                "lapse": {"target": "lapsed", "timeout": "10d"},
                "remind": {"internal": True, "commands": ["check"], "timeout": "1d"},
            }
        },
        "checked": {"on_enter": {"target": "paid"}},
        "broken": {"events": {"reopen": {"target": "open"}}},
        "paid": {},
        "lapsed": {"outcome": "failure"},
    },
}


@pytest.fixture
def verdicts():
    """What the command answers next; it passes when nothing is left."""
    return []


@pytest.fixture
async def runtime(running, verdicts):
    @command("check")
    def check(ctx):
        return verdicts.pop() if verdicts else None

    settings = Settings(timeout_retry=Retry(attempts=1))
    return await running(CLAIM, commands=[check], settings=settings)


async def test_a_new_instance_is_where_it_begins(runtime, clock):
    claim = await runtime.create_instance("claim")
    clock.advance("3h")
    assert await runtime.get_marks(claim) == Marks(
        current="open",
        visited=("open",),
        stays={"open": timedelta(hours=3)},
        left={"remind": timedelta(hours=21), "lapse": timedelta(days=9, hours=21)},
    )


async def test_entries_passages_and_stays_are_counted(runtime, clock, verdicts):
    verdicts.append(Fail("no", "no"))
    claim = await runtime.create_instance("claim")
    clock.advance("1h")
    await runtime.trigger_event(claim.id, "note")
    await runtime.trigger_event(claim.id, "again")
    clock.advance("1h")
    await runtime.trigger_event(claim.id, "check")
    clock.advance("30m")
    await runtime.trigger_event(claim.id, "reopen")
    clock.advance("15m")
    await runtime.trigger_event(claim.id, "check")
    clock.advance("9d")
    marks = await runtime.get_marks(claim.id)
    assert marks.visited == ("open", "open", "broken", "open", "checked", "paid")
    assert marks.passages == {
        Passage("open", "open", "note"): 1,
        Passage("open", "open", "again"): 1,
        Passage("open", "broken", "check", failed=True): 1,
        Passage("broken", "open", "reopen"): 1,
        Passage("open", "checked", "check"): 1,
        Passage("checked", "paid"): 1,
    }
    assert marks.stays == {"open": timedelta(hours=2, minutes=15), "broken": timedelta(minutes=30)}
    assert marks.left == {}
    assert marks.current == "paid"


async def test_what_an_operator_does_enters_a_state_and_is_no_passage(runtime, clock):
    claim = await runtime.create_instance("claim")
    clock.advance("1h")
    await runtime.pause(claim.id)
    await runtime.resume(claim.id)
    await runtime.patch_context(claim.id, {"a": 1})
    await runtime.force(claim.id, "broken")
    clock.advance("2h")
    await runtime.cancel(claim.id)
    clock.advance("5d")
    marks = await runtime.get_marks(claim.id)
    assert marks.visited == ("open", "broken")
    assert marks.passages == {}
    assert marks.stays == {"open": timedelta(hours=1), "broken": timedelta(hours=2)}


async def test_a_timeout_that_is_late_and_one_that_is_parked_are_told_apart(runtime, clock, verdicts):
    verdicts += [Fail("no", "no")]
    claim = await runtime.create_instance("claim")
    clock.advance("1d")
    await runtime.process_timeouts()
    clock.advance("10d")
    marks = await runtime.get_marks(claim.id)
    assert marks.left == {"remind": None, "lapse": timedelta(days=-1)}


async def test_of_a_long_history_the_newest_entries_count(runtime, monkeypatch):
    monkeypatch.setattr("detent.runtime.picture_verbs.MOST_ENTRIES", 4)
    monkeypatch.setattr("detent.runtime.picture_verbs._PAGE", 2)
    claim = await runtime.create_instance("claim")
    for _ in range(6):
        await runtime.trigger_event(claim.id, "again")
    marks = await runtime.get_marks(claim.id)
    assert marks.earlier == 3
    assert marks.passages == {Passage("open", "open", "again"): 4}
    assert len(marks.visited) == 4


async def test_all_pages_of_a_history_are_read(runtime, monkeypatch):
    monkeypatch.setattr("detent.runtime.picture_verbs._PAGE", 2)
    claim = await runtime.create_instance("claim")
    for _ in range(5):
        await runtime.trigger_event(claim.id, "again")
    assert (await runtime.get_marks(claim.id)).visited == ("open",) * 6


async def test_a_handle_draws_its_instance(runtime, clock):
    handle = runtime.get_handle(await runtime.create_instance("claim"))
    clock.advance("1h")
    drawn = await handle.to_mermaid(style="flowchart", symbols="text")
    assert drawn == await runtime.instance_to_mermaid(handle.id, style="flowchart", symbols="text")
    assert "now, step 1\\nfor 1h\\nlapse in 9d23h" in drawn
    with pytest.raises(InstanceNotFound):
        await runtime.get_handle(new_id()).to_mermaid()
