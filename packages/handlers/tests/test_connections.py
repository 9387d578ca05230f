"""A connection goes to an address that was checked, and is the receiver's all the same."""

import ssl
from collections.abc import Sequence

import pytest
import trustme

from detent_handlers import AddressRefused, WebhookUnreachable
from packages.handlers.tests.receiver import Receiver

HOST = "hooks.shop.test"


class Names:
    """A resolver that answers what it is told, call by call; the last answer stays."""

    def __init__(self, *answers: Sequence[str] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Authority:
    """An authority for certificates, whose servers keep which name they were asked for."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.trusted = ssl.create_default_context()
        self._ca.configure_trust(self.trusted)
        self.asked: list[str | None] = []

    def serving(self, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(name).configure_cert(context)
        context.sni_callback = lambda _socket, asked, _context: self.asked.append(asked)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def test_the_certificate_is_that_of_the_name_and_not_of_the_address(make_sink, delivery, authority):
    async with Receiver(tls=authority.serving(HOST)) as receiver:
        await make_sink(receiver.url(host=HOST), resolve=Names(["127.0.0.1"]), tls=authority.trusted, allow_http=False)(
            delivery
        )
    assert authority.asked[-1] == HOST
    assert receiver.last.headers["host"] == f"{HOST}:{receiver.port}"


@pytest.mark.parametrize("name", ["other.shop.test", "127.0.0.1"])
async def test_a_certificate_for_something_else_is_refused(make_sink, delivery, authority, name):
    async with Receiver(tls=authority.serving(name)) as receiver:
        sink = make_sink(receiver.url(host=HOST), resolve=Names(["127.0.0.1"]), tls=authority.trusted)
        with pytest.raises(WebhookUnreachable, match="Hostname mismatch"):
            await sink(delivery)
    assert receiver.requests == []


async def test_an_unknown_authority_is_refused_whatever_the_environment_trusts(
    make_sink, delivery, authority, monkeypatch, tmp_path
):
    authority._ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with Receiver(tls=authority.serving(HOST)) as receiver:
        with pytest.raises(WebhookUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await make_sink(receiver.url(host=HOST), resolve=Names(["127.0.0.1"]))(delivery)


async def test_a_name_is_resolved_once_for_each_attempt(make_sink, delivery):
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    async with Receiver() as receiver:
        await make_sink(receiver.url(host=HOST), resolve=names)(delivery)
    assert names.asked == [HOST]


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::ffff:127.0.0.1"], ["not an address"]]
)
async def test_a_name_with_a_private_address_is_refused_and_nothing_is_sent(make_sink, delivery, addresses):
    async with Receiver() as receiver:
        sink = make_sink(receiver.url(host=HOST), resolve=Names(addresses), allow_private=False)
        with pytest.raises(AddressRefused):
            await sink(delivery)
    assert (receiver.connections, receiver.requests) == (0, [])


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1", "0", "2130706433", "0x7f.1", "[::1]", "[::ffff:7f00:1]"]
)
async def test_no_spelling_of_this_machine_is_called(make_sink, delivery, host):
    async with Receiver() as receiver:
        with pytest.raises(AddressRefused):
            await make_sink(receiver.url(host=host), allow_private=False)(delivery)
    assert receiver.connections == 0


async def test_where_one_address_takes_no_connection_the_next_is_tried(make_sink, delivery):
    async with Receiver() as receiver:
        await make_sink(receiver.url(host=HOST), resolve=Names(["::1", "127.0.0.1"]))(delivery)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (OSError(-2, "Name or service not known"), "its name was not found"),
        (UnicodeError("label too long"), "its name was not found"),
        ([], "its name has no address"),
    ],
)
async def test_a_name_that_leads_nowhere_is_unreachable(make_sink, delivery, answer, reason):
    with pytest.raises(WebhookUnreachable, match=reason):
        await make_sink(f"https://{HOST}/", resolve=Names(answer))(delivery)
