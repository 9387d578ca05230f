"""The two ways to answer what a step asks: in place, or awaited inside a unit."""

from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from detent.definition.selectors import put
from detent.json_values import JsonValue, copy_object, copy_value, json_object, json_value
from detent.machine.verdicts import GuardStep, Verdict
from detent.registry.context import ChildStarter, CommandContext, GuardContext, ValueKeeper
from detent.registry.results import Fail, Goto, Ok
from detent.registry.run_context import RunContext
from detent.runtime.attempt import Attempt
from detent.runtime.caller import Caller
from detent.runtime.calls import Calls, command_record
from detent.runtime.children import Children
from detent.runtime.draft import Draft
from detent.runtime.history import cleaned
from detent.runtime.injection import InjectionScope
from detent.runtime.instrument import Instrument
from detent.runtime.step import AskGuard, LastPart, Ran, Request, RunCommand, Step, WriteFirst
from detent.store.protocol import Existing, Unit
from detent.store.records import CommandRecord

T = TypeVar("T")


def run_in_place(step: Step[T], calls: Calls, attempt: Attempt) -> T:
    """Run a step that asks nothing but guards which can be asked in place."""
    answer: object = None
    while True:
        try:
            request = step.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if not isinstance(request, AskGuard):
            raise AssertionError(f"a step on the fast path asked for {type(request).__name__}")
        attempt.reached = True
        try:
            answer = calls.ask_in_place(request.guard, _asked(request, attempt))
        except Exception as error:
            attempt.blame(error, _named(request))
            raise


@dataclass(slots=True)
class Performer:
    """Answers a step's requests inside a unit: guards awaited, commands run on the unit's connection."""

    calls: Calls
    attempt: Attempt
    unit: Unit
    scope: InjectionScope
    children: Children
    instrument: Instrument
    existing: Existing | None = field(default=None)
    """What a creation found under its idempotency key instead of being written."""

    async def run(self, step: Step[T]) -> T:
        """Run a step to its end. What a guard or command raises passes through, with a note of where it came from."""
        answer: object = None
        while True:
            try:
                request = step.send(answer)
            except StopIteration as stop:
                result: T = stop.value
                return result
            answer = await self._answer(request)

    async def _answer(self, request: Request) -> object:
        match request:
            case AskGuard():
                return await self._ask(request)
            case RunCommand():
                return await self._traced(request)
            case WriteFirst(draft):
                return await self._write_first(draft)
            case LastPart():
                return None

    async def _traced(self, request: RunCommand) -> Ran:
        name, draft = request.command.name, request.draft
        with self.instrument.command(
            workflow=draft.machine.workflow, state=draft.state, command=name, instance_id=draft.instance.id
        ) as span:
            ran = await self.command(request)
            span.answered(ok=ran.record.ok, code=ran.record.code)
        return ran

    async def _ask(self, request: AskGuard) -> Verdict:
        self.attempt.reached = True
        context = _asked(request, self.attempt)
        try:
            return await self.calls.ask(request.guard, context, self.scope)
        except Exception as error:
            self.attempt.blame(error, _named(request))
            raise

    async def command(self, request: RunCommand) -> Ran:
        """What came of one command. What it raises passes through, unless it is a best-effort one."""
        self.attempt.reached = True
        try:
            ran = await (self._try(request) if request.command.best_effort else self._command(request))
        except Exception as error:
            self.attempt.blame(error, f"command {request.command.name!r} of {request.event!r}")
            raise
        self.attempt.ran.append(ran.record)
        return ran

    async def _command(self, request: RunCommand) -> Ran:
        context = self._command_context(request)
        answer = await self.calls.run(request.command.name, context, self.scope)
        await self.unit.flush()
        return ran_of(request, answer, context)

    async def _try(self, request: RunCommand) -> Ran:
        """A best-effort command: what it wrote is kept only if it succeeds, and nothing it does harms the step."""
        try:
            async with self.unit.savepoint():
                ran = await self._command(request)
                if not ran.record.ok:
                    raise _Undo(ran)
        except _Undo as undo:
            return undo.ran
        except Exception as error:
            message = cleaned(f"{type(error).__name__}: {error}")
            return Ran(CommandRecord(request.command.name, ok=False, code="raised", message=message, best_effort=True))
        return ran

    async def _write_first(self, draft: Draft) -> bool:
        self.existing = await self.unit.write(draft.change())
        draft.written()
        return self.existing is None

    def _command_context(self, request: RunCommand) -> CommandContext:
        draft, attempt = request.draft, self.attempt
        caller = Caller(self.unit.connection, attempt.caller.tenant, attempt.trigger_metadata)
        return command_context(
            request,
            attempt,
            transition_id=attempt.transition_id,
            connection=self.unit.connection,
            children=self.children.of(draft.instance, draft.machine, caller),
        )


