"""The store under a real runtime: what users are promised, whatever store they chose."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from detent.definition.model import WorkflowDefinition
from detent.errors import CommandFailed, EventNotAvailable
from detent.registry.context import CommandContext
from detent.registry.registry import Registry
from detent.registry.results import Fail
from detent.runtime.observers import Observation, WorkflowObserver
from detent.runtime.runtime import WorkflowRuntime
from detent.store.protocol import Store
from detent.store.records import HistoryEntry, Outcome
from detent.testing.clock import FakeClock
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import assert_whole, within

PARCEL = {
    "name": "parcel",
    "initial_state": "packed",
    "states": {
        "packed": {
            "context": {"where": "depot"},
            "events": {
                "send": {"target": "sent"},
                "weigh": {"target": "sent", "commands": ["weigh"], "error": "lost"},
                "drop": {"target": "sent", "commands": ["drop"]},
                "relay": {"target": "first"},
                "return": {"target": "lost", "timeout": "2d"},
            },
        },
        "first": {"context": {"stop": 1}, "on_enter": {"target": "second"}},
        "second": {"context": {"stop": 2}, "on_enter": {"commands": ["stamp"], "target": "third"}},
        "third": {"context": {"stop": 3}, "on_enter": {"target": "sent"}},
        "sent": {"context": {"where": "road"}},
        "lost": {"outcome": "failure"},
    },
}


class _Heard(WorkflowObserver):
    """Counts what it is told of."""

    def __init__(self) -> None:
        self.entries: list[HistoryEntry] = []

    async def on_created(self, seen: Observation) -> None:
        self.entries.append(seen.entry)

    async def on_transition(self, seen: Observation) -> None:
        self.entries.append(seen.entry)


def _commands(kit: StoreKit) -> Registry:
    async def weigh(ctx: CommandContext) -> Fail | None:
        await kit.note(ctx.connection, f"weighed {ctx.instance_id}")
        return Fail("too_heavy", "31 kg") if ctx.subject == "heavy" else None

    async def drop(ctx: CommandContext) -> Fail:
        await kit.note(ctx.connection, f"dropped {ctx.instance_id}")
        return Fail("broken")

    async def stamp(ctx: CommandContext) -> None:
        ctx.context["stamped"] = ctx.trigger_metadata["actor"]

    registry = Registry()
    for name, target in (("weigh", weigh), ("drop", drop), ("stamp", stamp)):
        registry.command(name, target)
    return registry


@asynccontextmanager
async def _running(
    kit: StoreKit,
    *,
    store: Store | None = None,
    clock: FakeClock | None = None,
    observers: Iterable[WorkflowObserver] = (),
) -> AsyncIterator[WorkflowRuntime]:
    definition = WorkflowDefinition.from_dict(PARCEL)
    async with WorkflowRuntime(
        store=store or kit.store,
        definitions=[definition],
        commands=[_commands(kit)],
        observers=observers,
        clock=clock,
    ) as runtime:
        yield runtime


async def _outcomes(calls: Iterable[Any]) -> tuple[int, int]:
    """How many calls succeeded, and how many were told that the event is not available; others raise."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    surprises = [answer for answer in answers if isinstance(answer, BaseException)]
    for surprise in surprises:
        if not isinstance(surprise, EventNotAvailable):
            raise surprise
    return len(answers) - len(surprises), len(surprises)


