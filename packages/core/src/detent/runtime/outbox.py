"""The outbox at work: published messages are delivered to subscribers, at least once, in order for each instance.

Deliveries are claimed under a lease, made side by side, and settled in batches. A process that dies in between leaves
them to others, who make them again when the lease has ended.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from detent.json_values import JsonObject
from detent.runtime.history import cleaned
from detent.runtime.message_reports import OutboxReport
from detent.runtime.parts import Parts
from detent.runtime.repetition import delay_of, facts_of
from detent.runtime.subscribers import Subscriber
from detent.store.messages import Delivery, DeliveryResult, DeliveryStatus

logger = logging.getLogger("detent.outbox")

CONCURRENCY = 16
"""How many deliveries to each subscriber one sweep makes at a time, so that one who hangs takes no other's place."""
LOOK_AGAIN = timedelta(seconds=1)
"""After what time a sweep that waits for its deliveries looks for others that have become due."""
GRACE = timedelta(seconds=5)
"""For how long a lease outlasts the longest attempt, so that its outcome can be noted."""


@dataclass(frozen=True, slots=True)
class _Made:
    """One delivery that was tried, and what is to be noted of it."""

    delivery: Delivery
    result: DeliveryResult


class Outbox:
    """Delivers what was published to the subscribers of one runtime. One per runtime."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def sweep(self, limit: int, tenant: str | None) -> OutboxReport:
        """Make up to `limit` deliveries, of one tenant or of all.

        When it is cancelled, what is under way is given back at once.
        """
        counts: Counter[str] = Counter()
        if self._parts.outgoing.subscribers.names:
            await self._deliver(limit, tenant, counts)
        return OutboxReport(**{name: counts[name] for name in OutboxReport.__dataclass_fields__})

    async def _deliver(self, limit: int, tenant: str | None, counts: Counter[str]) -> None:
        under_way: dict[asyncio.Task[_Made], Delivery] = {}
        left, more = limit, True
        try:
            while True:
                while more and left > 0:
                    names, room = self._with_room(under_way.values())
                    if not names:
                        break
                    asked = min(room, left)
                    claimed = await self._claim(names, asked, tenant)
                    under_way.update((asyncio.create_task(self._make(delivery)), delivery) for delivery in claimed)
                    left -= len(claimed)
                    more = len(claimed) == asked
                if not under_way:
                    return
                done, _ = await asyncio.wait(
                    under_way, timeout=LOOK_AGAIN.total_seconds(), return_when=asyncio.FIRST_COMPLETED
                )
                if done:
                    await self._settle([task.result() for task in done], counts)
                for task in done:
                    del under_way[task]
                # What was behind one of these may be made now, and what was published meanwhile.
                more = True
        finally:
            if under_way:
                await self._parts.unbroken(self._give_back(under_way, counts))

    def _with_room(self, under_way: Iterable[Delivery]) -> tuple[Sequence[str], int]:
        """The subscribers to whom more deliveries may be made, and how many of them whoever they are for."""
        busy = Counter(delivery.subscriber for delivery in under_way)
        # Who is more than half full is left out: it would make the claims for all others small.
        names = [name for name in self._parts.outgoing.subscribers.names if busy[name] <= CONCURRENCY // 2]
        return names, CONCURRENCY - max((busy[name] for name in names), default=0)

    async def _claim(self, names: Sequence[str], limit: int, tenant: str | None) -> Collection[Delivery]:
        subscribers = self._parts.outgoing.subscribers
        longest = max(subscribers[name].timeout for name in subscribers.names)
        lease = max(self._parts.settings.lease, longest + GRACE)
        return await self._parts.store.outbox.claim(names, lease=lease, limit=limit, tenant=tenant, now=self._parts.now)

    async def _make(self, delivery: Delivery) -> _Made:
        """One attempt, which never raises."""
        subscriber = self._parts.outgoing.subscribers[delivery.subscriber]
        timer = asyncio.timeout(subscriber.timeout.total_seconds())
        try:
            with self._traced(delivery):
                async with timer:
                    await _deliver(subscriber, delivery)
        except Exception as error:
            facts = facts_of(error)
            if timer.expired() and isinstance(error, TimeoutError):
                facts = {"code": "timed_out", "message": f"took longer than {subscriber.timeout}"}
            retry = subscriber.retry or self._parts.settings.outbox_retry
            return _failed(delivery, facts, delay_of(error, attempts=delivery.attempts, retry=retry))
        return _made(delivery, DeliveryStatus.DELIVERED)

    @contextmanager
    def _traced(self, delivery: Delivery) -> Iterator[None]:
        instrument = self._parts.instrument
        with (
            instrument.continued(delivery.trace),
            instrument.delivery(
                workflow=delivery.workflow,
                topic=delivery.topic,
                subscriber=delivery.subscriber,
                delivery_id=delivery.id,
                attempt=delivery.attempts,
            ),
        ):
            yield

    async def _settle(self, made: Iterable[_Made], counts: Counter[str]) -> None:
        by_id = {one.delivery.id: one for one in made}
        results = [one.result for one in by_id.values()]
        held = await self._parts.unbroken(self._parts.store.outbox.settle(results, now=self._parts.now))
        for delivery_id, one in by_id.items():
            self._report(one, delivery_id in held, counts)

    def _report(self, made: _Made, held: bool, counts: Counter[str]) -> None:
        delivery, result = made.delivery, made.result
        told = (delivery.topic, delivery.id, delivery.subscriber)
        if not held:
            counts["lost"] += 1
            logger.warning("delivery of %r (%s) to %r outlasted its lease and is made again", *told)
        elif result.status is DeliveryStatus.DELIVERED:
            counts["delivered"] += 1
        elif result.status is DeliveryStatus.DEAD:
            counts["dead"] += 1
            logger.warning("delivery of %r (%s) to %r is given up: %s", *told, _message_in(result))
            self._parts.observers.report_dead_delivery(replace(delivery, status=result.status, error=result.error))
        else:
            counts["retrying"] += 1
            logger.info("delivery of %r (%s) to %r is tried again: %s", *told, _message_in(result))

    async def _give_back(self, under_way: dict[asyncio.Task[_Made], Delivery], counts: Counter[str]) -> None:
        """Stop what is under way, so that others may make it at once; what has ended by now is noted."""
        for task in under_way:
            task.cancel()
        await asyncio.wait(under_way)
        made = [
            _made(delivery, DeliveryStatus.PENDING) if task.cancelled() else task.result()
            for task, delivery in under_way.items()
        ]
        try:
            await self._settle(made, counts)
        except Exception:
            logger.warning("%d deliveries could not be given back; their leases will end", len(made), exc_info=True)


async def _deliver(subscriber: Subscriber, delivery: Delivery) -> None:
    """Call a subscriber. A cancellation of its own making is a failure like any other, and stops nothing else."""
    try:
        await subscriber.deliver(delivery)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("it was cancelled from within") from None


def _made(delivery: Delivery, status: DeliveryStatus) -> _Made:
    return _Made(delivery, DeliveryResult(delivery.id, _token(delivery), status))


def _failed(delivery: Delivery, facts: JsonObject, delay: timedelta | None) -> _Made:
    if delay is None:
        status, after = DeliveryStatus.DEAD, timedelta(0)
    else:
        status, after = DeliveryStatus.PENDING, delay
    return _Made(delivery, DeliveryResult(delivery.id, _token(delivery), status, after, facts))


def _token(delivery: Delivery) -> UUID:
    if delivery.lease_token is None:
        raise RuntimeError("the store claimed a delivery without a lease")
    return delivery.lease_token


def _message_in(result: DeliveryResult) -> str:
    return cleaned(str((result.error or {}).get("message", "")))
