"""An instance and its history as marks on the picture of its definition."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from detent.definition.model import WorkflowDefinition
from detent.machine.forks import FORK, JOINED
from detent.notation.chart import Marks, Passage
from detent.runtime.event_names import CANCELLED, IN_PLACE, ON_ENTER
from detent.store.records import FINISHED, HistoryEntry, Outcome, WorkflowInstance

MOST_ENTRIES = 10_000
"""How many entries of a history are read to mark a picture, the newest ones."""


def marks_of(
    instance: WorkflowInstance, entries: Sequence[HistoryEntry], definition: WorkflowDefinition, now: datetime
) -> Marks:
    """What `instance` has been through, where it is, and what time is left to it.

    `entries` are its history, the oldest first; the first may be missing, and then it is said how many are. `definition`
    tells internal events from those that enter their own state again. An entry that was refused, rolled back or is still
    under way is no passage; what an operator did enters a state, and is none either.
    """
    moves = [entry for entry in entries if entry.outcome in (Outcome.SUCCESS, Outcome.FAILURE)]
    entered = [entry for entry in moves if _enters(entry, definition)]
    return Marks(
        current=instance.state,
        visited=tuple(entry.to_state for entry in entered),
        passages=Counter(passage for entry in moves for passage in _passages(entry, definition)),
        stays=_stays(entered, instance.finished_at or now),
        left=_left(instance, now),
        earlier=entries[0].sequence - 1 if entries else 0,
    )


def _enters(entry: HistoryEntry, definition: WorkflowDefinition) -> bool:
    """Whether a state was entered: another one, or the same one again."""
    if entry.from_state != entry.to_state:
        return True
    if entry.event == ON_ENTER:
        state = definition.states.get(entry.to_state)
        return state is not None and state.on_enter is not None and state.on_enter.target == entry.to_state
    return entry.event not in IN_PLACE | {CANCELLED} and not _is_internal(entry, definition)


def _is_internal(entry: HistoryEntry, definition: WorkflowDefinition) -> bool:
    state = definition.states.get(entry.to_state)
    event = state.events.get(entry.event) if state else None
    return event is not None and event.internal


def _passages(entry: HistoryEntry, definition: WorkflowDefinition) -> Iterator[Passage]:
    """The ways an entry tells of: its event's or its hop, or those on which branches began."""
    failed, state = entry.outcome is Outcome.FAILURE, definition.states.get(entry.from_state or "")
    if entry.from_state is None or state is None:
        return
    if entry.event == JOINED or (entry.event == ON_ENTER and _enters(entry, definition)):
        yield Passage(entry.from_state, entry.to_state, None, failed)
    elif entry.event == ON_ENTER and any(record.name == FORK for record in entry.commands):
        yield from (Passage(entry.from_state, branch) for branch in state.fork)
    elif entry.event in state.events:
        yield Passage(entry.from_state, entry.to_state, entry.event, failed)


def _stays(entered: Sequence[HistoryEntry], until: datetime) -> Mapping[str, timedelta]:
    """How long it was in each state; no time passes in one that ended it."""
    ends = [*(entry.created_at for entry in entered[1:]), until]
    stays: dict[str, timedelta] = {}
    for entry, end in zip(entered, ends, strict=bool(entered)):
        if end > entry.created_at:
            stays[entry.to_state] = stays.get(entry.to_state, timedelta(0)) + (end - entry.created_at)
    return stays


def _left(instance: WorkflowInstance, now: datetime) -> Mapping[str, timedelta | None]:
    if instance.status in FINISHED:
        return {}
    return {timer.event: None if timer.parked else timer.due - now for timer in instance.timers}
