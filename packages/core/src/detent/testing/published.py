"""What transitions published, heard by a subscriber that takes everything and does nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from uuid import UUID

from detent.ids import new_id
from detent.json_values import JsonObject, JsonValue
from detent.runtime.subscribers import Subscriber
from detent.store.messages import Delivery, DeliveryQuery
from detent.store.protocol import Store

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Published:
    """One message, as its subscribers get it."""

    topic: str
    payload: JsonValue
    key: str | None
    """The instance's id where who published it named none."""
    headers: JsonObject
    instance_id: UUID
    """The instance whose transition published it."""
    sequence: int
    """The history entry it was published with."""

    def __str__(self) -> str:
        return f"{self.topic}: {self.payload!r}"


class PublishedMessages:
    """Every message that was published under one harness, whether the test has subscribers or not."""

    def __init__(self) -> None:
        # A name of its own, so that harnesses over one store do not hear of each other.
        self.subscriber = Subscriber(f"detent.testing {new_id()}", ("*",), self._take)
        self.taken = 0
        """How many were delivered to it."""
        self._found: list[Published] = []
        self._last = 0

    def matching(self, topic: str | None) -> Sequence[Published]:
        """Those whose topic matches, or all, in the order they were published."""
        return tuple(each for each in self._found if topic is None or fnmatchcase(each.topic, topic))

    async def read(self, store: Store) -> None:
        """Read what was published since the last time."""
        query = DeliveryQuery(subscribers=(self.subscriber.name,))
        while True:
            page = await store.outbox.find(query, limit=_PAGE, after=self._last)
            self._found += map(_published, page)
            if page:
                self._last = page[-1].number
            if len(page) < _PAGE:
                return

    async def _take(self, _delivery: Delivery) -> None:
        self.taken += 1


def _published(delivery: Delivery) -> Published:
    return Published(
        delivery.topic, delivery.payload, delivery.key, delivery.headers, delivery.instance_id, delivery.sequence
    )
