"""Signatures are those of Standard Webhooks: its example, its own verifier."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from detent import InvalidValue
from detent_handlers import new_secret
from detent_handlers.signing import read_key, signed_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'


def spelled(length: int) -> str:
    return "whsec_" + base64.b64encode(bytes(range(length))).decode()


def test_the_example_of_the_reference_implementations_is_signed_as_there():
    at = datetime.fromtimestamp(1614265330, UTC)
    assert signed_headers([read_key(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, BODY) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_time_zone_of_the_attempt_does_not_matter():
    at = datetime.fromtimestamp(1614265330, timezone(timedelta(hours=5)))
    assert signed_headers([read_key(SECRET)], "id", at, BODY)["webhook-timestamp"] == "1614265330"


def test_parts_of_a_second_are_cut_off():
    at = datetime.fromtimestamp(1614265330, UTC) + timedelta(microseconds=999_999)
    assert signed_headers([read_key(SECRET)], "id", at, BODY)["webhook-timestamp"] == "1614265330"


def test_the_standard_verifier_takes_a_signature_of_each_key_and_of_no_other():
    old, new, other = new_secret(), new_secret(), new_secret()
    headers = signed_headers([read_key(new), read_key(old)], "id", datetime.now(UTC), BODY)
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert Webhook(old).verify(BODY, headers) == Webhook(new).verify(BODY, headers) == {"test": 2432232314}
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY, headers)


def test_the_standard_verifier_refuses_a_body_that_was_changed():
    headers = signed_headers([read_key(SECRET)], "id", datetime.now(UTC), BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY + b" ", headers)


def test_the_standard_verifier_reads_every_length_of_key_alike():
    for length in range(24, 65):
        headers = signed_headers([read_key(spelled(length))], "id", datetime.now(UTC), BODY)
        assert Webhook(spelled(length)).verify(BODY, headers)


def test_a_secret_may_leave_out_its_padding():
    assert read_key(spelled(25).rstrip("=")) == read_key(spelled(25))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SECRET.removeprefix("whsec_"), "does not start with whsec_"),
        ("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not start with whsec_"),
        ("whsec_", "is not base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa_w", "is not base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwx", "is not base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", "is not base64"),
        (spelled(23), "has 23 bytes, not 24 to 64"),
        (spelled(65), "has 65 bytes, not 24 to 64"),
    ],
)
def test_what_is_no_secret_is_refused_without_being_shown(text, reason):
    with pytest.raises(InvalidValue, match=reason) as refused:
        read_key(text)
    assert text[6:] == "" or text[6:] not in str(refused.value)


def test_an_id_with_a_dot_is_refused():
    with pytest.raises(InvalidValue, match="contains a dot"):
        signed_headers([read_key(SECRET)], "a.1", datetime.now(UTC), BODY)


def test_new_secrets_differ_and_are_long_enough():
    first, second = new_secret(), new_secret()
    assert first != second
    assert len(read_key(first).secret) == 32


def test_a_key_does_not_show_its_secret():
    assert repr(read_key(SECRET)) == "SigningKey()"
