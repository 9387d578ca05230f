"""Finding and counting instances through the runtime, page by page, and the bulk forms over what is found."""

import base64
import json
from datetime import timedelta

import pytest

from detent import Span, command
from detent.errors import InvalidValue

TICKET = {
    "name": "ticket",
    "initial_state": "new",
    "states": {
        "new": {"events": {"close": {"target": "closed"}, "expire": {"target": "closed", "timeout": "7d"}}},
        "held": {"events": {"close": {"target": "closed"}}},
        "closed": {},
    },
}
WITHOUT_ZONE = ["created_at", True, "01a1fc70-0171-7e1f-ba75-a1acc7c7c2f6", "2030-01-01T00:00:00"]
PARCEL = {**TICKET, "name": "parcel"}


@pytest.fixture
async def runtime(running):
    return await running(TICKET, PARCEL)


async def test_the_newest_come_first_and_every_one_is_on_one_page(runtime, clock):
    made = []
    for _ in range(7):
        made.append((await runtime.create_instance("ticket")).id)
        clock.advance("1m")
    found, cursor, sizes = [], None, []
    while True:
        page = await runtime.find_instances(limit=3, cursor=cursor)
        sizes.append(len(page))
        found += [one.id for one in page]
        if (cursor := page.cursor) is None:
            break
    assert (found, sizes) == (made[::-1], [3, 3, 1])


async def test_the_last_full_page_has_no_cursor(runtime):
    for _ in range(2):
        await runtime.create_instance("ticket")
    assert (await runtime.find_instances(limit=2)).cursor is None


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"workflow": "parcel"}, "c"),
        ({"workflow": ["parcel", "ticket"]}, "abc"),
        ({"states": "new"}, "ac"),
        ({"exclude_states": ["new"]}, "b"),
        ({"status": "completed"}, "b"),
        ({"status": ["active", "paused"]}, "ac"),
        ({"metadata": {"city": "Rome"}}, "a"),
        ({"context": {"cart": {"size": 2}}}, "bc"),
        ({"version": "1"}, "abc"),
        ({"version": "2"}, ""),
        ({"parked": True}, ""),
        ({"parked": False}, "abc"),
        ({"states": []}, ""),
        ({}, "abc"),
    ],
)
async def test_every_condition_narrows(runtime, clock, where, expected):
    labels = {"a": {"city": "Rome"}, "b": {"city": "Oslo"}, "c": {}}
    contexts = {"a": {}, "b": {"cart": {"size": 2}}, "c": {"cart": {"size": 2, "gift": True}}}
    made = {}
    for name, workflow in {"a": "ticket", "b": "ticket", "c": "parcel"}.items():
        one = await runtime.create_instance(workflow, metadata=labels[name], context=contexts[name])
        made[one.id] = name
        if name == "b":
            await runtime.trigger_event(one.id, "close")
        clock.advance("1h")
    page = await runtime.find_instances(order="created_at", **where)
    assert "".join(made[one.id] for one in page) == expected
    assert sum((await runtime.count_instances(**where)).values()) == len(expected)


async def test_periods_and_parents(runtime, clock):
    start = clock.now()
    first = await runtime.create_instance("ticket")
    clock.advance("1d")
    second = await runtime.create_instance("ticket", parent=first)
    await runtime.trigger_event(first.id, "close")

    async def ids(**where):
        return [one.id for one in await runtime.find_instances(order="created_at", **where)]

    assert await ids(created=(None, start + timedelta(hours=1))) == [first.id]
    assert await ids(created=Span(since=start + timedelta(hours=1))) == [second.id]
    assert await ids(finished=(start, None)) == [first.id]
    assert await ids(due=(None, start + timedelta(days=30))) == [second.id]
    assert await ids(updated=(start + timedelta(days=1), None)) == [first.id, second.id]
    assert await ids(parent=first) == await ids(parent=str(first.id)) == [second.id]
    assert await ids(ids=[second]) == [second.id]


async def test_counting_by_one_and_by_two(runtime):
    made = [await runtime.create_instance(workflow) for workflow in ("ticket", "ticket", "parcel")]
    await runtime.trigger_event(made[-1].id, "close")
    assert await runtime.count_instances(group_by="state") == {"new": 2, "closed": 1}
    assert await runtime.count_instances(group_by=["workflow", "status"]) == {
        ("ticket", "active"): 2,
        ("parcel", "completed"): 1,
    }
    assert await runtime.count_instances() == {(): 3}
    assert await runtime.count_instances(workflow="none") == {(): 0}
    assert await runtime.count_instances(workflow="none", group_by="state") == {}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"limit": True}, "limit"),
        ({"order": "name"}, "order is 'name'"),
        ({"order": 3}, "order"),
        ({"status": "done"}, "status is 'done'"),
        ({"created": "yesterday"}, "created"),
        ({"created": (1, 2)}, "created"),
        ({"created": (None,)}, "created"),
        ({"ids": ["x"]}, "ids"),
        ({"parent": "x"}, "parent"),
        ({"states": [1]}, "states"),
        ({"workflow": "tick\0et"}, "workflow"),
        ({"state": "new"}, "condition is 'state'.*did you mean 'states'"),
        ({"metadata": []}, "metadata"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": 5}, "cursor"),
        ({"cursor": base64.urlsafe_b64encode(json.dumps(WITHOUT_ZONE).encode()).decode()}, "cursor"),
    ],
)
async def test_what_cannot_be_asked_is_refused(runtime, where, said):
    with pytest.raises(InvalidValue, match=said):
        await runtime.find_instances(**where)


