"""A step that calls a URL: what it sends, what it makes of the answer, and how it fails."""

import json
import logging
from datetime import timedelta
from typing import Any

import pytest

from detent.flows import Flow, check_flow
from detent.flows import Step as FlowStep
from detent.flows.handler import Handlers
from detent_handlers.address_rules import AddressRules
from detent_handlers.http import HttpHandler, http_request
from packages.handlers.tests.calling import Step, problems
from packages.handlers.tests.receiver import answering
from packages.handlers.tests.web_server import Hosts, WebServer, as_json, silence

LOOPBACK = AddressRules(allow=["127.0.0.1"])


@pytest.fixture
def step() -> Step:
    return Step(HttpHandler(rules=LOOPBACK))


async def test_the_answer_is_the_output(step):
    async with WebServer(as_json({"id": 7}, x_request="abc")) as server:
        output = await step.succeeds({"url": server.url("/orders/7?a=b%20c")})
    assert server.last.line == "GET /orders/7?a=b%20c HTTP/1.1"
    assert (output["status"], output["body"], output["headers"]["x-request"]) == (200, {"id": 7}, "abc")
    assert 0 <= output["duration_ms"] < 10_000


async def test_method_headers_query_and_json_are_sent(step):
    async with WebServer() as server:
        await step.succeeds(
            {
                "url": server.url("/orders?raw=a%2Fb#part"),
                "method": "post",
                "headers": {"X-Shop": "berlin"},
                "query": {"q": "a b&c", "tag": ["x", 1], "all": True, "none": None},
                "json": {"name": "Zoë", "total": 12.5},
            }
        )
    request = server.last
    assert request.line == "POST /orders?raw=a%2Fb&q=a+b%26c&tag=x&tag=1&all=true HTTP/1.1"
    assert (request.headers["x-shop"], request.headers["content-type"]) == ("berlin", "application/json")
    assert json.loads(request.body) == {"name": "Zoë", "total": 12.5}


async def test_what_comes_with_the_input_wins_over_the_config(step):
    config = {
        "url": "http://nowhere.test/",
        "method": "PUT",
        "headers": {"X-One": "config", "X-Two": "config"},
        "query": {"a": "config", "b": "config"},
        "json": {"from": "config"},
    }
    async with WebServer() as server:
        given = {
            "url": server.url(),
            "headers": {"x-one": "input"},
            "query": {"a": "input"},
            "text": "hello",
            "order": 1,
        }
        await step.succeeds(config, given)
    request = server.last
    assert request.line == "PUT /hook?a=input&b=config HTTP/1.1"
    assert (request.headers["x-one"], request.headers["x-two"], request.body) == ("input", "config", b"hello")
    assert request.headers["content-type"] == "text/plain; charset=utf-8"


async def test_json_null_is_a_body_and_no_body_is_none(step):
    async with WebServer() as server:
        await step.succeeds({"url": server.url(), "method": "POST", "json": None})
        await step.succeeds({"url": server.url(), "method": "POST"})
    assert [request.body for request in server.requests] == [b"null", b""]


async def test_flowmonkeys_words_are_understood(step):
    async with WebServer() as server:
        await step.succeeds({"url": server.url(), "method": "POST", "body": {"a": 1}, "timeout": 5000, "maxBytes": 10})
        await step.succeeds({"url": server.url(), "method": "POST", "body": "plain", "followRedirects": True})
    assert [request.body for request in server.requests] == [b'{"a":1}', b"plain"]


async def test_a_repeated_attempt_carries_the_same_key_and_another_step_another(step):
    other = Step(HttpHandler(rules=LOOPBACK), run=8)
    async with WebServer(answering(503)) as server:
        config = {"url": server.url(), "method": "POST"}
        await step.fails(config)
        await step.succeeds(config)
        await other.succeeds(config)
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert keys == [step.key, step.key, other.key]


async def test_inside_another_step_each_request_has_a_key_of_its_own():
    batch = Step(HttpHandler(rules=LOOPBACK), scope="a.b/ü")
    async with WebServer() as server:
        config = {"url": server.url(), "method": "POST"}
        for item in (1, 2, 1):
            await batch.succeeds(config, {"json": item})
    first, second, again = [request.headers["idempotency-key"] for request in server.requests]
    assert first == again != second


