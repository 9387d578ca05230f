"""What stands before commands and guards: the answers a test has given, and a note of each call."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from detent.definition.answers import Atom, atom
from detent.definition.model import WorkflowDefinition
from detent.definition.walk import each_command, each_guard
from detent.registry.context import CommandContext, GuardContext
from detent.registry.registry import Registry
from detent.testing.misuse import HarnessMisused, check_known
from detent.testing.recorder import Recorder
from detent.testing.script import Script
from detent.testing.steady import steady
from detent.testing.stubs import CommandStub, GuardStub
from detent.testing.wrapping import ASK, AroundCommand, DecideGuard, NoteGuard, wrapped_command, wrapped_guard


class StandIns:
    """Commands and guards are answered by the script of a path, else by a stub, else they are called for real; a name that
    nothing stands behind answers `Ok` or `True`.
    """

    def __init__(self, definitions: Sequence[WorkflowDefinition], given: Registry) -> None:
        self.recorder = Recorder()
        self.script: Script | None = None
        self.best_effort = {name for name, spec in given.commands.items() if spec.options.best_effort}
        self.slip: Exception | None = None
        """What the test itself did wrong inside a command. A worker would take it for one more failure and try again."""
        self.verdicts: dict[tuple[UUID, str, str], dict[Atom, bool]] = defaultdict(dict)
        """What guards have answered, by instance, state and event."""
        self._given = given
        self._command_stubs: dict[str, CommandStub] = {}
        self._guard_stubs: dict[str, GuardStub] = {}
        self._commands = {ref.name for definition in definitions for _, ref in each_command(definition)}
        self._guards = {ref.name for definition in definitions for _, ref in each_guard(definition)}

    def stub_command(self, stub: CommandStub, name: str) -> None:
        """From now on `stub` answers for the command. Raises `HarnessMisused` for a name that nothing uses."""
        check_known("command", name, self._commands | set(self._given.commands), "the harness")
        self._command_stubs[name] = stub

    def stub_guard(self, stub: GuardStub, name: str) -> None:
        """From now on `stub` answers for the guard. Raises `HarnessMisused` for a name that nothing uses."""
        check_known("guard", name, self._guards | set(self._given.guards), "the harness")
        self._guard_stubs[name] = stub

    def check_command(self, name: str) -> None:
        """Raise `HarnessMisused` for a command that nothing uses."""
        check_known("command", name, self._commands | set(self._given.commands), "the harness")

    def registry(self, *, stubs: bool, injected: bool) -> Registry:
        """What a runtime is to call: everything that was given, wrapped, and with `stubs` something for each other name.

        `injected` says whether there is a container that makes classes.
        """
        registry = Registry()
        for name, spec in self._given.commands.items():
            # Left as it is, it is refused for the reason that the application would get.
            bare = bool(spec.constructor) and not injected
            own = spec.options.retry
            options = spec.options if own is None else replace(spec.options, retry=steady(own))
            registry.command(name, spec.target if bare else wrapped_command(spec, self._command), options)
        for name, guard in self._given.guards.items():
            bare = bool(guard.constructor) and not injected
            registry.guard(name, guard.target if bare else wrapped_guard(guard, self._decide, self._note))
        if stubs:
            self._add_stubs(registry)
        return registry

    def _add_stubs(self, registry: Registry) -> None:
        for name in sorted(self._commands - set(self._given.commands)):
            registry.command(name, _command_without_work(name, self._command))
        for name in sorted(self._guards - set(self._given.guards)):
            registry.guard(name, _guard_without_doubt(name, self._decide, self._note))

    async def _command(self, name: str, ctx: CommandContext, real: Callable[[], Any]) -> Any:
        call = self.recorder.begin(name, ctx)
        try:
            answer = await self._answer(name, ctx, real)
        except BaseException as error:
            call.raised(error)
            self._note_slip(name, error)
            raise
        call.answered(answer)
        return answer

    async def _answer(self, name: str, ctx: CommandContext, real: Callable[[], Any]) -> Any:
        forced = self.script.command(name, ctx) if self.script else None
        if forced is not None:
            return forced
        stub = self._command_stubs.get(name)
        answer = real() if stub is None else stub(ctx)
        return await answer if inspect.isawaitable(answer) else answer

    def _note_slip(self, name: str, error: BaseException) -> None:
        if isinstance(error, HarnessMisused) or (isinstance(error, AssertionError) and name in self._command_stubs):
            self.slip = self.slip or error

    def _decide(self, name: str, ctx: GuardContext) -> Any:
        forced = self.script.guard(name, ctx) if self.script else None
        if forced is not None:
            return forced
        stub = self._guard_stubs.get(name)
        return ASK if stub is None else stub(ctx)

    def _note(self, name: str, ctx: GuardContext, answer: Any) -> None:
        self.verdicts[ctx.instance_id, ctx.from_state, ctx.event][atom(name, ctx.guard_metadata)] = answer is True


def _command_without_work(name: str, around: AroundCommand) -> Callable[..., Any]:
    async def stub(ctx: CommandContext) -> Any:
        return await around(name, ctx, lambda: None)

    return stub


def _guard_without_doubt(name: str, decide: DecideGuard, note: NoteGuard) -> Callable[..., Any]:
    def stub(ctx: GuardContext) -> Any:
        decided = decide(name, ctx)
        answer = True if decided is ASK else decided
        note(name, ctx, answer)
        return answer

    return stub
