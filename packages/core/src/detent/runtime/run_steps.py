"""A run as a step: a draft over its instance, led through the journal to what was not answered yet."""

from datetime import datetime

from detent.machine.machine import Machine
from detent.runtime.attempt import Attempt
from detent.runtime.caller import Caller
from detent.runtime.draft import Draft
from detent.runtime.journal import Replay
from detent.runtime.parts import Parts
from detent.runtime.step import Request, Step, run_step
from detent.store.records import LIVE, WorkflowInstance
from detent.store.run_records import Run


class InstanceMoved(Exception):
    """Somebody wrote the instance's row behind the back of its run."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the instance was changed behind its run: {reason}")


def led(
    parts: Parts, machine: Machine, run: Run, record: WorkflowInstance, now: datetime | None = None
) -> tuple[Step[None], Request]:
    """The step of a run, and its first request that the journal does not answer; the request holds the draft.

    Raises `Diverged` and `InstanceMoved`.
    """
    require_unmoved(run, record, machine)
    record_changes = parts.settings.record_changes
    draft = Draft(machine, record, attempt_of(run), now or parts.present, record_changes=record_changes)
    step = run_step(draft, run, max_chain=parts.settings.max_chain)
    return step, Replay(run.journal).lead(step)


def attempt_of(run: Run) -> Attempt:
    """The attempt that the run is, as its caller asked for it."""
    return Attempt(
        instance_id=run.instance_id,
        event=run.event,
        subject=run.subject,
        payload=run.payload,
        caller=Caller(trigger_metadata=run.trigger_metadata),
        trace=run.trace,
        by_timer=run.by_timer,
        transition_id=run.id,
        definition_version=run.definition_version,
    )


def require_unmoved(run: Run, record: WorkflowInstance, machine: Machine) -> None:
    """Raise `InstanceMoved` when the instance is not where the run left it."""
    if record.run_id != run.id:
        raise InstanceMoved("it does not know the run any more")
    if record.status not in LIVE:
        raise InstanceMoved(f"it is {record.status}")
    if not machine.has_state(run.state):
        raise InstanceMoved(f"{run.workflow!r} in version {machine.version} has no state {run.state!r}")
    if record.state != run.state:
        raise InstanceMoved(f"it is in {record.state!r}, not in {run.state!r}")