async def test_counting_refuses_an_unknown_group(runtime):
    with pytest.raises(InvalidValue, match="group_by is 'colour'"):
        await runtime.count_instances(group_by="colour")


async def test_a_cursor_goes_with_its_order(runtime):
    for _ in range(2):
        await runtime.create_instance("ticket")
    cursor = (await runtime.find_instances(limit=1)).cursor
    with pytest.raises(InvalidValue, match="sorted by 'created_at'"):
        await runtime.find_instances(limit=1, cursor=cursor, order="id")


async def test_a_lent_transaction_sees_what_it_wrote(runtime, store):
    async with store.begin() as transaction:
        made = await runtime.create_instance("ticket", connection=transaction)
        [seen] = await runtime.find_instances(connection=transaction)
        assert seen.id == made.id
        assert await runtime.count_instances(connection=transaction) == {(): 1}
        assert len(await runtime.find_instances()) == 0


async def test_bulk_verbs_go_through_all_that_is_found_and_say_where_to_go_on(runtime):
    made = [(await runtime.create_instance("ticket")).id for _ in range(5)]
    first = await runtime.pause_instances(workflow="ticket", limit=3, reason="night")
    assert (len(first.changed), first.failed) == (3, ())
    second = await runtime.pause_instances(workflow="ticket", limit=3, cursor=first.cursor, reason="night")
    assert (len(second.changed), second.cursor) == (2, None)
    assert {*first.changed, *second.changed} == set(made)
    assert await runtime.count_instances(group_by="status") == {"paused": 5}
    assert (await runtime.get_history(made[0]))[0].reason == "night"


async def test_a_bulk_verb_tells_changed_unchanged_and_failed_apart(runtime):
    active, paused, closed = [await runtime.create_instance("ticket") for _ in range(3)]
    await runtime.pause(paused)
    await runtime.trigger_event(closed, "close")
    report = await runtime.pause_instances()
    assert (report.changed, report.unchanged) == ((active.id,), (paused.id,))
    [failure] = report.failed
    assert (failure.instance_id, failure.code) == (closed.id, "instance_finished")


async def test_a_dry_run_says_which_and_does_nothing(runtime):
    made = await runtime.create_instance("ticket")
    report = await runtime.cancel_instances(dry_run=True)
    assert report.changed == (made.id,)
    assert (await runtime.get_instance(made.id)).status == "active"


async def test_every_bulk_form(runtime, clock):
    made = await runtime.create_instance("ticket")
    handle = runtime.get_handle(made)
    assert (await runtime.resume_instances()).unchanged == (made.id,)
    assert (await runtime.patch_contexts({"a": 1}, trigger_metadata={"actor": "ana"})).changed == (made.id,)
    assert (await handle.get_history())[0].trigger_metadata == {"actor": "ana"}
    assert (await runtime.patch_contexts(remove=["a"])).changed == (made.id,)
    assert (await runtime.rearm_instances("expire", at="1h")).changed == (made.id,)
    assert (await handle.get_instance()).due_at == clock.now() + timedelta(hours=1)
    assert (await runtime.force_instances("held", put={"b": 2}, context={})).changed == (made.id,)
    assert (await handle.get_instance()).context == {"b": 2}
    assert [failure.code for failure in (await runtime.retry_instances()).failed] == ["nothing_to_retry"]
    assert (await runtime.cancel_instances(states="held")).changed == (made.id,)


async def test_what_a_command_raises_is_reported_by_its_class(running):
    @command("burst")
    def burst(ctx):
        raise ZeroDivisionError("by zero")

    runtime = await running(
        {
            "name": "balloon",
            "initial_state": "new",
            "states": {"new": {"events": {"fly": {"target": "new"}}}, "high": {"on_enter": {"commands": ["burst"]}}},
        },
        commands=[burst],
    )
    await runtime.create_instance("balloon")
    [failure] = (await runtime.force_instances("high")).failed
    assert (failure.code, failure.message) == ("ZeroDivisionError", "by zero")