@pytest.mark.parametrize(
    ("more", "sent"),
    [
        ({"method": "GET"}, None),
        ({"method": "HEAD"}, None),
        ({"method": "POST", "idempotency_header": None}, None),
        ({"method": "POST", "headers": {"Idempotency-Key": "mine"}}, "mine"),
    ],
)
async def test_a_key_is_sent_where_it_means_something_and_unless_the_step_says_otherwise(step, more, sent):
    async with WebServer() as server:
        await step.succeeds({"url": server.url(), **more})
    assert server.last.headers.get("idempotency-key") == sent


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_status_that_may_pass_is_worth_another_attempt(step, status):
    async with WebServer(answering(status, b"later", retry_after="120")) as server:
        failed = await step.fails({"url": server.url()})
    assert (failed.code, failed.retryable, failed.retry_after) == ("HTTP_ERROR", True, timedelta(seconds=120))
    assert failed.details == {"status": status, "body": "later"}


@pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 409, 410, 422])
async def test_a_status_that_stays_is_not(step, status):
    async with WebServer(answering(status, retry_after="120")) as server:
        failed = await step.fails({"url": server.url()})
    assert (failed.code, failed.retryable, failed.retry_after) == ("HTTP_ERROR", False, None)
    assert failed.message == f"http://127.0.0.1:{server.port} answered {status} to GET /hook"


@pytest.mark.parametrize(
    ("said", "seconds"), [("99999", 600), ("0", 1), ("Tue, 01 Jan 2030 12:02:00 GMT", 120), ("soon", None)]
)
async def test_a_retry_after_is_honoured_within_bounds(step, said, seconds):
    async with WebServer(answering(429, retry_after=said)) as server:
        failed = await step.fails({"url": server.url(), "longest_wait": "10m"})
    assert failed.retry_after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("expect", "status", "good"),
    [([404], 404, True), (["4xx"], 409, True), ([200], 201, False), (["2xx", 404], 200, True), (["3xx"], 302, True)],
)
async def test_a_step_says_which_statuses_it_expects(step, expect, status, good):
    async with WebServer(answering(status, location="/elsewhere")) as server:
        result = await step({"url": server.url(), "expect": expect, "follow_redirects": False})
    assert hasattr(result, "output") == good


@pytest.mark.parametrize(
    ("content_type", "response", "body", "read"),
    [
        ("application/json", "auto", b"[1]", [1]),
        ("application/problem+json; charset=utf-8", "auto", b'{"a":1}', {"a": 1}),
        ("text/plain", "auto", b"[1]", "[1]"),
        ("text/plain", "json", b"[1]", [1]),
        ("application/json", "text", b"[1]", "[1]"),
        ("application/json", "auto", b"<html>", "<html>"),
        ("text/plain; charset=iso-8859-1", "auto", b"Zo\xeb", "Zoë"),
        ("text/plain; charset=nonsense", "auto", b"Zo\xc3\xab", "Zoë"),
        ("application/octet-stream", "auto", b"a\x00\xff", "a\ufffd\ufffd"),
        ("application/json", "auto", b"", None),
    ],
)
async def test_a_body_is_read_as_its_type_or_the_step_says(step, content_type, response, body, read):
    async with WebServer(answering(200, body, content_type=content_type)) as server:
        output = await step.succeeds({"url": server.url(), "response": response})
    assert output["body"] == read


@pytest.mark.parametrize("body", [b"<html>", b"NaN", b'{"a":1'])
async def test_an_answer_that_must_be_json_and_is_not_is_a_failure(step, body):
    async with WebServer(answering(200, body)) as server:
        failed = await step.fails({"url": server.url(), "response": "json"})
    assert (failed.code, failed.retryable) == ("ANSWER_NOT_JSON", False)


async def test_a_step_may_pick_from_the_answer(step):
    async with WebServer(as_json({"order": {"lines": [{"sku": "a"}]}}, 201, x_id="9")) as server:
        output = await step.succeeds(
            {
                "url": server.url(),
                "pick": {"sku": "body.order.lines.0.sku", "id": "headers.x-id", "code": "status", "no": "body.no"},
            }
        )
    assert output == {"sku": "a", "id": "9", "code": 201, "no": None}


async def test_an_answer_that_is_too_large_is_a_failure_that_stays(step):
    async with WebServer(answering(200, b"x" * 101)) as server:
        failed = await step.fails({"url": server.url(), "max_bytes": 100})
    assert (failed.code, failed.retryable) == ("ANSWER_TOO_LARGE", False)


