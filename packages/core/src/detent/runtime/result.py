"""What a caller learns of a transition."""

from dataclasses import asdict, dataclass
from typing import Self
from uuid import UUID

from detent.errors import EventRefused
from detent.json_values import JsonObject
from detent.runtime.draft import Draft
from detent.store.quick import quickly_made
from detent.store.records import CommandRecord, Outcome, Receipt, WorkflowInstance


@quickly_made
@dataclass(frozen=True, slots=True)
class TransitionResult:
    """How an event ended."""

    event: str
    """The event that was triggered."""
    outcome: Outcome
    """`success`; `failure` when a command failed and an `error` target was taken, at the event or in a hop after it; `refused`
    when a guard said no; `accepted` when a worker will finish it.
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
    """The instance after the step; as it is now, when the answer is `replayed`."""
    run_id: UUID | None = None
    """The run that finishes an `accepted` event, or that of the entry it led to, where a worker goes on from there."""
    replayed: bool = False
    """Whether nothing ran, because the idempotency key was answered before: all else is as it was then."""

    def raise_if_refused(self) -> Self:
        """This very result, unless a guard refused the event: then `EventRefused` is raised, with the reason."""
        if self.outcome is Outcome.REFUSED:
            raise EventRefused(self.instance.id, self.from_state, self.event, self.reason, self.history_sequence)
        return self


def result_of(draft: Draft) -> TransitionResult:
    """The result of a step that was committed."""
    entries, instance = draft.all_entries, draft.instance
    one = len(entries) == 1
    return TransitionResult(
        event=draft.attempt.event,
        outcome=draft.outcome,
        from_state=draft.from_state,
        to_state=instance.state,
        commands=entries[0].commands if one else tuple(record for entry in entries for record in entry.commands),
        reason=draft.reason,
        history_sequence=instance.version,
        instance=instance,
        run_id=instance.run_id,
    )


def answer_of(draft: Draft) -> JsonObject:
    """What an idempotency key remembers of a step: the result without the instance."""
    result = result_of(draft)
    return {
        "event": result.event,
        "outcome": result.outcome.value,
        "from_state": result.from_state,
        "to_state": result.to_state,
        "commands": [asdict(record) for record in result.commands],
        "reason": result.reason,
        "history_sequence": result.history_sequence,
        "run_id": None if result.run_id is None else str(result.run_id),
    }


def replayed(receipt: Receipt, instance: WorkflowInstance) -> TransitionResult:
    """The result that an idempotency key was answered before."""
    answer = receipt.answer
    return TransitionResult(
        event=answer["event"],
        outcome=Outcome(answer["outcome"]),
        from_state=answer["from_state"],
        to_state=answer["to_state"],
        commands=tuple(CommandRecord(**record) for record in answer["commands"]),
        reason=answer["reason"],
        history_sequence=answer["history_sequence"],
        instance=instance,
        run_id=None if answer.get("run_id") is None else UUID(answer["run_id"]),
        replayed=True,
    )
