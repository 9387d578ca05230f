"""Random workflows driven on two stores at once: the memory store is the model, and the other must do the same.

Definitions, events, answers of commands and guards, the passing of time and what operators do are drawn; after each step state,
status, context, deadlines and history of every instance are compared. `make nightly` tries 2,000 examples, `make test` 100.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import URL

from detent import (
    CommandContext,
    Fail,
    GuardContext,
    HistoryEntry,
    Ok,
    Refuse,
    Registry,
    Retry,
    Settings,
    SqliteStore,
    Store,
    Subscriber,
    TransitionResult,
    WorkflowDefinition,
    WorkflowInstance,
    WorkflowRuntime,
)
from detent.json_values import JsonObject
from detent.registry.registry import CommandOptions
from detent.store.memory import MemoryStore
from detent.testing.clock import FakeClock
from detent.testing.strategies import COMMANDS, GUARDS, STATES, definitions, events
from detent_pg import PgStore

T = TypeVar("T")

NUMBERS = count(1)
"""Every example is a workflow of its own, so that examples share a database without meeting."""


@dataclass
class Script:
    """What commands and guards answer, the same on both sides."""

    commands: dict[str, Any]
    guards: dict[str, Any]
    options: Mapping[str, CommandOptions] = field(default_factory=dict)
    """How some of the commands run."""

    def registry(self) -> Registry:
        registry = Registry()
        for name in COMMANDS:
            registry.command(name, self._command(name), self.options.get(name))
        for number, name in enumerate(GUARDS):
            # One of them is asynchronous, so that events with it take the locked path.
            registry.guard(name, self._asynchronous_guard(name) if number == 0 else self._guard(name))
        return registry

    def _command(self, name: str) -> Any:
        async def run(ctx: CommandContext) -> Any:
            said = self.commands.get(name, Ok())
            ctx.context[name] = ctx.context.get(name, 0) + 1 if isinstance(ctx.context.get(name, 0), int) else 1
            if isinstance(said, dict):
                ctx.context.update(said)
                ctx.publish(f"news.{name}", said)
                return Ok(data=said)
            if isinstance(said, Exception):
                raise said
            return said

        return run

    def _guard(self, name: str) -> Any:
        def ask(ctx: GuardContext) -> Any:
            return self.guards.get(name, True)

        return ask

    def _asynchronous_guard(self, name: str) -> Any:
        async def ask(ctx: GuardContext) -> Any:
            return self.guards.get(name, True)

        return ask


VERDICTS = st.sampled_from([True, True, False, Refuse("closed")])
VALUES = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        2**53,
        1.5,
        1.0,
        1e300,
        "",
        "x",
        "\u00e9\u2028",
        [],
        [1, {"y": None}],
        {},
        {"deep": {"er": [1.0, "z"]}},
    ]
)
"""JSON that stores might keep in another form. Drawn from a list, so that examples have room for many steps."""
SMALL = st.dictionaries(st.sampled_from(["a", "b", "total"]), VALUES, max_size=2)
ANSWERS = st.one_of(
    st.just(Ok()),
    st.builds(Fail, st.sampled_from(["declined", "late"]), st.none() | st.just("not today")),
    st.builds(RuntimeError, st.just("broken")),
    SMALL,
)
DURATIONS = st.sampled_from(["1s", "1m", "1h", "1d", "14d"])
KEYS = st.none() | st.sampled_from(["k1", "k2"])
WHICH = st.integers(0, 3)
"""Which of the instances made so far."""


RETRY = Retry(attempts=2, initial=timedelta(minutes=5), jitter=0)
"""Without chance, so that both sides back off alike."""
STEADY = Settings(
    timeout_retry=replace(RETRY, attempts=3),
    run_retry=RETRY,
    inbox_retry=RETRY,
    outbox_retry=RETRY,
    max_crashes=2,
    record_changes=True,
)


class Side:
    """A runtime over one store, and the ids that its instances have there."""

    def __init__(
        self,
        store: Store,
        definition: WorkflowDefinition,
        script: Script,
        clock: FakeClock,
        subscribers: Sequence[Subscriber] = (),
    ) -> None:
        self.runtime = WorkflowRuntime(
            store=store,
            definitions=[definition],
            commands=[script.registry()],
            clock=clock,
            settings=STEADY,
            subscribers=subscribers,
        )
        self.workflow = definition.name
        self.ids: list[UUID] = []

    async def create(self, context: Any, key: str | None) -> Any:
        made = await self.runtime.create_instance(self.workflow, context=context, idempotency_key=key)
        if made.id not in self.ids:
            self.ids.append(made.id)
        return made.created, self.ids.index(made.id)

    async def told(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What a verb answered or raised, as far as both sides must agree."""
        try:
            return self.seen(await work)
        except Exception as error:
            return type(error).__name__, getattr(error, "code", None)

    def seen(self, answer: Any) -> Any:
        match answer:
            case WorkflowInstance():
                return self.record(answer)
            case TransitionResult():
                return {**vars_of(answer), "instance": self.record(answer.instance)}
            case _:
                return answer

    def record(self, instance: WorkflowInstance) -> dict[str, Any]:
        return {**vars_of(instance), "id": self.ids.index(instance.id)}

    async def everything(self) -> list[Any]:
        """All that is stored of all instances."""
        stored: list[Any] = []
        for instance_id in self.ids:
            entries = await self.runtime.get_history(instance_id, limit=1000)
            stored.append((self.record(await self.runtime.get_instance(instance_id)), self.entries(entries)))
        stored.append(await self.runtime.count_instances(workflow=self.workflow, group_by=["state", "status"]))
        return stored

    def entries(self, entries: Sequence[HistoryEntry]) -> list[Any]:
        """History without ids: commits by the order in which they happened."""
        commits = {entry.transition_id: None for entry in reversed(entries)}
        numbers = {transition_id: number for number, transition_id in enumerate(commits)}
        return [
            {**vars_of(entry), "instance_id": None, "transition_id": numbers[entry.transition_id]} for entry in entries
        ]


