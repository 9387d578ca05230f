"""The service of triggers: what starts a flow, what is turned away, what stands in the log."""

import asyncio
import hashlib
import hmac
import json
import logging
from datetime import timedelta

import pytest

from detent import Delivery, InvalidValue, MemoryStore
from detent.errors import InstancePaused
from detent.flows import ContextLimits, UnknownFlow
from detent.service.triggers import Answer
from detent.triggers import (
    CronTrigger,
    EventTrigger,
    HttpTrigger,
    InputRefused,
    SecretMissing,
    TriggerDisabled,
    TriggerInvalid,
    TriggerUnavailable,
    UnknownTrigger,
)
from packages.core.tests.service.trigger_world import SCHEMA, signed, statuses

# ---------------------------------------------------------------------------------------------------- registering


async def test_a_trigger_registered_again_is_the_same_one(world):
    first = await world.service.register(HttpTrigger(name="hook", flow="order"))
    again = await world.service.register(HttpTrigger(name="hook", flow="order", context_key="data"))
    assert (first.created, again.created, first.id == again.id) == (True, False, True)
    assert (await world.service.get("hook")).trigger.context_key == "data"
    assert [one.name for one in await world.service.list()] == ["hook"]


async def test_many_processes_that_register_at_once_make_one_trigger(world):
    trigger = CronTrigger(name="nightly", flow="order", expression="0 3 * * *")
    made = await asyncio.gather(*(world.service.register(trigger) for _ in range(20)))
    assert len({one.id for one in made}) == 1
    assert len(await world.service.list()) == 1


async def test_a_trigger_for_a_flow_that_is_not_there_is_refused(world):
    with pytest.raises(UnknownFlow):
        await world.service.register(HttpTrigger(name="hook", flow="ordr"))
    assert await world.service.list() == []


@pytest.mark.parametrize("taken", [{"context_key": "error"}, {"static_context": {"$flow": 1}}])
async def test_keys_that_are_the_flows_own_are_refused(world, taken):
    with pytest.raises(TriggerInvalid) as raised:
        await world.service.register(HttpTrigger(name="hook", flow="order", **taken))
    assert [problem.code for problem in raised.value.problems] == ["reserved_key"]
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    with pytest.raises(TriggerInvalid):
        await world.service.update("hook", **taken)


async def test_a_name_stands_for_one_kind(world):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    with pytest.raises(TriggerInvalid, match="of kind 'http'"):
        await world.service.register(EventTrigger(name="hook", flow="order", topics=["order.*"]))


async def test_a_deleted_triggers_name_is_free_and_its_log_stays(world):
    first = await world.service.register(HttpTrigger(name="hook", flow="order"))
    await world.service.fire("hook")
    assert (await world.service.delete("hook")).state == "deleted"
    with pytest.raises(UnknownTrigger):
        await world.service.get("hook")
    second = await world.service.register(HttpTrigger(name="hook", flow="order"))
    assert second.id != first.id
    assert len(await world.service.history(first.id)) == 1
    assert await world.service.history("hook") == []
    assert (await world.service.receive(first.id, b"{}", {})).answer is Answer.UNKNOWN_TRIGGER


async def test_triggers_are_listed_by_kind_flow_and_state(world):
    await world.service.register(HttpTrigger(name="b", flow="order"))
    await world.service.register(CronTrigger(name="a", flow="order", expression="* * * * *", enabled=False))
    listed = world.service.list
    assert [one.name for one in await listed()] == ["a", "b"]
    assert [one.name for one in await listed(kind="cron")] == ["a"]
    assert [one.name for one in await listed(state="enabled")] == ["b"]
    assert await listed(flow="other") == []


async def test_an_update_changes_what_it_names(world):
    await world.service.register(CronTrigger(name="a", flow="order", expression="0 * * * *"))
    changed = await world.service.update("a", expression="30 * * * *", static_context={"x": 1})
    assert (changed.next_at.minute, changed.trigger.static_context) == (30, {"x": 1})
    with pytest.raises(TriggerInvalid):
        await world.service.update("a", expression="nonsense")
    with pytest.raises(InvalidValue, match="cannot be changed"):
        await world.service.update("a", kind="http")


@pytest.mark.parametrize("name", ["nobody", "0190b7c4-0000-7000-8000-000000000000"])
async def test_what_is_not_there_is_unknown(world, name):
    with pytest.raises(UnknownTrigger):
        await world.service.fire(name)


