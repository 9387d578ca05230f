"""Where a harness works: a runtime over wrapped commands and guards, what a worker would do, and what came of it all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from detent.definition.model import WorkflowDefinition
from detent.errors import EventNotAvailable, InstanceBusy
from detent.json_values import JsonObject, JsonValue
from detent.problems import did_you_mean
from detent.registry.registry import Registry
from detent.runtime.injection import Injector
from detent.runtime.parts import Settings
from detent.runtime.result import TransitionResult
from detent.runtime.runtime import WorkflowRuntime
from detent.runtime.subscribers import Subscriber
from detent.store.messages import InboxMessage
from detent.store.protocol import Store
from detent.store.records import HistoryEntry, Outcome, WorkflowInstance
from detent.testing.clock import FakeClock
from detent.testing.coverage import TransitionCoverage
from detent.testing.expectations import told
from detent.testing.journal import Journal
from detent.testing.misuse import HarnessMisused, NeverAtRest, check_known
from detent.testing.published import PublishedMessages
from detent.testing.standins import StandIns
from detent.testing.steady import steady_subscriber
from detent.testing.working import Effort, WorkReport, next_instant, work_off

_OF_A_STRANGER = "of an instance that the harness was not told of (pass it to harness.use())"


class Bench:
    """The working parts of one harness."""

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
        subscribers: Iterable[Subscriber],
        worker: bool,
        adopts: Callable[[JsonObject], bool] | None = None,
    ) -> None:
        self.definitions = definitions
        self.clock = clock
        self.standins = StandIns(definitions, given)
        self.published = PublishedMessages()
        self.current: UUID | None = None
        """The instance that is meant where none is named."""
        self._worker = worker
        self.runtime = WorkflowRuntime(
            store=store,
            definitions=definitions,
            commands=[self.standins.registry(stubs=stubs, injected=injector is not None)],
            clock=clock,
            injector=injector,
            settings=settings,
            subscribers=[*map(steady_subscriber, subscribers), self.published.subscriber],
            adopts=adopts,
        )
        self.journal = Journal(self.runtime)
        self._coverages: dict[tuple[str, str], TransitionCoverage] = {}

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
        self.standins.slip = None
        created = await self.runtime.create_instance(workflow, **more)
        await self.look_at(created.id)
        self.current = created.id
        await self.settle()
        return self.journal.instance(created.id)

    async def trigger(self, instance: WorkflowInstance, event: str, more: Mapping[str, Any]) -> TransitionResult:
        """Take an event, work off what that leads to, and read what came of it, also where it raised."""
        self.standins.slip = None
        try:
            result = await self.runtime.trigger_event(instance, event, **more)
        except EventNotAvailable as error:
            error.add_note(self._where_declared(instance, event))
            raise
        except Exception as error:
            self.standins.slip = None
            await self.look_around()
            if isinstance(error, InstanceBusy) and error.run_id is not None:
                error.add_note(told(self.journal.entries(instance.id), self.journal.run(instance.id)))
            raise
        await self.settle()
        return result

    async def send(
        self, instance: WorkflowInstance, event: str, payload: JsonValue, more: Mapping[str, Any]
    ) -> InboxMessage:
        """Send an event, work off what that leads to, and read what came of it."""
        message = await self.runtime.send(instance, event, payload, **more)
        await self.settle()
        return message

    async def settle(self, effort: Effort | None = None) -> Sequence[HistoryEntry]:
        """Do what a worker would do now, unless that is left to the test, and read every known instance; answers what is new.

        Raises `NeverAtRest` where `effort` is exceeded, and what the test did wrong inside a command that nobody waited for.
        """
        bounded = effort or Effort()
        if self._worker:
            await self._work(bounded)
        return await self._looked(bounded)

    async def work(self) -> WorkReport:
        """Do what a worker would do now, until nothing is left, and read every known instance; answers what was done."""
        effort = Effort()
        report = await self._work(effort)
        await self._looked(effort)
        return report

    async def next_work(self) -> datetime | None:
        """When there will be something to do for a worker; `None` where that is left to the test."""
        return await next_instant(self.runtime) if self._worker else None

    async def _work(self, effort: Effort) -> WorkReport:
        before = self.published.taken
        report = await work_off(self.runtime, effort)
        # What the harness delivers to itself is no work that a test knows of.
        own = self.published.taken - before
        return replace(report, outbox=replace(report.outbox, delivered=report.outbox.delivered - own))

    async def _looked(self, effort: Effort) -> Sequence[HistoryEntry]:
        entries = await self.look_around()
        slip, self.standins.slip = self.standins.slip, None
        if slip is not None:
            raise slip
        if effort.is_exceeded:
            last = f"{entries[-1].event!r} in {entries[-1].from_state!r}" if entries else _OF_A_STRANGER
            raise NeverAtRest(effort.at_most, f"{last} at {self.clock.now():%Y-%m-%d %H:%M:%S}")
        return entries

    async def look_at(self, instance_id: UUID) -> Sequence[HistoryEntry]:
        """Read one instance, known or not; answers what is new, which now counts as covered."""
        return self._covered(await self.journal.read(instance_id))

    async def look_around(self) -> Sequence[HistoryEntry]:
        """Read every known instance, and what was published; answers what is new, which now counts as covered."""
        await self.published.read(self.runtime.store)
        return self._covered(await self.journal.read_all())

    def _covered(self, entries: Sequence[HistoryEntry]) -> Sequence[HistoryEntry]:
        begun = set()
        for entry in entries:
            instance = self.journal.instance(entry.instance_id)
            coverage = self._coverages.get((instance.workflow, entry.definition_version))
            answers = self.standins.verdicts.get((entry.instance_id, str(entry.from_state), entry.event), {})
            if coverage is not None:
                coverage.record(entry, answers, is_first=entry.transition_id not in begun)
            if entry.outcome is not Outcome.ACCEPTED:
                # What was accepted begins with how it ends.
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


def listed(name: str, given: object) -> list[Any]:
    """What was given as a list. Raises `HarnessMisused` for one thing in its place."""
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise HarnessMisused(f"{name} is a {type(given).__name__}", hint="pass a list")
    return list(given)
