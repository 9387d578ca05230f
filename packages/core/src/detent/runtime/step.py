"""One step, decided: a generator that asks for what only the outside can give, and otherwise computes.

It yields `AskGuard`, `RunCommand` and `WriteFirst`, is sent the answers, and moves a `Draft`. It has no clock, no
database and no await in it, so the fast path can run it to its end inside a store's `decide`, and the locked path can
await each answer; there is one way to decide, not two.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from detent.definition.selectors import select
from detent.errors import ChainTooLong, CommandFailed, GotoNotAllowed
from detent.json_values import JsonObject, JsonValue
from detent.machine.engine import Choice, CommandStep, Refused
from detent.machine.machine import Entry
from detent.machine.verdicts import GuardStep, Need, Verdict
from detent.registry.message import Message
from detent.registry.results import Goto
from detent.retry import Retry
from detent.runtime import timers
from detent.runtime.draft import Draft
from detent.runtime.event_names import FORCED, ON_ENTER
from detent.runtime.written_context import WrittenContext
from detent.store.quick import quickly_made
from detent.store.records import CommandRecord, Outcome, Timer
from detent.store.run_records import Run


@dataclass(frozen=True, slots=True)
class AskGuard:
    """What does this guard say? Answered with a `Verdict`."""

    guard: GuardStep
    event: str
    payload: JsonValue
    draft: Draft


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Run this command. Answered with `Ran`."""

    command: CommandStep
    context: WrittenContext
    """What the command may write to; for a best-effort command a copy, kept only if it succeeds."""
    input: JsonValue
    event: str
    payload: JsonValue
    to_state: str
    draft: Draft
    error: str | None = None
    """The state that a failure leads to, if any."""
    compensates: str | None = None
    """The command that this one undoes."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a command."""

    record: CommandRecord
    goto: Goto | None = None
    messages: tuple[Message, ...] = ()
    """What it published."""


