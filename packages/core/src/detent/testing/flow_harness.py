"""The harness for flows: a flow in memory, with a clock that is moved, and words to check where it stands."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from detent.definition.duration import duration_argument
from detent.flows.book import FlowBook
from detent.flows.flow import Flow
from detent.flows.limits import ContextLimits
from detent.json_values import JsonObject, JsonValue
from detent.registry.registry import Registry
from detent.runtime.injection import Injector
from detent.runtime.parts import Settings
from detent.runtime.subscribers import Subscribers
from detent.service.execution import Execution, ExecutionStatus
from detent.service.flows import CancelResult, FlowService
from detent.service.service import WorkflowService
from detent.store.memory import MemoryStore
from detent.store.protocol import Store
from detent.store.records import WorkflowInstance
from detent.testing.advancing import advance, later
from detent.testing.bench import listed
from detent.testing.clock import FakeClock
from detent.testing.coverage import TransitionCoverage
from detent.testing.flow_bench import FlowBench
from detent.testing.flow_expectations import (
    expect_cancelled,
    expect_failed,
    expect_status,
    expect_values,
    expect_waiting,
    path_of,
)
from detent.testing.handler_calls import HandlerCall, WatchedHandlers
from detent.testing.misuse import HarnessMisused, check_known
from detent.testing.standing import HarnessStanding
from detent.testing.steady import steady_flow, steady_settings
from detent.testing.working import AT_MOST


class FlowHarness(HarnessStanding):
    """Runs flows for a test.

    ```python
    async with FlowHarness([order], [charge, approve]) as harness:
        await harness.run("order", {"total": 40})
        await harness.assert_waiting("approval", step="approve")
        await harness.resume({"by": "ana"})
        await harness.assert_completed({"approve.by": "ana"})
    ```

    * `flows`: `Flow` objects, or data that `Flow.from_dict` reads; one or a list.
    * `handlers`: as for a `FlowBook`. They are called as they are, and their calls are noted.
    * `limits`: how large a context may grow.
    * `store`: a `MemoryStore` unless given; `clock`: a `FakeClock` unless given.
    * `max_steps`: how many steps any of these flows may begin, where it does not allow itself less.
    * `settings`: those of a runtime, with back-offs without chance unless given; retries of steps have none,
      but for those of flows that are saved meanwhile.
    * `injector`: connects a container, as for a runtime.
    * `subscribers`: who hears of published messages, as for a runtime. `published` knows them all, also without any.

    All but `start` ends with what a worker would do then, until nothing is left for the instant that the clock shows. The
    execution started last is the current one; what is asked of the harness is asked of it. `execution`, `context` and
    `history` are as of the last thing done through the harness; assertions read anew.

    Entering raises what entering a `WorkflowRuntime` does, and making one what a `FlowBook` does. A slip of the test itself
    raises `HarnessMisused`.
    """

    def __init__(
        self,
        flows: Flow | Mapping[str, Any] | Iterable[Flow | Mapping[str, Any]],
        handlers: Iterable[Any],
        *,
        limits: ContextLimits | None = None,
        store: Store | None = None,
        clock: FakeClock | None = None,
        max_steps: int | None = None,
        settings: Settings | None = None,
        injector: Injector | None = None,
        subscribers: Iterable[Any] = (),
    ) -> None:
        self._handlers = WatchedHandlers(listed("handlers", handlers))
        given = [steady_flow(flow, max_steps=max_steps) for flow in _read(flows)]
        book = FlowBook(flows=given, handlers=[self._handlers], limits=limits)
        commands = Registry()
        commands.add(book.commands)
        hearing = Subscribers(listed("subscribers", subscribers))
        bench = FlowBench(
            book.definitions,
            commands,
            store=store or MemoryStore(),
            clock=clock or FakeClock(),
            stubs=False,
            settings=settings or steady_settings(),
            injector=injector,
            subscribers=[hearing[name] for name in hearing.names],
            worker=True,
            adopts=book.adopts,
        )
        super().__init__(bench)
        self.flows = FlowService(WorkflowService(bench.runtime), book)
        """The verbs, for everything that the harness has no word for: `flows.tokens.list`, `flows.flows.save`."""
        self._execution: Execution | None = None

    # -- what is done

    async def start(self, flow: str | None = None, context: JsonObject | None = None, **more: Any) -> Execution:
        """A new execution, which is the current one from now on; none of its steps was begun.

        `flow` may be left out where there is only one. `more` is passed to `FlowService.start_flow`, `version`,
        `idempotency_key` and `timeouts` for three; what that raises is raised.
        """
        bench = self._running()
        started = await self.flows.start_flow(flow or bench.workflow(None), context, **more)
        bench.current = started.id
        await self._look()
        # The very answer, because only that says whether this call has created it.
        self._execution = started
        return started

    async def run(self, flow: str | None = None, context: JsonObject | None = None, **more: Any) -> Execution:
        """A new execution at its end, or where it waits: for a time, for somebody, or until a failed step is tried again.

        Arguments are those of `start`. The clock stays where it is; `advance` moves it.
        """
        await self.start(flow, context, **more)
        return await self.work()

    async def work(self) -> Execution:
        """The current execution after what a worker would do now, until nothing is left for the instant that the clock shows.

        For an execution that was only started, and where something else than the harness has moved it.
        """
        await self._running().settle()
        return await self._look()

    async def step(self) -> Execution:
        """The current execution after one attempt of its current step; as it is, where it has ended or waits."""
        await self.flows.step(self.execution.id)
        return await self._look()

    async def resume(self, data: JsonValue = None, *, token: str | None = None) -> Execution:
        """The current execution after it was resumed with `data`, or the one that `token` is for, and where that led.

        What `FlowService.resume` raises is raised: `NotWaiting`, `TokenRefused`, `ContextTooLarge`.
        """
        resumed = await self.flows.resume(self.execution.id if token is None else token, data)
        current = await self.work()
        return current if resumed.id == current.id else await self.flows.get(resumed.id)

    async def token(self, step: str | None = None, **more: Any) -> str:
        """A resume token for the step that the current execution is in, or another.

        `more` is passed to `FlowService.tokens.generate`: `expires_in`, `metadata`.
        """
        execution = await self._look()
        meant = step or execution.current_step
        if meant is None:
            raise HarnessMisused("the execution has ended, and is in no step", hint="make tokens while it waits")
        return await self.flows.tokens.generate(execution.id, meant, **more)

    async def cancel(self, reason: str | None = None, *, source: str = "user") -> CancelResult:
        """Cancel the current execution; answers what became of that, as `FlowService.cancel` does."""
        result = await self.flows.cancel(self.execution.id, source, reason)
        await self.work()
        return result

    async def advance(self, by: timedelta | str, *, at_most: int = AT_MOST) -> Execution:
        """The current execution after the clock was moved, stopping at each due instant on the way.

        Waits end, failed steps are tried again and deadlines pass at their instants, for every execution that was started here or
        passed to `use`, and for their children.

        Raises `InvalidValue` for what is no length of time, `ValueError` for a step backwards, and `NeverAtRest` where more than
        `at_most` things come up.
        """
        bench = self._running()
        await advance(bench, later(self.clock.now(), duration_argument(by, "by")), at_most=at_most)
        return await self._look()

    async def use(self, instance: WorkflowInstance | UUID | str) -> WorkflowInstance:
        """Make an execution that was started by other means, by a handler for one, the current one; `execution` is that then."""
        found = await super().use(instance)
        await self._look()
        return found

    async def refresh(self) -> WorkflowInstance:
        """The current execution, read anew; for when something else than the harness has moved it."""
        await self._look()
        return self.instance

    # -- what is known

    @property
    def execution(self) -> Execution:
        """The current execution. Raises `HarnessMisused` before one was started."""
        if self._execution is None:
            self._running()
            raise HarnessMisused("no execution was started", hint='write `await harness.run("flow", {...})` first')
        return self._execution

    @property
    def context(self) -> JsonObject:
        """The context of the current execution."""
        return self.execution.context

    @property
    def calls(self) -> Sequence[HandlerCall]:
        """Every call of a handler that has ended, for any execution, in the order they began."""
        return self._handlers.calls

    def calls_of(self, handler: str) -> Sequence[HandlerCall]:
        """The calls of one handler, by its type or an alias. Raises `HarnessMisused` for an unknown one."""
        check_known("handler", handler, self._handlers.types, "the harness")
        meant = self._handlers.types[handler].type
        return [call for call in self.calls if call.handler == meant]

    @property
    def path(self) -> str:
        """The steps that the current execution took, as lines for people; what failed assertions show."""
        mine = [call for call in self.calls if call.execution_id == self.execution.id]
        return path_of(self.history, mine)

    # -- what is expected

    async def assert_completed(self, context: Mapping[str, Any] | None = None, /, **values: Any) -> None:
        """Raise `AssertionError` unless the current execution is completed, with these values in its context: by name, or under
        dotted paths, `assert_completed({"payment.status": 201})`. What is not named does not matter.
        """
        execution = await self._look()
        expect_status(ExecutionStatus.COMPLETED, execution, self.path)
        expect_values({**(context or {}), **values}, execution, self.path)

    async def assert_failed(self, code: str | None = None) -> None:
        """Raise `AssertionError` unless the current execution has failed, with the error `code` where that is said."""
        execution = await self._look()
        expect_failed(code, execution, self.path)

    async def assert_cancelled(self, source: str | None = None) -> None:
        """Raise `AssertionError` unless the current execution was cancelled, by `source` where that is said."""
        execution = await self._look()
        expect_cancelled(source, execution, self.path)

    async def assert_waiting(self, reason: str | None = None, *, step: str | None = None) -> None:
        """Raise `AssertionError` unless the current execution waits, in `step`, with `reason` as a part of what it waits for."""
        execution = await self._look()
        if step is not None:
            await self._check_step(execution, step)
        expect_waiting(reason, step, execution, self.path)

    async def assert_context(self, expected: Mapping[str, Any] | None = None, /, **values: Any) -> None:
        """Raise `AssertionError` where the context differs: `assert_context(paid=True)`, `assert_context({"a.b": 1})`.

        Keys are dotted paths, a number stepping into a list; what is not named does not matter.
        """
        execution = await self._look()
        expect_values({**(expected or {}), **values}, execution, self.path)

    # -- what is not said aloud

    @property
    def _reported(self) -> Sequence[TransitionCoverage]:
        """Nothing: most ways of a lowered flow are for what a handler might decide, and missing them says little."""
        return ()

    async def _look(self) -> Execution:
        bench = self._running()
        current = self.execution.id if bench.current is None else bench.current
        await bench.look_at(current)
        self._execution = await self.flows.get(current)
        return self._execution

    async def _check_step(self, execution: Execution, step: str) -> None:
        flow = await self.flows.flows.get(execution.flow_id, execution.flow_version)
        check_known("step", step, flow.steps, f"flow {flow.id!r}")


def _read(flows: Flow | Mapping[str, Any] | Iterable[Flow | Mapping[str, Any]]) -> list[Flow]:
    given = [flows] if isinstance(flows, Flow | Mapping) else listed("flows", flows)
    return [flow if isinstance(flow, Flow) else Flow.from_dict(flow) for flow in given]