async def test_a_large_answer_with_a_bad_status_is_that_status(step):
    async with WebServer(answering(500, b"x" * 5000)) as server:
        failed = await step.fails({"url": server.url(), "max_bytes": 3000})
    assert (failed.code, failed.retryable, len(failed.details["body"])) == ("HTTP_ERROR", True, 1000)


async def test_a_server_that_never_answers_is_left_in_time(step):
    async with WebServer(silence) as server:
        failed = await step.fails({"url": server.url(), "timeout": "0.3s"})
    assert (failed.code, failed.retryable) == ("TIMEOUT", True)
    assert "longer than 0.3 s" in failed.message


async def test_a_server_that_is_not_there_is_unreachable(step):
    async with WebServer() as server:
        url = server.url()
    failed = await step.fails({"url": url})
    assert (failed.code, failed.retryable) == ("HTTP_UNREACHABLE", True)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://localhost/", "https://169.254.169.254/", "http://[::1]/", "http://0x7f.1/"]
)
async def test_by_default_private_addresses_are_refused(url):
    failed = await Step(http_request).fails({"url": url})
    assert (failed.code, failed.retryable) == ("ADDRESS_REFUSED", False)


async def test_a_redirect_to_a_private_address_is_refused(step):
    async with WebServer(answering(302, location="http://10.0.0.1/")) as server:
        failed = await step.fails({"url": server.url()})
    assert (failed.code, failed.retryable, failed.details) == ("ADDRESS_REFUSED", False, {"host": "10.0.0.1"})


async def test_redirects_are_followed_and_a_loop_ends(step):
    async with WebServer(answering(302, location="/b"), answering(200, b"here")) as server:
        assert (await step.succeeds({"url": server.url()}))["body"] == "here"
    async with WebServer(app=lambda request: answering(302, location="/again")) as server:
        failed = await step.fails({"url": server.url(), "follow_redirects": 2})
    assert (failed.code, failed.retryable, len(server.requests)) == ("TOO_MANY_REDIRECTS", False, 3)


async def test_a_step_may_open_private_addresses_where_it_is_trusted():
    async with WebServer() as server:
        for more in ({"allow": ["127.0.0.0/8"]}, {"allow_private": True}):
            await Step(http_request).succeeds({"url": server.url(), **more})
            failed = await Step(HttpHandler(trust_steps=False)).fails({"url": server.url(), **more})
            assert failed.code == "ADDRESS_REFUSED"
    assert len(server.requests) == 2


async def test_what_the_application_denies_no_step_opens():
    handler = HttpHandler(rules=AddressRules(deny=["127.0.0.0/8"]))
    async with WebServer() as server:
        failed = await Step(handler).fails({"url": server.url(), "allow_private": True, "allow": ["127.0.0.1"]})
    assert (failed.code, server.connections) == ("ADDRESS_REFUSED", 0)


async def test_a_step_may_deny_more(step):
    async with WebServer() as server:
        failed = await step.fails({"url": server.url(), "deny": ["127.0.0.1"]})
    assert (failed.code, server.connections) == ("ADDRESS_REFUSED", 0)


async def test_the_input_opens_nothing():
    async with WebServer() as server:
        given = {"url": server.url(), "allow_private": True, "allow": ["127.0.0.1"]}
        assert (await Step(http_request).fails({}, given)).code == "ADDRESS_REFUSED"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.test/t0ken",
        "ftp://shop.test/t0ken",
        "http://user:t0ken@shop.test/",
        "http://[::1/t0ken",
        "http:///t0ken",
    ],
)
async def test_a_url_that_cannot_be_called_is_refused_without_being_shown(step, url):
    failed = await step.fails({}, {"url": url})
    assert (failed.code, failed.retryable) == ("INVALID_URL", False)
    assert "t0ken" not in str(failed)


async def test_a_step_without_a_url_fails(step):
    assert (await step.fails({})).code == "INVALID_URL"


async def test_a_query_that_is_too_long_is_refused(step):
    assert (await step.fails({"url": "http://127.0.0.1/", "query": {"a": "x" * 100_000}})).code == "INVALID_URL"


@pytest.mark.parametrize("headers", [{"x": "t0ken\r\ny: z"}, {"Host": "t0ken"}])
async def test_a_header_that_would_break_the_request_is_refused_without_being_shown(step, headers):
    failed = await step.fails({"url": "http://127.0.0.1/"}, {"headers": headers})
    assert (failed.code, failed.retryable) == ("INVALID_HEADER", False)
    assert "t0ken" not in str(failed)