async def test_an_instance_of_another_workflow_is_no_trigger(world):
    shop = await world.workflows.create_instance("shop")
    with pytest.raises(UnknownTrigger):
        await world.service.get(shop.id)


# ---------------------------------------------------------------------------------------------------- webhooks


async def test_a_call_starts_the_flow_with_its_body_and_the_static_context(world):
    await world.service.register(
        HttpTrigger(name="hook", flow="order", context_key="data", static_context={"shop": "a"})
    )
    received = await world.service.receive("hook", b'{"id": 1}', {})
    assert received.answer is Answer.STARTED
    assert await world.contexts() == [{"shop": "a", "data": {"id": 1}}]
    execution = await world.flows.run(received.execution_id)
    assert (execution.status, execution.context["seen"]["data"]) == ("completed", {"id": 1})


async def test_an_execution_tells_which_trigger_started_it(world):
    hook = await world.service.register(HttpTrigger(name="hook", flow="order"))
    await world.service.receive("hook", b"{}", {})
    [execution] = await world.executions()
    assert execution.metadata == {"trigger": "hook", "trigger_id": str(hook.id)}
    [created] = await world.workflows.get_history(execution.id)
    assert created.trigger_metadata["trigger"] == "hook"


async def test_an_unknown_trigger_and_one_without_a_door_are_told_apart(world):
    await world.service.register(CronTrigger(name="nightly", flow="order", expression="0 3 * * *"))
    assert (await world.service.receive("nobody", b"{}", {})).answer is Answer.UNKNOWN_TRIGGER
    assert (await world.service.receive("nightly", b"{}", {})).answer is Answer.NOT_HTTP


async def test_a_disabled_trigger_turns_calls_away_and_logs_them(world):
    await world.service.register(HttpTrigger(name="hook", flow="order", enabled=False))
    assert (await world.service.receive("hook", b'{"id": 1}', {})).answer is Answer.DISABLED
    await world.service.enable("hook")
    assert (await world.service.receive("hook", b'{"id": 2}', {})).answer is Answer.STARTED
    await world.service.disable("hook")
    assert (await world.service.receive("hook", b'{"id": 3}', {})).answer is Answer.DISABLED
    assert await statuses(world, "hook") == ["disabled", "success", "disabled"]


async def test_an_invalid_body_is_told_with_path_message_and_keyword_and_logged(world):
    await world.service.register(HttpTrigger(name="hook", flow="order", input_schema=SCHEMA))
    received = await world.service.receive("hook", b'{"id": "x"}', {})
    assert received.answer is Answer.INVALID
    [error] = received.errors
    assert (error.path, error.message, error.keyword) == ("id", "'x' is not of type 'integer'", "type")
    [logged] = await world.service.history("hook")
    assert (logged.status, logged.errors, logged.body) == ("validation_failed", received.errors, {"id": "x"})
    assert await world.executions() == []


@pytest.mark.parametrize("body", [b"{", b"\xff", b"NaN", b'{"a": "\\u0000"}', b"[" * 100 + b"]" * 100])
async def test_a_body_that_is_no_json_is_invalid(world, body):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    received = await world.service.receive("hook", body, {})
    assert [error.keyword for error in received.errors] == ["json"]


async def test_where_a_body_is_no_json_is_told_from_its_root(world):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    for body, path in ((b'{"items": [{"name": "\\u0000"}]}', "items[0].name"), (b"{", ""), (b'"\\u0000"', "")):
        [error] = (await world.service.receive("hook", body, {})).errors
        assert (error.path, error.keyword) == (path, "json")


async def test_a_body_that_is_nested_deeper_than_the_flow_or_the_log_takes_is_answered(world):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    answers = [(await world.service.receive("hook", b"[" * n + b"]" * n, {})).answer for n in (31, 32)]
    assert answers == [Answer.TOO_LARGE, Answer.INVALID]
    assert await statuses(world, "hook") == ["error", "validation_failed"]


