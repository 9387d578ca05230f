"""A delivery as a body and headers."""

import json
from dataclasses import replace

from detent_handlers.webhook_message import body_of, headers_of


def test_the_body_tells_what_happened_and_where(delivery):
    assert json.loads(body_of(delivery)) == {
        "type": "order.paid",
        "timestamp": "2029-12-31T23:59:58.500000Z",
        "data": {"amount": 12, "name": "Zoë"},
        "instance_id": str(delivery.instance_id),
        "workflow": "order",
        "sequence": 7,
        "key": "order-3",
        "tenant": "acme",
    }


def test_the_body_is_the_same_on_every_attempt(delivery):
    assert body_of(replace(delivery, attempts=5, lease_token=delivery.id)) == body_of(delivery)


def test_headers_of_the_message_stand_behind_a_prefix_of_their_own(delivery):
    told = replace(delivery, headers={"Region": "eu west; a=1", "webhook_id": "forged", "content-type": "text/html"})
    assert headers_of(told) == {
        "content-type": "application/json",
        "x-message-region": "eu west; a=1",
        "x-message-webhook-id": "forged",
        "x-message-content-type": "text/html",
    }


def test_a_header_cannot_bring_another_one_along(delivery):
    told = replace(
        delivery, headers={"a": " 100%\r\nx-evil: Zoë\0 ", "b\r\nx-evil": "1", "c: d": "1", "": "1", "ä": "1"}
    )
    assert headers_of(told) == {
        "content-type": "application/json",
        "x-message-a": "100%25%0D%0Ax-evil: Zo%C3%AB%00",
    }
