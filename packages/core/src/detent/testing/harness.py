"""The harness: a workflow in memory, with a clock that is moved, stubs for what is not there, and words to check it by."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, NoReturn, Self
from uuid import UUID

from detent.definition.duration import read_duration
from detent.definition.model import WorkflowDefinition
from detent.json_values import JsonObject, JsonValue
from detent.registry.context import CommandContext
from detent.registry.registry import Registry
from detent.registry.results import CommandAnswer
from detent.retry import Retry
from detent.runtime.injection import Injector
from detent.runtime.parts import Settings
from detent.runtime.result import TransitionResult
from detent.runtime.runtime import WorkflowRuntime
from detent.store.memory import MemoryStore
from detent.store.protocol import Store
from detent.store.records import HistoryEntry, WorkflowInstance
from detent.testing.advancing import advance
from detent.testing.bench import Bench, listed
from detent.testing.clock import FakeClock
from detent.testing.coverage import LISTENERS, TransitionCoverage
from detent.testing.expectations import (
    ExpectedEntry,
    expect_available,
    expect_called,
    expect_context,
    expect_history,
    expect_refused,
    expect_state,
)
from detent.testing.misuse import HarnessMisused, check_known
from detent.testing.paths import SimplePath
from detent.testing.recorder import Call
from detent.testing.running import AT_MOST, Item, PathRun, context_for, items_of
from detent.testing.stubs import CommandStub, GuardStub, GuardStubLike, Raised

_ENTER = "write `async with WorkflowHarness(...) as harness:` and use it inside"


class WorkflowHarness:
    """Runs workflows for a test.

    ```python
    async with WorkflowHarness(order, commands=[charge]) as harness:
        await harness.start(context={"total": 40})
        await harness.trigger("pay")
        await harness.advance("14d")
        await harness.assert_state("closed")
    ```

    * `definitions`: one definition or a list.
    * `commands`, `guards`: as for a `WorkflowRuntime`. They are wrapped, so that their calls are recorded; their parameters
      are filled as in the application.
    * `store`: a `MemoryStore` unless given; `clock`: a `FakeClock` unless given.
    * `stubs`: whether names of the definition that are not among `commands` and `guards` get stubs, which answer `Ok` and
      `True`. With `False` they are refused on entering, as the application would refuse them.
    * `settings`: those of a runtime, with back-offs without chance unless given.
    * `injector`: connects a container, as for a runtime.

    The instance started last is the current one; what is asked of the harness is asked of it. `instance`, `state`,
    `context` and `history` are as of the last thing done through the harness; assertions read anew.

    Entering raises what entering a `WorkflowRuntime` does. A slip of the test itself raises `HarnessMisused`.
    """

    def __init__(
        self,
        definitions: WorkflowDefinition | Iterable[WorkflowDefinition],
        *,
        commands: Iterable[Any] = (),
        guards: Iterable[Any] = (),
        store: Store | None = None,
        clock: FakeClock | None = None,
        stubs: bool = True,
        settings: Settings | None = None,
        injector: Injector | None = None,
    ) -> None:
        given = Registry()
        given.add([*listed("commands", commands), *listed("guards", guards)])
        self.clock = clock or FakeClock()
        self._bench = Bench(
            _checked(definitions),
            given,
            store=store or MemoryStore(),
            clock=self.clock,
            stubs=stubs,
            settings=settings or Settings(timeout_retry=Retry(attempts=10, initial=timedelta(minutes=1), jitter=0)),
            injector=injector,
        )
        self._entered = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise HarnessMisused("the harness was entered before", hint="make a new one for each test")
        await self._bench.open()
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._bench.close()
        for listener in LISTENERS:
            for coverage in self._bench.coverages:
                listener.add(coverage)

    def __enter__(self) -> NoReturn:
        raise HarnessMisused("the harness was entered with a plain `with`", hint=_ENTER)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Never reached; it is there so that `with` gets as far as the error that says what to write."""

    # -- what is done

    @property
    def runtime(self) -> WorkflowRuntime:
        """The runtime, for everything that the harness has no word for."""
        return self._running().runtime

    async def start(
        self,
        workflow: str | None = None,
        *,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        **more: Any,
    ) -> WorkflowInstance:
        """A new instance, which is the current one from now on. `workflow` may be left out where there is only one.

        `more` is passed to `WorkflowRuntime.create_instance`, and what that raises is raised.
        """
        bench = self._running()
        return await bench.create(bench.workflow(workflow), {"context": context, "metadata": metadata, **more})

    async def use(self, instance: WorkflowInstance | UUID | str) -> WorkflowInstance:
        """Make an instance that was created by other means, by a command for one, the current one.

        Its timeouts are then followed by `advance` like those of instances that were started here.
        """
        found = await self._running().runtime.get_instance(instance)
        await self._bench.look_at(found.id)
        self._bench.current = found.id
        return found

    async def trigger(
        self,
        event: str,
        *,
        payload: JsonValue = None,
        subject: Any = None,
        instance: WorkflowInstance | UUID | str | None = None,
        **more: Any,
    ) -> TransitionResult:
        """Take an event of the current instance, or of `instance`; answers how it ended.

        A guard's no is an answer; look at `result.outcome`, or use `assert_refused`. `more` is passed to
        `WorkflowRuntime.trigger_event`, and what that raises is raised: `EventNotAvailable` with a note that says where the
        event is declared, `CommandFailed`, what commands raise.
        """
        target = await self._meant(instance)
        return await self._bench.trigger(target, event, {"payload": payload, "subject": subject, **more})

    async def advance(
        self,
        by: timedelta | str = timedelta(),
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        at_most: int = AT_MOST,
    ) -> list[HistoryEntry]:
        """Move the clock, stopping at each due instant on the way, and answer the history entry of each firing, in order.

        Each timeout fires at its own instant, those that become due because of earlier ones and the back-offs of refused
        ones included, for every instance that was started here or passed to `use`. Others fire at the end. Look at an entry's
        `outcome`: a command that raises makes a `failed` entry and raises nothing here.

        Raises `ValueError` for a step backwards, and `NeverAtRest` where more than `at_most` fire.
        """
        bench = self._running()
        step = read_duration(by) + timedelta(days=days, hours=hours, minutes=minutes)
        if step < timedelta():
            raise ValueError("a clock does not run backwards")
        return await advance(bench, self.clock.now() + step, at_most=at_most)

    async def run(
        self,
        path: SimplePath | Iterable[Item],
        *,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        payloads: Mapping[str, JsonValue] | None = None,
        subject: Any = None,
    ) -> WorkflowInstance:
        """Take a path, and answer the instance at its end.

        A list holds events, `(event, payload)` pairs, and durations such as `"14d"` by which the clock is moved. It goes on
        with the current instance, or with a new one if there is none, or if `context` or `metadata` are given.

        A `SimplePath` starts an instance of its own, with `context` and `metadata`. Guards and commands are scripted, stubs
        and real ones alike: guards answer what the path needs, and the command that has to fail answers `Fail` without being
        called. The other commands are called. Each state on the way is checked. A context that lacks a deadline which a
        timeout reads (`{at: path}`) gets one in 30 days.

        `payloads` are by event, `subject` goes to every one. Raises `AssertionError` where the path was left, with the step.
        """
        bench = self._running()
        run = PathRun(bench, payloads or {}, {"subject": subject})
        if isinstance(path, SimplePath):
            definition = bench.runtime.definition(bench.workflow(path.workflow))
            create = {"context": context_for(definition, context), "metadata": metadata}
            return await run.simple(path, create)
        goes_on = context is None and metadata is None and bench.current is not None
        current = self.instance if goes_on else None
        workflow = bench.workflow(None) if current is None else current.workflow
        return await run.listed(current, items_of(path), workflow, {"context": context, "metadata": metadata})

    async def refresh(self) -> WorkflowInstance:
        """The current instance, read anew; for when something else than the harness has moved it."""
        instance = self.instance
        await self._running().look_at(instance.id)
        return self.instance

    # -- what is there

    @property
    def instance(self) -> WorkflowInstance:
        """The current instance. Raises `HarnessMisused` before one was started."""
        current = self._bench.current
        if current is None:
            self._running()
            raise HarnessMisused("no instance was started", hint="write `await harness.start()` first")
        return self._bench.journal.instance(current)

    @property
    def state(self) -> str:
        """The state of the current instance."""
        return self.instance.state

    @property
    def context(self) -> JsonObject:
        """The context of the current instance."""
        return self.instance.context

    @property
    def history(self) -> Sequence[HistoryEntry]:
        """The history of the current instance, the oldest entry first."""
        return self._bench.journal.entries(self.instance.id)

    @property
    def now(self) -> datetime:
        """The instant that the clock shows."""
        return self.clock.now()

    @property
    def coverage(self) -> TransitionCoverage:
        """Which ways of the definition were taken so far. Raises `HarnessMisused` for several; see `coverages`."""
        self._was_entered()
        if len(self.coverages) > 1:
            raise HarnessMisused("the harness has several definitions", hint="use harness.coverages")
        return self.coverages[0]

    @property
    def coverages(self) -> Sequence[TransitionCoverage]:
        """The coverage of each definition, in the order they were given."""
        return self._bench.coverages

    # -- stubs, and what was called

    def stub(
        self,
        command: str,
        function: Callable[[CommandContext], Any] | None = None,
        *,
        answer: CommandAnswer = None,
        answers: Sequence[CommandAnswer | Raised] | None = None,
        raises: Raised | None = None,
    ) -> None:
        """From now on the command answers `answer`, or `answers` one after another, or what `function` answers, or raises.

        A function gets the `CommandContext`, may write to its context, and may be a coroutine function. An exception among
        `answers` is raised. A real command of that name is no longer called. Raises `HarnessMisused` for an unknown name.
        """
        self._bench.stub_command(CommandStub(command, function, answer=answer, answers=answers, raises=raises), command)

    def stub_guard(self, guard: str, answer: GuardStubLike) -> None:
        """From now on the guard answers `answer`: `True`, `False`, `Refuse("why")`, an exception to raise, or a plain function
        of the `GuardContext`. Raises `HarnessMisused` for an unknown name.
        """
        self._bench.stub_guard(GuardStub(guard, answer), guard)

    def calls(self, command: str | None = None) -> Sequence[Call]:
        """The calls of a command, real or stub, or of all commands, in the order they began.

        Calls of steps that were rolled back are among them. Raises `HarnessMisused` for an unknown name.
        """
        if command is not None:
            self._bench.check_command(command)
        return self._bench.recorder.calls(command)

    def assert_called(self, command: str, *, times: int | None = None) -> Sequence[Call]:
        """The calls of a command, which are `times` many, or at least one where nothing is said."""
        calls = self.calls(command)
        expect_called(command, times, calls, self.calls())
        return calls

    def assert_not_called(self, command: str) -> None:
        """Raise `AssertionError` where the command was called."""
        self.assert_called(command, times=0)

    # -- what is expected

    async def assert_state(self, expected: str) -> None:
        """Raise `AssertionError` where the current instance is in another state; `HarnessMisused` for one that is declared
        nowhere.
        """
        instance = await self.refresh()
        definition = self._bench.definition_of(instance)
        check_known("state", expected, definition.states, f"workflow {definition.name!r}")
        expect_state(expected, instance, self.history)

    async def assert_context(self, expected: Mapping[str, Any] | None = None, /, **values: Any) -> None:
        """Raise `AssertionError` where the context differs: `assert_context(paid=True)`, `assert_context({"a.b": 1})`.

        Keys are dotted paths, a number stepping into a list; what is not named does not matter.
        """
        instance = await self.refresh()
        expect_context({**(expected or {}), **values}, instance.context, self.history)

    async def assert_refused(self, event: str | None = None, *, reason: str | None = None) -> None:
        """Raise `AssertionError` unless the last thing that happened is that a guard refused `event`.

        `reason` is a part of the reason's text.
        """
        instance = await self.refresh()
        if event is not None:
            self._check_event(instance, event)
        expect_refused(event, reason, self.history)

    async def assert_history(self, expected: Sequence[ExpectedEntry]) -> None:
        """Raise `AssertionError` unless these events are the history, the oldest first: names, or `(event, to_state)` pairs.

        Refused and failed attempts are among them; `$created` and `$on_enter` only where `expected` names one of the two.
        """
        await self.refresh()
        expect_history(listed("the expected history", expected), self.history)

    async def assert_available(self, *expected: str, only: bool = False) -> None:
        """Raise `AssertionError` where one of these events would not pass now; with `only`, also where another would.

        Guards are asked as for an event without payload and subject.
        """
        instance = await self.refresh()
        for event in expected:
            self._check_event(instance, event)
        found = await self._bench.runtime.get_available_events(instance.id)
        expect_available(expected, found, instance, only=only)

    # -- what is not said aloud

    def _check_event(self, instance: WorkflowInstance, event: str) -> None:
        definition = self._bench.definition_of(instance)
        known = dict.fromkeys(name for state in definition.states.values() for name in state.events)
        check_known("event", event, known, f"workflow {definition.name!r}")

    async def _meant(self, instance: WorkflowInstance | UUID | str | None) -> WorkflowInstance:
        bench = self._running()
        if instance is None:
            return self.instance
        found = await bench.runtime.get_instance(instance)
        await bench.look_at(found.id)
        return found

    def _running(self) -> Bench:
        self._was_entered()
        if not self._bench.runtime.is_running:
            raise HarnessMisused("the harness was left already", hint=_ENTER)
        return self._bench

    def _was_entered(self) -> None:
        if not self._entered:
            raise HarnessMisused("the harness was not entered", hint=_ENTER)


def _checked(definitions: WorkflowDefinition | Iterable[WorkflowDefinition]) -> Sequence[WorkflowDefinition]:
    given = [definitions] if isinstance(definitions, WorkflowDefinition) else listed("definitions", definitions)
    for definition in given:
        if not isinstance(definition, WorkflowDefinition):
            raise HarnessMisused(
                f"definitions holds a {type(definition).__name__}", hint="pass a WorkflowDefinition, or a list of them"
            )
    if not given:
        raise HarnessMisused("the harness was given no definition", hint="pass a WorkflowDefinition, or a list of them")
    return tuple(given)
