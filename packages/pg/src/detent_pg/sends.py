"""Messages to instances, many in one commit."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

from detent.errors import InstanceNotFound, OutcomeUnknown, StoreUnavailable
from detent.store.messages import InboxMessage
from detent_pg.batch import Waiting
from detent_pg.errands import Errands, rows_of
from detent_pg.faults import ConnectionLost, translated
from detent_pg.limits import Limits
from detent_pg.line import Line
from detent_pg.message_rows import message_row
from detent_pg.own_line import OwnLine
from detent_pg.persistence import persist
from detent_pg.schema import Tables
from detent_pg.statements import inbox
from detent_pg.statements.arrays import arrays
from detent_pg.steps import SHORT
from detent_pg.strays import Strays

_SKEW = timedelta(minutes=1)
"""By how much the clock that dates messages may be ahead of the one that dates instances."""

Sending: TypeAlias = Waiting[InboxMessage, None]


class Sends:
    """The kind of work that keeps messages; see `Kind`.

    One whose receiver is not there, or held by whoever removes it, is sent again by itself, and so is one that was cut off.
    """

    def __init__(self, tables: Tables, limits: Limits, errands: Errands) -> None:
        self._tables = tables
        self._limits = limits.parameters()
        self._short = replace(limits, lock=min(limits.lock or SHORT, SHORT))
        self._errands = errands
        self._strays = Strays()

    async def commit(self, waiting: Sequence[Sending], line: OwnLine) -> None:
        """Keep all of them, those to one instance in the order they came."""
        wanted = [sending for sending in waiting if sending.is_awaited]
        if wanted:
            # Whoever sends the same in another order could wait for us while we wait for him.
            await self._send(sorted(wanted, key=lambda sending: sending.work.instance_id), line)

    async def finished(self) -> None:
        """Wait for those that go their own way."""
        await self._strays.finished()

    async def within(self, line: Line, message: InboxMessage) -> None:
        """Keep a message in a transaction that is not ours."""
        await self._insert(line, message, limited=False)

    async def _send(self, sendings: Sequence[Sending], line: OwnLine) -> None:
        try:
            there = await self._send_once(sendings, line)
        except StoreUnavailable:
            raise
        except ConnectionLost:
            for sending in sendings:
                self._strays.send(sending, self._again(sending.work))
            return
        except Exception:
            if len(sendings) > 1:
                half = len(sendings) // 2
                await self._send(sendings[:half], line)
                await self._send(sendings[half:], line)
                return
            there = frozenset()
        for sending in sendings:
            if sending.work.instance_id in there:
                sending.done(None, committed=True)
            else:
                self._strays.send(sending, self._alone(sending.work))

    async def _send_once(self, sendings: Sequence[Sending], line: OwnLine) -> Collection[UUID]:
        rows = [{**message_row(sending.work), "place": place} for place, sending in enumerate(sendings)]
        parameters = arrays("sent", rows, rows[0]) | self._short.parameters()
        statement, patience = inbox.put_many(self._tables), self._short.statement or None
        try:
            ready = await line.ready()
            with translated():
                found = await ready.fetch(statement, parameters, timeout=patience)
        except ConnectionLost:
            await line.let_go(lost=True)
            raise
        return {row["id"] for row in found}

    async def _alone(self, message: InboxMessage) -> None:
        try:
            await persist(lambda: self._once(message))
        except _CutOff:
            await self._again(message)

    async def _once(self, message: InboxMessage) -> None:
        try:
            await self._errands.once(lambda line: self._insert(line, message, limited=True))
        except ConnectionLost as lost:
            raise _CutOff from lost

    async def _again(self, message: InboxMessage) -> None:
        await self._errands.committed(lambda line: self._put_again(line, message))

    async def _put_again(self, line: Line, message: InboxMessage) -> None:
        """The same behind a first attempt that was cut off: what is not there now never was, or was applied since."""
        added = await self._insert(line, message, limited=True)
        if added and message.key is None:
            [row] = await rows_of(line, inbox.receiver(self._tables), {"id": message.instance_id})
            if row["updated_at"] >= message.created_at - _SKEW:
                raise OutcomeUnknown(message.instance_id, row["version"])

    async def _insert(self, line: Line, message: InboxMessage, *, limited: bool) -> bool:
        """Whether it was not there before."""
        parameters = arrays("sent", [message_row(message)], inbox.columns(self._tables))
        if limited:
            parameters |= self._limits
        found = await rows_of(line, inbox.put(self._tables, limited=limited), parameters)
        if not found:
            raise InstanceNotFound(message.instance_id)
        return bool(found[0]["added"])


class _CutOff(StoreUnavailable):
    """A message was sent to the database, and nobody knows what became of it."""

    def __init__(self) -> None:
        super().__init__("the connection was lost while a message was sent")