class RuntimeContract:
    """Events, commands and timeouts end as the design says."""

    async def test_of_64_tasks_with_one_event_one_succeeds_and_63_are_told_why(self, kit: StoreKit) -> None:
        async with within(), _running(kit) as runtime:
            parcel = await runtime.create_instance("parcel")
            counts = await _outcomes(runtime.trigger_event(parcel.id, "send") for _ in range(64))
        assert counts == (1, 63)
        assert await assert_whole(kit.store, parcel.id) == 2

    async def test_the_same_holds_where_a_command_runs_and_its_write_is_done_once(self, kit: StoreKit) -> None:
        async with within(), _running(kit) as runtime:
            parcel = await runtime.create_instance("parcel")
            counts = await _outcomes(runtime.trigger_event(parcel.id, "weigh", workflow="parcel") for _ in range(64))
        assert counts == (1, 63)
        assert await assert_whole(kit.store, parcel.id) == 2
        assert await kit.noted(f"weighed {parcel.id}")

    async def test_what_a_command_wrote_commits_with_the_state(self, kit: StoreKit) -> None:
        async with within(), _running(kit) as runtime:
            parcel = await runtime.create_instance("parcel")
            result = await runtime.trigger_event(parcel.id, "weigh")
        assert (result.to_state, result.instance.context) == ("sent", {"where": "road"})
        assert await kit.noted(f"weighed {parcel.id}")
        assert await kit.store.load(parcel.id) == result.instance

    async def test_a_routed_failure_keeps_what_the_command_wrote(self, kit: StoreKit) -> None:
        async with within(), _running(kit) as runtime:
            parcel = await runtime.create_instance("parcel")
            result = await runtime.trigger_event(parcel.id, "weigh", subject="heavy")
        assert (result.outcome, result.to_state) == (Outcome.FAILURE, "lost")
        assert await kit.noted(f"weighed {parcel.id}")

    async def test_an_unrouted_failure_undoes_everything_and_leaves_one_failed_entry(self, kit: StoreKit) -> None:
        async with within(), _running(kit) as runtime:
            parcel = await runtime.create_instance("parcel")
            with pytest.raises(CommandFailed, match="broken"):
                await runtime.trigger_event(parcel.id, "drop")
            after = await runtime.get_instance(parcel.id)
            newest = (await runtime.get_history(parcel.id))[0]
        assert (after.state, after.context, after.timers) == (parcel.state, parcel.context, parcel.timers)
        assert (newest.sequence, newest.outcome, newest.event) == (2, Outcome.FAILED, "drop")
        assert not await kit.noted(f"dropped {parcel.id}")

    async def test_the_history_of_a_four_hop_chain_reads_back_in_order(self, kit: StoreKit) -> None:
        async with within(), _running(kit) as runtime:
            parcel = await runtime.create_instance("parcel")
            result = await runtime.trigger_event(parcel.id, "relay", trigger_metadata={"actor": "ana"})
            entries = list(reversed(await runtime.get_history(parcel.id)))
        assert [entry.to_state for entry in entries] == ["packed", "first", "second", "third", "sent"]
        assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5]
        assert {entry.transition_id for entry in entries[1:]} != {entries[0].transition_id}
        assert len({entry.transition_id for entry in entries[1:]}) == 1
        assert result.instance.context == {"where": "road", "stop": 3, "stamped": "ana"}

    async def test_a_savepoint_of_the_caller_rolled_back_leaves_no_trace_and_no_observer_call(
        self, kit: StoreKit
    ) -> None:
        heard = _Heard()
        async with within(), _running(kit, observers=[heard]) as runtime:
            parcel = await runtime.create_instance("parcel")
            async with kit.lend() as outside:
                with suppress(_Undone):
                    async with kit.savepoint(outside):
                        await runtime.trigger_event(parcel.id, "weigh", connection=outside)
                        raise _Undone
                await runtime.trigger_event(parcel.id, "relay", trigger_metadata={"actor": "b"}, connection=outside)
            await runtime.settled()
        assert not await kit.noted(f"weighed {parcel.id}")
        assert [entry.event for entry in heard.entries] == ["$created", "relay", *["$on_enter"] * 3]
        assert await assert_whole(kit.store, parcel.id) == 5

    async def test_a_creation_in_a_rolled_back_transaction_never_was(self, kit: StoreKit) -> None:
        heard = _Heard()
        async with within(), _running(kit, observers=[heard]) as runtime:
            with suppress(_Undone):
                async with kit.lend() as outside:
                    parcel = await runtime.create_instance("parcel", connection=outside)
                    raise _Undone
            await runtime.settled()
        assert await kit.store.load(parcel.id) is None
        assert heard.entries == []

    async def test_a_command_may_step_another_instance_in_the_same_commit(self, kit: StoreKit) -> None:
        heard = _Heard()
        registry = _commands(kit)
        async with within(), _running(kit, observers=[heard]) as outer:
            first, second = await outer.create_instance("parcel"), await outer.create_instance("parcel")

            async def both(ctx: CommandContext) -> None:
                await outer.trigger_event(second.id, "send", connection=ctx.connection)

            definition = {**PARCEL, "name": "pair"}
            definition["states"] = {"open": {"events": {"go": {"target": "done", "commands": ["both"]}}}, "done": {}}
            registry.command("both", both)
            pair = WorkflowDefinition.from_dict({**definition, "initial_state": "open"})
            async with WorkflowRuntime(store=kit.store, definitions=[pair], commands=[registry]) as inner:
                made = await inner.create_instance("pair")
                await inner.trigger_event(made.id, "go")
            await outer.settled()
            assert (await outer.get_instance(second.id)).state == "sent"
            assert (await outer.get_instance(first.id)).state == "packed"
        assert [entry.event for entry in heard.entries] == ["$created", "$created", "send"]

    async def test_a_timeout_fires_once_over_four_sweepers(self, kit: StoreKit) -> None:
        clock = FakeClock()
        async with within(), _running(kit, clock=clock) as runtime:
            parcels = [await runtime.create_instance("parcel") for _ in range(20)]
            clock.advance(timedelta(days=2))
            reports = await asyncio.gather(*(runtime.process_timeouts(limit=100) for _ in range(4)))
            assert sum(report.processed for report in reports) == 20
            for parcel in parcels:
                assert (await runtime.get_instance(parcel.id)).state == "lost"
                assert await assert_whole(kit.store, parcel.id) == 2

    async def test_a_timeout_against_an_event_has_one_winner(self, kit: StoreKit) -> None:
        clock = FakeClock()
        async with within(), _running(kit, clock=clock) as runtime:
            parcels = [await runtime.create_instance("parcel") for _ in range(10)]
            clock.advance(timedelta(days=2))
            calls = [runtime.trigger_event(parcel.id, "weigh") for parcel in parcels]
            report, (taken, late) = await asyncio.gather(runtime.process_timeouts(), _outcomes(calls))
            assert report.processed + taken == 10
            assert late == report.processed
            for parcel in parcels:
                assert await assert_whole(kit.store, parcel.id) == 2

    async def test_a_key_finds_the_instance_it_made_also_at_once(self, kit: StoreKit) -> None:
        async with within(), _running(kit) as runtime:
            made = await asyncio.gather(
                *(runtime.create_instance("parcel", idempotency_key="parcel-1") for _ in range(16))
            )
        assert len({instance.id for instance in made}) == 1
        assert sum(instance.created for instance in made) == 1


class _Undone(Exception):
    pass
