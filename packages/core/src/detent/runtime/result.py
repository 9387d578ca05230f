"""What a caller learns of a transition."""

from dataclasses import dataclass
from typing import Self

from detent.errors import EventRefused
from detent.runtime.draft import Draft
from detent.store.records import CommandRecord, Outcome, WorkflowInstance


@dataclass(frozen=True, slots=True)
class TransitionResult:
    """How an event ended."""

    event: str
    """The event that was triggered."""
    outcome: Outcome
    """`success`; `failure` when a command failed and an `error` target was taken, at the event or in a hop after it; `refused`
    when a guard said no.
    """
    from_state: str
    """The state before the event."""
    to_state: str
    """The state after the event and all automatic hops."""
    commands: tuple[CommandRecord, ...]
    """What every command of the step answered, in the order they ran."""
    reason: str | None
    """Why a guard refused, or why a command failed."""
    history_sequence: int
    """The sequence of the last history entry of this step."""
    instance: WorkflowInstance
    """The instance after the step."""

    def raise_if_refused(self) -> Self:
        """This very result, unless a guard refused the event: then `EventRefused` is raised, with the reason."""
        if self.outcome is Outcome.REFUSED:
            raise EventRefused(self.instance.id, self.from_state, self.event, self.reason, self.history_sequence)
        return self


def result_of(draft: Draft) -> TransitionResult:
    """The result of a step that was committed."""
    return TransitionResult(
        event=draft.attempt.event,
        outcome=draft.outcome,
        from_state=draft.from_state,
        to_state=draft.state,
        commands=tuple(record for entry in draft.all_entries for record in entry.commands),
        reason=draft.reason,
        history_sequence=draft.instance.version,
        instance=draft.instance,
    )
