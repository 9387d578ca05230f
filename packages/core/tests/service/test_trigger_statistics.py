"""Invocations, counted: as they are logged, and without reading the log."""

from collections import Counter
from datetime import timedelta

import pytest

from detent import MemoryStore
from detent.flows import ContextLimits
from detent.flows.errors import ContextTooLarge
from detent.triggers import CronTrigger, HttpTrigger, TriggerUnavailable
from packages.core.tests.service.trigger_world import SCHEMA, World


class CountingStore(MemoryStore):
    """Knows how many entries of history were asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    async def history(self, instance_id, *, limit, before=None, outside=None):
        found = await super().history(instance_id, limit=limit, before=before, outside=outside)
        self.read += len(found)
        return found


async def counted_from_the_log(world: World, name: str, since=None) -> Counter[str]:
    log = await world.service.history(name, limit=1000)
    return Counter(one.status for one in log if since is None or one.at >= since)


async def test_invocations_are_counted_by_what_came_of_them(world, clock):
    await world.service.register(HttpTrigger(name="hook", flow="order", input_schema=SCHEMA))
    await world.service.receive("hook", b'{"id": 1}', {})
    clock.advance("1h")
    middle = clock.now()
    await world.service.receive("hook", b'{"id": 2}', {})
    await world.service.receive("hook", b"{}", {})
    counted = await world.service.statistics("hook")
    assert (counted.total, counted.executions, counted.last_at) == (3, 2, clock.now())
    assert counted.by_status == {"success": 2, "validation_failed": 1}
    assert (counted.failed, counted.turned_away) == (0, 1)
    assert (await world.service.statistics("hook", since=middle)).total == 2


async def test_a_trigger_that_was_never_invoked_counts_nothing(world, clock):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    for since in (None, clock.now() - timedelta(days=1), clock.now() + timedelta(days=1)):
        counted = await world.service.statistics("hook", since=since)
        assert (counted.total, counted.by_status, counted.executions, counted.last_at) == (0, {}, 0, None)


async def test_what_is_counted_is_what_stands_in_the_log_from_any_instant_on(world, clock):
    await world.service.register(
        CronTrigger(name="c", flow="order", expression="*/10 * * * *", misfire="skip", context_key="at")
    )
    begin, instants = clock.now(), []
    for round_ in range(12):
        instants.append(clock.advance("10m" if round_ % 3 else "35m"))
        await world.runtime.process_timeouts()
        if round_ % 4 == 0:
            await world.service.pause("c")
            await world.service.resume("c")
        if round_ % 5 == 0:
            await world.service.fire("c", idempotency_key="always the same")
    await world.service.backfill("c", begin, clock.now())
    assert set(await counted_from_the_log(world, "c")) == {"success", "duplicate", "skipped"}
    for since in (None, begin, *instants, *(instant + timedelta(seconds=1) for instant in instants)):
        counted = await world.service.statistics("c", since=since)
        assert Counter(counted.by_status) == await counted_from_the_log(world, "c", since)
    assert (await world.service.statistics("c")).executions == len(await world.executions())


async def test_the_count_reads_no_more_of_a_long_log(opened, clock):
    store = CountingStore()
    async with opened(store=store) as world:
        await world.service.register(HttpTrigger(name="hook", flow="order"))
        for number in range(400):
            await world.service.fire("hook", number)
            clock.advance("1s")
        store.read = 0
        assert (await world.service.statistics("hook")).total == 400
        assert store.read == 0
        assert (await world.service.statistics("hook", since=clock.now() - timedelta(seconds=100))).total == 100
        assert store.read <= 20
        store.read = 0
        assert len(await world.service.history("hook", limit=5)) == 5
        assert store.read == 5


async def test_calls_for_which_no_flow_was_started_are_counted_too(opened, monkeypatch):
    async def gone(wanted, connection):
        raise TriggerUnavailable(wanted.trigger.name, wanted.trigger.flow, "it is gone", hint="save it")

    async with opened(limits=ContextLimits(value_bytes=100)) as world:
        await world.service.register(HttpTrigger(name="hook", flow="order"))
        with pytest.raises(ContextTooLarge):
            await world.service.fire("hook", "x" * 200)
        monkeypatch.setattr(world.triggers.starter, "start", gone)
        with pytest.raises(TriggerUnavailable):
            await world.service.fire("hook")
        counted = await world.service.statistics("hook")
        assert (counted.by_status, counted.executions) == ({"error": 1, "flow_not_found": 1}, 0)
        assert (counted.failed, counted.turned_away) == (2, 0)
        assert Counter(counted.by_status) == await counted_from_the_log(world, "hook")
        [unavailable, too_large] = await world.service.history("hook")
        assert (unavailable.error["code"], too_large.error["code"]) == ("trigger_unavailable", "context_too_large")
        assert await world.executions() == []
