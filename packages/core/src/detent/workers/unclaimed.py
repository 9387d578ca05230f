"""Tells of runs that a worker leaves alone although it has what they need, but for their definition."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from detent.runtime.runtime import WorkflowRuntime
from detent.store.run_records import Run, RunQuery, RunStatus

logger = logging.getLogger("detent.workers")

_ENOUGH = 20
"""How many runs of a workflow are looked at."""


class Unclaimed:
    """Logs, once for each workflow, that its runs are left to others for want of a definition that another process saved.

    * `serves`: whether the worker claims runs of a queue.
    * `every`: how long to leave between two looks, in seconds.
    """

    def __init__(self, runtime: WorkflowRuntime, serves: Callable[[str], bool], *, every: float = 60.0) -> None:
        self._runtime = runtime
        self._serves = serves
        self._every = every
        self._told = set[str]()
        self._next = 0.0

    async def look(self) -> None:
        """Look for such runs, if that was not done within `every`, and the runtime does not adopt definitions."""
        now = asyncio.get_running_loop().time()
        if self._runtime.adopts or now < self._next:
            return
        self._next = now + self._every
        for workflow in await self._unknown():
            for run in await self._waiting(workflow):
                if run.command in self._runtime.registry.commands and self._serves(run.queue):
                    self._tell(run)
                    break

    async def _unknown(self) -> list[str]:
        """The workflows that are stored, not known here, and not told of yet."""
        parts = self._runtime.running().parts
        stored = {snapshot.workflow for snapshot in await parts.store.list_definitions(None)}
        return sorted(stored - set(parts.machines.workflows) - self._told)

    async def _waiting(self, workflow: str) -> Sequence[Run]:
        query = RunQuery(statuses=(RunStatus.PENDING,), workflows=(workflow,), tenant=self._runtime.tenant)
        return await self._runtime.running().parts.store.runs.find(query, limit=_ENOUGH)

    def _tell(self, run: Run) -> None:
        self._told.add(run.workflow)
        logger.warning(
            "runs of workflow %r are left to other processes: command %r is registered here, but the definition is not among "
            "those of this runtime, which adopts none that others save (for flows: adopts=book.adopts)",
            run.workflow,
            run.command,
        )
