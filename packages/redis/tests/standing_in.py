"""Stores that stand between the cache and a real one, and tell or decide what passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from detent.errors import OutcomeUnknown, StoreUnavailable
from detent.store.protocol import Store
from detent.store.records import DefinitionSnapshot, WorkflowInstance
from detent_redis.around import StoreAround


class Counted(StoreAround):
    """Counts what it is asked."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.loads = 0
        self.definitions = 0

    async def load(self, instance_id: UUID, *, outside: object | None = None) -> WorkflowInstance | None:
        self.loads += 1
        return await super().load(instance_id, outside=outside)

    async def load_definition(self, workflow: str, version: str) -> DefinitionSnapshot | None:
        self.definitions += 1
        return await super().load_definition(workflow, version)


class Slow(StoreAround):
    """Its reads have their answer, and do not give it until they are let go."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.has_read = asyncio.Event()
        self.go_on = asyncio.Event()

    async def load(self, instance_id: UUID, *, outside: object | None = None) -> WorkflowInstance | None:
        found = await super().load(instance_id, outside=outside)
        self.has_read.set()
        await self.go_on.wait()
        return found


class Doubtful(StoreAround):
    """It commits, and then says that it does not know."""

    async def apply(self, instance_id: UUID, *args: Any, **options: Any) -> Any:
        options["after_commit"] = None
        await super().apply(instance_id, *args, **options)
        raise OutcomeUnknown(instance_id, 1)


class DoubtfulLending(StoreAround):
    """It does not know what became of what was lent, and nobody hears of a commit."""

    @asynccontextmanager
    async def lend(self, outside: object) -> AsyncIterator[None]:
        with suppress(LookupError):
            async with super().lend(outside):
                yield
                raise LookupError
        raise StoreUnavailable("the lent connection was lost at its commit")
