"""Steps on rows that others hold: they wait for the row, and are decided and written while holding it.

What comes for such a row meanwhile waits beside them, and is taken together when the row is free: one waiting transaction for a
row, however many want it. For more rows than may be waited for at once it is looked now and then whether they are free.
"""

import asyncio
from collections.abc import Sequence
from contextvars import Context
from functools import partial
from uuid import UUID

from detent.errors import InstanceBusy, InstanceNotFound, OutcomeUnknown, StoreUnavailable
from detent.store.records import Receipt, ReceiptKey
from detent_pg.batch import own_error
from detent_pg.decisions import Step, Verdicts, decide_all
from detent_pg.limits import Limits
from detent_pg.persistence import persist
from detent_pg.refusals import KeyAnswered
from detent_pg.transaction import Transactions
from detent_pg.unit import PgUnit

_AT_ONCE = 4
"""For how many rows is waited at the same time: each wait takes a connection of the pool."""
_LOOK_AGAIN = 0.1
"""After how many seconds it is looked whether a row is free that may not be waited for yet."""
_NOBODYS_FAULT = (OutcomeUnknown, StoreUnavailable, InstanceBusy, InstanceNotFound)
"""What is the answer for all who wanted a row: no step is the reason, and without one the others would fare no better. After an
unknown outcome they may even be applied.
"""


class Contention:
    """The rows that are waited for, and who waits."""

    def __init__(self, transactions: Transactions, limits: Limits) -> None:
        self._transactions = transactions
        self._patience = limits.lock
        self._waiting: dict[UUID, list[Step]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._looking = asyncio.Lock()

    def put(self, instance_id: UUID, steps: Sequence[Step]) -> None:
        """Have `steps` on one instance taken while holding its row, with all others that come for it until then.

        They are answered here, with `InstanceBusy` where the row is not had within the lock timeout.
        """
        for step in steps:
            step.has_left = True
        waiting = self._waiting.get(instance_id)
        if waiting is not None:
            waiting.extend(steps)
            return
        waiting = self._waiting[instance_id] = list(steps)
        task = asyncio.create_task(self._attend(instance_id, waiting), context=Context())
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, instance_id, waiting))

    def without_contended(self, steps: Sequence[Step]) -> list[Step]:
        """Those of `steps` whose rows nobody waits for; the others wait beside whoever does."""
        free: list[Step] = []
        for step in steps:
            if step.work.instance_id in self._waiting:
                self.put(step.work.instance_id, [step])
            else:
                free.append(step)
        return free

    async def finished(self) -> None:
        """Wait for all that is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _attend(self, instance_id: UUID, waiting: list[Step]) -> None:
        """Have them served; who is left when that is cut off is let go at once, for a wait for a row is not broken off."""
        serving = asyncio.create_task(self._serve(instance_id, waiting))
        try:
            await asyncio.wait([serving])
        except asyncio.CancelledError:
            self._let_go(instance_id, waiting)
            serving.cancel()
            await asyncio.wait([serving])
            raise

    async def _serve(self, instance_id: UUID, waiting: list[Step]) -> None:
        while steps := [step for step in waiting if step.is_awaited]:
            waiting[:] = steps
            if await self._has_turn():
                try:
                    await self._take(instance_id, waiting.copy(), wait=True)
                finally:
                    self._turns.release()
            else:
                # One after the other, so that this is one connection for however many rows.
                async with self._looking:
                    await self._take(instance_id, waiting.copy(), wait=False)
        self._let_go(instance_id, waiting)

    def _ended(self, instance_id: UUID, waiting: list[Step], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # It may have been cut off before it began.
        self._let_go(instance_id, waiting)

    def _let_go(self, instance_id: UUID, waiting: list[Step]) -> None:
        """Forget the row, and those who are not answered: nobody knows what becomes of theirs."""
        if self._waiting.get(instance_id) is waiting:
            del self._waiting[instance_id]
        for step in waiting:
            step.cut_off()

    async def _has_turn(self) -> bool:
        """Whether a row may be waited for; that in turn is waited for shortly."""
        try:
            async with asyncio.timeout(_LOOK_AGAIN):
                return await self._turns.acquire()
        except TimeoutError:
            return False

    async def _take(self, instance_id: UUID, steps: Sequence[Step], *, wait: bool) -> None:
        """Take steps and answer them, but those that have to be taken again, or may still hope for the row."""
        try:
            verdicts = await persist(lambda: self._hold(instance_id, steps, wait=wait))
        except Exception as error:
            if len(steps) == 1 or _is_nobodys_fault(error):
                self._answer(steps, error, hopes=not wait)
                return
            # One of them is the reason.
            half = len(steps) // 2
            await self._take(instance_id, steps[:half], wait=wait)
            await self._take(instance_id, steps[half:], wait=wait)
        else:
            verdicts.tell()

    def _answer(self, steps: Sequence[Step], error: Exception, *, hopes: bool) -> None:
        for step in steps:
            if not (hopes and isinstance(error, InstanceBusy)) or self._is_late(step):
                step.failed(own_error(error))

    def _is_late(self, step: Step) -> bool:
        return 0 < self._patience <= asyncio.get_running_loop().time() - step.since

    async def _hold(self, instance_id: UUID, steps: Sequence[Step], *, wait: bool) -> Verdicts:
        """Decide and write while holding the row."""
        async with self._transactions.own(instance_id, None, None, wait=wait) as unit:
            if unit.record is None:
                raise InstanceNotFound(instance_id)
            verdicts = decide_all(unit.record, steps, await _receipts(unit, steps), unit.now)
            await unit.write_all(verdicts.changes)
        return verdicts


async def _receipts(unit: PgUnit, steps: Sequence[Step]) -> dict[ReceiptKey, Receipt]:
    """What was answered under the keys of `steps`, as seen while holding the row."""
    asked = [(step.work.key, step.work.now) for step in steps if step.work.key is not None]
    return await unit.receipts_under(list(dict.fromkeys(asked))) if asked else {}


def _is_nobodys_fault(error: Exception) -> bool:
    return isinstance(error, _NOBODYS_FAULT) and not isinstance(error.__cause__, KeyAnswered)
