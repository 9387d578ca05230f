"""Due deadlines: claimed, decided and written in one transaction, as many as a batch takes."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from detent.errors import StepRolledBack
from detent.store.change import Change
from detent.store.protocol import A, Decide
from detent_pg.engine import Connections
from detent_pg.own_transaction import OwnTransaction
from detent_pg.pen import Pen
from detent_pg.statements.writing import Rows
from detent_pg.verdict import Verdict


class Due:
    """Fires what is due; nobody who does so waits for another."""

    def __init__(self, pen: Pen, connections: Connections, verdict: Verdict) -> None:
        self._pen = pen
        self._connections = connections
        self._verdict = verdict

    async def fire(
        self,
        decide: Decide[A],
        limit: int,
        workflows: Collection[str] | None,
        tenant: str | None,
        now: datetime | None,
    ) -> Sequence[tuple[UUID, A]]:
        """Claim what is due and held by nobody, decide each and write all; see `Store.fire_due`."""
        answers: list[tuple[UUID, A]] = []
        changes: list[Change] = []
        async with self._connections.autocommit() as connection:
            transaction = OwnTransaction(connection)
            try:
                await transaction.start()
                claimed, instant = await self._pen.claim(transaction.line, limit, workflows, tenant, now)
                for instance in claimed:
                    change, answer = decide(instance, None, instant)
                    answers.append((instance.id, answer))
                    if change is not None:
                        changes.append(change)
                await self._write(transaction, changes, instant)
                cut = await transaction.commit()
            finally:
                if transaction.is_open:
                    await transaction.finished()
        if cut and changes:
            await self._verdict.of_commit(changes)
        return answers

    async def _write(self, transaction: OwnTransaction, changes: Sequence[Change], now: datetime) -> None:
        if not changes:
            return
        written = await self._pen.write(transaction.line, changes, Rows.HELD, now=now)
        if len(written) < len(changes):
            raise StepRolledBack("an instance was written while it was locked")
