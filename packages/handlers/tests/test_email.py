"""A step that sends a mail, to a server that is there."""

import asyncio
import ssl
from base64 import b64encode
from typing import Any

import pytest
import trustme

from detent import InvalidValue
from detent.flows.handler import Handlers
from detent_handlers.email import EmailHandler
from packages.handlers.tests.calling import Step
from packages.handlers.tests.mail_server import MailServer

HELLO = {"to": "ann@shop.test", "subject": "Your order", "text": "It is on its way.\n"}


def sending(server: MailServer, *, run: int = 7, scope: str = "", **options: Any) -> Step:
    defaults: dict[str, Any] = {"sender": "Shop <shop@shop.test>", "tls": None, "local_hostname": "localhost"}
    return Step(EmailHandler("127.0.0.1", server.port, **defaults | options), run=run, scope=scope)


async def test_a_mail_arrives():
    async with MailServer() as server:
        output = await sending(server).succeeds(HELLO)
    (received,) = server.received
    message = received.message
    assert (received.sender, received.recipients) == ("shop@shop.test", ["ann@shop.test"])
    assert (message["From"], message["To"], message["Subject"]) == (
        "Shop <shop@shop.test>",
        "ann@shop.test",
        "Your order",
    )
    assert message.get_content().splitlines() == ["It is on its way."]
    assert message["Date"].datetime.year == 2030
    assert output == {"message_id": message["Message-ID"], "accepted": ["ann@shop.test"], "refused": {}}


async def test_text_html_attachments_and_all_who_get_it():
    pdf = bytes(range(256))
    config = {
        "to": ["Ann Müller <ann@shop.test>", "bob@shop.test"],
        "cc": "Cem, Dr. <cem@shop.test>",
        "bcc": ["dee@shop.test", "ann@shop.test"],
        "subject": "Grüße & <Ünicode>",
        "text": "plain ü",
        "html": "<b>rich ü</b>",
        "replyTo": "Help <help@shop.test>",
        "attachments": [
            {"name": "rechnung ü.pdf", "contentType": "application/pdf", "base64": b64encode(pdf).decode()}
        ],
    }
    async with MailServer() as server:
        await sending(server).succeeds(config)
    (received,) = server.received
    message = received.message
    assert received.recipients == ["ann@shop.test", "bob@shop.test", "cem@shop.test", "dee@shop.test"]
    assert b"dee@" not in received.content
    assert [one.display_name for one in message["To"].addresses] == ["Ann Müller", ""]
    assert message["Cc"].addresses[0].display_name == "Cem, Dr."
    assert (message["Subject"], message["Reply-To"]) == ("Grüße & <Ünicode>", "Help <help@shop.test>")
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert (plain.get_content().strip(), html.get_content().strip()) == ("plain ü", "<b>rich ü</b>")
    (attachment,) = message.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content_type()) == ("rechnung ü.pdf", "application/pdf")
    assert attachment.get_content() == pdf


async def test_the_input_wins_over_the_config():
    async with MailServer() as server:
        await sending(server).succeeds(HELLO, {"to": ["bob@shop.test"], "html": "<b>hi</b>", "other": 1})
    (received,) = server.received
    assert received.recipients == ["bob@shop.test"]
    assert received.message["Subject"] == "Your order"
    assert received.message.get_content_type() == "multipart/alternative"


async def test_html_alone_is_a_mail():
    async with MailServer() as server:
        await sending(server).succeeds({"to": "ann@shop.test", "html": "<b>hi</b>"})
    assert server.received[0].message.get_content_type() == "text/html"


async def test_a_repeated_attempt_sends_the_same_message_and_another_step_another():
    async with MailServer({"END": "451 later"}) as server:
        step = sending(server)
        await step.fails(HELLO)
        server.replies.clear()
        await step.succeeds(HELLO)
        await sending(server, run=8).succeeds(HELLO)
    first, second, other = [received.message["Message-ID"] for received in server.received]
    assert first == second != other
    assert first.endswith("@shop.test>")


async def test_inside_another_step_each_mail_is_a_message_of_its_own():
    async with MailServer() as server:
        batch = sending(server, scope="a.b/ü")
        for name in ("ann", "bob"):
            await batch.succeeds(HELLO, {"to": f"{name}@shop.test"})
    first, second = [received.message["Message-ID"] for received in server.received]
    assert first != second


