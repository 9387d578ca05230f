"""Another process that writes to a journal: `python -m … PATH INSTANCE HOW WHAT`; prints what was answered.

In its fourth commit it stops for ever, `HOW` saying where: `half written`, `written` (and not synced), or `never`. `WHAT` it
writes are `steps`, and it prints each version, or `checkpoints` of a run, and it prints how long the run's journal is.
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from unittest.mock import patch
from uuid import UUID

from detent.store.records import Status
from detent.testing.store_contract.samples import (
    NOW,
    a_checkpoint,
    accepted,
    advance,
    claimed,
    creation,
    creation_with,
)
from examples.own_store.journal import Journal
from examples.own_store.journal_store import JournalStore


def stopping(how: str) -> Callable[[Journal, bytes], None]:
    """What writes a line instead of the journal's own method."""
    write, lines = Journal._write, count(1)

    def write_or_stop(journal: Journal, line: bytes) -> None:
        if next(lines) < 4:
            write(journal, line)
            return
        write(journal, line[: len(line) // 2] if how == "half written" else line)
        print("committing", flush=True)
        threading.Event().wait()

    return write if how == "never" else write_or_stop


async def write_steps(store: JournalStore, instance_id: UUID) -> None:
    change = creation()
    entries = tuple(replace(entry, instance_id=instance_id) for entry in change.entries)
    await store.create(replace(change, instance=replace(change.instance, id=instance_id), entries=entries))
    print(1, flush=True)
    while True:
        print(await store.apply(instance_id, advance), flush=True)


async def write_checkpoints(store: JournalStore, instance_id: UUID) -> None:
    await accepted(store, creation_with(id=instance_id))
    held = await claimed(store)
    for number in count():
        checkpoint = a_checkpoint(held.lease, entry={"number": number}, position=number)
        status = await store.runs.checkpoint(checkpoint, now=NOW)
        assert status is Status.ACTIVE
        print(number + 1, flush=True)


async def main(path: str, instance_id: UUID, what: str) -> None:
    store = JournalStore(path)
    await store.open()
    await (write_steps if what == "steps" else write_checkpoints)(store, instance_id)


if __name__ == "__main__":
    with patch.object(Journal, "_write", stopping(sys.argv[3])):
        asyncio.run(main(sys.argv[1], UUID(sys.argv[2]), sys.argv[4]))
