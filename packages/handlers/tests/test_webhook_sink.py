"""Deliveries arrive at a real receiver, signed, once per call; what else a receiver does ends in an error that says so."""

import asyncio
import json
import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from detent import InvalidValue, SystemClock
from detent.registry.raises import GiveUp, RetryAfter
from detent.runtime.subscribers import Subscribers
from detent.store.messages import Delivery
from detent_handlers import WebhookRefused, WebhookSink, WebhookUnreachable, new_secret
from packages.handlers.tests.conftest import SECRET
from packages.handlers.tests.receiver import Receiver, answering

SOON = timedelta(milliseconds=200)


async def connected(sink: WebhookSink, delivery: Delivery) -> WebhookSink:
    """`sink` with an open connection: reading certificates and connecting are no part of a short timeout."""
    sink._timeout, wanted = timedelta(seconds=10), sink._timeout
    await sink(delivery)
    sink._timeout = wanted
    return sink


async def test_a_delivery_is_posted_and_the_standard_verifier_takes_it(make_sink, delivery):
    async with Receiver() as receiver:
        await make_sink(receiver.url("/in?a=b%20c"), clock=SystemClock())(delivery)
    request = receiver.last
    assert request.line == "POST /in?a=b%20c HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["webhook-id"] == str(delivery.id)
    assert Webhook(SECRET).verify(request.body, request.headers)["data"] == delivery.payload


async def test_headers_of_the_message_come_along_and_replace_none(make_sink, delivery):
    async with Receiver() as receiver:
        await make_sink(receiver.url())(replace(delivery, headers={"host": "evil", "webhook-id": "evil", "a": "b"}))
    headers = receiver.last.headers
    assert (headers["x-message-host"], headers["x-message-webhook-id"], headers["x-message-a"]) == ("evil", "evil", "b")
    assert (headers["host"], headers["webhook-id"]) == (f"127.0.0.1:{receiver.port}", str(delivery.id))


async def test_a_repeated_delivery_keeps_its_id_and_body_and_is_signed_anew(make_sink, delivery, clock):
    async with Receiver(answering(500)) as receiver:
        sink = make_sink(receiver.url())
        with pytest.raises(WebhookRefused):
            await sink(delivery)
        clock.advance("1h")
        await sink(replace(delivery, attempts=2))
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 3600
    assert first.signature != second.signature


async def test_while_a_secret_is_replaced_both_sign(make_sink, delivery):
    old, new = new_secret(), new_secret()
    async with Receiver() as receiver:
        await make_sink(receiver.url(), secret=[new, old], clock=SystemClock())(delivery)
    for secret in (old, new):
        assert Webhook(secret).verify(receiver.last.body, receiver.last.headers)


async def test_deliveries_share_a_connection(make_sink, delivery):
    async with Receiver(answering(200, b"thank you"), answering(503, b"busy")) as receiver:
        sink = make_sink(receiver.url())
        await sink(delivery)
        with pytest.raises(WebhookRefused):
            await sink(delivery)
        await sink(delivery)
    assert (len(receiver.requests), receiver.connections) == (3, 1)


async def test_a_closed_sink_opens_again(make_sink, delivery):
    async with Receiver() as receiver:
        async with make_sink(receiver.url()) as sink:
            await sink(delivery)
        async with asyncio.timeout(10):
            await receiver.ended.wait()
        await sink(delivery)
        await sink.aclose()
        await sink.aclose()
    assert receiver.connections == 2


async def test_an_answer_leaves_no_cookie_behind(make_sink, delivery):
    async with Receiver(answering(200, set_cookie="session=1; path=/")) as receiver:
        sink = make_sink(receiver.url())
        await sink(delivery)
        await sink(delivery)
    assert "cookie" not in receiver.last.headers


async def test_a_redirect_is_not_followed(make_sink, delivery):
    async with Receiver() as elsewhere, Receiver() as receiver:
        receiver.answers = [answering(status, location=elsewhere.url()) for status in (301, 302, 303, 307, 308)]
        sink = make_sink(receiver.url())
        for status in (301, 302, 303, 307, 308):
            with pytest.raises(WebhookRefused) as refused:
                await sink(delivery)
            assert refused.value.status == status
    assert elsewhere.requests == []


async def test_a_receiver_that_is_gone_is_given_up(make_sink, delivery):
    async with Receiver(answering(410)) as receiver:
        with pytest.raises(GiveUp, match="answered 410"):
            await make_sink(receiver.url())(delivery)


async def test_a_receiver_that_asks_for_time_gets_it(make_sink, delivery):
    async with Receiver(answering(429, retry_after="120"), answering(503, retry_after="99999")) as receiver:
        sink = make_sink(receiver.url(), longest_wait="10m")
        for seconds in (120, 600):
            with pytest.raises(RetryAfter) as later:
                await sink(delivery)
            assert later.value.after == timedelta(seconds=seconds)


