"""Attempts outside of any transaction: a durable command called, with its time limited, and guards asked for a run."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from detent.errors import CommandFailed, CommandTimedOut
from detent.json_values import JsonObject
from detent.machine.verdicts import Verdict
from detent.registry.context import CommandContext
from detent.registry.results import Fail, Goto, Ok
from detent.registry.run_context import RunContext
from detent.runtime.caller import Caller
from detent.runtime.children import Children
from detent.runtime.held_run import HeldRun
from detent.runtime.instrument import Instrument, Span
from detent.runtime.journal import Before, command_entry
from detent.runtime.parts import Parts
from detent.runtime.performer import command_context, guard_context, ran_of
from detent.runtime.step import AskGuard, Ran, RunCommand
from detent.runtime.value_keeper import InstanceKeeper


class RunAttempts:
    """Makes attempts. One per runtime."""

    def __init__(self, parts: Parts, children: Children) -> None:
        self._parts = parts
        self._children = children

    async def make(
        self, held: HeldRun, request: RunCommand, before: Before, is_final: Callable[[Exception], bool]
    ) -> tuple[Ran, JsonObject]:
        """What came of one attempt, and what the journal keeps of it; `before` is the context as it was.

        Raises what the command raises, `CommandTimedOut`, and what `require_taken` and `command_entry` do. `is_final` says
        whether that is the end of the attempts, and nothing follows from it.
        """
        run = RunContext(held.run.id, len(held.run.journal), held.attempts, held.run.kept, held)
        attempt = request.draft.attempt
        caller = Caller(trigger_metadata=attempt.trigger_metadata)
        context = command_context(
            request,
            attempt,
            transition_id=attempt.transition_id,
            connection=None,
            children=self._children.of(request.draft.instance, request.draft.machine, caller, key=run.key),
            run=run,
            values=InstanceKeeper(self._parts.store.values, held.run.instance_id),
        )
        with attempt_span(self._parts.instrument, held, request) as span:
            try:
                ran = ran_of(request, await self._in_time(request, context), context)
                span.answered(ok=ran.record.ok, code=ran.record.code)
                require_taken(request, ran)
                return ran, command_entry(request, ran, before, held.trace)
            except Exception as error:
                if is_final(error):
                    span.unrecoverable()
                raise

    async def ask(self, request: AskGuard) -> Verdict:
        """The verdict of a guard, asked in a scope of its own."""
        context = guard_context(request.draft, request.guard, request.event, request.payload, request.draft.attempt)
        async with self._parts.injector.open(None) as scope:
            return await self._parts.calls.ask(request.guard, context, scope)

    async def _in_time(self, request: RunCommand, context: CommandContext) -> Ok | Fail | Goto:
        limit = request.command.timeout or self._parts.settings.command_timeout
        if limit is None:
            return await self._call(request, context)
        timer = asyncio.timeout(limit.total_seconds())
        try:
            async with timer:
                return await self._call(request, context)
        except TimeoutError:
            if not timer.expired():
                raise
            raise CommandTimedOut(request.command.name, limit.total_seconds()) from None

    async def _call(self, request: RunCommand, context: CommandContext) -> Ok | Fail | Goto:
        async with self._parts.injector.open(None) as scope:
            return await self._parts.calls.run(request.command.name, context, scope, in_thread=True)


@contextmanager
def attempt_span(instrument: Instrument, held: HeldRun, request: RunCommand) -> Iterator[Span]:
    """A span around the attempt under way, whose context the run keeps."""
    with instrument.command(
        workflow=held.run.workflow,
        state=held.run.state,
        command=request.command.name,
        instance_id=held.run.instance_id,
        run_id=held.run.id,
        attempt=held.attempts,
    ) as span:
        held.trace = instrument.carrier()
        yield span


def require_taken(request: RunCommand, ran: Ran) -> None:
    """Raise `CommandFailed` for a failure that leads nowhere: it is not an answer to go on with."""
    record = ran.record
    if record.ok or record.best_effort or (request.error is not None and request.compensates is None):
        return
    raise CommandFailed(record.name, request.event, record.code or "failed", record.message)