async def test_a_secret_that_its_scheme_cannot_use_is_our_fault(opened):
    async with opened(secrets={"standard": "whsec_!", "blank": "", "nothing": "whsec_"}) as world:
        world.service.open_door("http")
        for secret in ("standard", "blank", "nothing"):
            signature = {"scheme": "standard", "secret": secret}
            await world.service.register(HttpTrigger(name=secret, flow="order", signature=signature))
            headers = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
            with pytest.raises(SecretMissing, match=f"needs the secret '{secret}': what was given holds"):
                await world.service.receive(secret, b"{}", headers)
        assert {problem.code for problem in await world.service.problems()} == {"trigger_secret_missing"}


async def test_an_empty_body_is_null(world):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    await world.service.receive("hook", b"", {})
    assert await world.contexts() == [{"body": None}]


async def test_a_signature_is_verified_over_the_bytes_that_came(world):
    signature = {"scheme": "github", "secret": "github"}
    await world.service.register(HttpTrigger(name="hook", flow="order", signature=signature))
    body = b'{ "id" :1}'
    assert (await world.service.receive("hook", body, signed(body))).answer is Answer.STARTED
    assert (await world.service.receive("hook", b'{"id":1}', signed(body))).answer is Answer.UNAUTHORIZED
    assert (await world.service.receive("hook", body, {})).answer is Answer.UNAUTHORIZED
    log = await world.service.history("hook")
    assert [one.status for one in log] == ["unauthorized", "unauthorized", "success"]
    assert [one.error and one.error["code"] for one in log] == ["signature_missing", "signature_wrong", None]
    assert [one.body for one in log] == [None, None, {"id": 1}], "strangers do not write bodies into the log"


async def test_the_replay_window_is_counted_from_the_arrival(opened, clock):
    secret = "whsec_test"
    async with opened(secrets={"stripe": ["whsec_old", secret]}) as world:
        signature = {"scheme": "stripe", "secret": "stripe", "tolerance": "1m"}
        await world.service.register(HttpTrigger(name="hook", flow="order", signature=signature))
        second = int(clock.now().timestamp())
        right = hmac.new(secret.encode(), f"{second}.".encode() + b"{}", hashlib.sha256).hexdigest()
        headers = {"Stripe-Signature": f"t={second},v1={right}"}
        assert (await world.service.receive("hook", b"{}", headers)).answer is Answer.STARTED
        late = clock.now() + timedelta(minutes=2)
        assert (await world.service.receive("hook", b"{}", headers, late)).answer is Answer.UNAUTHORIZED


async def test_a_secret_is_named_and_never_stored(world):
    signature = {"scheme": "github", "secret": "github"}
    hook = await world.service.register(HttpTrigger(name="hook", flow="order", signature=signature))
    await world.service.receive("hook", b"{}", signed(b"{}"))
    instance = await world.workflows.get_instance(hook.id)
    history = await world.workflows.get_history(hook.id)
    assert "s3cret" not in json.dumps([instance.context, *(entry.payload for entry in history)])


async def test_a_secret_that_is_missing_is_named(world):
    await world.service.register(
        HttpTrigger(name="hook", flow="order", signature={"scheme": "github", "secret": "other"})
    )
    with pytest.raises(SecretMissing, match="'hook' needs the secret 'other'"):
        await world.service.receive("hook", b"{}", signed(b"{}"))


@pytest.mark.parametrize(
    ("source", "headers", "body"),
    [
        ({"header": "X-GitHub-Delivery"}, {"x-github-delivery": "d-1"}, b"{}"),
        ({"path": "event.id"}, {}, b'{"event": {"id": "d-1"}}'),
    ],
)
async def test_the_same_call_starts_one_execution(world, source, headers, body):
    await world.service.register(HttpTrigger(name="hook", flow="order", idempotency_from=source))
    first, again = [await world.service.receive("hook", body, headers) for _ in range(2)]
    assert (first.answer, again.answer) == (Answer.STARTED, Answer.KNOWN)
    assert first.execution_id == again.execution_id
    assert await statuses(world, "hook") == ["success", "duplicate"]
    assert (await world.service.receive("hook", b"{}", {})).errors[0].keyword == "idempotency"


async def test_two_triggers_with_one_key_are_two_executions(world):
    for name in ("a", "b"):
        await world.service.register(HttpTrigger(name=name, flow="order", idempotency_from={"header": "id"}))
        assert (await world.service.receive(name, b"{}", {"id": "1"})).answer is Answer.STARTED