async def test_a_receiver_that_never_answers_is_left_in_time(make_sink, delivery):
    async def silence(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with Receiver(answering(204), silence) as receiver, asyncio.timeout(10):
        sink = await connected(make_sink(receiver.url(), timeout=SOON), delivery)
        with pytest.raises(WebhookUnreachable, match=r"longer than 0\.2 s"):
            await sink(delivery)


async def test_a_receiver_that_drips_its_head_is_left_in_time(make_sink, delivery):
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x: y\r\n")
            await writer.drain()
            await asyncio.to_thread(lambda: None)

    async with Receiver(answering(204), drip) as receiver, asyncio.timeout(10):
        sink = await connected(make_sink(receiver.url(), timeout=SOON), delivery)
        with pytest.raises(WebhookUnreachable):
            await sink(delivery)


async def test_an_answer_counts_from_its_status_on(make_sink, delivery):
    async def unfinished(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nso far")
        await writer.drain()
        await asyncio.Event().wait()

    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 410 Gone\r\ncontent-length: 100\r\n\r\nso far")
        await writer.drain()

    async with Receiver(answering(204), unfinished, cut) as receiver, asyncio.timeout(10):
        sink = await connected(make_sink(receiver.url(), timeout="1s"), delivery)
        await sink(delivery)
        with pytest.raises(GiveUp):
            await sink(delivery)


async def test_of_an_endless_answer_only_the_start_is_read(make_sink, delivery):
    written = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()
            written += 1 << 16

    async with Receiver(endless) as receiver, asyncio.timeout(10):
        await make_sink(receiver.url())(delivery)
        await receiver.ended.wait()
    assert written < 1 << 26


async def test_who_does_not_speak_http_is_not_quoted(make_sink, delivery):
    async def other(writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 internal mail server\r\n\r\n")
        await writer.drain()

    async with Receiver(other) as receiver:
        with pytest.raises(WebhookUnreachable, match="RemoteProtocolError") as unreachable:
            await make_sink(receiver.url())(delivery)
    assert "mail" not in str(unreachable.value)


async def test_a_receiver_that_is_not_there_is_unreachable(make_sink, delivery):
    async with Receiver() as receiver:
        url = receiver.url()
    with pytest.raises(WebhookUnreachable, match="ConnectError") as unreachable:
        await make_sink(url)(delivery)
    assert unreachable.value.code == "webhook_unreachable"


async def test_proxies_of_the_environment_are_not_used(make_sink, delivery, monkeypatch):
    async with Receiver() as proxy, Receiver() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(""))
        await make_sink(receiver.url())(delivery)
    assert (len(proxy.requests), len(receiver.requests)) == (0, 1)


async def test_a_cancelled_delivery_ends_as_cancelled(make_sink, delivery):
    arrived = asyncio.Event()

    async def silence(writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with Receiver(silence) as receiver, asyncio.timeout(10):
        attempt = asyncio.create_task(make_sink(receiver.url())(delivery))
        await arrived.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt


async def test_secrets_stand_in_no_text_log_or_error(make_sink, delivery, caplog):
    caplog.set_level(logging.DEBUG)
    said = []
    async with Receiver(answering(200), answering(401), answering(429, retry_after="1"), answering(410)) as receiver:
        sink = make_sink(receiver.url("/in/t0ken?key=t0ken"))
        said += [repr(sink), str(sink), repr(sink.subscriber("*", name="billing"))]
        await sink(delivery)
        for _ in range(3):
            with pytest.raises(Exception) as failed:  # noqa: PT011
                await sink(delivery)
            said += [repr(failed.value), str(failed.value)]
    with pytest.raises(WebhookUnreachable) as unreachable:
        await sink(delivery)
    said += [repr(unreachable.value), str(unreachable.value)]
    assert "HTTP Request: POST" in caplog.text
    for secret in ("t0ken", SECRET.removeprefix("whsec_")):
        assert secret not in "\n".join([*said, caplog.text])


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"secret": ()}, "secret"),
        ({"secret": "hunter2"}, "secret"),
        ({"secret": [SECRET, "hunter2"]}, r"secret\[1\]"),
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": "0s"}, "timeout"),
        ({"connect_timeout": timedelta(-1)}, "connect_timeout"),
        ({"longest_wait": "0s"}, "longest_wait"),
    ],
)
def test_a_sink_that_cannot_work_is_not_made(options, path):
    with pytest.raises(InvalidValue, match=path) as refused:
        WebhookSink("https://hooks.example.com", **{"secret": SECRET} | options)
    assert "hunter2" not in str(refused.value)


async def test_a_sink_registers_as_a_subscriber(make_sink, delivery):
    async with Receiver() as receiver:
        registered = Subscribers([make_sink(receiver.url(), timeout="10s").subscriber("order.*", name="billing")])
        assert registered.hearing("order.paid") == ("billing",)
        assert registered["billing"].timeout > timedelta(seconds=10)
        await registered["billing"].deliver(delivery)
    assert json.loads(receiver.last.body)["type"] == "order.paid"
