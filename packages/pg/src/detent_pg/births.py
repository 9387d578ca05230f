"""Creations, many in one commit."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias
from uuid import UUID

from detent.errors import StoreUnavailable
from detent.store.change import AddMessage, Change, PutReceipt
from detent.store.protocol import Existing
from detent.store.records import ReceiptKey
from detent_pg.batch import Waiting
from detent_pg.engine import Connections
from detent_pg.faults import ConnectionLost
from detent_pg.limits import Limits
from detent_pg.own_line import OwnLine, Unreachable
from detent_pg.pen import Pen
from detent_pg.persistence import persist
from detent_pg.refusals import KeyHeld
from detent_pg.steps import SHORT
from detent_pg.strays import Strays
from detent_pg.verdict import Verdict

Birth: TypeAlias = Waiting[Change, Existing | None]


class Births:
    """The kind of work that inserts instances; see `Kind`. The answer is what holds the key of one that was not."""

    def __init__(self, pen: Pen, connections: Connections, verdict: Verdict, limits: Limits) -> None:
        self._pen = pen
        self._connections = connections
        self._verdict = verdict
        self._patience = limits.lock
        self._limits = replace(limits, lock=min(limits.lock or SHORT, SHORT))
        self._strays = Strays()
        self._turns: dict[ReceiptKey, asyncio.Task[None]] = {}
        """Whose turn it is to wait for a key, each on a connection of the pool."""

    async def commit(self, waiting: Sequence[Birth], line: OwnLine) -> None:
        """Insert all of them; of several with one key the first, before the others are looked at."""
        left = list(waiting)
        while left := self._without_wanted(left):
            together, left = _without_rivals(left)
            await self._create(together, line)

    async def finished(self) -> None:
        """Wait for creations that go their own way."""
        await self._strays.finished()

    async def _create(self, births: Sequence[Birth], line: OwnLine) -> None:
        try:
            won = await persist(lambda: self._create_once(births, line))
        except _CutOff:
            await asyncio.gather(*(self._ask(birth) for birth in births))
        except _Held:
            await self._create_free(births, line)
        except Unreachable as unreachable:
            # Nobody's fault, and no better for fewer.
            raise unreachable.reason from unreachable
        except Exception as error:
            if len(births) == 1:
                births[0].failed(error)
                return
            half = len(births) // 2
            await self._create(births[:half], line)
            await self._create(births[half:], line)
        else:
            await self._settle(births, won, line)

    async def _create_once(self, births: Sequence[Birth], line: OwnLine) -> set[UUID]:
        connected = await line.reached()
        try:
            return await self._pen.create_all(connected, [birth.work for birth in births], limits=self._limits)
        except ConnectionLost as lost:
            await line.let_go(lost=True)
            raise _CutOff from lost
        except KeyHeld as held:
            raise _Held from held

    async def _create_free(self, births: Sequence[Birth], line: OwnLine) -> None:
        """Insert those that wait for nothing, and let the others go: to find out which of them has to wait takes longer."""
        waits = [birth for birth in births if _may_wait(birth.work)] or births
        self._let_go(waits)
        free = [birth for birth in births if not birth.has_left]
        if free:
            await self._create(free, line)

    async def _settle(self, births: Sequence[Birth], won: set[UUID], line: OwnLine) -> None:
        lost: list[Birth] = []
        for birth in births:
            if birth.work.instance.id in won:
                birth.done(None, committed=True)
            else:
                lost.append(birth)
        if lost:
            await self._find(lost, line)

    async def _find(self, births: Sequence[Birth], line: OwnLine) -> None:
        """Answer with what holds the keys. Where that cannot be read, or was let go this very moment, each tries alone."""
        changes = [birth.work for birth in births]
        found: Sequence[Existing | None]
        try:
            found = await self._pen.existing_all(await line.ready(), changes, timeout=self._limits.statement or None)
        except StoreUnavailable:
            raise
        except Exception as error:
            if isinstance(error, ConnectionLost):
                await line.let_go(lost=True)
            found = [None] * len(births)
        for birth, existing in zip(births, found, strict=True):
            if existing is not None:
                birth.done(existing)
        self._let_go([birth for birth in births if birth.is_awaited])

    async def _ask(self, birth: Birth) -> None:
        """Settle a creation that was cut off."""
        try:
            existing = await self._verdict.of_create(birth.work)
        except Exception as error:
            birth.failed(error)
        else:
            birth.done(existing, committed=existing is None)

    def _without_wanted(self, births: Sequence[Birth]) -> list[Birth]:
        """Those whose keys nobody waits for; the others wait behind whoever does."""
        wanted = [birth for birth in births if not self._turns.keys().isdisjoint(_keys(birth.work))]
        self._let_go(wanted)
        return [birth for birth in births if not birth.has_left and birth.is_awaited]

    def _let_go(self, births: Sequence[Birth]) -> None:
        """Have each created on a connection of the pool, where it may wait for a key and look at what holds it, and keeps
        nobody; of several with one key one after the other.
        """
        for birth in births:
            task = self._strays.send(birth, self._create_in_turn(birth), committed=lambda existing: existing is None)
            key = _first_key(birth.work)
            if key is not None:
                self._turns.setdefault(key, task)
                task.add_done_callback(partial(self._end_turn, key))

    def _end_turn(self, key: ReceiptKey, task: asyncio.Task[None]) -> None:
        if self._turns.get(key) is task:
            del self._turns[key]

    async def _create_in_turn(self, birth: Birth) -> Existing | None:
        key, task = _first_key(birth.work), asyncio.current_task()
        while key is not None and task is not None and (other := self._turns.setdefault(key, task)) is not task:
            done, _ = await asyncio.wait([other], timeout=self._patience_of(birth))
            if not done:
                raise StoreUnavailable(KeyHeld().reason)
        return await persist(lambda: self._look_and_create(birth.work))

    def _patience_of(self, birth: Birth) -> float | None:
        """For how many seconds a creation waits for the one before it: until its lock timeout is over, or shortly after that."""
        if not self._patience:
            return None
        return max(SHORT, birth.since + self._patience - asyncio.get_running_loop().time())

    async def _look_and_create(self, change: Change) -> Existing | None:
        async with self._connections.line() as line:
            try:
                if await self._pen.create(line, change):
                    return None
                return await self._pen.existing(line, change)
            except ConnectionLost:
                await line.invalidate()
        return await self._verdict.of_create(change)


class _CutOff(Exception):
    """The connection broke while a creation was under way: nobody knows whether it was done."""


class _Held(Exception):
    """Something that a creation needs is held: a key by another creation, or the row of somebody whom it sends a message."""


def _without_rivals(births: Sequence[Birth]) -> tuple[list[Birth], list[Birth]]:
    """Those whose keys are all different, in one order for all who create at once; and those behind them."""
    taken: set[ReceiptKey] = set()
    first: list[tuple[list[tuple[str, str, str]], Birth]] = []
    behind: list[Birth] = []
    for birth in births:
        own = _keys(birth.work)
        if taken.isdisjoint(own):
            taken.update(own)
            first.append(([(key.tenant, key.scope, key.key) for key in own], birth))
        else:
            behind.append(birth)
    # Whoever takes keys in another order could wait for us while we wait for him.
    first.sort(key=lambda named: named[0])
    return [birth for _, birth in first], behind


def _keys(change: Change) -> list[ReceiptKey]:
    return [effect.receipt.key for effect in change.effects_of(PutReceipt)]


def _first_key(change: Change) -> ReceiptKey | None:
    """The key by which creations take turns. One is enough: turns for two could be waited for in a circle."""
    return next(iter(_keys(change)), None)


def _may_wait(change: Change) -> bool:
    return any(isinstance(effect, PutReceipt | AddMessage) for effect in change.effects)
