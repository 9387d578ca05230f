"""Another process that works on a run: `python sqlite_worker.py PATH`; claims one and prints each checkpoint it made."""

import asyncio
import sys
from datetime import timedelta

from detent.store.sqlite import SqliteStore
from detent.testing.store_contract.samples import a_checkpoint, a_claim


async def main(path: str) -> None:
    store = SqliteStore(path, synchronous="NORMAL", busy_timeout=30)
    await store.open()
    [held] = await store.runs.claim(a_claim(lease=timedelta(hours=1)))
    for number in range(1, 100_000):
        checkpoint = a_checkpoint(held.lease, entry={"number": number}, position=number - 1, extend=timedelta(hours=1))
        assert await store.runs.checkpoint(checkpoint) is not None
        print(number, flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