async def test_a_body_beyond_the_flows_limits_is_too_large(opened):
    async with opened(limits=ContextLimits(value_bytes=100)) as world:
        await world.service.register(HttpTrigger(name="hook", flow="order"))
        received = await world.service.receive("hook", json.dumps({"x": "y" * 200}).encode(), {})
        assert received.answer is Answer.TOO_LARGE
        assert await statuses(world, "hook") == ["error"]


async def test_a_call_of_a_paused_trigger_is_to_come_again(world):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    assert (await world.service.pause("hook")).state == "paused"
    assert (await world.service.receive("hook", b"{}", {})).answer is Answer.PAUSED
    await world.service.resume("hook")
    assert (await world.service.receive("hook", b"{}", {})).answer is Answer.STARTED


async def test_bodies_and_rejections_are_left_out_of_the_log_where_nobody_wants_them(world):
    await world.service.register(
        HttpTrigger(name="hook", flow="order", input_schema=SCHEMA, log_bodies=False, log_rejections=False)
    )
    await world.service.receive("hook", b'{"id": 4711}', {})
    await world.service.receive("hook", b'{"id": "secret"}', {})
    hook = await world.service.get("hook")
    [logged] = await world.service.history("hook")
    assert (logged.status, logged.body) == ("success", None)
    assert "4711" not in repr(await world.workflows.get_history(hook.id))


async def test_what_a_body_says_is_not_in_the_log_in_the_words_of_an_error_either(world):
    await world.service.register(HttpTrigger(name="hook", flow="order", input_schema=SCHEMA, log_bodies=False))
    received = await world.service.receive("hook", b'{"id": "4711"}', {})
    assert "4711" in received.errors[0].message
    [logged] = await world.service.history("hook")
    assert [(error.path, error.keyword) for error in logged.errors] == [("id", "type")]
    assert "4711" not in repr(await world.workflows.get_history((await world.service.get("hook")).id))


async def test_what_is_fired_by_hand_meets_the_schema_too(world):
    await world.service.register(HttpTrigger(name="hook", flow="order", input_schema=SCHEMA))
    with pytest.raises(InputRefused) as raised:
        await world.service.fire("hook", {})
    assert raised.value.errors[0].keyword == "required"
    fired = await world.service.fire("hook", {"id": 1}, idempotency_key="a")
    assert (await world.service.fire("hook", {"id": 1}, idempotency_key="a")).execution_id == fired.execution_id


async def test_a_disabled_trigger_is_not_fired_by_hand(world):
    await world.service.register(HttpTrigger(name="hook", flow="order", enabled=False))
    with pytest.raises(TriggerDisabled, match="'hook' is disabled"):
        await world.service.fire("hook")


# ---------------------------------------------------------------------------------------------------- tenants


async def test_a_triggers_tenant_is_its_executions_tenant(world):
    await world.service.register(HttpTrigger(name="hook", flow="order", tenant="acme"))
    received = await world.service.for_tenant("acme").receive("hook", b"{}", {})
    [execution] = await world.executions()
    assert (execution.id, execution.tenant) == (received.execution_id, "acme")


async def test_another_tenants_trigger_is_not_there(world):
    hook = await world.service.register(HttpTrigger(name="hook", flow="order", tenant="acme"))
    other = world.service.for_tenant("other")
    assert (await other.receive(hook.id, b"{}", {})).answer is Answer.UNKNOWN_TRIGGER
    assert await other.list() == []
    own = await other.register(HttpTrigger(name="hook", flow="order"))
    assert (own.tenant, own.trigger.tenant, own.created) == ("other", "other", True)


async def test_a_name_stands_for_one_trigger_of_each_tenant_and_one_of_nobody(world):
    made = {}
    for tenant in ("acme", None, "other"):
        made[tenant] = (await world.service.register(HttpTrigger(name="hook", flow="order", tenant=tenant))).id
    assert len(set(made.values())) == 3
    assert (await world.service.get("hook")).id == made[None]
    assert (await world.service.for_tenant("acme").get("hook")).id == made["acme"]
    await world.service.delete("hook")
    with pytest.raises(UnknownTrigger):
        await world.service.get("hook")
    assert (await world.service.for_tenant("other").get("hook")).id == made["other"]


