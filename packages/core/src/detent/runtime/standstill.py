"""What those who wait for an instance want to know of it: whether it can get there at all, and what holds it."""

from collections.abc import Collection
from datetime import datetime

from detent.errors import DefinitionInvalid, IncompatibleState, UnknownVersion
from detent.machine.machine import Machine
from detent.runtime.execution import Execution
from detent.runtime.parts import Parts
from detent.runtime.sentences import advancing, in_time, parked_at, span_told
from detent.store.records import FINISHED, Status, WorkflowInstance
from detent.store.run_records import RunStatus


class Standstill:
    """Looks at instances that stand where they are. One per runtime."""

    def __init__(self, parts: Parts, execution: Execution) -> None:
        self._parts = parts
        self._execution = execution

    async def states(self, record: WorkflowInstance) -> Collection[str] | None:
        """The states of the version that governs `record`; `None` where that cannot be looked at here."""
        machine = await self._machine(record)
        return None if machine is None else machine.definition.states

    async def reason(self, record: WorkflowInstance) -> str | None:
        """What holds `record` where it is, without a full stop; `None` where nobody knows. Guards are not asked."""
        now = self._parts.present
        if record.run_id is not None:
            return await self._run(record, now)
        if record.status is Status.PAUSED:
            return "it is paused"
        if record.status in FINISHED:
            return None
        machine = await self._machine(record)
        events = [] if machine is None or not machine.has_state(record.state) else list(machine.events(record.state))
        taken = f"it takes {', '.join(map(repr, events))}" if events else "its state takes no event"
        return f"no run is under way, and {taken}{_timeout(record, now)}" if machine is not None else None

    async def _run(self, record: WorkflowInstance, now: datetime) -> str | None:
        run = None if record.run_id is None else await self._parts.store.runs.load(record.run_id)
        if run is None or not run.is_active:
            return None
        if run.status is RunStatus.PARKED:
            return f"its run is parked{parked_at(run)}"
        paused = "it is paused, and " if record.status is Status.PAUSED else ""
        return f"{paused}its run of event {run.event!r} is under way: {advancing(run, now)}"

    async def _machine(self, record: WorkflowInstance) -> Machine | None:
        try:
            return await self._execution.machine_of(record)
        except (IncompatibleState, UnknownVersion, DefinitionInvalid):
            return None


def _timeout(record: WorkflowInstance, now: datetime) -> str:
    timer = min((one for one in record.timers if not one.parked), key=lambda one: one.due, default=None)
    if timer is None:
        return ""
    if timer.due > now:
        return f"; timeout {timer.event!r} fires {in_time(timer.due - now)}"
    return f"; timeout {timer.event!r} has been due for {span_told(now - timer.due)}"
