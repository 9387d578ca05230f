"""Runtimes with triggers, in memory, with a clock that stands still."""

from contextlib import asynccontextmanager

import pytest

from detent import MemoryStore, WorkflowRuntime
from detent.flows import FlowBook
from detent.service.trigger_book import TriggerBook
from detent.testing import FakeClock
from packages.core.tests.service.trigger_world import ORDER, SHOP, World, keep, sell


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def opened(clock):
    @asynccontextmanager
    async def start(
        *,
        store=None,
        topics=("order.*",),
        timezone="UTC",
        handlers=(keep,),
        limits=None,
        bound=True,
        retention=(),
        **options,
    ):
        book = FlowBook(flows=[ORDER] if handlers else [], handlers=handlers, limits=limits)
        triggers = TriggerBook(topics=topics, timezone=timezone)
        runtime = WorkflowRuntime(
            store=store or MemoryStore(),
            definitions=[*book.definitions, *triggers.definitions, SHOP],
            commands=[*book.commands, *triggers.commands, sell],
            subscribers=triggers.subscribers,
            adopts=book.adopts,
            clock=clock,
            retention=retention,
        )
        async with runtime:
            yield World(runtime, book, triggers, **options) if bound else runtime

    return start


@pytest.fixture
async def world(opened):
    async with opened(secrets={"github": "s3cret"}) as world:
        yield world