@pytest.mark.parametrize("place", ["CONNECT", "MAIL", "DATA", "END", "ann@shop.test"])
@pytest.mark.parametrize(
    ("reply", "code", "retryable"),
    [
        ("451 later", "EMAIL_DEFERRED", True),
        ("421 busy", "EMAIL_DEFERRED", True),
        ("554 never", "EMAIL_REFUSED", False),
    ],
)
async def test_the_servers_4xx_may_pass_and_its_5xx_stays(place, reply, code, retryable):
    async with MailServer({place: reply}) as server:
        failed = await sending(server).fails(HELLO)
    assert (failed.code, failed.retryable, failed.details["status"]) == (code, retryable, int(reply[:3]))


async def test_who_is_refused_where_others_are_not_is_told():
    async with MailServer({"bob@shop.test": "550 nobody"}) as server:
        output = await sending(server).succeeds({**HELLO, "to": ["ann@shop.test", "bob@shop.test"]})
    assert output["accepted"] == ["ann@shop.test"]
    assert output["refused"] == {"bob@shop.test": {"status": 550, "text": "nobody"}}


async def test_all_refused_may_pass_where_one_may():
    async with MailServer({"ann@shop.test": "450 full", "bob@shop.test": "550 nobody"}) as server:
        failed = await sending(server).fails({**HELLO, "to": ["ann@shop.test", "bob@shop.test"]})
    assert (failed.code, failed.retryable) == ("EMAIL_DEFERRED", True)
    assert failed.details["refused"]["bob@shop.test"]["status"] == 550


async def test_a_server_that_is_not_there_is_unreachable():
    async with MailServer() as server:
        pass
    failed = await sending(server).fails(HELLO)
    assert (failed.code, failed.retryable) == ("EMAIL_UNREACHABLE", True)


@pytest.mark.parametrize("place", ["CONNECT", "EHLO", "MAIL"])
async def test_a_server_that_is_silent_is_left_in_time(place):
    async with MailServer({place: None}) as server:
        failed = await sending(server).fails({**HELLO, "timeout": "0.3s"})
    assert (failed.code, failed.retryable) == ("TIMEOUT", True)


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"subject": "a\r\nBcc: eve@evil.test"}, "subject"),
        ({"subject": "a\nb"}, "subject"),
        ({"subject": "a\u2028Bcc: eve@evil.test"}, "subject"),
        ({"to": "ann@shop.test\r\nBcc: eve@evil.test"}, "to[0]"),
        ({"to": "ann@shop.test, eve@evil.test"}, "to[0]"),
        ({"to": "ann@shop.test> RCPT TO:<eve@evil.test"}, "to[0]"),
        ({"cc": ["a\r\nb <ann@shop.test>"]}, "cc[0]"),
        ({"bcc": ["nobody"]}, "bcc[0]"),
        ({"reply_to": "Eve <eve@evil.test>\nX: y"}, "reply_to"),
        ({"to": []}, "to"),
        ({"text": None}, "text"),
        ({"attachments": [{"name": "a\r\nX: y", "base64": ""}]}, "attachments[0].name"),
        ({"attachments": [{"name": "a", "base64": "no!"}]}, "attachments[0].base64"),
        ({"attachments": [{"name": "a", "base64": "", "content_type": "a/b\r\nX: y"}]}, "content_type"),
        ({"attachments": [{"name": "a", "base64": "", "content_type": "multipart/mixed"}]}, "content_type"),
    ],
)
async def test_a_mail_that_cannot_be_meant_is_not_sent(config, path):
    async with MailServer() as server:
        failed = await sending(server).fails({**HELLO, **config})
    assert (failed.code, failed.retryable, server.connections) == ("INVALID_EMAIL", False, 0)
    assert path in failed.message


async def cancelled(step: Step, server: MailServer) -> None:
    """A mail whose sending is cancelled while the server is silent, and the server then goes on."""
    async with asyncio.timeout(10):
        sending = asyncio.create_task(step(HELLO))
        await server.stalled.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        server.released.set()
        await server.ended()