async def test_a_service_for_one_tenant_does_not_narrow_what_others_start(world):
    await world.service.register(CronTrigger(name="a", flow="order", expression="* * * * *", tenant="acme"))
    world.service.for_tenant("other")
    fired = await world.service.for_tenant("acme").fire("a")
    assert (await world.workflows.get_instance(fired.execution_id)).tenant == "acme"


# ---------------------------------------------------------------------------------------------------- schedules


async def test_a_schedule_fires_once_per_instant_and_tells_which(world, clock):
    await world.service.register(
        CronTrigger(name="often", flow="order", expression="*/5 * * * *", context_key="when", static_context={"a": 1})
    )
    for _ in range(3):
        clock.advance("5m")
        assert (await world.runtime.process_timeouts()).processed == 1
    assert [one["when"]["scheduled_at"][11:16] for one in await world.contexts()] == ["12:05", "12:10", "12:15"]
    log = await world.service.history("often")
    assert [one.source for one in log] == ["cron"] * 3
    assert (await world.service.get("often")).next_at.minute == 20


async def test_the_zone_of_the_book_is_that_of_schedules_that_name_none(opened):
    async with opened(timezone="Europe/Berlin") as world:
        daily = await world.service.register(CronTrigger(name="daily", flow="order", expression="0 9 * * *"))
        assert (daily.next_at.hour, daily.trigger.timezone) == (8, "Europe/Berlin")


@pytest.mark.parametrize(("policy", "fired"), [("skip", []), ("once", ["12:30"]), ("all", ["12:10", "12:20", "12:30"])])
async def test_what_was_missed_follows_the_policy(world, clock, policy, fired):
    await world.service.register(
        CronTrigger(name="c", flow="order", expression="*/10 * * * *", misfire=policy, context_key="w")
    )
    clock.advance("35m")
    await world.runtime.process_timeouts()
    assert [one["w"]["scheduled_at"][11:16] for one in await world.contexts()] == fired
    assert (await statuses(world, "c")) == (["success"] if fired else ["skipped"])
    clock.advance("5m")
    await world.runtime.process_timeouts()
    assert (await world.contexts())[-1]["w"]["scheduled_at"][11:16] == "12:40"


async def test_more_than_one_commit_takes_is_fired_in_several(world, clock):
    await world.service.register(CronTrigger(name="c", flow="order", expression="* * * * *", misfire="all"))
    clock.advance("250m")
    report = await world.runtime.process_timeouts()
    assert (report.processed, len(await world.executions())) == (3, 250)
    assert (await world.service.get("c")).next_at == clock.now() + timedelta(minutes=1)


async def test_what_falls_due_while_it_is_disabled_is_forgotten(world, clock):
    await world.service.register(CronTrigger(name="c", flow="order", expression="*/10 * * * *", misfire="all"))
    await world.service.disable("c")
    clock.advance("35m")
    await world.service.enable("c")
    assert (await world.runtime.process_timeouts()).processed == 0
    assert (await world.service.get("c")).next_at.minute == 40


async def test_what_falls_due_while_it_is_paused_is_missed(world, clock):
    await world.service.register(CronTrigger(name="c", flow="order", expression="*/10 * * * *", misfire="all"))
    await world.service.pause("c", "maintenance")
    clock.advance("35m")
    assert (await world.runtime.process_timeouts()).processed == 0
    await world.service.resume("c")
    await world.runtime.process_timeouts()
    assert len(await world.executions()) == 3


async def test_a_registration_that_changes_no_times_keeps_what_was_missed(world, clock):
    def trigger(**more):
        return CronTrigger(name="c", flow="order", expression="*/10 * * * *", misfire="all", **more)

    await world.service.register(trigger())
    clock.advance("25m")
    await world.service.register(trigger(static_context={"release": 2}))
    await world.runtime.process_timeouts()
    assert await world.contexts() == [{"release": 2}] * 2


async def test_a_backfill_starts_what_was_not_fired_and_nothing_twice(world, clock):
    await world.service.register(CronTrigger(name="c", flow="order", expression="*/10 * * * *"))
    begin = clock.now()
    clock.advance("10m")
    await world.runtime.process_timeouts()
    clock.advance("20m")
    made = await world.service.backfill("c", begin, clock.now())
    assert [one.created for one in made] == [True, False, True]
    again = await world.service.backfill("c", begin, clock.now())
    assert [one.execution_id for one in again] == [one.execution_id for one in made]
    assert len(await world.executions()) == 3
    assert await statuses(world, "c") == ["success", "success", "duplicate"]


