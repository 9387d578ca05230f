"""Signatures: the published examples are right, and nothing else is."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from detent.errors import InvalidValue
from detent.triggers.signatures import Fault, SignatureRefused, verify

NOW = datetime.fromtimestamp(1614265330, UTC)

GITHUB_SECRET, GITHUB_BODY = "It's a Secret to Everybody", b"Hello, World!"
GITHUB = {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
"""From GitHub's "Validating webhook deliveries"."""

STANDARD_SECRET, STANDARD_BODY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
"""From the libraries of Standard Webhooks."""

STRIPE_SECRET, STRIPE_BODY = "whsec_test_secret", b'{"id": "evt_test"}'


def stripe(
    at: datetime = NOW, secret: str = STRIPE_SECRET, body: bytes = STRIPE_BODY, more: str = ""
) -> dict[str, str]:
    """A header as Stripe's documentation says to compute it."""
    second = int(at.timestamp())
    signature = hmac.new(secret.encode(), f"{second}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={second},{more}v1={signature},v0=6ffbb59b2300aae63f272406069a9788598b792a"}


def refused(*arguments, **options) -> Fault:
    with pytest.raises(SignatureRefused) as raised:
        verify(*arguments, **options)
    return raised.value.fault


def test_the_published_example_of_github_is_right():
    verify("github", [GITHUB_SECRET], GITHUB_BODY, GITHUB, NOW)


def test_the_published_example_of_standard_webhooks_is_right():
    verify("standard", [STANDARD_SECRET], STANDARD_BODY, STANDARD, NOW)


def test_what_the_library_of_standard_webhooks_signs_is_right():
    signature = Webhook(STANDARD_SECRET).sign("msg_1", NOW, "{}")
    headers = {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(int(NOW.timestamp())), "Webhook-Signature": signature}
    verify("standard", [STANDARD_SECRET], b"{}", headers, NOW)


def test_what_stripe_documents_is_right():
    verify("stripe", [STRIPE_SECRET], STRIPE_BODY, stripe(), NOW)


SIGNED = [
    ("github", GITHUB_SECRET, GITHUB_BODY, GITHUB),
    ("standard", STANDARD_SECRET, STANDARD_BODY, STANDARD),
    ("stripe", STRIPE_SECRET, STRIPE_BODY, stripe()),
]
OTHER = {"github": "another", "stripe": "another", "standard": "whsec_" + "A" * 32}


@pytest.mark.parametrize(("scheme", "secret", "body", "headers"), SIGNED)
def test_a_changed_body_is_refused(scheme, secret, body, headers):
    assert refused(scheme, [secret], body + b" ", headers, NOW) is Fault.WRONG


@pytest.mark.parametrize(("scheme", "secret", "body", "headers"), SIGNED)
def test_another_secret_is_refused(scheme, secret, body, headers):
    assert refused(scheme, [OTHER[scheme]], body, headers, NOW) is Fault.WRONG


@pytest.mark.parametrize(("scheme", "secret", "body", "headers"), SIGNED)
def test_while_a_secret_is_replaced_both_are_right(scheme, secret, body, headers):
    verify(scheme, [OTHER[scheme], secret], body, headers, NOW)
    verify(scheme, [secret, OTHER[scheme]], body, headers, NOW)


@pytest.mark.parametrize(("scheme", "secret", "body", "headers"), SIGNED)
def test_headers_are_taken_in_any_case(scheme, secret, body, headers):
    verify(scheme, [secret], body, {name.upper(): value for name, value in headers.items()}, NOW)


@pytest.mark.parametrize(("scheme", "secret", "body", "headers"), SIGNED)
def test_every_header_is_needed(scheme, secret, body, headers):
    for name in headers:
        left = {other: value for other, value in headers.items() if other != name}
        assert refused(scheme, [secret], body, left, NOW) is Fault.MISSING


@pytest.mark.parametrize(("scheme", "secret", "body", "headers"), SIGNED[1:])
def test_outside_of_the_window_a_copy_is_refused_whichever_way_the_clock_is_wrong(scheme, secret, body, headers):
    verify(scheme, [secret], body, headers, NOW + timedelta(minutes=5))
    assert refused(scheme, [secret], body, headers, NOW + timedelta(minutes=5, seconds=1)) is Fault.EXPIRED
    assert refused(scheme, [secret], body, headers, NOW - timedelta(minutes=5, seconds=1)) is Fault.EXPIRED
    verify(scheme, [secret], body, headers, NOW + timedelta(hours=1), tolerance=timedelta(hours=2))


def test_a_time_that_was_moved_into_the_window_breaks_the_signature():
    later = NOW + timedelta(days=1)
    moved = STANDARD | {"webhook-timestamp": str(int(later.timestamp()))}
    assert refused("standard", [STANDARD_SECRET], STANDARD_BODY, moved, later) is Fault.WRONG


def test_one_right_signature_among_several_is_enough():
    verify("stripe", [STRIPE_SECRET], STRIPE_BODY, stripe(more="v1=" + "0" * 64 + ","), NOW)
    several = STANDARD | {"webhook-signature": "v1a,other v1,d3Jvbmc= " + STANDARD["webhook-signature"]}
    verify("standard", [STANDARD_SECRET], STANDARD_BODY, several, NOW)


@pytest.mark.parametrize(
    ("scheme", "headers"),
    [
        ("github", {"X-Hub-Signature-256": "sha1=abc"}),
        ("github", {"X-Hub-Signature-256": "sha256="}),
        ("stripe", {"Stripe-Signature": "v1=abc"}),
        ("stripe", {"Stripe-Signature": "t=1,t=2,v1=abc"}),
        ("stripe", {"Stripe-Signature": "t=now,v1=abc"}),
        ("stripe", {"Stripe-Signature": "t=1614265330"}),
        ("standard", STANDARD | {"webhook-signature": "g0hM9SsE"}),
        ("standard", STANDARD | {"webhook-timestamp": "16142653.30"}),
        ("standard", STANDARD | {"webhook-timestamp": "١٦١٤٢٦٥٣٣٠"}),
    ],
)
def test_what_cannot_be_read_is_refused_as_such(scheme, headers):
    assert refused(scheme, [STANDARD_SECRET], b"", headers, NOW) is Fault.MALFORMED


def test_a_signature_that_is_no_ascii_is_wrong():
    assert refused("github", ["s"], b"", {"X-Hub-Signature-256": "sha256=é\udcff"}, NOW) is Fault.WRONG


@pytest.mark.parametrize("secrets", [[], [""], ["known", ""]])
def test_without_a_secret_nothing_is_verified(secrets):
    with pytest.raises(InvalidValue, match="secrets"):
        verify("github", secrets, b"", GITHUB, NOW)


def test_a_secret_that_cannot_be_read_is_not_shown():
    with pytest.raises(InvalidValue) as raised:
        verify("standard", ["whsec_not base64!"], STANDARD_BODY, STANDARD, NOW)
    assert "not base64!" not in str(raised.value)