@dataclass(frozen=True, slots=True)
class WriteFirst:
    """Write what the draft holds before going on. Answered with whether to go on."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class LastPart:
    """From here on everything belongs to the commit that ends the run. Answered with nothing."""

    draft: Draft


Request: TypeAlias = AskGuard | RunCommand | WriteFirst | LastPart
T = TypeVar("T")
Step: TypeAlias = Generator[Request, Any, T]


@quickly_made
@dataclass(frozen=True, slots=True)
class _Performed:
    """What a list of commands came to."""

    records: tuple[CommandRecord, ...]
    failure: CommandRecord | None = None
    goto: tuple[CommandStep, Goto] | None = None
    done: tuple[CommandStep, ...] = ()
    """Those that succeeded, to be undone where what follows fails."""


def creation_step(draft: Draft, *, max_chain: int, write_first: bool) -> Step[None]:
    """Enter the initial state and follow its entry. With `write_first` the record is written before any command runs."""
    draft.begin()
    if write_first and not (yield WriteFirst(draft)):
        return
    yield from _follow_entry(draft, max_chain)


def event_step(draft: Draft, *, max_chain: int, timer_retry: Retry) -> Step[None]:
    """Take the attempt's event, which the draft's state declares, and follow the entries it leads to."""
    attempt = draft.attempt
    attempt.payload = draft.machine.payload_of(draft.state, attempt.event, attempt.payload)
    choice = draft.machine.choose(draft.state, attempt.event, {})
    if isinstance(choice, Need):
        choice = yield from _asked(draft, attempt.event, attempt.payload, choice)
    if isinstance(choice, Refused):
        draft.refuse(choice.reason, _postponed(draft, choice.reason, timer_retry) if attempt.by_timer else None)
        return
    if attempt.by_timer:
        draft.interrupt_run()
    if attempt.enqueued or draft.machine.needs_worker(draft.state, attempt.event):
        first = choice.commands[0] if choice.commands else None
        draft.accept(attempt.event, target=choice.target, command=first, subject=attempt.stored_subject())
    elif (yield from _carry_out(draft, choice, attempt.event, attempt.payload, fired=attempt.by_timer)):
        yield from _follow_entry(draft, max_chain)


def run_step(draft: Draft, run: Run, *, max_chain: int) -> Step[None]:
    """Finish what was accepted: its commands, the transition, and the entries it leads to.

    What it yields before `LastPart` is the run's own work, to be done bit by bit and remembered.
    """
    draft.payload, draft.lease = run.payload, run.lease
    if run.event == ON_ENTER:
        moved = yield from _hop(draft, draft.machine.entries[draft.state], in_run=True)
    else:
        choice = Choice(run.target, draft.machine.commands_of(run.state, run.event))
        moved = yield from _carry_out(draft, choice, run.event, run.payload, fired=run.by_timer, in_run=True)
    if moved:
        yield from _follow_entry(draft, max_chain)


def force_step(draft: Draft, state: str, patch: JsonObject, *, reason: str | None, max_chain: int) -> Step[None]:
    """Enter `state` without asking anybody, and follow what its entry leads to. `patch` counts as written by a caller."""
    if patch:
        draft.writable_context().update(patch)
    draft.enter(state, event=FORCED, reason=reason, payload=draft.attempt.payload)
    yield from _follow_entry(draft, max_chain)


def _postponed(draft: Draft, reason: str, policy: Retry) -> tuple[Timer, ...]:
    return timers.postponed(draft.instance.timers, draft.attempt.event, now=draft.now, policy=policy, reason=reason)


def _carry_out(
    draft: Draft,
    choice: Choice,
    event: str,
    payload: JsonValue,
    *,
    fired: bool = False,
    in_run: bool = False,
    before: _Performed = _Performed(()),
) -> Step[bool]:
    """Perform one chosen event. Answers whether a state was entered.

    `before` is what chose this event by a `Goto`: its commands stand in the same entry, and are undone with the others.
    """
    draft.payload = payload
    declared = draft.machine.takes(draft.state)[event]
    to_state = choice.target or draft.state
    performed = _Performed((), done=before.done)
    if choice.commands:
        performed = yield from _perform(draft, choice.commands, event, payload, to_state, declared.error, before.done)
    if performed.goto is not None:
        command, goto = performed.goto
        raise GotoNotAllowed(command.name, goto.event, "only on_enter commands may choose the next event")
    if in_run:
        yield from _last_part(draft)
    records = (*before.records, *performed.records)
    if performed.failure is not None:
        _route_failure(draft, performed.failure, declared.error, event, records, payload)
        return True
    if choice.target is None:
        draft.stay(event=event, commands=records, payload=payload, fired=fired)
        return False
    draft.enter(choice.target, event=event, commands=records, payload=payload)
    return True


def _asked(draft: Draft, event: str, payload: JsonValue, choice: Choice | Refused | Need) -> Step[Choice | Refused]:
    """What is chosen once every guard was asked that the choice needs."""
    verdicts: dict[int, Verdict] = {}
    while isinstance(choice, Need):
        verdicts[choice.guard.index] = yield AskGuard(choice.guard, event, payload, draft)
        choice = draft.machine.choose(draft.state, event, verdicts)
    return choice


def _perform(
    draft: Draft,
    commands: tuple[CommandStep, ...],
    event: str,
    payload: JsonValue,
    to_state: str,
    error: str | None,
    before: tuple[CommandStep, ...] = (),
) -> Step[_Performed]:
    """Run commands one after another, until one fails that may not; then those that undo the others, the last one first."""
    records: list[CommandRecord] = []
    done = list(before)
    chosen: tuple[CommandStep, Goto] | None = None
    for command in commands:
        ran = yield from _run(draft, command, event, payload, to_state, error)
        records.append(ran.record)
        if not ran.record.ok and not ran.record.best_effort:
            if error is not None:
                records += yield from _compensate(draft, done, event, payload, error)
            return _Performed(tuple(records), failure=ran.record)
        if ran.record.ok:
            done.append(command)
        if ran.goto is not None:
            if chosen is not None:
                raise GotoNotAllowed(command.name, ran.goto.event, f"{chosen[0].name!r} has already chosen")
            chosen = (command, ran.goto)
    return _Performed(tuple(records), goto=chosen, done=tuple(done))


def _run(
    draft: Draft,
    command: CommandStep,
    event: str,
    payload: JsonValue,
    to_state: str,
    error: str | None,
    compensates: str | None = None,
) -> Step[Ran]:
    context = draft.writable_context()
    if command.best_effort:
        context = context.copy()
    chosen_input = None if command.ref.input is None else select(command.ref.input, context)
    ran: Ran = yield RunCommand(
        command, context, chosen_input, event, payload, to_state, draft, error=error, compensates=compensates
    )
    if ran.record.ok:
        draft.adopt_context(context)
    if ran.record.ok or not ran.record.best_effort:
        draft.messages.extend(ran.messages)
    return ran


def _compensate(
    draft: Draft, done: list[CommandStep], event: str, payload: JsonValue, error: str
) -> Step[list[CommandRecord]]:
    """Undo what was done, the last one first. Raises `CommandFailed` where that fails: nothing takes that failure."""
    records: list[CommandRecord] = []
    for command in reversed(done):
        for undoing in command.compensate:
            ran = yield from _run(draft, undoing, event, payload, error, None, compensates=command.name)
            records.append(ran.record)
            if not ran.record.ok and not ran.record.best_effort:
                raise CommandFailed(undoing.name, event, ran.record.code or "failed", ran.record.message)
            if ran.goto is not None:
                raise GotoNotAllowed(undoing.name, ran.goto.event, "it undoes another command")
    return records


def _last_part(draft: Draft) -> Step[None]:
    yield LastPart(draft)
    draft.end_run()


def _route_failure(
    draft: Draft,
    failure: CommandRecord,
    error_target: str | None,
    event: str,
    records: tuple[CommandRecord, ...],
    payload: JsonValue,
) -> None:
    if error_target is None:
        raise CommandFailed(failure.name, event, failure.code or "failed", failure.message)
    reason = failure.message or failure.code
    draft.enter(error_target, event=event, outcome=Outcome.FAILURE, commands=records, reason=reason, payload=payload)


def _follow_entry(draft: Draft, max_chain: int) -> Step[None]:
    """Hop on from the state just entered, as its `on_enter` says, until one waits for an event."""
    hops = 0
    while (entry := draft.machine.entry(draft.state)) is not None:
        if entry.needs_worker:
            draft.await_entry(entry.target, entry.commands[0])
            return
        moved = yield from _hop(draft, entry)
        if not moved:
            return
        hops += 1
        if hops > max_chain:
            raise ChainTooLong(draft.instance.id, draft.state, max_chain)


def _hop(draft: Draft, entry: Entry, *, in_run: bool = False) -> Step[bool]:
    """Run the commands of one entry and leave the state as they decide. Answers whether a state was entered."""
    to_state = entry.target or draft.state
    performed = yield from _perform(draft, entry.commands, ON_ENTER, draft.payload, to_state, entry.error)
    if performed.failure is None and performed.goto is not None:
        return (yield from _follow_goto(draft, entry, *performed.goto, performed, in_run=in_run))
    if in_run:
        yield from _last_part(draft)
    if performed.failure is not None:
        _route_failure(draft, performed.failure, entry.error, ON_ENTER, performed.records, None)
        return True
    if entry.target is not None:
        draft.enter(entry.target, event=ON_ENTER, commands=performed.records)
        return True
    draft.stay(event=ON_ENTER, commands=performed.records)
    return False


def _follow_goto(
    draft: Draft, entry: Entry, command: CommandStep, goto: Goto, performed: _Performed, *, in_run: bool
) -> Step[bool]:
    """Take the event a command chose instead of the hop. Refused by its guard, it counts as that command's failure."""
    declared = draft.machine.events(draft.state)
    if goto.event not in declared:
        reason = f"state {draft.state!r} does not declare that event"
        raise GotoNotAllowed(command.name, goto.event, reason, known=declared)
    payload = draft.machine.payload_of(draft.state, goto.event, goto.payload)
    choice = yield from _asked(draft, goto.event, payload, draft.machine.choose(draft.state, goto.event, {}))
    if not isinstance(choice, Refused):
        return (yield from _carry_out(draft, choice, goto.event, payload, in_run=in_run, before=performed))
    failure = CommandRecord(command.name, ok=False, code="goto_refused", message=f"{goto.event!r}: {choice.reason}")
    told = [failure if record.code == "goto" else record for record in performed.records]
    if entry.error is not None:
        done = [other for other in performed.done if other is not command]
        told += yield from _compensate(draft, done, ON_ENTER, draft.payload, entry.error)
    if in_run:
        yield from _last_part(draft)
    _route_failure(draft, failure, entry.error, ON_ENTER, tuple(told), None)
    return True