class _Undo(Exception):
    """Leaves a savepoint so that it is undone, with an answer in hand."""

    def __init__(self, ran: Ran) -> None:
        self.ran = ran


def command_context(
    request: RunCommand,
    attempt: Attempt,
    *,
    transition_id: UUID,
    connection: object | None,
    children: ChildStarter,
    run: RunContext | None = None,
    values: ValueKeeper | None = None,
) -> CommandContext:
    """What a command is told: copies of everything but the context, which is its to write."""
    draft = request.draft
    return CommandContext(
        instance_id=attempt.instance_id,
        workflow=draft.machine.workflow,
        event=request.event,
        subject=attempt.subject,
        context=request.context,
        metadata=copy_object(draft.instance.metadata),
        payload=copy_value(request.payload),
        trigger_metadata=copy_object(attempt.trigger_metadata),
        now=draft.now,
        from_state=draft.state,
        to_state=request.to_state,
        transition_id=transition_id,
        command_metadata=copy_object(request.command.ref.metadata),
        input=request.input,
        tenant=draft.instance.tenant,
        connection=connection,
        run=run,
        children=children,
        values=values,
    )


def ran_of(request: RunCommand, answer: Ok | Fail | Goto, context: CommandContext) -> Ran:
    """What came of a command that has answered; its answer is put where the reference names an `output`.

    Raises `InvalidValue` where what a best-effort one wrote may not be kept.
    """
    command = request.command
    record = command_record(command.name, answer, best_effort=command.best_effort, compensates=request.compensates)
    if record.ok and command.ref.output is not None:
        put(request.context, command.ref.output, json_value(record.data, command.ref.output))
        request.context.touch(command.ref.output.split(".")[0])
    if record.ok and command.best_effort:
        check_kept(request)
    return Ran(record, answer if isinstance(answer, Goto) else None, tuple(context.published))


def guard_context(draft: Draft, guard: GuardStep, event: str, payload: JsonValue, attempt: Attempt) -> GuardContext:
    """What a guard is told: copies, so that a guard that writes changes nothing."""
    return GuardContext(
        instance_id=attempt.instance_id,
        workflow=draft.machine.workflow,
        event=event,
        subject=attempt.subject,
        context=json_object(draft.context, "context"),
        metadata=copy_object(draft.instance.metadata),
        payload=copy_value(payload),
        trigger_metadata=copy_object(attempt.trigger_metadata),
        now=draft.now,
        from_state=draft.state,
        guard_metadata=copy_object(guard.metadata),
        tenant=draft.instance.tenant,
    )


def _asked(request: AskGuard, attempt: Attempt) -> GuardContext:
    return guard_context(request.draft, request.guard, request.event, request.payload, attempt)


def check_kept(request: RunCommand) -> None:
    """Raise `InvalidValue` now, while the command can be undone, where what it wrote would fail the step later."""
    machine = request.draft.machine
    written = json_object(request.context, "context")
    machine.check_context({**machine.state(request.to_state).context, **written})


def _named(request: AskGuard) -> str:
    return f"guard {request.guard.name!r} of {request.event!r}"
