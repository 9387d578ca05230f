"""The client over HTTP, against the routes: the API of handles, the errors of the runtime, and requests that are sent again."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from detent import Retry
from detent.client import AnswerRefused, ServerUnreachable, WorkflowClient
from detent.errors import (
    DetentError,
    EventNotAvailable,
    EventRefused,
    IdempotencyConflict,
    InstanceNotFound,
    InvalidValue,
    NotStarted,
    UnknownWorkflow,
    VersionConflict,
)
from detent.ids import new_id
from detent_litestar import WorkflowConfig, WorkflowPlugin

AT_ONCE = Retry(attempts=3, initial=timedelta(0))


class Unsteady(httpx.AsyncBaseTransport):
    """Loses the answers to requests, or gives others in their place, as told: one item for each request."""

    def __init__(self, app: Litestar) -> None:
        self._app = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Litestar's scopes are typed dicts
        self.troubles: list[httpx.Response | None] = []
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if not self.troubles:
            return await self._app.handle_async_request(request)
        trouble = self.troubles.pop(0)
        if trouble is not None:
            return trouble
        await self._app.handle_async_request(request)
        raise httpx.ReadError("the line went dead")


@pytest.fixture
def app(configured: Callable[..., WorkflowConfig]) -> Litestar:
    return Litestar(logging_config=None, plugins=[WorkflowPlugin(configured())])


@pytest.fixture
def line(app: Litestar) -> Unsteady:
    return Unsteady(app)


@asynccontextmanager
async def connected(app: Litestar, line: Unsteady) -> AsyncIterator[WorkflowClient]:
    http = httpx.AsyncClient(transport=line, base_url="http://shop.test/workflows")
    async with app.lifespan(), http, WorkflowClient(http=http, retry=AT_ONCE) as client:
        yield client


Connect = Callable[[], AbstractAsyncContextManager[WorkflowClient]]


@pytest.fixture
def connect(app: Litestar, line: Unsteady) -> Connect:
    """Starts the application and a client of it."""
    return lambda: connected(app, line)


async def test_a_handle_over_http_does_what_a_handle_does(connect: Connect) -> None:
    async with connect() as client:
        order = await client.create_instance("order", context={"stock": 3}, metadata={"customer": "c1"})
        handle = client.get_handle(order)
        assert (order.state, order.metadata) == ("new", {"customer": "c1"})
        assert "pay" in [event.name for event in await handle.get_available_events()]
        paid = await handle.trigger_event("pay", payload={"amount": 3}, trigger_metadata={"actor": "ana"})
        assert (paid.outcome, paid.to_state) == ("success", "paid")
        assert (await handle.get_instance()).status == "completed"
        entries = await handle.get_history(limit=1)
        assert [(entry.event, entry.trigger_metadata) for entry in entries] == [("pay", {"actor": "ana"})]
        assert [entry.event for entry in await handle.get_history(before=2)] == ["$created"]
        assert "now" in await handle.to_mermaid()
        assert (await client.to_mermaid("order", style="flowchart", symbols="text")).startswith("---")


async def test_events_of_any_name_are_reached(connect: Connect) -> None:
    async with connect() as client:
        for name in ("ship / now", "50% ?#"):
            order = await client.create_instance("order")
            assert (await client.get_handle(str(order.id)).trigger_event(name)).to_state == "paid"


async def refused(client: WorkflowClient, **asked: object) -> DetentError:
    order = await client.create_instance("order")
    with pytest.raises(DetentError) as error:
        await client.get_handle(order).trigger_event(**{"name": "pay", "payload": {"amount": 1}, **asked})  # type: ignore[arg-type]
    return error.value


async def test_errors_are_those_of_the_runtime(connect: Connect) -> None:
    async with connect() as client:
        unavailable = await refused(client, name="pya")
        assert isinstance(unavailable, EventNotAvailable)
        assert (unavailable.event, unavailable.hint) == ("pya", "did you mean 'pay'?")
        no = await refused(client, name="approve", payload=None)
        assert isinstance(no, EventRefused)
        assert no.reason == "nothing is in stock"
        outdated = await refused(client, expected_version=7)
        assert isinstance(outdated, VersionConflict)
        assert (outdated.expected, outdated.found) == (7, 1)
        wrong = await refused(client, payload={"amount": "much"})
        assert isinstance(wrong, InvalidValue)
        assert wrong.path == "payload"
        assert [problem.path for problem in wrong.problems] == ["amount"]
        failed = await refused(client, name="charge", payload=None)
        assert isinstance(failed, AnswerRefused)
        assert (failed.status, failed.problem, failed.data["failure_code"]) == (422, "command_failed", "card_declined")


async def test_what_is_not_there_is_told_by_its_name(connect: Connect) -> None:
    async with connect() as client:
        lost = new_id()
        with pytest.raises(InstanceNotFound) as missing:
            await client.get_handle(lost).get_instance()
        assert missing.value.instance_id == lost
        with pytest.raises(UnknownWorkflow) as unknown:
            await client.create_instance("ordr")
        assert unknown.value.hint == "did you mean 'order'?"


async def test_a_request_whose_answer_was_lost_is_sent_again_and_done_once(connect: Connect, line: Unsteady) -> None:
    async with connect() as client:
        line.troubles = [None]
        order = await client.create_instance("order")
        line.troubles = [None, httpx.Response(503, headers={"Retry-After": "0"})]
        paid = await client.get_handle(order).trigger_event("pay", payload={"amount": 1})
        assert paid.replayed
        assert [entry.event for entry in await client.get_handle(order).get_history()] == ["pay", "$created"]
        assert (
            len({request.headers["Idempotency-Key"] for request in line.seen if "events/pay" in request.url.path}) == 1
        )


async def test_where_no_answer_ever_comes_the_key_says_how_to_find_out(connect: Connect, line: Unsteady) -> None:
    async with connect() as client:
        order = await client.create_instance("order")
        handle = client.get_handle(order)
        line.troubles = [None, None, None]
        with pytest.raises(ServerUnreachable) as lost:
            await handle.trigger_event("pay", payload={"amount": 1})
        key = lost.value.idempotency_key
        assert key is not None
        assert key in str(lost.value)
        assert (await handle.trigger_event("pay", payload={"amount": 1}, idempotency_key=key)).replayed
        with pytest.raises(IdempotencyConflict):
            await handle.trigger_event("pay", payload={"amount": 2}, idempotency_key=key)


async def test_a_server_in_trouble_is_asked_so_often_and_no_more(connect: Connect, line: Unsteady) -> None:
    async with connect() as client:
        line.troubles = [httpx.Response(502, text="<html>bad gateway</html>") for _ in range(3)]
        with pytest.raises(AnswerRefused) as refusal:
            await client.get_handle(new_id()).get_instance()
        assert (refusal.value.status, refusal.value.problem, len(line.seen)) == (502, "unknown", 3)


async def test_a_key_may_be_any_text(connect: Connect) -> None:
    async with connect() as client:
        first = await client.create_instance("order", idempotency_key="Bestellung Ü-7")
        assert (await client.create_instance("order", idempotency_key="Bestellung Ü-7")).id == first.id


async def test_a_client_is_entered_first_and_leaves_what_it_was_given_open(app: Litestar, line: Unsteady) -> None:
    with pytest.raises(NotStarted):
        await WorkflowClient("http://shop.test").create_instance("order")
    http = httpx.AsyncClient(transport=line, base_url="http://shop.test/workflows")
    async with WorkflowClient(http=http):
        pass
    assert not http.is_closed
    await http.aclose()


def test_a_text_that_is_no_id_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="badly formed"):
        WorkflowClient("http://shop.test").get_handle("nope")
    assert isinstance(WorkflowClient("http://shop.test").get_handle(str(new_id())).id, UUID)
