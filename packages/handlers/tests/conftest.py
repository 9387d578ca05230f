"""Deliveries, and sinks that may call a receiver on loopback."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from detent.store.messages import Delivery
from detent.testing.clock import FakeClock
from detent_handlers import WebhookSink

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

MakeSink = Callable[..., WebhookSink]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2030, 1, 1, 12, tzinfo=UTC))


@pytest.fixture
def delivery() -> Delivery:
    created = datetime(2029, 12, 31, 23, 59, 58, 500000, tzinfo=UTC)
    return Delivery(
        id=UUID(int=1),
        message_id=UUID(int=2),
        subscriber="billing",
        instance_id=UUID(int=3),
        workflow="order",
        tenant="acme",
        sequence=7,
        topic="order.paid",
        key="order-3",
        payload={"amount": 12, "name": "Zoë"},
        headers={},
        created_at=created,
        available_at=created,
        attempts=1,
    )


@pytest.fixture
async def make_sink(clock: FakeClock) -> AsyncIterator[MakeSink]:
    """Makes sinks for receivers on loopback, and closes them; options replace the defaults."""
    async with AsyncExitStack() as opened:

        def make(url: str, **options: Any) -> WebhookSink:
            defaults: dict[str, Any] = {"secret": SECRET, "allow_http": True, "allow_private": True, "clock": clock}
            sink = WebhookSink(url, **defaults | options)
            opened.push_async_callback(sink.aclose)
            return sink

        yield make