def vars_of(value: Any) -> dict[str, Any]:
    """The fields of a slotted dataclass, one level deep, with tuples of dataclasses as dicts."""
    return asdict(value)


def _summary(answer: Any) -> str:
    """What came of a step, for the statistics that `--hypothesis-show-statistics` prints."""
    match answer:
        case {"outcome": outcome, "replayed": replayed}:
            return f"{'replayed ' if replayed else ''}{outcome}"
        case str(), _:
            return str(answer[0])
        case _:
            return type(answer).__name__


class SideBySide(RuleBasedStateMachine):
    """Does everything on both sides, and compares."""

    def __init__(self, runner: asyncio.Runner, other: Store) -> None:
        super().__init__()
        self.runner = runner
        self.other = other
        self.sides: list[Side] = []

    @initialize(
        definition=definitions(min_states=2, max_states=4, context=False),
        patches=st.lists(SMALL, min_size=4, max_size=4),
        records=st.booleans(),
        precedence=st.sampled_from(["written", "state"]),
    )
    def begin(
        self, definition: WorkflowDefinition, patches: Sequence[JsonObject], records: bool, precedence: str
    ) -> None:
        written = definition.to_dict() | {"name": f"generated_{next(NUMBERS)}", "context_precedence": precedence}
        for state, patch in zip(written["states"].values(), patches, strict=False):
            state["context"] = patch
        self.definition = WorkflowDefinition.from_dict(written | {"record_refusals": records})
        self.script, self.clock = Script({}, {}), FakeClock()
        stores = (MemoryStore(), self.other)
        self.sides = [Side(store, self.definition, self.script, self.clock) for store in stores]
        self.runner.run(self.enter())
        self.create({}, None)

    async def enter(self) -> None:
        for side in self.sides:
            await side.runtime.__aenter__()

    def both(self, work: Any) -> None:
        async def compared() -> None:
            model, other = [await side.told(work(side)) for side in self.sides]
            event(_summary(model))
            assert other == model

        self.runner.run(compared())

    def on(self, which: int, work: Any) -> None:
        """Do `work` with one of the instances, if there is one."""
        if self.sides[0].ids:
            number = which % len(self.sides[0].ids)
            self.both(lambda side: work(side.runtime, side.ids[number]))

    @rule(context=SMALL, key=KEYS)
    def create(self, context: Any, key: str | None) -> None:
        self.both(lambda side: side.create(context, key))

    def state_of(self, which: int) -> str:
        """The state that the chosen instance is in."""
        model = self.sides[0]
        if not model.ids:
            return self.definition.initial_state
        return self.runner.run(model.runtime.get_instance(model.ids[which % len(model.ids)])).state

    @rule(data=st.data(), which=WHICH)
    def trigger_anything(self, data: st.DataObject, which: int) -> None:
        name = data.draw(events(self.definition))
        self.on(which, lambda runtime, one: runtime.trigger_event(one, name))

    @rule(data=st.data(), which=WHICH, payload=VALUES, key=KEYS)
    def trigger(self, data: st.DataObject, which: int, payload: Any, key: str | None) -> None:
        declared = list(self.definition.states[self.state_of(which)].events)
        name = data.draw(st.sampled_from(declared) if declared else events(self.definition))
        self.on(which, lambda runtime, one: runtime.trigger_event(one, name, payload=payload, idempotency_key=key))

    @rule(name=st.sampled_from(COMMANDS), answer=ANSWERS)
    def let_a_command_answer(self, name: str, answer: Any) -> None:
        self.script.commands[name] = answer

    @rule(name=st.sampled_from(GUARDS), verdict=VERDICTS)
    def let_a_guard_say(self, name: str, verdict: Any) -> None:
        self.script.guards[name] = verdict

    @rule(duration=DURATIONS)
    def time_passes(self, duration: str) -> None:
        self.clock.advance(duration)
        self.both(lambda side: side.runtime.process_timeouts(limit=1000))

    @rule(which=WHICH, verb=st.sampled_from(["cancel", "pause", "resume", "rearm", "retry"]))
    def operate(self, which: int, verb: str) -> None:
        self.on(which, lambda runtime, one: getattr(runtime, verb)(one))

    @rule(which=WHICH, state=st.sampled_from(STATES), context=SMALL)
    def force(self, which: int, state: str, context: Any) -> None:
        self.on(which, lambda runtime, one: runtime.force(one, state, context=context, reason="drawn"))

    @rule(which=WHICH, patch=SMALL, remove=st.lists(st.sampled_from(["a", "b"])))
    def patch(self, which: int, patch: Any, remove: list[str]) -> None:
        self.on(which, lambda runtime, one: runtime.patch_context(one, patch, remove=remove))

    @rule(which=WHICH)
    def look(self, which: int) -> None:
        self.on(which, lambda runtime, one: runtime.get_available_events(one))

    @rule(key=KEYS.filter(bool), part=SMALL, states=st.lists(st.sampled_from(STATES), max_size=3))
    def find(self, key: str, part: Any, states: list[str]) -> None:
        self.both(lambda side: side.runtime.count_instances(workflow=side.workflow, context=part))
        self.both(lambda side: side.runtime.count_instances(workflow=side.workflow, states=states))
        self.both(lambda side: side.runtime.find_by_idempotency_key(side.workflow, key))

    @invariant()
    def both_hold_the_same(self) -> None:
        if not self.sides:
            return

        async def compared() -> None:
            model, other = [await side.everything() for side in self.sides]
            assert other == model

        self.runner.run(compared())

    def teardown(self) -> None:
        async def leave() -> None:
            for side in self.sides:
                await side.runtime.__aexit__(None, None, None)

        self.runner.run(leave())


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def _compare(runner: asyncio.Runner, store: Store) -> None:
    def machine() -> SideBySide:
        return SideBySide(runner, store)

    run_state_machine_as_test(machine, settings=settings(stateful_step_count=20))  # type: ignore[arg-type]  # a factory will do


def test_postgresql_does_what_the_memory_store_does(runner: asyncio.Runner, postgres_url: URL) -> None:
    store = PgStore.from_url(postgres_url, prefix="beside_")
    runner.run(store.upgrade())
    runner.run(store.open())
    try:
        _compare(runner, store)
    finally:
        runner.run(store.close())


def test_sqlite_does_what_the_memory_store_does(runner: asyncio.Runner) -> None:
    store = SqliteStore(":memory:", synchronous="NORMAL")
    runner.run(store.open())
    try:
        _compare(runner, store)
    finally:
        runner.run(store.close())
