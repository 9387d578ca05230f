"""The parts of a store that keep messages: what every store promises about inbox and outbox."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from detent.store.messages import Delivery, DeliveryQuery, DeliveryResult, InboxMessage, InboxQuery


class InboxStore(Protocol):
    """Events that were sent and not yet applied.

    A message comes by `put` or by the effect `AddMessage`, and goes by `TakeMessage` in the commit of the step that took it, so
    that it is applied once. It goes with its instance. Numbers rise in the order of arrival.
    """

    async def put(self, message: InboxMessage, *, outside: object | None = None) -> None:
        """Keep a message. Where rows are locked one by one, it waits for nobody who holds the instance.

        Raises `InstanceNotFound`. In `outside`, a transaction of the caller, it is visible when the caller commits.
        """
        ...

    async def due(
        self,
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[UUID]:
        """Up to `limit` instances with a message to judge, each once, the longest waiting message first.

        That is a message that is not dead and whose `available_at` has come, if it has expired or the instance has moved
        beyond its `seen_version`; of instances that are not paused and have no run under way.
        """
        ...

    async def find(
        self, query: InboxQuery, *, limit: int, after: int | None = None, outside: object | None = None
    ) -> Sequence[InboxMessage]:
        """Up to `limit` messages by rising number; with `after`, those above it."""
        ...

    async def revive(self, ids: Sequence[UUID], *, now: datetime | None = None) -> Collection[UUID]:
        """Let dead messages be tried again at once, their attempts forgotten; answers which were dead."""
        ...

    async def discard(self, ids: Sequence[UUID]) -> Collection[UUID]:
        """Take messages out; answers which were there."""
        ...

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Take out up to `limit` messages that died before an instant; answers how many."""
        ...


class OutboxStore(Protocol):
    """Deliveries of published messages, written by the effect `Publish` in the commit they tell of.

    In order for each pair of instance and subscriber: one is claimed only when none with a lower number is pending. They
    outlive their instance.
    """

    async def claim(
        self,
        subscribers: Collection[str],
        *,
        lease: timedelta,
        limit: int,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[Delivery]:
        """Take up to `limit` deliveries to these subscribers whose turn it is, the lowest numbers first, each under a new token.

        It is the turn of a pending one whose `available_at` has come, which nobody holds under a lease that has not ended,
        and which no earlier pending one of the same instance and subscriber precedes. `attempts` is one higher. With a
        `tenant`, only deliveries of its instances; `None` takes everybody's.
        """
        ...

    async def settle(self, results: Sequence[DeliveryResult], *, now: datetime | None = None) -> Collection[UUID]:
        """Note what came of claimed deliveries; answers the ids of those still held under the token they name.

        A result that comes after the lease has ended counts as long as nobody has claimed the delivery since.
        """
        ...

    async def find(
        self, query: DeliveryQuery, *, limit: int, after: int | None = None, outside: object | None = None
    ) -> Sequence[Delivery]:
        """Up to `limit` deliveries by rising number; with `after`, those above it."""
        ...

    async def replay(self, query: DeliveryQuery, *, limit: int, now: datetime | None = None) -> Collection[UUID]:
        """Make up to `limit` delivered or dead ones pending again, at once, attempts and errors forgotten; answers which."""
        ...

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Take out up to `limit` deliveries that were delivered before an instant; answers how many. Dead ones stay."""
        ...
