"""The client over HTTP: the API of handles and the errors of the runtime, whatever the door."""

from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from detent.client import AnswerRefused, WorkflowClient
from detent.errors import (
    CommandFailed,
    DetentError,
    EventNotAvailable,
    EventRefused,
    InstanceFinished,
    InstanceNotFound,
    InstancePaused,
    InvalidValue,
    NothingToRetry,
    NotStarted,
    UnknownWorkflow,
    VersionConflict,
)
from detent.ids import new_id
from tests.contract.remote import Unsteady, connected


async def test_a_handle_over_http_does_what_a_handle_does(door):
    async with connected(door) as remote:
        order = await remote.client.create_instance("order", context={"stock": 3}, metadata={"customer": "c1"})
        handle = remote.client.get_handle(order)
        assert (order.state, order.metadata) == ("new", {"customer": "c1"})
        assert "pay" in [event.name for event in await handle.get_available_events()]
        paid = await handle.trigger_event("pay", payload={"amount": 3}, trigger_metadata={"actor": "ana"})
        assert (paid.outcome, paid.to_state) == ("success", "paid")
        assert (await handle.get_instance()).status == "completed"
        entries = await handle.get_history(limit=1)
        assert [(entry.event, entry.trigger_metadata) for entry in entries] == [("pay", {"actor": "ana"})]
        assert [entry.event for entry in await handle.get_history(before=2)] == ["$created"]
        assert "now" in await handle.to_mermaid()


async def test_a_client_tells_of_the_workflows_there_are(door):
    async with connected(door) as remote:
        [order] = await remote.client.list_definitions()
        assert (order.name, order.states) == ("order", ["new", "paid", "expired"])
        assert (await remote.client.to_mermaid("order", style="flowchart", symbols="text")).startswith("---")


async def test_events_of_any_name_are_reached(door):
    async with connected(door) as remote:
        for name in ("ship / now", "50% ?#"):
            order = await remote.client.create_instance("order")
            assert (await remote.client.get_handle(str(order.id)).trigger_event(name)).to_state == "paid"


async def test_operators_stop_an_instance_and_let_it_go_on(door):
    async with connected(door) as remote:
        handle = remote.client.get_handle(await remote.client.create_instance("order"))
        assert (await handle.pause(reason="fraud?", trigger_metadata={"actor": "ana"})).status == "paused"
        with pytest.raises(InstancePaused):
            await handle.trigger_event("try")
        assert (await handle.resume(expected_version=2)).status == "active"
        assert (await handle.cancel()).status == "cancelled"
        with pytest.raises(InstanceFinished) as ended:
            await handle.pause()
        [_, _, paused, _] = await handle.get_history()
    assert ended.value.status == "cancelled"
    assert (paused.event, paused.reason, paused.trigger_metadata) == ("$paused", "fraud?", {"actor": "ana"})


async def test_operators_move_an_instance_and_try_again_what_went_wrong(door):
    async with connected(door) as remote:
        handle = remote.client.get_handle(await remote.client.create_instance("order"))
        with pytest.raises(NothingToRetry):
            await handle.retry()
        with pytest.raises(EventRefused):
            await handle.trigger_event("approve")
        with pytest.raises(EventRefused, match="nothing is in stock"):
            await handle.retry(trigger_metadata={"actor": "ana"})
        forced = await handle.force("paid", context={"by": "hand"}, reason="lost", expected_version=3)
    assert (forced.to_state, forced.instance.context) == ("paid", {"by": "hand"})


async def test_an_event_that_is_sent_is_kept_for_as_long_as_was_said(door):
    async with connected(door) as remote:
        handle = remote.client.get_handle(await remote.client.create_instance("order"))
        sent = await handle.send("pay", {"amount": 5}, delay=timedelta(days=2), expires="3d")
        with pytest.raises(InvalidValue) as unknown:
            await handle.send("fly")
    assert sent.expires_at is not None
    assert (sent.available_at - sent.created_at, sent.expires_at - sent.created_at) == (
        timedelta(days=2),
        timedelta(days=3),
    )
    assert unknown.value.path == "event"


async def test_instances_are_found_by_what_they_are_page_by_page(door):
    async with connected(door) as remote:
        made = [(await remote.client.create_instance("order")).id for _ in range(5)]
        await remote.client.get_handle(made[4]).pause()
        page = await remote.client.find_instances(states=["new", "paid"], order="created_at", limit=2)
        second = await page.next_page()
        assert ([one.id for one in page], len(page)) == (made[:2], 2)
        assert second is not None
        assert [one.id for one in second] == made[2:4]
        assert [one.id async for one in page] == made
        assert [one.id async for one in second] == made[2:]
        paused = await remote.client.find_instances(status="paused", workflow="order", version="1")
        assert ([one.id for one in paused], await paused.next_page()) == ([made[4]], None)
        assert len(await remote.client.find_instances(parent=made[0])) == 0
        assert len(await remote.client.find_parked(workflow="order")) == 0


