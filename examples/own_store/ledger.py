"""An open journal with the rows that it tells of."""

import asyncio
from pathlib import Path

from detent.errors import OutcomeUnknown, StoreError, StoreUnavailable
from examples.own_store.journal import Journal, TornWrite
from examples.own_store.operations import Operation, PutRun, Step, from_line, to_line
from examples.own_store.rows import Rows


class Ledger:
    """An open journal, the rows it tells of, and a draft of them: the same rows and what the one transaction wrote."""

    def __init__(self, path: Path) -> None:
        """Read the journal; raises `OSError` and `ValueError`."""
        self.journal = Journal(path)
        self.committed = Rows()
        try:
            for line in self.journal.read():
                apply(from_line(line), self.committed)
        except BaseException:
            self.journal.close()
            raise
        self.draft = self.committed.copy()

    async def commit(self, operations: list[Operation]) -> None:
        """Write the journal first, and only then let others see it."""
        if operations:
            try:
                await asyncio.to_thread(self.journal.append, to_line(operations))
            except TornWrite as error:
                raise _unknown(operations, self.committed) from error
            except (OSError, ValueError) as error:  # ValueError: the file was closed
                raise StoreUnavailable(str(error)) from error
        apply(operations, self.committed)


def apply(operations: list[Operation], rows: Rows) -> None:
    """Do these operations to these rows."""
    for operation in operations:
        operation.apply_to(rows)


def _unknown(operations: list[Operation], before: Rows) -> StoreError:
    for operation in operations:
        if isinstance(operation, Step):
            return OutcomeUnknown(operation.instance.id, operation.instance.version - len(operation.entries))
        if isinstance(operation, PutRun):
            instance_id = operation.run.instance_id
            return OutcomeUnknown(instance_id, before.instances[instance_id].version)
    return StoreError("it is not known whether the commit was written", hint="open the store again")
