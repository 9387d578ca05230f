"""Resume tokens: what one is made of, what is kept of it, and when it is good for something."""

import hashlib
import re
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from detent.flows import ResumeToken, TokenState
from detent.flows.own import Own
from detent.flows.tokens import (
    MOST,
    execution_of,
    expiry,
    hash_of,
    new_token,
    refusal,
    token_in,
    tokens_in,
    with_token,
)

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ID = UUID(int=7)


def token(hash_="h", state=TokenState.PENDING, expires_at=None, created_at=NOW):
    return ResumeToken(hash_, ID, "ask", state, created_at, expires_at, None, {"to": "ada"})


def test_a_token_is_url_safe_text_that_names_its_execution():
    text = new_token(ID)
    assert re.fullmatch(r"[A-Za-z0-9_-]{64}", text)
    assert execution_of(text) == ID


def test_no_two_tokens_are_alike():
    assert len({new_token(ID) for _ in range(100)}) == 100


def test_only_the_hash_of_a_token_is_kept():
    text = new_token(ID)
    assert hash_of(text) == hashlib.sha256(text.encode()).hexdigest()


GOOD = urlsafe_b64encode(ID.bytes + bytes(32)).decode()


@pytest.mark.parametrize("text", ["", "x", "ä" * 64, "=" * 64, GOOD[:-4], GOOD + "AAAA", " " + GOOD[1:], str(ID), ID])
def test_what_cannot_be_a_token_names_nothing(text):
    assert execution_of(GOOD) == ID
    assert execution_of(text) is None


def test_what_is_kept_is_read_back():
    kept = replace(token(expires_at=NOW + HOUR), used_at=NOW, state=TokenState.USED)
    assert ResumeToken.of(ID, "h", kept.to_json(), NOW) == kept


@pytest.mark.parametrize(
    ("kept", "at", "state"),
    [
        (token(expires_at=NOW + HOUR), NOW + HOUR - timedelta(microseconds=1), "pending"),
        (token(expires_at=NOW + HOUR), NOW + HOUR, "expired"),
        (token(), NOW + 1000 * HOUR, "pending"),
        (token(expires_at=NOW, state=TokenState.USED), NOW + HOUR, "used"),
        (token(expires_at=NOW, state=TokenState.REVOKED), NOW + HOUR, "revoked"),
    ],
)
def test_a_pending_token_expires_at_its_instant(kept, at, state):
    assert ResumeToken.of(ID, "h", kept.to_json(), at).state == state


@pytest.mark.parametrize(
    ("found", "step", "reason"),
    [
        (None, "ask", "unknown"),
        (token(state=TokenState.USED), "ask", "used"),
        (token(state=TokenState.REVOKED), "ask", "revoked"),
        (token(state=TokenState.EXPIRED), "tell", "expired"),
        (token(), "tell", "for another step"),
        (token(), None, "for another step"),
        (token(), "ask", None),
    ],
)
def test_a_token_is_refused_with_a_reason(found, step, reason):
    assert refusal(found, step) == reason


def test_tokens_are_kept_by_hash_and_listed_the_oldest_first():
    own = Own()
    for minutes, name in ((5, "late"), (1, "early")):
        own = with_token(own, token(name, created_at=NOW + timedelta(minutes=minutes)), NOW)
    assert [one.hash for one in tokens_in(own, ID, NOW)] == ["early", "late"]
    late = token_in(own, ID, "late", NOW)
    assert late == token("late", created_at=NOW + timedelta(minutes=5))
    assert token_in(own, uuid4(), "nothing", NOW) is None


def test_a_token_replaces_itself():
    own = with_token(with_token(Own(), token(), NOW), token(state=TokenState.USED), NOW)
    assert [one.state for one in tokens_in(own, ID, NOW)] == ["used"]


def test_of_too_many_the_oldest_that_are_good_for_nothing_make_room():
    own = Own()
    for n in range(MOST):
        state = TokenState.USED if n in (3, 5) else TokenState.PENDING
        own = with_token(own, token(f"{n}", state=state, created_at=NOW + timedelta(seconds=n)), NOW)
    own = with_token(own, token("new", created_at=NOW + HOUR), NOW)
    assert len(own.tokens) == MOST
    assert "3" not in own.tokens
    assert {"5", "new"} <= own.tokens.keys()


def test_tokens_that_are_good_for_something_stay_however_many():
    own = Own()
    for n in range(MOST + 5):
        own = with_token(own, token(f"{n}"), NOW)
    assert len(own.tokens) == MOST + 5


def test_a_token_expires_after_its_time_or_never():
    assert (expiry(HOUR, NOW), expiry(None, NOW)) == (NOW + HOUR, None)
