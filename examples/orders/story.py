"""One order through every state, over HTTP, with two weeks passing in no time.

python -m examples.orders.story                       # on a SQLite file that is thrown away
python -m examples.orders.story postgresql://…        # on that PostgreSQL
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

from detent.testing.clock import FakeClock
from examples.orders.app import create_app
from examples.orders.client import Shop, shop_inside
from examples.orders.storage import open_storage
from examples.orders.workflow import order

Say = Callable[[str], None]


class StoryBroken(Exception):
    """The shop did something else than the story says."""


@dataclass(slots=True)
class Story:
    """Tells what it does, step by step, and stops where something else comes of it than it should."""

    shop: Shop
    clock: FakeClock
    say: Say = print
    _step: Iterator[int] = field(default_factory=lambda: count(1))

    async def tell(self) -> None:
        """The whole story: when it is over, every state was entered."""
        told = [await self.an_order_with_a_mishap(), await self.a_change_of_mind()]
        entered = {state for order_id in told for state in await self.states(order_id)}
        if missing := order.states.keys() - entered:
            raise StoryBroken(f"no order was ever in {', '.join(sorted(missing))}")

    async def an_order_with_a_mishap(self) -> str:
        """One order from `new` to `closed`, which the warehouse refuses once; answers its id."""
        order_id = await self._place("Ada Lovelace", "12 St James's Square, London")
        self._told("PaymentReceived", await self.shop.pay(order_id), "exportable")
        await self.shop.open_warehouse(is_open=False)
        await self._trigger(order_id, "Export", "export_failed")
        await self._trigger(order_id, "RetryExport", "exportable")
        await self.shop.open_warehouse(is_open=True)
        await self._trigger(order_id, "Export", "in_transit")
        await self._trigger(order_id, "Deliver", "delivered")
        self.clock.advance(days=14)
        await self._wait_for(order_id, "closed")
        return order_id

    async def a_change_of_mind(self) -> str:
        """One order from `new` to `cancelled`; answers its id."""
        order_id = await self._place("Grace Hopper", "Arlington, Virginia")
        await self._trigger(order_id, "Cancel", "cancelled")
        return order_id

    async def states(self, order_id: str) -> list[str]:
        """The states an order was in, in order."""
        return [entry["to_state"] for entry in reversed(await self.shop.history(order_id))]

    async def _place(self, customer: str, address: str) -> str:
        placed = await self.shop.place(customer, address)
        self._told(f"{customer} orders", placed, "new")
        return str(placed["id"])

    async def _trigger(self, order_id: str, event: str, expected: str) -> None:
        result = await self.shop.trigger(order_id, event)
        answers = [command["message"] for command in result["commands"] if command["message"]]
        self._told(event, result["instance"], expected, ", ".join(answers))

    async def _wait_for(self, order_id: str, expected: str) -> None:
        """Ask until the application has noticed that the time is up, for ten seconds at most."""
        found = await self.shop.order(order_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                while found["state"] != expected:
                    await asyncio.sleep(0.02)
                    found = await self.shop.order(order_id)
        self._told("14 days pass", found, expected, "by itself")

    def _told(self, event: str, found: Mapping[str, Any], expected: str, note: str = "") -> None:
        if found["state"] != expected:
            raise StoryBroken(f"{event} led to {found['state']!r} and not to {expected!r}")
        self.say(f"{next(self._step):>3}  {event:<20} → {expected:<14} {note}".rstrip())


async def main(url: str) -> None:
    """Tell the story on the database at `url`."""
    clock = FakeClock()
    async with open_storage(url) as storage:
        app = create_app(storage, clock=clock, sweep_every=timedelta(milliseconds=50))
        async with shop_inside(app) as shop:
            await Story(shop, clock).tell()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ":memory:"))
