"""Random durable workflows driven on two stores at once: runs, their leases, inbox and outbox must be the same on both.

Everything of `test_side_by_side.py` is drawn here as well, with commands of which some are durable. Beside it, workers claim runs
and die, freeze past their lease and come back, messages are sent, expire and are delivered, and operators retry and cancel.
`make nightly` tries 1,000 examples, `make test` 50.
"""

import asyncio
import re
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test
from sqlalchemy import URL

from detent import (
    Delivery,
    Fail,
    GiveUp,
    HistoryEntry,
    Ok,
    RetryAfter,
    SqliteStore,
    Store,
    Subscriber,
    WorkflowDefinition,
    WorkflowInstance,
)
from detent.errors import DetentError
from detent.json_values import JsonObject
from detent.registry.registry import CommandOptions
from detent.retry import NEVER
from detent.store.memory import MemoryStore
from detent.store.run_records import ACTIVE_RUNS, Checkpoint, ClaimedRun, Release, Run, RunClaim
from detent.testing.clock import FakeClock
from detent.testing.strategies import COMMANDS, GUARDS, events
from detent_pg import PgStore
from tests.test_side_by_side import KEYS, NUMBERS, RETRY, SMALL, STEADY, VALUES, WHICH, Script, Side, SideBySide
from tests.test_side_by_side import runner as runner

SLOW = "slow"
"""A queue of its own, so that a run is handed on between workers."""
QUEUES = st.sampled_from([None, None, (SLOW,), ("default",)])
LEASES = st.sampled_from([STEADY.lease, timedelta(hours=1)])
MOMENTS = st.sampled_from([None, None, "1s", "1m", "1h"])
ANSWERS = st.one_of(
    st.just(Ok()),
    st.just(Fail("declined")),
    st.builds(RuntimeError, st.just("broken")),
    st.just(GiveUp("no use", code="hopeless")),
    st.just(RetryAfter(timedelta(minutes=1))),
    SMALL,
)
SAYINGS = "heartbeat", "keep", "release", "checkpoint", "hand on"
"""What a worker may write under a lease, by word."""
SCRIPTS = st.dictionaries(st.sampled_from(COMMANDS), ANSWERS, max_size=2)
SCRIPTED = RuntimeError, GiveUp, RetryAfter
"""What commands raise; any other error that is not Detent's is a fault."""
OPTIONS = st.sampled_from(
    [
        CommandOptions(),
        CommandOptions(durable=True),
        CommandOptions(durable=True, queue=SLOW, priority=3),
        CommandOptions(durable=True, retry=RETRY, best_effort=True),
        CommandOptions(durable=True, retry=NEVER),
    ]
)
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@st.composite
def orders(draw: st.DrawFn) -> JsonObject:
    """Orders that go round: every state but the last is left by something that runs commands."""
    lists = st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=3, unique=True)
    errors = st.sampled_from([{}, {"error": "failed"}])
    undone = draw(st.booleans())

    def commands() -> JsonObject:
        listed: list[Any] = draw(lists)
        error = draw(errors)
        if undone and error:
            listed[0] = {"name": listed[0], "compensate": [draw(st.sampled_from(COMMANDS))]}
        return {"commands": listed, **error}

    def maybe(key: str, value: Any) -> JsonObject:
        return {key: value} if draw(st.booleans()) else {}

    back = {"back": {"target": "new"}}
    paid = {"commands": draw(lists), **maybe("target", "shipped"), **maybe("error", "failed")}
    return {
        "initial_state": "new",
        "publish": "wf",
        "context_precedence": draw(st.sampled_from(["written", "state"])),
        "states": {
            "new": {
                "context": draw(SMALL),
                "events": {
                    "pay": {"target": "paid", **commands(), **maybe("guard", draw(st.sampled_from(GUARDS)))},
                    "note": {"internal": True, "commands": draw(lists)},
                    **maybe("expire", {"target": "failed", "timeout": "1h", **commands()}),
                    **maybe("drop", {"target": "off"}),
                },
            },
            "paid": {"events": {"again": {"target": "new", **commands()}, **back}, **maybe("on_enter", paid)},
            "shipped": {"events": back},
            "failed": {"events": {"again": {"target": "new", **commands()}}},
            "off": {},
        },
    }


