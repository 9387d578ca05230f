"""Handlers that call somebody, in flows that run."""

from detent.testing import FlowHarness
from detent_handlers.address_rules import AddressRules
from detent_handlers.batch import batch
from detent_handlers.http import HttpHandler
from packages.handlers.tests.receiver import answering
from packages.handlers.tests.web_server import WebServer, as_json

HANDLER = HttpHandler(rules=AddressRules(allow=["127.0.0.1"]), secrets={"crm": "t0ken-of-crm"})


def order(url: str, **step: object) -> dict[str, object]:
    call = {"type": "http", "config": {"url": url, "method": "POST"}, "outputKey": "answer", **step}
    return {"id": "order", "version": "1", "initialStepId": "call", "steps": {"call": call}}


async def test_a_repeated_step_waits_as_asked_and_carries_the_same_key():
    async with WebServer(answering(429, retry_after="3600"), as_json({"id": 7})) as server:
        flow = order(server.url(), retry={"maxAttempts": 2, "backoffMs": 10})
        async with FlowHarness([flow], [HANDLER]) as at:
            await at.run("order", {})
            assert len(server.requests) == 1
            await at.advance("1h")
            await at.assert_completed({"answer.body.id": 7})
    first, second = [request.headers["idempotency-key"] for request in server.requests]
    assert first == second


async def test_a_failure_leads_where_the_flow_says_and_tells_no_secret():
    async with WebServer(app=lambda request: answering(401, str(request.headers).encode())) as server:
        flow = order(server.url(), config={"url": server.url(), "headers": {"X-Crm": {"secret": "crm"}}})
        async with FlowHarness([flow], [HANDLER]) as at:
            await at.run("order", {})
            await at.assert_failed("HTTP_ERROR")
            assert "***" in str(at.execution.error)
            assert "t0ken" not in str(at.execution)


async def test_each_item_of_a_batch_carries_a_key_of_its_own():
    async with WebServer() as server:
        config = {"handler": {"type": "http", "config": {"url": server.url(), "method": "POST"}}}
        flow = order("", type="batch", config=config, input={"static": ["a", "a", "b"]})
        async with FlowHarness([flow], [HANDLER, batch]) as at:
            await at.run("order", {})
            await at.assert_completed({"answer.processed": 3})
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 3
