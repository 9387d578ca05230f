"""The harness: a workflow in memory, with a clock that is moved, stubs for what is not there, and words to check it by."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from detent.definition.duration import duration_argument
from detent.definition.model import WorkflowDefinition
from detent.json_values import JsonObject, JsonValue
from detent.registry.registry import Registry
from detent.runtime.injection import Injector
from detent.runtime.parts import Settings
from detent.runtime.result import TransitionResult
from detent.runtime.subscribers import Subscribers
from detent.store.memory import MemoryStore
from detent.store.messages import InboxMessage
from detent.store.protocol import Store
from detent.store.records import HistoryEntry, WorkflowInstance
from detent.testing.advancing import advance, later
from detent.testing.bench import Bench, listed
from detent.testing.checking import HarnessChecks
from detent.testing.clock import FakeClock
from detent.testing.misuse import HarnessMisused
from detent.testing.paths import SimplePath
from detent.testing.running import Item, PathRun, context_for, items_of
from detent.testing.steady import steady_settings
from detent.testing.working import AT_MOST, WorkReport


class WorkflowHarness(HarnessChecks):
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
    * `settings`: those of a runtime, with back-offs without chance unless given; those of commands and subscribers have none.
    * `injector`: connects a container, as for a runtime.
    * `subscribers`: who hears of published messages, as for a runtime. `published` knows them all, also without any.
    * `worker`: whether everything that is done through the harness ends with what a worker would do then: durable commands
      run, messages are taken and delivered, until nothing is left for the instant that the clock shows. With `False` the
      test does so by `work`.

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
        subscribers: Iterable[Any] = (),
        worker: bool = True,
    ) -> None:
        given = Registry()
        given.add([*listed("commands", commands), *listed("guards", guards)])
        hearing = Subscribers(listed("subscribers", subscribers))
        bench = Bench(
            _checked(definitions),
            given,
            store=store or MemoryStore(),
            clock=clock or FakeClock(),
            stubs=stubs,
            settings=settings or steady_settings(),
            injector=injector,
            subscribers=[hearing[name] for name in hearing.names],
            worker=worker,
        )
        super().__init__(bench)

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

        A guard's no is an answer; look at `result.outcome`, or use `assert_refused`. An event with a durable command is
        answered as `accepted`, and its commands have run once: `harness.state` says where that led, and what a durable command
        raised is not raised here. `more` is passed to
        `WorkflowRuntime.trigger_event`, and what that raises is raised: `EventNotAvailable` with a note that says where the
        event is declared, `CommandFailed`, what commands raise.
        """
        target = await self._meant(instance)
        return await self._bench.trigger(target, event, {"payload": payload, "subject": subject, **more})

    async def send(
        self,
        event: str,
        payload: JsonValue = None,
        *,
        instance: WorkflowInstance | UUID | str | None = None,
        **more: Any,
    ) -> InboxMessage:
        """Send an event to the current instance, or to `instance`, which takes it as soon as it can; answers the message.

        `more` is passed to `WorkflowRuntime.send`, `delay` and `expires` for two; what that raises is raised.
        """
        return await self._bench.send(await self._meant(instance), event, payload, more)

    async def work(self) -> WorkReport:
        """Do what a worker would do now, until nothing is left for the instant that the clock shows; answers what was done.

        For a harness with `worker=False`, and where something else than the harness has moved an instance. A failed attempt
        is made again when its time has come. Raises `NeverAtRest` where that has no end.
        """
        return await self._running().work()

    async def advance(
        self,
        by: timedelta | str = timedelta(),
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        at_most: int = AT_MOST,
    ) -> list[HistoryEntry]:
        """Move the clock, stopping at each due instant on the way, and answer the history entry of each event, in order.

        Each timeout fires at its own instant, those that become due because of earlier ones and the back-offs of refused
        ones included, for every instance that was started here or passed to `use`. Others fire at the end. Durable commands
        and deliveries that failed, and messages that wait for a time, are tried when that has come, all at their instants.

        Answered is one entry for each timeout that fired, each message that was taken and each run that ended meanwhile: how
        it ended, or that it was `accepted` or `$parked` where it has not. Look at an entry's `outcome`: a command that raises
        makes a `failed` entry and raises nothing here.

        Raises `ValueError` for a step backwards, and `NeverAtRest` where more than `at_most` timeouts, runs and messages come up.
        """
        bench = self._running()
        step = duration_argument(by, "by") + timedelta(days=days, hours=hours, minutes=minutes)
        return await advance(bench, later(self.clock.now(), step), at_most=at_most)

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