def with_secret(**options: Any) -> Step:
    return Step(HttpHandler(secrets={"crm": "t0ken-of-crm"}, rules=LOOPBACK, **options))


HEADERS = {"Authorization": {"secret": "crm", "prefix": "Bearer "}, "X-Crm": {"secret": "crm"}}


async def test_a_secret_is_named_in_the_flow_and_put_in_by_the_application():
    async with WebServer() as server:
        await with_secret().succeeds({"url": server.url(), "headers": HEADERS})
    assert server.last.headers["authorization"] == "Bearer t0ken-of-crm"
    assert server.last.headers["x-crm"] == "t0ken-of-crm"


async def test_an_unknown_secret_is_a_failure_that_stays():
    failed = await with_secret().fails({"url": "http://127.0.0.1/", "headers": {"X": {"secret": "other"}}})
    assert (failed.code, failed.retryable) == ("UNKNOWN_SECRET", False)
    assert "'other'" in failed.message


async def test_a_secret_goes_only_where_the_config_says():
    step = with_secret()
    async with WebServer() as elsewhere, WebServer() as server:
        config = {"url": server.url(), "headers": HEADERS}
        await step.succeeds(config, {"url": server.url("/other/path")})
        for url in (elsewhere.url(), "t0ken"):
            failed = await step.fails(config, {"url": url})
            assert (failed.code, failed.retryable) == ("SECRET_NOT_SENT", False)
        assert (await step.fails({"headers": HEADERS}, {"url": server.url()})).code == "SECRET_NOT_SENT"
    assert elsewhere.connections == 0


async def test_a_secret_does_not_follow_a_redirect_elsewhere():
    async with WebServer() as elsewhere, WebServer() as server:
        server.answers = [answering(307, location=elsewhere.url())]
        await with_secret().succeeds({"url": server.url(), "headers": HEADERS})
    assert {"authorization", "x-crm"}.isdisjoint(elsewhere.last.headers)


async def test_the_input_cannot_name_a_secret():
    failed = await with_secret().fails({"url": "http://127.0.0.1/"}, {"headers": {"X": {"secret": "crm"}}})
    assert failed.code == "INPUT_VALIDATION_FAILED"


def echo(request):
    said = f"{request.line} {request.headers}".encode()
    return answering(401 if "401" in request.line else 503, said)


async def test_secrets_stand_in_no_error_or_log(caplog):
    caplog.set_level(logging.DEBUG)
    step = with_secret()
    said = [repr(step.spec.target)]
    headers = {**HEADERS, "X-Api-Key": "plain-k3y"}
    async with WebServer(app=echo) as server:
        config = {"url": server.url(), "headers": headers}
        for path in ("/401", "/503"):
            said.append(repr(await step.fails({**config, "url": server.url(path)})))
    said.append(repr(await step.fails(config)))
    assert "authorization" in said[1]
    for secret in ("t0ken-of-crm", "plain-k3y"):
        assert secret not in "\n".join([*said, caplog.text])


async def test_a_secret_is_hidden_where_an_answer_repeats_a_part_of_its_header(step):
    async with WebServer(answering(401, b"bad token: plain-k3y")) as server:
        failed = await step.fails({"url": server.url(), "headers": {"Authorization": "Bearer plain-k3y"}})
    assert failed.details["body"] == "bad token: ***"


async def test_a_header_of_the_input_replaces_a_secret():
    async with WebServer() as server:
        config = {"url": server.url(), "headers": HEADERS}
        await with_secret().succeeds(config, {"headers": {"x-crm": "from the input"}})
    assert server.last.headers["x-crm"] == "from the input"


async def test_an_excerpt_of_an_answer_can_be_stored(step):
    async with WebServer(answering(500, b"a\x00\x1b[31m\xff\xed\xa0\x80\nb")) as server:
        failed = await step.fails({"url": server.url()})
    assert failed.details["body"].startswith("a  [31m\ufffd")


async def test_a_name_is_resolved_by_what_the_application_says():
    hosts = Hosts(crm_test="127.0.0.1")
    async with WebServer() as server:
        await Step(HttpHandler(rules=AddressRules(allow=["crm.test"]), resolve=hosts)).succeeds(
            {"url": server.url(host="crm.test")}
        )
    assert hosts.asked == ["crm.test"]
    assert server.last.headers["host"] == f"crm.test:{server.port}"