async def test_a_backfill_has_bounds(world, clock):
    await world.service.register(CronTrigger(name="c", flow="order", expression="* * * * * *"))
    await world.service.register(HttpTrigger(name="h", flow="order"))
    with pytest.raises(InvalidValue, match="more than 10,000"):
        await world.service.backfill("c", clock.now(), clock.now() + timedelta(days=1))
    with pytest.raises(InvalidValue, match="still to come"):
        await world.service.backfill("c", clock.now(), clock.now() + timedelta(minutes=1))
    with pytest.raises(InvalidValue, match="no schedule"):
        await world.service.backfill("h", clock.now(), clock.now())


async def test_a_fault_that_would_come_again_is_logged_and_the_schedule_goes_on(opened, clock):
    async with opened(limits=ContextLimits(value_bytes=10)) as world:
        await world.service.register(
            CronTrigger(name="c", flow="order", expression="*/10 * * * *", static_context={"large": "x" * 20})
        )
        for _ in range(2):
            clock.advance("10m")
            assert (await world.runtime.process_timeouts()).processed == 1
        log = await world.service.history("c")
        assert [(one.status, one.error["code"]) for one in log] == [("error", "context_too_large")] * 2


async def test_a_process_without_the_flow_leaves_the_instant_to_others(opened, clock):
    store = MemoryStore()
    async with opened(store=store) as world:
        await world.service.register(CronTrigger(name="c", flow="order", expression="*/10 * * * *", misfire="all"))
        clock.advance("10m")
    async with opened(store=store, handlers=()) as elsewhere:
        for _ in range(15):
            assert (await elsewhere.runtime.process_timeouts()).parked == 0
            clock.advance("10h")
        codes = {problem.code for problem in await elsewhere.service.problems()}
        assert codes == {"unknown_flow", "overdue"}
        assert set(await statuses(elsewhere, "c")) == {"flow_not_found"}
    async with opened(store=store) as world:
        await world.runtime.process_timeouts(limit=1)
        assert len(await world.executions()) == 100


async def test_fired_while_nothing_is_bound_it_names_the_trigger_and_is_tried_again(opened, clock, caplog):
    store = MemoryStore()
    async with opened(store=store) as world:
        made = await world.service.register(
            CronTrigger(name="nightly", flow="order", expression="*/10 * * * *", misfire="all")
        )
        clock.advance("10m")
    async with opened(store=store, bound=False) as runtime:
        with caplog.at_level(logging.WARNING):
            for _ in range(15):
                await runtime.process_timeouts()
                clock.advance("10h")
        assert "trigger 'nightly' cannot start 'order': no TriggerService was made here" in caplog.text
        [timer] = (await runtime.get_instance(made.id)).timers
        assert not timer.parked
    async with opened(store=store) as world:
        await world.runtime.process_timeouts(limit=1)
        assert len(await world.executions()) == 100


# ---------------------------------------------------------------------------------------------------- events


async def test_a_message_starts_the_flow_once(world):
    await world.service.register(EventTrigger(name="paid", flow="order", topics=["order.*"]))
    await world.service.register(EventTrigger(name="other", flow="order", topics=["invoice.*"]))
    shop = await world.workflows.create_instance("shop")
    await world.workflows.trigger_event(shop.id, "sell", payload={"id": 7})
    await world.runtime.process_outbox()
    assert await world.contexts() == [{"event": {"id": 7}}]
    [execution] = await world.executions()
    assert execution.metadata["topic"] == "order.paid"


async def test_a_message_that_is_delivered_again_starts_nothing(world):
    await world.service.register(EventTrigger(name="paid", flow="order", topics=["order.paid"]))
    shop = await world.workflows.create_instance("shop")
    await world.workflows.trigger_event(shop.id, "sell", payload={"id": 7})
    heard: list[Delivery] = []
    world.triggers.bind(world.triggers.starter, lambda delivery: _twice(world, delivery, heard))
    await world.runtime.process_outbox()
    assert (len(heard), len(await world.executions())) == (2, 1)
    assert await statuses(world, "paid") == ["success", "duplicate"]


async def _twice(world, delivery, heard):
    for _ in range(2):
        heard.append(delivery)
        await world.service.hear(delivery)


