"""The dashboard on a memory store, with a clock that is moved by hand and stand-ins for what a definition only names."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from starlette.types import ASGIApp

from detent.clock import SystemClock
from detent.definition.duration import duration_argument
from detent.definition.model import WorkflowDefinition
from detent.definition.walk import each_command, each_guard
from detent.errors import InvalidValue
from detent.testing.clock import FakeClock
from detent.testing.harness import WorkflowHarness
from detent.testing.misuse import HarnessMisused
from detent.testing.steady import steady_settings
from detent_dashboard.app import dashboard


class Playground:
    """Definitions as they would run: a harness does what a worker would do, and its clock goes when it is moved."""

    def __init__(self, harness: WorkflowHarness, definitions: Sequence[WorkflowDefinition]) -> None:
        self._harness = harness
        self._lock = asyncio.Lock()
        self.notes = stand_ins(definitions)

    def now(self) -> datetime:
        """What the clock shows."""
        return self._harness.now

    async def advance(self, by: str) -> int:
        """Move the clock, stopping where something is due; answers how many events that led to."""
        step = duration_argument(by, "by")
        async with self._lock:
            try:
                return len(await self._harness.advance(step))
            except (ValueError, OverflowError, HarnessMisused) as error:
                raise InvalidValue("by", str(error)) from None

    async def settle(self, created: UUID | None = None) -> None:
        """Do what a worker would do now."""
        async with self._lock:
            if created is not None:
                await self._harness.use(created)
            await self._harness.work()


def _anybody(*_: object) -> bool:
    """Whoever is at this machine: `detent playground` listens to no other."""
    return True


def stand_ins(definitions: Sequence[WorkflowDefinition]) -> Sequence[str]:
    """What stands in for the application, a sentence for each name that a definition uses."""
    commands = sorted({ref.name for definition in definitions for _, ref in each_command(definition)})
    guards = sorted({ref.name for definition in definitions for _, ref in each_guard(definition)})
    return (
        *(f"Command {name} does nothing and answers Ok." for name in commands),
        *(f"Guard {name} lets everything pass." for name in guards),
    )


@asynccontextmanager
async def playground_of(
    definitions: Sequence[WorkflowDefinition], *, mermaid: Path | None = None
) -> AsyncIterator[ASGIApp]:
    """The application, for as long as the block lasts. Raises `DefinitionInvalid` for what cannot run."""
    clock = FakeClock(SystemClock().now().replace(microsecond=0))
    harness = WorkflowHarness(definitions, clock=clock, settings=replace(steady_settings(), record_changes=True))
    async with harness:
        toy = Playground(harness, definitions)
        yield dashboard(
            harness.runtime, policy=_anybody, title=f"Playground: {definitions[0].name}", mermaid=mermaid, toy=toy
        )