@pytest.mark.parametrize("place", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_once_it_is_cancelled_nothing_more_is_sent(place):
    async with MailServer({place: None}) as server:
        await cancelled(sending(server), server)
    assert (server.connections, server.received) == (1, [])


async def test_what_was_handed_over_before_it_was_cancelled_has_the_same_id_as_what_is_sent_again():
    async with MailServer({"END": None}) as server:
        step = sending(server)
        await cancelled(step, server)
        server.replies.clear()
        await step.succeeds(HELLO)
    first, second = [received.message["Message-ID"] for received in server.received]
    assert first == second


async def test_after_its_timeout_nothing_more_is_sent():
    async with MailServer({"MAIL": None}) as server:
        failed = await sending(server).fails({**HELLO, "timeout": "0.3s"})
        server.released.set()
        async with asyncio.timeout(10):
            await server.ended()
    assert (failed.code, server.received) == ("TIMEOUT", [])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def mail_server(tls: str, context: ssl.SSLContext, *, password: str) -> MailServer:
    """A server that speaks TLS from the start, or when it is asked to."""
    if tls == "tls":
        return MailServer(tls=context, password=password)
    return MailServer(starttls=context, password=password)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_mail_is_sent_encrypted_by_one_who_logs_in(authority, tls):
    async with mail_server(tls, serving(authority), password="hunter2") as server:
        step = sending(server, tls=tls, context=trusting(authority), username="shop", password="hunter2")
        await step.succeeds(HELLO)
    (received,) = server.received
    assert (received.login, received.secure) == ("shop", True)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize("place", ["EHLO", "AUTH", "MAIL"])
async def test_once_it_is_cancelled_nothing_more_is_sent_over_tls_either(authority, tls, place):
    async with mail_server(tls, serving(authority), password="hunter2") as server:
        server.replies[place] = None
        step = sending(server, tls=tls, context=trusting(authority), username="shop", password="hunter2")
        await cancelled(step, server)
    assert (server.connections, server.received) == (1, [])


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize("name", ["127.0.0.1", "other.test"])
async def test_a_certificate_of_somebody_else_or_unknown_is_refused(authority, tls, name):
    async with mail_server(tls, serving(authority, name), password="hunter2") as server:
        context = None if name == "127.0.0.1" else trusting(authority)
        failed = await sending(server, tls=tls, context=context, username="shop", password="hunter2").fails(HELLO)
    assert (failed.code, server.received) == ("EMAIL_UNREACHABLE", [])


async def test_a_server_that_offers_no_encryption_gets_neither_password_nor_mail():
    async with MailServer(password="hunter2") as server:
        failed = await sending(server, tls="starttls", username="shop", password="hunter2").fails(HELLO)
    assert (failed.code, failed.retryable, server.received) == ("EMAIL_REFUSED", False, [])


async def test_the_password_stands_in_no_error_or_text():
    async with MailServer(password="other") as server:
        step = sending(server, username="shop", password="hunter2")
        failed = await step.fails(HELLO)
    assert (failed.code, failed.retryable, failed.details["status"]) == ("EMAIL_REFUSED", False, 535)
    assert "not with ***" in failed.details["text"]
    assert "hunter2" not in repr(failed) + repr(step.spec.target)


@pytest.mark.parametrize("options", [{"sender": "nobody"}, {"sender": "a@b.test\nX: y"}, {"password": "hünter2"}])
def test_a_handler_that_cannot_work_is_not_made(options):
    with pytest.raises(InvalidValue) as refused:
        EmailHandler("mail.test", **{"sender": "shop@shop.test"} | options)
    assert "hünter2" not in str(refused.value)


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("tls", 465), (None, 25)])
def test_each_way_has_its_usual_port(tls, port):
    assert repr(EmailHandler("mail.test", sender="shop@shop.test", tls=tls)) == f"<EmailHandler mail.test:{port}>"


async def test_a_config_with_unknown_keys_is_refused():
    async with MailServer() as server:
        failed = await sending(server).fails({**HELLO, "form": "eve@evil.test"})
    assert (failed.code, server.connections) == ("INPUT_VALIDATION_FAILED", 0)


def test_it_registers_with_its_schema():
    (described,) = Handlers([EmailHandler("mail.test", sender="shop@shop.test")]).manifest()["handlers"]
    assert (described["type"], described["category"]) == ("email", "external")
    assert {"to", "reply_to", "attachments"} <= described["config_schema"]["properties"].keys()
