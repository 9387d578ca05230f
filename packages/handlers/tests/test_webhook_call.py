"""A step that posts a signed webhook."""

import json
from datetime import timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from detent import InvalidValue, SystemClock
from detent.flows.handler import Handlers
from detent_handlers.address_rules import AddressRules
from detent_handlers.webhook_call import WebhookHandler
from packages.handlers.tests.calling import NOW, Step, problems
from packages.handlers.tests.conftest import SECRET
from packages.handlers.tests.receiver import answering
from packages.handlers.tests.web_server import WebServer, silence


@pytest.fixture
def step() -> Step:
    return Step(WebhookHandler(secrets={"crm": SECRET}, rules=AddressRules(allow=["127.0.0.1"]), allow_http=True))


def config(server: WebServer, **more: str) -> dict[str, str]:
    return {"url": server.url("/in/t0ken"), "event": "order.paid", "secret": "crm", **more}


async def test_the_input_is_posted_and_the_standard_verifier_takes_it(step):
    step.now = SystemClock().now()
    async with WebServer() as server:
        output = await step.succeeds(config(server), {"total": 12, "name": "Zoë"})
    request = server.last
    assert Webhook(SECRET).verify(request.body, request.headers) == {
        "event": "order.paid",
        "execution_id": "00000000-0000-0000-0000-000000000003",
        "step_id": "the_step",
        "timestamp": step.now.isoformat(),
        "payload": {"total": 12, "name": "Zoë"},
    }
    assert request.line == "POST /in/t0ken HTTP/1.1"
    assert (output["status"], output["webhook_id"]) == (204, step.key)


async def test_a_repeated_attempt_has_the_same_id_and_body_and_is_signed_anew(step):
    async with WebServer(answering(503)) as server:
        await step.fails(config(server), {"total": 12})
        step.now += timedelta(hours=1)
        await step.succeeds(config(server), {"total": 12})
    first, second = server.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == step.key
    assert first.body == second.body
    assert json.loads(second.body)["timestamp"] == NOW.isoformat()
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 3600
    assert first.signature != second.signature


async def test_inside_another_step_each_webhook_has_an_id_of_its_own():
    handler = WebhookHandler(secrets={"crm": SECRET}, rules=AddressRules(allow_private=True), allow_http=True)
    batch = Step(handler, scope="a.b/ü")
    async with WebServer() as server:
        for item in (1, 2):
            await batch.succeeds(config(server), item)
    first, second = server.requests
    assert first.headers["webhook-id"] != second.headers["webhook-id"]


@pytest.mark.parametrize(("status", "retryable"), [(302, False), (400, False), (410, False), (429, True), (503, True)])
async def test_a_status_that_is_no_success_is_a_failure(step, status, retryable):
    async with WebServer(answering(status, b"why", retry_after="60", location="/b")) as server:
        failed = await step.fails(config(server))
    assert (failed.code, failed.retryable, failed.details) == (
        "HTTP_ERROR",
        retryable,
        {"status": status, "body": "why"},
    )
    assert failed.retry_after == (timedelta(seconds=60) if retryable else None)
    assert len(server.requests) == 1


async def test_no_answer_is_a_failure_that_may_pass(step):
    async with WebServer(silence) as server:
        assert (await step.fails(config(server, timeout="0.3s"))).code == "TIMEOUT"
    failed = await step.fails(config(server))
    assert (failed.code, failed.retryable) == ("HTTP_UNREACHABLE", True)


async def test_where_nothing_else_is_said_only_https_on_the_public_internet_is_called():
    async with WebServer() as server:
        for handler, code in (
            (WebhookHandler(secrets={"crm": SECRET}), "INVALID_URL"),
            (WebhookHandler(secrets={"crm": SECRET}, allow_http=True), "ADDRESS_REFUSED"),
        ):
            failed = await Step(handler).fails(config(server))
            assert (failed.code, failed.retryable) == (code, False)
            assert "t0ken" not in str(failed)
    assert server.connections == 0


async def test_a_secret_that_is_not_known_is_a_failure_that_stays(step):
    async with WebServer() as server:
        failed = await step.fails(config(server, secret="other"))
    assert (failed.code, failed.retryable, server.connections) == ("UNKNOWN_SECRET", False, 0)


def test_a_secret_that_cannot_sign_makes_no_handler():
    with pytest.raises(InvalidValue, match=r"secrets\.crm") as refused:
        WebhookHandler(secrets={"crm": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_it_registers_and_keeps_checkpoints():
    assert Handlers([WebhookHandler]).manifest()["handlers"][0]["stateful"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "example.com/x", ""])
def test_a_url_that_cannot_be_called_is_found_with_the_flow(url):
    [problem] = problems("webhook", {"url": url, "event": "order.paid", "secret": "crm"})
    assert (problem.path, problem.code) == ("steps.first.config.url", "bad_config")
    assert problem.message.startswith("does not start with https:// or http://")


async def test_a_failure_names_the_method_and_not_the_path_which_may_be_a_secret(step):
    async with WebServer(answering(404)) as server:
        failed = await step.fails(config(server))
    assert failed.message == f"http://127.0.0.1:{server.port} answered 404 to POST"
