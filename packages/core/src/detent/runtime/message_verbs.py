"""The verbs on messages: send events that are kept until they can be taken, and deliver what was published."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from detent.errors import InvalidValue
from detent.json_values import JsonObject, JsonValue
from detent.problems import did_you_mean
from detent.runtime.arguments import MAX_PAGE, check_limit, id_of, is_whole
from detent.runtime.message_reports import InboxReport, OutboxReport
from detent.runtime.sending import Sending
from detent.runtime.verbs import Verbs
from detent.store.messages import Delivery, DeliveryQuery, DeliveryStatus, InboxMessage, InboxQuery
from detent.store.records import WorkflowInstance
from detent.store.signals import INBOX, OUTBOX

Kept = TypeVar("Kept", InboxMessage, Delivery)


class MessageVerbs(Verbs):
    """Messages to instances, and from them."""

    @property
    def inbox(self) -> "OperatorsInbox":
        """What operators ask and do about messages to instances: `runtime.inbox.list(dead=True)`."""
        return OperatorsInbox(self)

    @property
    def outbox(self) -> "OperatorsOutbox":
        """What operators ask and do about deliveries to subscribers: `runtime.outbox.list(status="dead")`."""
        return OperatorsOutbox(self)

    async def send(
        self,
        instance_id: UUID | str | WorkflowInstance,
        event: str,
        payload: JsonValue = None,
        *,
        expires: datetime | timedelta | str | None = None,
        delay: datetime | timedelta | str | None = None,
        idempotency_key: str | None = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> InboxMessage:
        """The message that keeps `event` until the instance can take it; a worker, or `process_inbox`, lets it take it once.

        It waits while the instance is busy or paused, and while its state does not declare the event; messages are taken in
        the order they were sent. One that is refused or fails is tried again after a back-off (`Settings.inbox_retry`), and
        holds up only later ones of its own event. What can never be taken, or was tried too often, is a dead letter:
        observers hear of it, and `inbox.list(dead=True)` shows it.

        `delay` and `expires` are instants, or durations such as `2d` from now: before the one it is not tried, from the other
        on it is not taken any more. Under an `idempotency_key` that the instance has answered, nothing runs. `connection`
        lends a transaction: the message is there when the caller commits.

        Raises `InstanceNotFound`, `InstanceFinished`, and `InvalidValue` for a payload that is not JSON, an event that no
        state of the instance's version declares, or a message that expires before it may be taken.
        """
        return await self.running().sender.send(
            Sending(
                id_of(instance_id),
                event,
                payload,
                caller=self._caller.saying(trigger_metadata, connection=connection),
                delay=delay,
                expires=expires,
                key=idempotency_key,
            )
        )

    async def process_inbox(self, *, limit: int = 100) -> InboxReport:
        """Let up to `limit` instances take the messages that they can take now, and say what became of those.

        A `Worker` does so all the time. Any number of processes may do so at once: each message is taken once.
        """
        check_limit(limit, most=1_000_000)
        return await self.running().inbox.sweep(limit, self.tenant)

    async def process_outbox(self, *, limit: int = 100) -> OutboxReport:
        """Make up to `limit` deliveries to the subscribers of this runtime, and say what became of them.

        A `Worker` does so all the time. Any number of processes may do so at once; for each instance and subscriber the
        deliveries are made in order, each at least once. A caller who is bound to a tenant makes its deliveries only.
        """
        check_limit(limit, most=1_000_000)
        return await self.running().outbox.sweep(limit, self.tenant)


class OperatorsInbox:
    """Messages to instances as operators see them, within the caller's tenant."""

    def __init__(self, verbs: MessageVerbs) -> None:
        self._verbs = verbs

    async def list(
        self,
        *,
        instance: UUID | str | WorkflowInstance | None = None,
        dead: bool | None = None,
        event: str | None = None,
        limit: int = 50,
        after: int | InboxMessage | None = None,
    ) -> Sequence[InboxMessage]:
        """Up to `limit` (1 to 1000) messages in the order of their arrival; `after` is the last one on the page before, or its
        `number`.
        """
        check_limit(limit)
        query = InboxQuery(
            instance_id=None if instance is None else id_of(instance, "instance"),
            events=None if event is None else (event,),
            dead=dead,
            tenant=self._verbs.tenant,
        )
        store = self._verbs.running().parts.store
        return await store.inbox.find(query, limit=limit, after=_number(after))

    async def revive(self, ids: "Ids") -> Collection[UUID]:
        """Let dead messages be tried again at once, their attempts forgotten; the ids of those that were dead."""
        parts = self._verbs.running().parts
        revived = await parts.store.inbox.revive(await self._visible(ids), now=parts.now)
        parts.store.signals.announce([INBOX])
        return revived

    async def discard(self, ids: "Ids") -> Collection[UUID]:
        """Take messages out, dead or not; the ids of those that were there."""
        return await self._verbs.running().parts.store.inbox.discard(await self._visible(ids))

    async def _visible(self, ids: "Ids") -> Sequence[UUID]:
        asked = _ids_of(ids)
        if self._verbs.tenant is None or not asked:
            return asked
        query = InboxQuery(ids=asked, tenant=self._verbs.tenant)
        found = await self._verbs.running().parts.store.inbox.find(query, limit=len(asked))
        return [message.id for message in found]


