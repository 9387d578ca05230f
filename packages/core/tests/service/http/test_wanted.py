"""What policies are asked about, and which pages are ours."""

import pytest

from detent.service.http.origins import is_own_origin
from detent.service.http.wanted import Wanted


def test_an_action_is_a_text_with_what_is_known_of_it():
    wanted = Wanted("event", "trigger_event", event="pay", workflow="order")
    assert wanted == "event"
    assert wanted in {"event"}
    assert (wanted.operation, wanted.event, wanted.workflow) == ("trigger_event", "pay", "order")
    assert (Wanted("read").operation, Wanted("read").event) == ("", None)


@pytest.mark.parametrize(
    ("origin", "host", "ours"),
    [
        (None, "shop.test", True),
        ("https://shop.test", "shop.test", True),
        ("https://shop.test:8443", "shop.test:8443", True),
        ("https://shop.test:8443", "shop.test", False),
        ("https://shop.test.evil.test", "shop.test", False),
        ("https://partner.test", "shop.test", True),
        ("null", "", False),
        ("", "", False),
    ],
)
def test_only_pages_of_the_host_or_of_those_that_are_named_are_ours(origin, host, ours):
    assert is_own_origin(origin, host, ["https://partner.test"]) == ours
