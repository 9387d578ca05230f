"""Another process that writes to a journal: `python -m … PATH INSTANCE HOW`; prints each version that was answered.

In its fourth commit it stops for ever, `HOW` saying where: `half written`, `written` (and not synced), or `never`.
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from unittest.mock import patch
from uuid import UUID

from detent.testing.store_contract.samples import advance, creation
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


async def main(path: str, instance_id: UUID) -> None:
    store = JournalStore(path)
    await store.open()
    change = creation()
    entries = tuple(replace(entry, instance_id=instance_id) for entry in change.entries)
    await store.create(replace(change, instance=replace(change.instance, id=instance_id), entries=entries))
    print(1, flush=True)
    while True:
        print(await store.apply(instance_id, advance), flush=True)


if __name__ == "__main__":
    with patch.object(Journal, "_write", stopping(sys.argv[3])):
        asyncio.run(main(sys.argv[1], UUID(sys.argv[2])))