async def test_a_trigger_that_cannot_take_a_message_keeps_no_other_from_it(world):
    for name in ("one", "two", "three"):
        await world.service.register(EventTrigger(name=name, flow="order", topics=("order.*",)))
    await world.service.pause("one")
    shop = await world.workflows.create_instance("shop")
    await world.workflows.trigger_event(shop, "sell", payload={"id": 1})
    await world.runtime.process_outbox()
    assert len(await world.executions()) == 2
    await world.service.resume("one")
    clock = world.runtime.running().parts.clock
    clock.advance("1h")
    await world.runtime.process_outbox()
    assert len(await world.executions()) == 3


async def test_a_trigger_that_cannot_be_read_keeps_no_other_from_a_message(world):
    for name in ("broken", "sound"):
        await world.service.register(EventTrigger(name=name, flow="order", topics=["order.*"]))
    await break_(world, "broken")
    shop = await world.workflows.create_instance("shop")
    await world.workflows.trigger_event(shop, "sell", payload={"id": 1})
    await world.runtime.process_outbox()
    assert [one.metadata["trigger"] for one in await world.executions()] == ["sound"]
    assert ("broken", "unreadable") in {(one.path, one.code) for one in await world.service.problems()}
    assert [one.name for one in await world.service.list()] == ["sound"]
    await world.service.register(EventTrigger(name="broken", flow="order", topics=["order.*"]))
    assert await world.service.problems() == []


async def break_(world, name):
    """As if it was written where more is installed than here."""
    made = await world.service.get(name)
    kept = (await world.workflows.get_instance(made.id)).context["trigger"]
    await world.workflows.patch_context(made.id, {"trigger": kept | {"input_schema": {"type": "unheard of"}}})


async def test_two_who_change_a_trigger_at_once_undo_nothing_of_each_other(world):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    await asyncio.gather(
        world.service.update("hook", description="a hook"),
        world.service.update("hook", static_context={"by": "hook"}),
        world.service.update("hook", context_key="data"),
    )
    read = (await world.service.get("hook")).trigger
    assert (read.description, read.static_context, read.context_key) == ("a hook", {"by": "hook"}, "data")


async def test_what_messages_start_is_not_in_the_name_of_whoever_asked_last(world):
    await world.service.register(EventTrigger(name="paid", flow="order", topics=("order.*",)))
    await world.service.acting(actor="ana").list()
    shop = await world.workflows.create_instance("shop")
    await world.workflows.trigger_event(shop, "sell", payload={"id": 1})
    await world.runtime.process_outbox()
    [execution] = await world.executions()
    [*_, created] = await world.workflows.get_history(execution)
    assert "actor" not in created.trigger_metadata


async def test_messages_of_a_tenant_start_its_own_executions(world):
    await world.service.register(EventTrigger(name="all", flow="order", topics=["order.paid"]))
    await world.service.register(EventTrigger(name="acmes", flow="order", topics=["order.paid"], tenant="acme"))
    for tenant in ("acme", "other"):
        shop = await world.workflows.create_instance("shop", tenant=tenant)
        await world.workflows.trigger_event(shop.id, "sell", payload={})
    await world.runtime.process_outbox()
    started = sorted((one.metadata["trigger"], one.tenant) for one in await world.executions())
    assert started == [("acmes", "acme"), ("all", "acme"), ("all", "other")]


async def test_a_message_that_does_not_meet_the_schema_is_logged(world):
    await world.service.register(EventTrigger(name="paid", flow="order", topics=["order.paid"], input_schema=SCHEMA))
    shop = await world.workflows.create_instance("shop")
    await world.workflows.trigger_event(shop.id, "sell", payload={"id": "x"})
    await world.runtime.process_outbox()
    assert (await statuses(world, "paid"), await world.executions()) == (["validation_failed"], [])


# ---------------------------------------------------------------------------------------------------- log, warnings


async def test_history_is_read_page_by_page(world):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    for number in range(5):
        await world.service.fire("hook", number)
    first = await world.service.history("hook", limit=3)
    rest = await world.service.history("hook", limit=3, before=first[-1].sequence)
    assert [one.body for one in [*first, *rest]] == [4, 3, 2, 1, 0]


