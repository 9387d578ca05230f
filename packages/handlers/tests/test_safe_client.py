"""Redirects are followed to checked addresses only, secrets stay where they were meant for, and answers end."""

import asyncio
import gzip
from datetime import timedelta

import pytest

from detent import InvalidValue
from detent_handlers import AddressRefused
from detent_handlers.address_rules import AddressRules
from detent_handlers.errors import TookTooLong, TooManyRedirects, Unreachable
from detent_handlers.safe_client import Hop, SafeClient, SafeRequest
from packages.handlers.tests.receiver import answering
from packages.handlers.tests.web_server import Hosts, WebServer, silence

LOOPBACK = AddressRules(allow=["127.0.0.1"])


def client(hosts: Hosts | None = None) -> SafeClient:
    return SafeClient(rules=LOOPBACK, allow_http=True, resolve=hosts or Hosts())


async def test_an_address_that_is_not_allowed_is_refused_before_anything_is_sent():
    async with WebServer() as server:
        with pytest.raises(AddressRefused):
            await SafeClient(allow_http=True).request(SafeRequest("GET", server.url()))
    assert server.connections == 0


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest", "http://inner.test/", "//[::1]/", "http://0/"])
async def test_a_redirect_to_a_private_address_is_refused(target):
    hosts = Hosts(inner_test="10.0.0.1")
    async with WebServer(answering(302, location=target)) as server:
        with pytest.raises(AddressRefused):
            await client(hosts).request(SafeRequest("GET", server.url(), redirects=5))
    assert len(server.requests) == 1


async def test_a_name_is_resolved_for_every_redirect_and_once_for_each():
    hosts = Hosts(shop_test="127.0.0.1")
    async with WebServer(answering(302, location="/b"), answering(200, b"here")) as server:
        answer = await client(hosts).request(SafeRequest("GET", server.url("/a", host="shop.test"), redirects=1))
    assert (answer.body, [request.line for request in server.requests]) == (
        b"here",
        ["GET /a HTTP/1.1", "GET /b HTTP/1.1"],
    )
    assert hosts.asked == ["shop.test", "shop.test"]
    assert server.last.headers["host"] == f"shop.test:{server.port}"


async def test_a_name_that_turns_private_between_two_redirects_is_refused():
    hosts = Hosts(shop_test="127.0.0.1")

    def turned(request):
        hosts.addresses["shop.test"] = "10.0.0.1"
        return answering(302, location="/again")

    async with WebServer(app=turned) as server:
        with pytest.raises(AddressRefused):
            await client(hosts).request(SafeRequest("GET", server.url(host="shop.test"), redirects=5))
    assert len(server.requests) == 1


async def test_a_loop_of_redirects_ends():
    async with WebServer(app=lambda request: answering(302, location="/again")) as server:
        with pytest.raises(TooManyRedirects) as looped:
            await client().request(SafeRequest("GET", server.url(), redirects=3))
    assert (looped.value.limit, len(server.requests)) == (3, 4)


async def test_without_redirects_to_follow_one_is_an_answer():
    async with WebServer(answering(302, location="/b")) as server:
        answer = await client().request(SafeRequest("GET", server.url()))
    assert (answer.status, answer.headers["location"]) == (302, "/b")


@pytest.mark.parametrize(
    "location",
    ["ftp://x.test/", "http://user:t0ken@x.test/", "http://[::1", "https://", "javascript:t0ken", "file:///etc/t0ken"],
)
async def test_a_redirect_to_what_cannot_be_called_is_refused_without_being_shown(location):
    async with WebServer(answering(302, location=location)) as server:
        with pytest.raises(InvalidValue, match="the redirect's url") as refused:
            await client().request(SafeRequest("GET", server.url(), redirects=5))
    assert "t0ken" not in str(refused.value)


SECRETS = {"Authorization": "Bearer t", "Cookie": "a=b", "X-Crm": "t", "Accept": "text/plain"}


@pytest.mark.parametrize("elsewhere", ["other.test", "127.0.0.1"])
async def test_secrets_do_not_follow_a_redirect_to_another_host(elsewhere):
    hosts = Hosts(shop_test="127.0.0.1", other_test="127.0.0.1")
    async with WebServer() as server:
        back = server.url("/back", host="shop.test")
        server.answers = [
            answering(307, location=server.url(host=elsewhere)),
            answering(307, location=back),
            answering(200),
        ]
        request = SafeRequest(
            "GET",
            server.url(host="shop.test"),
            SECRETS,
            redirects=5,
            confidential=frozenset({"x-crm"}),
        )
        await client(hosts).request(request)
    first, other, last = server.requests
    assert {"authorization", "cookie", "x-crm"} <= first.headers.keys()
    for later in (other, last):
        assert {"authorization", "cookie", "x-crm"}.isdisjoint(later.headers)
        assert later.headers["accept"] == "text/plain"


async def test_secrets_follow_a_redirect_to_the_same_origin_but_not_to_another_port():
    async with WebServer() as other, WebServer() as server:
        server.answers = [answering(307, location="/b"), answering(307, location=other.url())]
        await client().request(SafeRequest("GET", server.url(), SECRETS, redirects=5))
    assert server.last.headers["authorization"] == "Bearer t"
    assert "authorization" not in other.last.headers