class DurableSide(Side):
    """A side whose ids, tokens included, are numbered in the order in which they are first seen."""

    def __init__(
        self,
        store: Store,
        definition: WorkflowDefinition,
        script: Script,
        clock: FakeClock,
        subscribers: Sequence[Subscriber] = (),
    ) -> None:
        super().__init__(store, definition, script, clock, subscribers)
        self.store, self.clock = store, clock
        self.subscribers = tuple(subscriber.name for subscriber in subscribers)
        self.held: list[ClaimedRun] = []
        """What workers have claimed, who may be dead or late by now."""
        self.runs: list[Run] = []
        """All runs, as they were when everything was compared last."""
        self.handed_on = 0
        self._numbers: dict[UUID, int] = {}

    async def told(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self.seen(await work)
        except (DetentError, *SCRIPTED) as error:
            return type(error).__name__, getattr(error, "code", None)

    def seen(self, answer: Any) -> Any:
        return self.plain(super().seen(answer))

    def plain(self, value: Any) -> Any:
        """A value of any shape, with numbers in place of ids."""
        match value:
            case UUID():
                return f"#{self._number(value)}"
            case str():
                return ID.sub(lambda found: self.plain(UUID(found[0])), value)
            case Mapping():
                # One error is raised on both sides, and its traceback grows each time.
                return {key: self.plain(part) for key, part in value.items() if key != "traceback"}
            case set() | frozenset():
                return sorted(map(self.plain, value))
            case list() | tuple():
                return [self.plain(part) for part in value]
            case _ if is_dataclass(value) and not isinstance(value, type):
                return self.plain(asdict(value))
            case _:
                return value

    def _number(self, identity: UUID) -> int:
        return self._numbers.setdefault(identity, len(self._numbers))

    async def everything(self) -> list[Any]:
        """All that is stored of all instances, and all that waits to be done for them."""
        runtime = self.runtime
        records = [await runtime.get_instance(one) for one in self.ids]
        stories = [await runtime.get_history(one, limit=1000) for one in self.ids]
        messages: list[Any] = [
            message for one in self.ids for message in await runtime.inbox.list(instance=one, limit=1000)
        ]
        outbox = [
            delivery for each in self.subscribers for delivery in await runtime.outbox.list(subscriber=each, limit=1000)
        ]
        outbox.sort(key=lambda delivery: self.ids.index(delivery.instance_id))
        stored = self.plain([records, stories])
        # Ids of one millisecond are in no order. What was said so far has named them in the order of their beginning.
        runs = await runtime.runs.list(workflow=self.workflow, limit=1000)
        self.runs = sorted(runs, key=lambda run: self._numbers.get(run.id, len(self._numbers)))
        _check(records, stories, self.runs)
        numbered = [self.plain(asdict(message) | {"number": None}) for message in (*messages, *outbox)]
        return [stored, self.plain(self.runs), numbered]

    async def replayed(self) -> Any:
        """Deliveries that were given up, or made, are made again; which."""
        return [
            len(await self.runtime.outbox.replay(subscriber=name, status=status))
            for name, status in zip(self.subscribers, ("dead", "delivered"), strict=True)
        ]

    async def claim(self, worker: str, queues: tuple[str, ...] | None, lease: timedelta) -> int:
        claim = RunClaim(worker, lease, limit=100, queues=queues, workflows=(self.workflow,))
        claimed = await self.store.runs.claim(claim, now=self.clock.now())
        self.held += sorted(claimed, key=lambda one: self.ids.index(one.run.instance_id))
        return len(claimed)

    async def work_on(self, which: int) -> Any:
        runs = self.runtime.running().runs
        return await runs.work_on(self.held[which % len(self.held)], serves=lambda queue: queue != SLOW)

    async def say(self, which: int, verb: str, said: Any) -> Any:
        """What a worker writes under a lease that it has, or had."""
        held, runs, now = self.held[which % len(self.held)], self.store.runs, self.clock.now()
        match verb:
            case "heartbeat":
                return await runs.heartbeat([held.lease], extend=STEADY.lease, now=now)
            case "keep":
                return await runs.keep(held.lease, kept={"said": said}, extend=STEADY.lease, now=now)
            case "release":
                given_back = Release(held.lease, timedelta(minutes=1), {"code": "late"}, uncount=True)
                return await runs.release([given_back], now=now)
            case _:
                entry, position = {"command": "nobody", "said": said}, len(held.run.journal)
                release = timedelta(0) if verb == "hand on" else None
                if release is not None:
                    # What the same one is answered once more is promised only while the lease is kept.
                    self.handed_on += 1
                    entry["time"] = self.handed_on
                return await runs.checkpoint(Checkpoint(held.lease, entry, position, "", SLOW, 0, release), now=now)


class DurableSideBySide(SideBySide):
    """Does everything on both sides, and compares."""

    sides: list[DurableSide]  # type: ignore[assignment]
    # These are drawn next door, and would take the place of what is looked for here.
    look = find = trigger_anything = None  # type: ignore[assignment]

    @initialize(definition=orders(), options=st.fixed_dictionaries(dict.fromkeys(COMMANDS, OPTIONS)))
    def begin(self, definition: JsonObject, options: Mapping[str, CommandOptions]) -> None:
        name = f"durable_{next(NUMBERS)}"
        self.definition = WorkflowDefinition.from_dict(definition | {"name": name})
        self.script, self.clock = Script({}, {}, options), FakeClock()
        self.failing: Exception | None = None
        subscribers = [
            Subscriber(f"{name}_all", ("*",), self.deliver),
            Subscriber(f"{name}_news", ("news.*",), self.deliver),
        ]
        stores = (MemoryStore(), self.other)
        self.sides = [DurableSide(store, self.definition, self.script, self.clock, subscribers) for store in stores]
        self.runner.run(self.enter())
        self.create({}, None)

    async def deliver(self, delivery: Delivery) -> None:
        if self.failing is not None and delivery.sequence % 2:
            raise self.failing

    @rule(name=st.sampled_from(COMMANDS), answer=ANSWERS)
    def let_a_command_answer(self, name: str, answer: Any) -> None:
        self.script.commands[name] = answer

    @rule(data=st.data(), which=WHICH, payload=VALUES, key=KEYS, then=st.sampled_from([None, "work", "claim"]))
    def enqueue(self, data: st.DataObject, which: int, payload: Any, key: str | None, then: str | None) -> None:
        name = data.draw(self.events_of(which))
        self.on(which, lambda runtime, one: runtime.enqueue_event(one, name, payload=payload, idempotency_key=key))
        if then == "work":
            self.work(None, {})
        elif then == "claim":
            self.claim("one", None, STEADY.lease)

    @rule(queues=QUEUES, answers=SCRIPTS)
    def work(self, queues: tuple[str, ...] | None, answers: Mapping[str, Any]) -> None:
        self.script.commands |= answers
        self.both(lambda side: side.runtime.process_runs(queues=queues))

    @rule(worker=st.sampled_from(["one", "two"]), queues=QUEUES, lease=LEASES)
    def claim(self, worker: str, queues: tuple[str, ...] | None, lease: timedelta) -> None:
        self.both(lambda side: side.claim(worker, queues, lease))

    @rule(which=WHICH, answers=SCRIPTS)
    def go_on_with_what_was_claimed(self, which: int, answers: Mapping[str, Any]) -> None:
        self.script.commands |= answers
        if self.sides[0].held:
            self.both(lambda side: side.work_on(-1 - which))

    @rule(which=WHICH, verb=st.sampled_from(SAYINGS), said=VALUES)
    def a_worker_says(self, which: int, verb: str, said: Any) -> None:
        if self.sides[0].held:
            self.both(lambda side: side.say(which, verb, said))

    @rule(
        data=st.data(),
        which=WHICH,
        after=st.sampled_from([STEADY.lease, STEADY.lease - timedelta(microseconds=1), RETRY.initial]),
        meanwhile=st.sampled_from(["work", "claim", None]),
        says=st.lists(st.sampled_from(SAYINGS), max_size=2),
        answers=SCRIPTS,
    )
    def a_worker_freezes(
        self,
        data: st.DataObject,
        which: int,
        after: timedelta,
        meanwhile: str | None,
        says: list[str],
        answers: Mapping[str, Any],
    ) -> None:
        """It claims what there is, comes back later, and goes on as if nothing had been."""
        self.enqueue(data, which, None, None, None)
        self.claim("one", None, STEADY.lease)
        mine = len(self.sides[0].held)
        self.a_lease_passes(after, meanwhile)
        if mine:
            for verb in says:
                self.a_worker_says(mine - 1, verb, after.total_seconds())
            self.script.commands |= answers
            self.both(lambda side: side.work_on(mine - 1))

    @rule(lease=LEASES, then=st.sampled_from([None, "work", "claim"]))
    def a_lease_passes(self, lease: timedelta, then: str | None) -> None:
        """To the very instant of its end."""
        self.clock.advance(lease)
        if then == "work":
            self.work(None, {})
        elif then == "claim":
            self.claim("two", None, lease)

    @rule(which=WHICH, verb=st.sampled_from(["retry", "cancel"]))
    def operate_on_a_run(self, which: int, verb: str) -> None:
        if self.sides[0].runs:
            self.both(lambda side: getattr(side.runtime.runs, verb)(side.runs[-1 - which % len(side.runs)].id))

    @rule(data=st.data(), which=WHICH, payload=VALUES, delay=MOMENTS, expires=MOMENTS, key=KEYS, at_once=st.booleans())
    def send(
        self,
        data: st.DataObject,
        which: int,
        payload: Any,
        delay: str | None,
        expires: str | None,
        key: str | None,
        at_once: bool,
    ) -> None:
        name = data.draw(self.events_of(which) | events(self.definition))

        def sent(runtime: Any, one: UUID) -> Any:
            return runtime.send(one, name, payload, delay=delay, expires=expires, idempotency_key=key)

        self.on(which, sent)
        if at_once:
            self.take_messages()

    @rule()
    def take_messages(self) -> None:
        self.both(lambda side: side.runtime.process_inbox())

    @rule(failing=st.sampled_from([None, OSError("down"), GiveUp("gone"), RetryAfter(timedelta(hours=1))]))
    def deliver_messages(self, failing: Exception | None) -> None:
        self.failing = failing
        self.both(lambda side: side.runtime.process_outbox(limit=1000))

    @rule()
    def replay_deliveries(self) -> None:
        self.both(lambda side: side.replayed())

    def events_of(self, which: int) -> st.SearchStrategy[str]:
        """The events that the chosen instance could take, if it has any."""
        declared = list(self.definition.states[self.state_of(which)].events)
        return st.sampled_from(declared) if declared else events(self.definition)


def _check(records: Sequence[WorkflowInstance], stories: Sequence[Sequence[HistoryEntry]], runs: Sequence[Run]) -> None:
    """Entries are numbered without gaps; an instance has one active run at most, and knows which."""
    for record, entries in zip(records, stories, strict=True):
        assert [entry.sequence for entry in entries] == list(range(record.version, 0, -1))
        active = [run.id for run in runs if run.instance_id == record.id and run.status in ACTIVE_RUNS]
        assert active == ([] if record.run_id is None else [record.run_id])


def _compare(runner: asyncio.Runner, store: Store) -> None:
    def machine() -> DurableSideBySide:
        return DurableSideBySide(runner, store)

    # Half of what others try: a step is several here.
    chosen = settings(stateful_step_count=20, max_examples=settings().max_examples // 2)
    run_state_machine_as_test(machine, settings=chosen)  # type: ignore[arg-type]  # a factory will do


def test_postgresql_runs_what_the_memory_store_runs(runner: asyncio.Runner, postgres_url: URL) -> None:
    store = PgStore.from_url(postgres_url, prefix="durable_")
    runner.run(store.upgrade())
    runner.run(store.open())
    try:
        _compare(runner, store)
    finally:
        runner.run(store.close())


def test_sqlite_runs_what_the_memory_store_runs(runner: asyncio.Runner) -> None:
    store = SqliteStore(":memory:", synchronous="NORMAL")
    runner.run(store.open())
    try:
        _compare(runner, store)
    finally:
        runner.run(store.close())
