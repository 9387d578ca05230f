"""Journals for the tests: one that is open for a while, and one that another process writes to until it is killed."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from examples.own_store.journal_store import JournalStore

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def opened(path: Path, *, lock_timeout: float = 3.0) -> AsyncIterator[JournalStore]:
    """The store in a file, open."""
    store = JournalStore(path, lock_timeout=lock_timeout)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def killed_after_printing(
    line: str, path: Path, instance_id: UUID, how: str, *, what: str = "steps"
) -> list[str]:
    """What another process printed that writes to the journal, and is killed once it has printed `line`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.own_store.tests.journal_writer", str(path), str(instance_id), how, what),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    printed: list[str] = []
    try:
        async with asyncio.timeout(60):
            while line not in printed:
                text = await process.stdout.readline()
                assert text, f"the writer ended after {printed}"
                printed.append(text.decode().strip())
    finally:
        process.kill()
        rest = (await process.stdout.read()).decode().split()
        await process.wait()
    return printed + rest