@pytest.mark.parametrize(
    "config",
    [
        {"method": "CONNECT"},
        {"method": "GET / HTTP/1.1\r\nx:"},
        {"json": 1, "text": "a"},
        {"json": 1, "body": "a"},
        {"timeout": "0s"},
        {"timeout": 30},
        {"follow_redirects": 11},
        {"max_bytes": 0},
        {"expect": ["ok"]},
        {"allow": ["http://x"]},
        {"pick": {"a": "body..b"}},
        {"headers": {"X": {"secret": "a", "other": "b"}}},
        {"unknown": 1},
    ],
)
async def test_a_config_that_cannot_be_meant_is_refused(step, config):
    assert (await step.fails({"url": "http://127.0.0.1/", **config})).code == "INPUT_VALIDATION_FAILED"


def test_it_registers_as_a_class_as_an_instance_and_with_a_manifest():
    for one in (HttpHandler, HttpHandler(secrets={"a": "b"}), http_request):
        (described,) = Handlers([one]).manifest()["handlers"]
        assert (described["type"], described["category"], described["name"]) == ("http", "external", "HTTP request")
        assert {"url", "json", "follow_redirects"} <= described["config_schema"]["properties"].keys()
        assert {"url", "json"} <= described["input_schema"]["properties"].keys()


def test_a_url_that_is_nowhere_is_found_with_the_flow():
    [problem] = check_flow(Flow("calls", initial_step_id="a", steps={"a": FlowStep("http")}), [HttpHandler()])
    assert (problem.path, problem.code) == ("steps.a.input", "missing_input")
    assert problem.message == "'http' needs a url, in its config or its input, and gets nothing"


@pytest.mark.parametrize(
    ("config", "path", "said"),
    [
        ({"url": "file:///etc/passwd"}, ".url", "does not start with https:// or http://: no other scheme is allowed"),
        ({"url": "example.com/x"}, ".url", "does not start with https:// or http://: it has no scheme"),
        ({"url": ""}, ".url", "does not start with https:// or http://: it is empty"),
        ({"url": "https://ann:pw@example.com"}, ".url", "holds a user name or a password"),
        ({"headers": {"X Shop": "a"}}, ".headers", "hold a name that is no name of a header"),
        ({"headers": {"Host": "a"}}, ".headers.Host", "belongs to the connection and cannot be given"),
        ({"headers": {"X-Shop": "a\nb"}}, ".headers.X-Shop", "holds a line break, or a character outside ASCII"),
        ({"headers": {"X": 5}}, ".headers.X", 'must be text, in quotes, or {"secret": the name of one}'),
        ({"headers": {"X": {"secret": "a", "prefx": "b"}}}, ".headers.X.prefx", "there is no key 'prefx' here"),
        ({"ulr": "https://example.com"}, ".ulr", "there is no key 'ulr' here"),
    ],
)
def test_a_config_that_cannot_be_sent_is_found_with_the_flow(config, path, said):
    found = problems("http", config)
    assert [(one.path, one.message) for one in found] == [(f"steps.first.config{path}", said)]


def test_a_misspelt_key_names_the_one_that_was_meant():
    assert [one.hint for one in problems("http", {"heder": {}})] == ["did you mean 'headers'?"]
    assert [one.hint for one in problems("http", {"followredirect": 1})] == ["did you mean 'follow_redirects'?"]


async def test_a_call_without_a_url_says_so(step):
    failed = await step.fails({})
    assert (failed.code, failed.message) == (
        "INVALID_URL",
        "no url is given, neither in the config nor in the input",
    )


@pytest.mark.parametrize(
    ("url", "why"), [("file:///etc/passwd", "no other scheme is allowed"), ("example.com/x", "it has no scheme")]
)
async def test_a_url_of_the_input_that_cannot_be_called_says_why(step, url, why):
    failed = await step.fails({}, {"url": url})
    assert (failed.code, failed.message) == ("INVALID_URL", f"url does not start with https:// or http://: {why}")


async def test_a_failure_names_method_and_path_but_neither_query_nor_secrets():
    step = Step(HttpHandler(rules=LOOPBACK, secrets={"crm": "t0ken-of-the-crm"}))
    async with WebServer(answering(404)) as server:
        config = {
            "url": server.url("/orders/t0ken-of-the-crm/7?key=abc"),
            "method": "DELETE",
            "headers": {"Authorization": {"secret": "crm"}},
        }
        failed = await step.fails(config)
    assert failed.message == f"http://127.0.0.1:{server.port} answered 404 to DELETE /orders/***/7"