async def test_a_condition_that_holds_no_names_is_refused_and_not_dropped(door):
    async with connected(door) as remote:
        with pytest.raises(InvalidValue, match="status"):
            await remote.client.find_instances(status=[])
        assert remote.line.seen == []


async def test_the_verbs_of_operators_need_their_routes(door):
    async with connected(door, operators=False) as remote:
        handle = remote.client.get_handle(await remote.client.create_instance("order"))
        for ask in (handle.pause, handle.get_runs, remote.client.find_parked):
            with pytest.raises(AnswerRefused) as refusal:
                await ask()
            assert refusal.value.status == 404
            assert "some are mounted only where the application asks for them" in str(refusal.value)


async def refused(client: WorkflowClient, **asked: object) -> DetentError:
    order = await client.create_instance("order")
    with pytest.raises(DetentError) as error:
        await client.get_handle(order).trigger_event(**{"name": "pay", "payload": {"amount": 1}, **asked})  # type: ignore[arg-type]
    return error.value


async def test_errors_are_those_of_the_runtime(door):
    async with connected(door) as remote:
        unavailable = await refused(remote.client, name="pya")
        assert isinstance(unavailable, EventNotAvailable)
        assert (unavailable.event, unavailable.hint) == ("pya", "did you mean 'pay'?")
        no = await refused(remote.client, name="approve", payload=None)
        assert isinstance(no, EventRefused)
        assert no.reason == "nothing is in stock"
        outdated = await refused(remote.client, expected_version=7)
        assert isinstance(outdated, VersionConflict)
        assert (outdated.expected, outdated.found) == (7, 1)
        wrong = await refused(remote.client, payload={"amount": "much"})
        assert isinstance(wrong, InvalidValue)
        assert wrong.path == "payload"
        assert [problem.path for problem in wrong.problems] == ["amount"]
        failed = await refused(remote.client, name="charge", payload=None)
        assert isinstance(failed, CommandFailed)
        assert (failed.event, failed.failure_code, failed.failure_message) == (
            "charge",
            "card_declined",
            "the bank said no",
        )


async def test_what_is_not_there_is_told_by_its_name(door):
    async with connected(door) as remote:
        lost = new_id()
        with pytest.raises(InstanceNotFound) as missing:
            await remote.client.get_handle(lost).get_instance()
        assert missing.value.instance_id == lost
        with pytest.raises(UnknownWorkflow) as unknown:
            await remote.client.create_instance("ordr")
        assert unknown.value.hint == "did you mean 'order'?"


async def test_who_may_not_ask_is_told_so(door):
    async with connected(door, keeper=lambda headers, action: 403) as remote:
        with pytest.raises(AnswerRefused) as refusal:
            await remote.client.list_definitions()
    assert (refusal.value.status, refusal.value.problem) == (403, "not_allowed")


async def test_a_key_may_be_any_text(door):
    async with connected(door) as remote:
        first = await remote.client.create_instance("order", idempotency_key="Bestellung Ü-7")
        assert (await remote.client.create_instance("order", idempotency_key="Bestellung Ü-7")).id == first.id


async def test_a_client_is_entered_first_and_leaves_what_it_was_given_open():
    with pytest.raises(NotStarted):
        await WorkflowClient("http://shop.test").create_instance("order")
    http = httpx.AsyncClient(transport=Unsteady(None), base_url="http://shop.test/workflows")
    async with WorkflowClient(http=http):
        pass
    assert not http.is_closed
    await http.aclose()


async def test_a_url_where_no_routes_are_is_told_of(door):
    async with connected(door) as remote:
        http = httpx.AsyncClient(transport=remote.line, base_url="http://shop.test")
        async with http, WorkflowClient(http=http) as client:
            with pytest.raises(AnswerRefused, match=r"where they are mounted, such as https://shop\.example/workflows"):
                await client.list_definitions()


@pytest.mark.parametrize("url", ["", "shop.test/workflows", "localhost:8000/workflows"])
def test_a_url_without_its_scheme_is_refused_at_once(url: str):
    with pytest.raises(InvalidValue, match="begins with http:// or https://"):
        WorkflowClient(url)


def test_a_text_that_is_no_id_is_refused_at_once():
    with pytest.raises(ValueError, match="badly formed"):
        WorkflowClient("http://shop.test").get_handle("nope")
    assert isinstance(WorkflowClient("http://shop.test").get_handle(str(new_id())).id, UUID)
