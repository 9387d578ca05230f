"""What an attempt wants done: the differences between an event that is taken and a state that is entered by force."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from detent.errors import EventNotAvailable, InstanceBusy, InstancePaused, InvalidValue
from detent.json_values import JsonObject
from detent.machine.machine import Machine
from detent.problems import did_you_mean
from detent.runtime.attempt import Attempt
from detent.runtime.draft import Draft
from detent.runtime.machines import Machines
from detent.runtime.parts import Settings
from detent.runtime.step import Step, event_step, force_step
from detent.store.records import Status, WorkflowInstance


class Intent(Protocol):
    """One kind of step on an instance."""

    @property
    def attempt(self) -> Attempt:
        """Who asked for it, and how far it came."""
        ...

    def may_need_lock(self, machines: Machines, workflow: str | None) -> bool:
        """Whether the step needs the row lock in any state of any version of `workflow`; of any workflow for `None`."""
        ...

    def needs_lock(self, machine: Machine, record: WorkflowInstance) -> bool:
        """Whether the step needs the row lock where the instance stands now."""
        ...

    def admit(self, machine: Machine, record: WorkflowInstance) -> None:
        """Raise what says that the instance cannot take the step."""
        ...

    def step(self, draft: Draft, settings: Settings) -> Step[None]:
        """The decision over `draft`."""
        ...


@dataclass(frozen=True, slots=True)
class TakeEvent:
    """Take an event that the instance's state declares."""

    attempt: Attempt

    def may_need_lock(self, machines: Machines, workflow: str | None) -> bool:
        return machines.may_need_lock(workflow, self.attempt.event)

    def needs_lock(self, machine: Machine, record: WorkflowInstance) -> bool:
        if self.attempt.enqueued:
            return machine.locked.guards_of(record.state, self.attempt.event)
        return machine.locked.event(record.state, self.attempt.event)

    def admit(self, machine: Machine, record: WorkflowInstance) -> None:
        if record.status is Status.PAUSED:
            raise InstancePaused(record.id)
        if not self._interrupts(record):
            require_free(record)
        active = record.status is Status.ACTIVE
        if not active or self.attempt.event not in self._takes(machine, record):
            declared = machine.events(record.state) if active else {}
            raise EventNotAvailable(record.id, record.state, self.attempt.event, declared)

    def _takes(self, machine: Machine, record: WorkflowInstance) -> Collection[str]:
        """What it may be: Detent's own events come from its inbox alone."""
        return (machine.events if self.attempt.message_id is None else machine.takes)(record.state)

    def _interrupts(self, record: WorkflowInstance) -> bool:
        """Whether it is a timeout that does not wait for a run."""
        event = self.attempt.event
        return self.attempt.by_timer and any(timer.event == event and timer.interrupts for timer in record.timers)

    def step(self, draft: Draft, settings: Settings) -> Step[None]:
        return event_step(draft, max_chain=settings.max_chain, timer_retry=settings.timeout_retry)


@dataclass(frozen=True, slots=True)
class ForceState:
    """Enter a state, whatever the definition allows from here."""

    attempt: Attempt
    state: str
    patch: JsonObject
    reason: str | None

    def may_need_lock(self, machines: Machines, workflow: str | None) -> bool:
        return machines.may_need_lock_in(workflow, self.state)

    def needs_lock(self, machine: Machine, record: WorkflowInstance) -> bool:
        return machine.locked.entry(self.state)

    def admit(self, machine: Machine, record: WorkflowInstance) -> None:
        require_free(record)
        if not machine.has_state(self.state):
            reason = f"is {self.state!r}, which version {machine.version} of {machine.workflow!r} does not have"
            raise InvalidValue("state", reason, hint=did_you_mean(self.state, machine.definition.states))

    def step(self, draft: Draft, settings: Settings) -> Step[None]:
        return force_step(draft, self.state, self.patch, reason=self.reason, max_chain=settings.max_chain)


def require_free(record: WorkflowInstance) -> None:
    """Raise `InstanceBusy` while a run of the instance is under way."""
    if record.run_id is not None:
        raise InstanceBusy(record.id, record.run_id)
