"""Where a harness works: a runtime over wrapped commands and guards, the answers they give, and what came of it all."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from detent.definition.model import WorkflowDefinition
from detent.definition.walk import each_command, each_guard
from detent.errors import EventNotAvailable
from detent.problems import did_you_mean
from detent.registry.context import CommandContext, GuardContext
from detent.registry.registry import Registry
from detent.runtime.injection import Injector
from detent.runtime.parts import Settings
from detent.runtime.result import TransitionResult
from detent.runtime.runtime import WorkflowRuntime
from detent.store.protocol import Store
from detent.store.records import HistoryEntry, WorkflowInstance
from detent.testing.clock import FakeClock
from detent.testing.coverage import TransitionCoverage
from detent.testing.journal import Journal
from detent.testing.misuse import HarnessMisused, check_known
from detent.testing.recorder import Recorder
from detent.testing.script import Script
from detent.testing.stubs import CommandStub, GuardStub
from detent.testing.verdicts import Atom, atom
from detent.testing.wrapping import ASK, AroundCommand, DecideGuard, NoteGuard, wrapped_command, wrapped_guard


class Bench:
    """The working parts of one harness. Commands and guards are answered by the script of a path, else by a stub, else they
    are called for real; a name that nothing stands behind answers `Ok` or `True`.
    """

    def __init__(
        self,
        definitions: Sequence[WorkflowDefinition],
        given: Registry,
        *,
        store: Store,
        clock: FakeClock,
        stubs: bool,
        settings: Settings,
        injector: Injector | None,
    ) -> None:
        self.definitions = definitions
        self.clock = clock
        self.recorder = Recorder()
        self.script: Script | None = None
        self.current: UUID | None = None
        """The instance that is meant where none is named."""
        self.best_effort = {name for name, spec in given.commands.items() if spec.options.best_effort}
        self._given = given
        self._command_stubs: dict[str, CommandStub] = {}
        self._guard_stubs: dict[str, GuardStub] = {}
        self._answers: dict[tuple[UUID, str, str], dict[Atom, bool]] = defaultdict(dict)
        self._commands = {ref.name for definition in definitions for _, ref in each_command(definition)}
        self._guards = {ref.name for definition in definitions for _, ref in each_guard(definition)}
        registry = self._registry(stubs=stubs, injected=injector is not None)
        self.runtime = WorkflowRuntime(
            store=store,
            definitions=definitions,
            commands=[registry],
            clock=clock,
            injector=injector,
            settings=settings,
        )
        self.journal = Journal(self.runtime)
        self._coverages: dict[tuple[str, str], TransitionCoverage] = {}

    # -- what answers

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

    def _registry(self, *, stubs: bool, injected: bool) -> Registry:
        registry = Registry()
        for name, spec in self._given.commands.items():
            # Left as it is, it is refused for the reason that the application would get.
            bare = bool(spec.constructor) and not injected
            registry.command(name, spec.target if bare else wrapped_command(spec, self._command), spec.options)
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

    def _decide(self, name: str, ctx: GuardContext) -> Any:
        forced = self.script.guard(name, ctx) if self.script else None
        if forced is not None:
            return forced
        stub = self._guard_stubs.get(name)
        return ASK if stub is None else stub(ctx)

    def _note(self, name: str, ctx: GuardContext, answer: Any) -> None:
        self._answers[ctx.instance_id, ctx.from_state, ctx.event][atom(name, ctx.guard_metadata)] = answer is True

    # -- what is done

    async def open(self) -> None:
        """Start the runtime."""
        await self.runtime.__aenter__()
        self._coverages = {(each.name, each.version): TransitionCoverage(each) for each in self.definitions}

    async def close(self) -> None:
        """Stop the runtime."""
        await self.runtime.__aexit__(None, None, None)

    @property
    def coverages(self) -> Sequence[TransitionCoverage]:
        """What was taken so far, a coverage for each definition."""
        return tuple(self._coverages.values())

    async def create(self, workflow: str, more: Mapping[str, Any]) -> WorkflowInstance:
        """A new instance, known to the journal, and the current one from now on."""
        created = await self.runtime.create_instance(workflow, **more)
        await self.look_at(created.id)
        self.current = created.id
        return self.journal.instance(created.id)

    async def trigger(self, instance: WorkflowInstance, event: str, more: Mapping[str, Any]) -> TransitionResult:
        """Take an event, and read what came of it, also where it raised."""
        try:
            result = await self.runtime.trigger_event(instance, event, **more)
        except EventNotAvailable as error:
            error.add_note(self._where_declared(instance, event))
            raise
        except Exception:
            await self.look_around()
            raise
        await self.look_around()
        return result

    async def look_at(self, instance_id: UUID) -> Sequence[HistoryEntry]:
        """Read one instance, known or not; answers what is new, which now counts as covered."""
        return self._covered(await self.journal.read(instance_id))

    async def look_around(self) -> Sequence[HistoryEntry]:
        """Read every known instance; answers what is new, which now counts as covered."""
        return self._covered(await self.journal.read_all())

    def _covered(self, entries: Sequence[HistoryEntry]) -> Sequence[HistoryEntry]:
        begun = set()
        for entry in entries:
            instance = self.journal.instance(entry.instance_id)
            coverage = self._coverages.get((instance.workflow, entry.definition_version))
            answers = self._answers.get((entry.instance_id, str(entry.from_state), entry.event), {})
            if coverage is not None:
                coverage.record(entry, answers, is_first=entry.transition_id not in begun)
            begun.add(entry.transition_id)
        return entries

    # -- what is known

    def definition_of(self, instance: WorkflowInstance) -> WorkflowDefinition:
        """The definition that an instance follows; the newest of its workflow where its version is not at hand."""
        versions = [each for each in self.definitions if each.name == instance.workflow]
        exact = [each for each in versions if each.version == instance.definition_version]
        return exact[0] if exact else max(versions, key=lambda each: each.version_key)

    def workflow(self, name: str | None) -> str:
        """The workflow that is meant: the only one, where none is named."""
        names = sorted({definition.name for definition in self.definitions})
        if name is None and len(names) == 1:
            return names[0]
        if name is None:
            raise HarnessMisused("the harness has several workflows", hint=f"name one of {', '.join(names)}")
        check_known("workflow", name, names, "the harness")
        return name

    def _where_declared(self, instance: WorkflowInstance, event: str) -> str:
        definition = self.definition_of(instance)
        states = [name for name, state in definition.states.items() if event in state.events]
        if states:
            return f"{event!r} is declared in {', '.join(repr(state) for state in states)}"
        known = {name for state in definition.states.values() for name in state.events}
        hint = did_you_mean(event, known)
        return f"no state of {definition.name!r} declares an event {event!r}" + (f" ({hint})" if hint else "")


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


def listed(name: str, given: object) -> list[Any]:
    """What was given as a list. Raises `HarnessMisused` for one thing in its place."""
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise HarnessMisused(f"{name} is a {type(given).__name__}", hint="pass a list")
    return list(given)
