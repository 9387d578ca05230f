"""Metrics: counts of what was committed, gauges of what waits, and labels that nobody outside can multiply."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from detent import GiveUp, MemoryStore, Ok, Retry, subscriber
from detent.errors import StoreUnavailable
from detent.observe.metrics import Metrics
from detent.workers.metrics import MetricsWorker
from packages.core.tests.observe.orders import ORDER, everything


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    return Metrics([ORDER], registry=registry)


@pytest.fixture
def value(registry):
    def of(name, **labels):
        return registry.get_sample_value(name, labels)

    return of


def transitions(registry):
    """Every count of entries that is not 0, by event and outcome."""
    return {
        (sample.labels["event"], sample.labels["outcome"]): int(sample.value)
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "detent_transitions_total"
    }


async def test_a_story_is_counted_by_event_and_outcome(starting, metrics, registry, value):
    runtime = await starting(ORDER, **everything(), observers=[metrics])
    settled, declined, stuck = [await runtime.create_instance("order") for _ in range(3)]
    await runtime.trigger_event(settled.id, "settle")
    await runtime.trigger_event(declined.id, "decline")
    await runtime.trigger_event(stuck.id, "approve")
    with pytest.raises(RuntimeError):
        await runtime.trigger_event(stuck.id, "burst")
    await runtime.pause(stuck.id)
    await runtime.settled()

    assert transitions(registry) == {
        ("$created", "success"): 3,
        ("settle", "success"): 1,
        ("decline", "failure"): 1,
        ("approve", "refused"): 1,
        ("burst", "failed"): 1,
        ("$paused", "success"): 1,
    }
    assert value("detent_completions_total", workflow="order", status="completed") == 1
    assert value("detent_completions_total", workflow="order", status="failed") == 1
    assert value("detent_commands_total", workflow="order", command="refuse_card", result="failed") == 1
    assert value("detent_step_seconds_count", workflow="order") == 8


async def test_a_run_is_counted_each_time_it_was_worked_on(starting, metrics, registry, value, clock):
    runtime = await starting(ORDER, **everything(OSError("gone"), Ok()), observers=[metrics])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    clock.advance("5m")
    await runtime.process_runs()
    await runtime.settled()

    assert value("detent_run_work_total", workflow="order", result="retrying") == 1
    assert value("detent_run_work_total", workflow="order", result="completed") == 1
    assert value("detent_run_work_seconds_count", workflow="order") == 2
    assert value("detent_commands_total", workflow="order", command="charge", result="ok") == 1
    assert transitions(registry)["pay", "accepted"] == transitions(registry)["pay", "success"] == 1


async def test_a_parked_run_is_counted_and_waits_in_the_gauges(starting, metrics, registry, value):
    runtime = await starting(ORDER, **everything(GiveUp("it cannot work")), observers=[metrics])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "book_later")
    await metrics.refresh(runtime)
    assert value("detent_backlog_runs", status="pending") == 1
    await runtime.process_runs()
    await runtime.settled()
    await metrics.refresh(runtime)
    assert (value("detent_backlog_runs", status="pending"), value("detent_backlog_runs", status="parked")) == (0, 1)
    assert value("detent_backlog_parked") == 1
    assert value("detent_run_work_total", workflow="order", result="parked") == 1
    assert transitions(registry)["$parked", "failed"] == 1


async def test_gauges_say_what_waits_and_for_how_long(starting, metrics, value, clock):
    runtime = await starting(ORDER, **everything(), observers=[metrics])
    late, held = [await runtime.create_instance("order") for _ in range(2)]
    await runtime.trigger_event(held.id, "pay")
    clock.advance("90m")
    assert value("detent_backlog_due") == 0
    await metrics.refresh(runtime)
    assert value("detent_backlog_due") == 1
    assert value("detent_backlog_lag_seconds", kind="timeouts") == timedelta(minutes=60).total_seconds()
    assert value("detent_backlog_lag_seconds", kind="runs") == timedelta(minutes=90).total_seconds()
    assert value("detent_backlog_lag_seconds", kind="outbox") == 0
    assert (value("detent_backlog_inbox", status="waiting"), value("detent_backlog_outbox", status="dead")) == (0, 0)
    assert value("detent_backlog_parked") == 0
    assert value("detent_backlog_read_timestamp_seconds") == clock.now().timestamp()
    assert late.id != held.id


async def test_thousands_of_instances_make_no_more_series_than_one(starting, metrics, registry):
    runtime = await starting(ORDER, **everything(), observers=[metrics])

    async def live(number):
        order = await runtime.create_instance(
            "order", context={"number": number}, metadata={"number": number}, idempotency_key=f"o{number}"
        )
        await runtime.trigger_event(order.id, "settle", trigger_metadata={"actor": f"user{number}"})

    async def series():
        await runtime.settled()
        return len(generate_latest(registry).splitlines())

    await live(0)
    first = await series()
    for number in range(1, 1000):
        await live(number)
    assert await series() == first
    assert transitions(registry) == {("$created", "success"): 1000, ("settle", "success"): 1000}


async def test_names_that_the_definitions_do_not_declare_are_other(starting, registry):
    metrics = Metrics([ORDER.model_copy(update={"name": "invoice"})], registry=registry)
    runtime = await starting(ORDER, **everything(), observers=[metrics])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "book")
    await runtime.settled()
    assert transitions(registry) == {("$created", "success"): 1, ("other", "success"): 1}
    assert (
        registry.get_sample_value("detent_commands_total", {"workflow": "other", "command": "other", "result": "ok"})
        == 1
    )


async def test_dead_letters_are_counted_on_both_sides(starting, metrics, value):
    @subscriber("order.*", name="mail", retry=Retry(attempts=1))
    async def mail(delivery):
        raise OSError("no mail today")

    runtime = await starting(ORDER, **everything(), observers=[metrics], subscribers=[mail])
    order = await runtime.create_instance("order")
    await runtime.send(order.id, "approve")
    await runtime.trigger_event(order.id, "settle")
    await runtime.process_outbox()
    await runtime.process_inbox()
    await runtime.settled()
    await metrics.refresh(runtime)
    assert (value("detent_dead_letters_total", kind="inbox"), value("detent_dead_letters_total", kind="outbox")) == (
        1,
        2,
    )
    assert (value("detent_backlog_inbox", status="dead"), value("detent_backlog_outbox", status="dead")) == (1, 2)


async def test_labels_are_these_and_no_others(starting, metrics, registry):
    runtime = await starting(ORDER, **everything(Ok()), observers=[metrics])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    await runtime.settled()
    await metrics.refresh(runtime)
    labels = {family.name: {label for s in family.samples for label in s.labels} for family in registry.collect()}
    assert {name: found for name, found in labels.items() if found} == {
        "detent_transitions": {"workflow", "event", "outcome"},
        "detent_completions": {"workflow", "status"},
        "detent_commands": {"workflow", "command", "result"},
        "detent_step_seconds": {"workflow", "le"},
        "detent_run_work": {"workflow", "result"},
        "detent_run_work_seconds": {"workflow", "le"},
        "detent_backlog_runs": {"status"},
        "detent_backlog_inbox": {"status"},
        "detent_backlog_outbox": {"status"},
        "detent_backlog_lag_seconds": {"kind"},
    }


async def test_a_store_that_cannot_be_read_leaves_the_gauges_as_they_were(starting, metrics, value, clock):
    class Moody(MemoryStore):
        broken = False

        async def backlog(self, **how):
            if self.broken:
                raise StoreUnavailable("gone")
            return await super().backlog(**how)

    store = Moody()
    runtime = await starting(ORDER, **everything(), observers=[metrics], store=store)
    await metrics.refresh(runtime)
    read = value("detent_backlog_read_timestamp_seconds")
    store.broken = True
    clock.advance("1m")
    with pytest.raises(StoreUnavailable):
        await metrics.refresh(runtime)
    assert value("detent_backlog_read_timestamp_seconds") == read


async def test_a_worker_reads_at_once_and_again_and_again(starting, metrics, registry):
    class Counting(MemoryStore):
        def __init__(self):
            super().__init__()
            self.asked = asyncio.Semaphore(0)

        async def backlog(self, **how):
            self.asked.release()
            return await super().backlog(**how)

    store = Counting()
    runtime = await starting(ORDER, **everything(), store=store)
    async with asyncio.timeout(5), MetricsWorker(runtime, metrics, interval=timedelta(milliseconds=1)):
        for _ in range(3):
            await store.asked.acquire()
    assert registry.get_sample_value("detent_backlog_due") == 0