async def test_a_failed_start_stands_in_the_log_and_in_the_answer(world, monkeypatch):
    async def gone(wanted, connection):
        raise TriggerUnavailable(wanted.trigger.name, wanted.trigger.flow, "it is gone", hint="save it")

    await world.service.register(HttpTrigger(name="hook", flow="order"))
    monkeypatch.setattr(world.triggers.starter, "start", gone)
    assert (await world.service.receive("hook", b"{}", {})).answer is Answer.FLOW_NOT_FOUND
    assert await statuses(world, "hook") == ["flow_not_found"]


async def test_triggers_that_cannot_fire_here_are_warned_of_by_name(opened, clock, caplog):
    async with opened(topics=["order.*"]) as world:
        with caplog.at_level(logging.WARNING):
            await world.service.register(EventTrigger(name="deaf", flow="order", topics=["invoice.*"]))
        assert "trigger 'deaf' waits for 'invoice.*'" in caplog.text
        await world.service.register(
            HttpTrigger(name="hook", flow="order", signature={"scheme": "github", "secret": "gh"})
        )
        await world.service.register(CronTrigger(name="late", flow="order", expression="* * * * *"))
        clock.advance("1h")
        with caplog.at_level(logging.WARNING):
            found = await world.service.check(worker=False)
        assert {(problem.path, problem.code) for problem in found} == {
            ("deaf", "topic_not_heard"),
            ("deaf", "no_worker"),
            ("hook", "no_door"),
            ("hook", "trigger_secret_missing"),
            ("late", "overdue"),
            ("late", "no_worker"),
        }
        assert "trigger 'late' was due" in caplog.text


async def test_a_schedule_that_is_tried_in_vain_is_warned_of_however_far_its_timer_was_put_off(opened, clock):
    store = MemoryStore()
    async with opened(store=store) as world:
        await world.service.register(CronTrigger(name="c", flow="order", expression="0 0 1 1 *"))
        clock.advance("365d")
    async with opened(store=store, handlers=()) as elsewhere:
        for _ in range(3):
            await elsewhere.runtime.process_timeouts()
            clock.advance("3m")
        await elsewhere.runtime.process_timeouts()
        found = {problem.code: problem.message for problem in await elsewhere.service.problems()}
        assert "was tried in vain: trigger 'c' cannot start 'order'" in found["overdue"]


async def test_what_is_registered_after_the_check_is_warned_of_by_name_as_well(world, caplog):
    nightly = CronTrigger(name="nightly", flow="order", expression="0 3 * * *")
    with caplog.at_level(logging.WARNING):
        await world.service.register(nightly)
        assert caplog.text == ""
        await world.service.check(worker=False)
        caplog.clear()
        await world.service.register(nightly)
        await world.service.register(HttpTrigger(name="hook", flow="order"))
        await world.service.register(HttpTrigger(name="off", flow="order", enabled=False))
    assert [record.message.partition(",")[0] for record in caplog.records] == [
        "trigger 'nightly' is fired by a worker",
        "trigger 'hook' is called over HTTP",
    ]


async def test_nothing_is_warned_of_where_all_is_there(opened):
    async with opened(secrets={"gh": "x"}) as world:
        world.service.open_door("http")
        await world.service.register(
            HttpTrigger(name="hook", flow="order", signature={"scheme": "github", "secret": "gh"})
        )
        await world.service.register(CronTrigger(name="c", flow="order", expression="* * * * *"))
        assert await world.service.check(worker=True) == []


async def test_a_paused_triggers_firing_by_hand_is_refused(world):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    await world.service.pause("hook")
    with pytest.raises(InstancePaused):
        await world.service.fire("hook")


async def test_a_schedule_that_was_given_up_goes_on_when_it_is_enabled(world, clock, monkeypatch):
    async def broken(wanted, connection):
        raise ZeroDivisionError("a mistake")

    await world.service.register(CronTrigger(name="c", flow="order", expression="*/10 * * * *"))
    with monkeypatch.context() as broken_starter:
        broken_starter.setattr(world.triggers.starter, "start", broken)
        for _ in range(15):
            clock.advance("10h")
            await world.runtime.process_timeouts()
    assert [problem.code for problem in await world.service.problems()] == ["parked"]
    assert (await world.service.get("c")).parked == "a mistake"
    assert (await world.service.enable("c")).parked is None
    await world.runtime.process_timeouts()
    assert len(await world.executions()) == 1
