"""Another process that writes to a file: `python sqlite_writer.py PATH INSTANCE STEPS`; prints each version it reached."""

import asyncio
import sys
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from detent.errors import StepRolledBack
from detent.store.sqlite import SqliteStore
from detent.testing.store_contract.samples import advance, creation


async def main(path: str, instance_id: UUID, steps: int) -> None:
    store = SqliteStore(path, synchronous="NORMAL", busy_timeout=30)
    await store.open()
    await create_if_missing(store, instance_id)
    for _ in range(steps):
        print(await store.apply(instance_id, advance), flush=True)
    await store.close()


async def create_if_missing(store: SqliteStore, instance_id: UUID) -> None:
    change = creation()
    entries = tuple(replace(entry, instance_id=instance_id) for entry in change.entries)
    with suppress(StepRolledBack):  # another process was faster
        await store.create(replace(change, instance=replace(change.instance, id=instance_id), entries=entries))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], UUID(sys.argv[2]), int(sys.argv[3])))
