"""What a receiver's answer means."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent.registry.raises import GiveUp, RetryAfter
from detent_handlers import WebhookRefused
from detent_handlers.answers import Answer, failure, read_retry_after

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def meaning(status: int, retry_after: str | None = None) -> Exception | None:
    return failure(Answer(status, retry_after), "https://hooks.example.com", NOW, HOUR)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_every_2xx_is_a_delivery(status):
    assert meaning(status) is None


def test_410_ends_it_for_good():
    ended = meaning(410, "5")
    assert isinstance(ended, GiveUp)
    assert ended.code == "webhook_gone"


@pytest.mark.parametrize("status", [101, 301, 307, 308, 400, 401, 404, 408, 422, 425, 429, 500, 502, 503, 504, 599])
def test_everything_else_is_tried_again_by_policy(status):
    refused = meaning(status)
    assert isinstance(refused, WebhookRefused)
    assert (refused.code, refused.status, refused.origin) == ("webhook_refused", status, "https://hooks.example.com")


def test_a_refusal_hints_at_its_likely_cause():
    assert "redirects are not followed" in str(meaning(302))
    assert "the same secret" in str(meaning(401))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 1),
        ("99999", 3600),
        ("9" * 5000, 3600),
        ("Tue, 01 Jan 2030 12:02:00 GMT", 120),
        ("Tuesday, 01-Jan-30 12:02:00 GMT", 120),
        ("Tue, 01 Jan 2030 12:02:00 -0000", 120),
        ("Tue, 01 Jan 2030 11:00:00 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_may_say_when_to_come_again_within_bounds(status, text, seconds):
    later = meaning(status, text)
    assert isinstance(later, RetryAfter)
    assert later.after == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5", "١٢", "Tue, 99 Jan 2030 12:02:00 GMT"])
def test_a_retry_after_that_cannot_be_read_is_no_retry_after(text):
    assert isinstance(meaning(503, text), WebhookRefused)


@pytest.mark.parametrize("status", [302, 400, 404])
def test_a_retry_after_counts_only_where_it_means_load(status):
    assert isinstance(meaning(status, "120"), WebhookRefused)


@given(st.text())
def test_no_retry_after_is_more_than_unreadable(text):
    assert isinstance(read_retry_after(text, NOW), timedelta | None)
