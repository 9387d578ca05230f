"""Triggers on every store: one execution for each instant, call and message, whoever looks and however often it comes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

import pytest

from detent import FlowService, Store, WorkflowRuntime, WorkflowService
from detent.errors import StoreUnavailable
from detent.flows import Flow, FlowBook, HandlerContext, Step, handler, success
from detent.flows.results import Result
from detent.json_values import JsonValue
from detent.service.trigger_book import TriggerBook
from detent.service.trigger_calls import Start
from detent.service.triggers import Answer, TriggerService
from detent.testing import FakeClock
from detent.testing.store_contract import StoreKit
from detent.triggers import CronTrigger, EventTrigger, HttpTrigger

SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}


@handler("tell", targets=False)
async def tell(ctx: HandlerContext, input: JsonValue) -> Result:
    ctx.publish("report.made", {"of": input})
    return success(input)


REPORT = Flow("report", initial_step_id="tell", steps={"tell": Step("tell", input={"full": True}, output_key="told")})


class Node:
    """A process with triggers."""

    def __init__(self, runtime: WorkflowRuntime, book: FlowBook, triggers: TriggerBook) -> None:
        self.runtime, self.triggers = runtime, triggers
        self.workflows = WorkflowService(runtime)
        self.flows = FlowService(self.workflows, book)
        self.service = TriggerService(self.workflows, book, triggers)

    async def started(self) -> int:
        return (await self.workflows.count_instances(workflow="report"))[()]


Nodes = Callable[..., Awaitable[Node]]


@pytest.fixture
async def node(kit: StoreKit, clock: FakeClock) -> AsyncIterator[Nodes]:
    """Starts one more process on the database of the test."""
    async with AsyncExitStack() as stack:

        async def start(store: Store | None = None) -> Node:
            assert kit.second is not None
            mine = await stack.enter_async_context(kit.second()) if store is None else store
            book, triggers = FlowBook(flows=[REPORT], handlers=[tell]), TriggerBook(topics=["report.*"])
            runtime = WorkflowRuntime(
                store=mine,
                definitions=[*book.definitions, *triggers.definitions],
                commands=[*book.commands, *triggers.commands],
                subscribers=triggers.subscribers,
                adopts=book.adopts,
                clock=clock,
            )
            return Node(await stack.enter_async_context(runtime), book, triggers)

        yield start


async def test_two_schedulers_over_200_ticks_fire_200_times(node: Nodes, store: Store, clock: FakeClock):
    one, other = await node(store), await node()
    trigger = CronTrigger(name="often", flow="report", expression="* * * * *")
    made = await asyncio.gather(one.service.register(trigger), other.service.register(trigger))
    assert made[0].id == made[1].id
    by: Counter[int] = Counter()
    for _ in range(200):
        clock.advance("1m")
        reports = await asyncio.gather(one.runtime.process_timeouts(), other.runtime.process_timeouts())
        by.update(index for index, report in enumerate(reports) if report.processed)
    log = await one.service.history("often", limit=1000)
    fired = [instant for invocation in log for instant in invocation.scheduled_at]
    assert (len(fired), len(set(fired)), await one.started()) == (200, 200, 200)
    assert {invocation.status for invocation in log} == {"success"}
    assert by.total() == 200


async def test_a_due_trigger_and_two_schedulers_make_one_execution_and_a_missed_period_follows_its_policy(
    node: Nodes, store: Store, clock: FakeClock
):
    """FlowMonkey 33."""
    one, other = await node(store), await node()
    for policy in ("skip", "once", "all"):
        await one.service.register(
            CronTrigger(
                name=policy, flow="report", expression="0 * * * *", misfire=policy, static_context={"by": policy}
            )
        )
    clock.advance("1h")
    await asyncio.gather(one.runtime.process_timeouts(), other.runtime.process_timeouts())
    assert await one.started() == 3
    clock.advance(timedelta(hours=5, minutes=30))
    await asyncio.gather(*(each.runtime.process_timeouts() for each in (one, other, one, other)))
    counted = {}
    for policy in ("skip", "once", "all"):
        counted[policy] = (await one.workflows.count_instances(workflow="report", metadata={"trigger": policy}))[()]
    assert counted == {"skip": 1, "once": 2, "all": 6}


async def test_an_http_trigger_answers_starts_and_logs_each_call(node: Nodes, store: Store):
    """FlowMonkey 32."""
    one = await node(store)
    hook = await one.service.register(
        HttpTrigger(name="hook", flow="report", input_schema=SCHEMA, context_key="data", tenant="acme")
    )
    receive = one.service.receive
    assert (await receive("nobody", b"{}", {})).answer is Answer.UNKNOWN_TRIGGER
    wrong = await receive(hook.id, b'{"id": "1"}', {})
    assert [(error.path, error.keyword) for error in wrong.errors] == [("id", "type")]
    right = await receive(hook.id, b'{"id": 1}', {})
    assert right.answer is Answer.STARTED
    assert right.execution_id is not None
    await one.service.disable(hook.id)
    assert (await receive(hook.id, b'{"id": 1}', {})).answer is Answer.DISABLED
    execution = await one.workflows.get_instance(right.execution_id)
    assert (execution.tenant, execution.context["data"]) == ("acme", {"id": 1})
    logged = [invocation.status for invocation in await one.service.history(hook.id)]
    assert logged == ["disabled", "success", "validation_failed"]
    assert (await one.service.statistics(hook.id)).by_status == Counter(logged)
    assert (await one.flows.run(right.execution_id)).status == "completed"


async def test_calls_with_one_key_that_come_at_the_same_time_start_one_execution(node: Nodes, store: Store):
    one, other = await node(store), await node()
    await one.service.register(HttpTrigger(name="hook", flow="report", idempotency_from={"header": "X-Delivery"}))
    nodes = [one, other] * 10
    received = await asyncio.gather(*(each.service.receive("hook", b"{}", {"x-delivery": "7"}) for each in nodes))
    assert Counter(each.answer for each in received) == {Answer.STARTED: 1, Answer.KNOWN: 19}
    assert len({each.execution_id for each in received}) == await one.started() == 1


async def test_an_execution_and_the_step_of_its_trigger_are_one_commit(
    node: Nodes, store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    one = await node(store)
    made = await one.service.register(
        CronTrigger(name="often", flow="report", expression="*/10 * * * *", misfire="all")
    )
    starter = one.triggers.starter
    assert starter is not None
    start = starter.start

    async def dies_behind_it(wanted: Start, connection: object) -> tuple[UUID, bool]:
        await start(wanted, connection)
        raise StoreUnavailable("the process was killed")

    monkeypatch.setattr(starter, "start", dies_behind_it)
    due = clock.advance("10m")
    assert (await one.runtime.process_timeouts()).failed == 1
    assert (await one.started(), (await one.service.get(made.id)).next_at) == (0, due)
    monkeypatch.setattr(starter, "start", start)
    clock.advance("5m")
    await one.runtime.process_timeouts()
    assert await one.started() == 1
    [fired, failed] = await one.service.history(made.id)
    assert (failed.status, fired.status, fired.scheduled_at) == ("error", "success", (due,))


async def test_a_message_of_one_flow_starts_another_once_whoever_delivers_it(
    node: Nodes, store: Store, clock: FakeClock
):
    one, other = await node(store), await node()
    await one.service.register(
        EventTrigger(
            name="after",
            flow="report",
            topics=["report.*"],
            input_schema={"properties": {"of": {"required": ["first"]}}},
        )
    )
    first = await one.flows.start_flow("report", {"first": True})
    await one.flows.run(first.id)
    for _ in range(3):
        await asyncio.gather(one.runtime.process_outbox(), other.runtime.process_outbox())
        clock.advance("1m")
    assert await one.started() == 2
    [invocation] = await other.service.history("after")
    assert (invocation.status, invocation.source) == ("success", "event")


async def test_a_backfill_beside_a_scheduler_fires_each_instant_once(node: Nodes, store: Store, clock: FakeClock):
    one, other = await node(store), await node()
    await one.service.register(CronTrigger(name="often", flow="report", expression="*/10 * * * *", misfire="all"))
    begin = clock.now()
    clock.advance("10h")
    made, _ = await asyncio.gather(
        other.service.backfill("often", begin, clock.now() + timedelta(seconds=1)), one.runtime.process_timeouts()
    )
    # A sweep passes over a trigger that is held.
    await one.runtime.process_timeouts()
    assert len(made) == 61
    assert await one.started() == 61


async def test_triggers_are_listed_by_their_state(node: Nodes, store: Store):
    one = await node(store)
    for name in ("on", "off", "held", "stopped", "gone"):
        await one.service.register(HttpTrigger(name=name, flow="report", enabled=name != "off"))
    await one.service.pause("held", "maintenance")
    await one.workflows.pause((await one.service.get("stopped")).id)
    await one.service.delete("gone")
    listed = {
        state: [found.name for found in await one.service.list(state=state)]
        for state in (None, "enabled", "disabled", "paused", "deleted")
    }
    assert listed == {
        None: ["held", "off", "on", "stopped"],
        "enabled": ["on"],
        "disabled": ["off"],
        "paused": ["held", "stopped"],
        "deleted": ["gone"],
    }


async def test_a_name_that_many_take_again_at_once_stands_for_one_trigger(node: Nodes, store: Store):
    one, other = await node(store), await node()
    for _ in range(2):
        made = await asyncio.gather(
            *(each.service.register(HttpTrigger(name="hook", flow="report")) for each in [one, other] * 5)
        )
        assert len({each.id for each in made}) == 1
        await one.service.delete("hook")
    assert await one.service.list() == []
    assert len(await one.service.list(state="deleted")) == 2


async def test_invocations_of_several_processes_at_once_are_all_counted(node: Nodes, store: Store, clock: FakeClock):
    one, other = await node(store), await node()
    await one.service.register(HttpTrigger(name="hook", flow="report", input_schema=SCHEMA))
    begin = clock.now()
    await one.service.fire("hook", {"id": 0})
    clock.advance("1h")
    bodies = [b'{"id": 1}', b'{"id": "1"}', b"{}"] * 8
    await asyncio.gather(
        *(each.service.receive("hook", body, {}) for each, body in zip([one, other] * 12, bodies, strict=True))
    )
    counted = await other.service.statistics("hook")
    assert (counted.total, counted.executions) == (25, 9)
    assert counted.by_status == {"success": 9, "validation_failed": 16}
    assert counted.by_status == Counter(each.status for each in await one.service.history("hook"))
    assert (await one.service.statistics("hook", since=begin)).total == 25
    since = await one.service.statistics("hook", since=clock.now())
    assert (since.total, since.executions) == (24, 8)


async def test_a_call_for_which_no_flow_is_started_leaves_only_its_place_in_the_log(node: Nodes, store: Store):
    one = await node(store)
    await one.service.register(HttpTrigger(name="hook", flow="report"))
    too_large = b'"' + b"x" * 2_000_000 + b'"'
    received = await one.service.receive("hook", too_large, {})
    assert received.answer is Answer.TOO_LARGE
    assert await one.started() == 0
    [logged] = await one.service.history("hook")
    assert (logged.status, logged.error and logged.error["code"]) == ("error", "context_too_large")
    assert (await one.service.receive("hook", b"{}", {})).answer is Answer.STARTED
    assert (await one.service.statistics("hook")).by_status == {"error": 1, "success": 1}