class OperatorsOutbox:
    """Deliveries as operators see them, within the caller's tenant."""

    def __init__(self, verbs: MessageVerbs) -> None:
        self._verbs = verbs

    async def list(
        self,
        *,
        status: DeliveryStatus | str | Sequence[DeliveryStatus | str] | None = None,
        subscriber: str | None = None,
        topic: str | None = None,
        instance: UUID | str | WorkflowInstance | None = None,
        limit: int = 50,
        after: int | Delivery | None = None,
    ) -> Sequence[Delivery]:
        """Up to `limit` (1 to 1000) deliveries in the order they were written; `after` is the last one on the page before, or
        its `number`. `status` is `pending`, `delivered` or `dead`, or several of these.
        """
        check_limit(limit)
        query = DeliveryQuery(
            statuses=_statuses(status),
            subscribers=None if subscriber is None else (subscriber,),
            topics=None if topic is None else (topic,),
            instance_id=None if instance is None else id_of(instance, "instance"),
            tenant=self._verbs.tenant,
        )
        store = self._verbs.running().parts.store
        return await store.outbox.find(query, limit=limit, after=_number(after))

    async def replay(
        self,
        ids: "Ids | None" = None,
        *,
        subscriber: str | None = None,
        status: DeliveryStatus | str | Sequence[DeliveryStatus | str] | None = None,
        limit: int = 1000,
    ) -> Collection[UUID]:
        """Make up to `limit` deliveries again, their attempts forgotten, the oldest first; the ids of those.

        Either `ids` says which, or `subscriber` does, all of that one's: the `dead` ones, unless `status` says `delivered` or
        both. Pending ones are left as they are. Raises `InvalidValue` where neither is given.
        """
        if ids is None and subscriber is None:
            raise InvalidValue("replay", "needs ids or a subscriber")
        check_limit(limit, most=1_000_000)
        chosen = _statuses(status) or (None if ids is not None else (DeliveryStatus.DEAD,))
        query = DeliveryQuery(
            statuses=chosen,
            subscribers=None if subscriber is None else (subscriber,),
            tenant=self._verbs.tenant,
            ids=None if ids is None else _ids_of(ids),
        )
        parts = self._verbs.running().parts
        replayed = await parts.store.outbox.replay(query, limit=limit, now=parts.now)
        parts.store.signals.announce([OUTBOX])
        return replayed


Ids = UUID | str | InboxMessage | Delivery | Iterable[UUID | str | InboxMessage | Delivery]
"""One message, or several, by themselves or by their ids."""


def _ids_of(given: Ids) -> tuple[UUID, ...]:
    listed = [given] if isinstance(given, UUID | str | InboxMessage | Delivery) else given
    ids = tuple(one.id if isinstance(one, InboxMessage | Delivery) else id_of(one, "ids") for one in listed)
    if len(ids) > MAX_PAGE:
        raise InvalidValue("ids", f"are {len(ids)}; at most {MAX_PAGE} are taken at once")
    return ids


def _number(after: int | Kept | None) -> int | None:
    number = after.number if isinstance(after, InboxMessage | Delivery) else after
    if number is not None and not is_whole(number):
        raise InvalidValue("after", "must be the number of a message")
    return number


def _statuses(
    status: DeliveryStatus | str | Sequence[DeliveryStatus | str] | None,
) -> tuple[DeliveryStatus, ...] | None:
    if status is None:
        return None
    return tuple(map(_status, [status] if isinstance(status, str) else status))


def _status(name: DeliveryStatus | str) -> DeliveryStatus:
    try:
        return DeliveryStatus(name)
    except ValueError:
        raise InvalidValue("status", f"is {name!r}", hint=did_you_mean(name, list(DeliveryStatus))) from None