@pytest.mark.parametrize(
    ("status", "method", "sent"),
    [
        (301, "POST", ("GET", b"")),
        (302, "POST", ("GET", b"")),
        (303, "PUT", ("GET", b"")),
        (302, "PUT", ("PUT", b"{}")),
        (307, "POST", ("POST", b"{}")),
        (308, "POST", ("POST", b"{}")),
        (303, "HEAD", ("HEAD", b"{}")),
    ],
)
async def test_a_redirect_keeps_or_drops_method_and_body_as_http_says(status, method, sent):
    async with WebServer(answering(status, location="/b"), answering(200)) as server:
        headers = {"content-type": "application/json"}
        await client().request(SafeRequest(method, server.url(), headers, b"{}", redirects=1))
    assert (server.last.line.split()[0], server.last.body) == sent
    assert ("content-type" in server.last.headers) == (sent[1] != b"")


async def test_the_time_of_all_redirects_is_bounded():
    async with WebServer(answering(302, location="/b"), silence) as server, asyncio.timeout(10):
        with pytest.raises(TookTooLong, match=r"longer than 0\.3 s"):
            await client().request(SafeRequest("GET", server.url(), timeout=timedelta(milliseconds=300), redirects=5))
    assert len(server.requests) <= 2


async def test_a_body_that_drips_is_left_in_time():
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.to_thread(lambda: None)

    async with WebServer(drip) as server, asyncio.timeout(10):
        with pytest.raises(TookTooLong):
            await client().request(SafeRequest("GET", server.url(), timeout=timedelta(milliseconds=500)))


@pytest.mark.parametrize(("size", "cut"), [(100, False), (101, True)])
async def test_an_answer_is_read_up_to_its_limit(size, cut):
    async with WebServer(answering(200, b"x" * size)) as server:
        answer = await client().request(SafeRequest("GET", server.url(), max_bytes=100))
    assert (answer.body, answer.cut) == (b"x" * 100, cut)


async def test_a_zipped_answer_is_unzipped_up_to_its_limit():
    bomb, small = gzip.compress(bytes(50_000_000)), gzip.compress(b"hello")
    async with WebServer(
        answering(200, bomb, content_encoding="gzip"), answering(200, small, content_encoding="gzip")
    ) as server:
        cut = await client().request(SafeRequest("GET", server.url(), max_bytes=1_000_000))
        whole = await client().request(SafeRequest("GET", server.url()))
    assert (len(cut.body), cut.cut) == (1_000_000, True)
    assert (whole.body, whole.cut) == (b"hello", False)


@pytest.mark.parametrize("encoding", ["br", "gzip"])
async def test_an_answer_that_cannot_be_unzipped_is_none(encoding):
    async with WebServer(answering(200, b"no such thing", content_encoding=encoding)) as server:
        with pytest.raises(Unreachable):
            await client().request(SafeRequest("GET", server.url()))


async def test_an_answer_that_breaks_off_is_none():
    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nso far")
        await writer.drain()

    async with WebServer(cut) as server:
        with pytest.raises(Unreachable, match="RemoteProtocolError"):
            await client().request(SafeRequest("GET", server.url()))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil"},
        {"Content-Length": "1"},
        {"Transfer-Encoding": "chunked"},
        {"x": "t0ken\r\ny: z"},
        {"x": "t0ken\0"},
        {"x": "t0kén"},
        {"x t0ken": "a"},
        {"": "a"},
    ],
)
async def test_headers_that_would_break_the_request_are_refused_without_being_shown(headers):
    with pytest.raises(InvalidValue) as refused:
        await client().request(SafeRequest("GET", "http://127.0.0.1/", headers))
    assert "t0k" not in str(refused.value)


async def test_each_request_has_a_connection_of_its_own_and_leaves_none_open():
    calls = client()
    async with WebServer() as server:
        await calls.request(SafeRequest("GET", server.url()))
        async with asyncio.timeout(10):
            await server.ended.wait()
        await calls.request(SafeRequest("GET", server.url()))
    assert server.connections == 2


def test_a_client_outlives_an_event_loop():
    calls = client()

    async def once() -> int:
        async with WebServer() as server:
            return (await calls.request(SafeRequest("GET", server.url()))).status

    assert [asyncio.run(once()), asyncio.run(once())] == [204, 204]


async def test_showing_a_request_or_an_answer_shows_no_secret():
    async with WebServer(answering(200, b"t0ken", x="t0ken")) as server:
        request = SafeRequest("GET", server.url("/t0ken"), {"x": "t0ken"}, b"t0ken")
        answer = await client().request(request)
    assert "t0ken" not in repr(request) + repr(answer)


def test_what_began_encrypted_is_not_redirected_into_clear_text():
    hop = Hop.first(SafeRequest("GET", "https://shop.test/a"), allow_http=True)
    assert hop.onward(302, "/b", frozenset()).endpoint.origin == "https://shop.test"
    with pytest.raises(InvalidValue, match="is not https"):
        hop.onward(302, "http://shop.test/b", frozenset())


async def test_nobody_is_asked_for_the_addresses_of_a_name_that_is_denied():
    hosts = Hosts(ads_test="127.0.0.1")
    with pytest.raises(AddressRefused):
        await SafeClient(rules=AddressRules(deny=["ads.test"]), resolve=hosts).request(
            SafeRequest("GET", "https://ads.test/")
        )
    assert hosts.asked == []
