"""The door of HTTP triggers: off by default, with a policy, and told in the words of HTTP."""

import hashlib
import hmac
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from litestar import Litestar
from litestar.exceptions import ImproperlyConfiguredException, PermissionDeniedException
from litestar.middleware.rate_limit import RateLimitConfig

from detent import WorkflowService
from detent.errors import NotStarted
from detent.flows import ContextLimits, Flow, FlowBook, Step, handler, success
from detent.service.http.operations import ACTION
from detent.service.trigger_book import TriggerBook
from detent.service.triggers import TriggerService
from detent.testing import FakeClock
from detent.triggers import CronTrigger, HttpTrigger, Trigger
from detent_litestar import AllowAll, Webhooks, WorkerConfig, WorkflowConfig, WorkflowPlugin


@handler("keep", targets=False)
async def keep(ctx, input):
    return success(input)


ORDER = Flow("order", initial_step_id="keep", steps={"keep": Step("keep", input={"full": True}, output_key="seen")})


@pytest.fixture
def hooked(configured, serve):
    """Starts an application with webhooks: `async with hooked(...) as (client, triggers)`."""

    class Hooked:
        def __init__(self, *triggers: Trigger, app: Mapping[str, Any] | None = None, **options: Any) -> None:
            options = {"policy": AllowAll()} | options
            book = FlowBook(flows=[ORDER], handlers=[keep], limits=ContextLimits(value_bytes=10_000))
            declared = TriggerBook()
            config = configured(
                controllers=None,
                definitions=[*book.definitions, *declared.definitions],
                commands=[*book.commands, *declared.commands],
                guards=[],
                triggers=lambda workflows: TriggerService(workflows, book, declared, secrets={"github": "s3cret"}),
                webhooks=Webhooks(**options) if options["policy"] else Webhooks(**{**options, "policy": None}),
            )
            self.plugin = WorkflowPlugin(config)
            self.app = Litestar(logging_config=None, plugins=[self.plugin], **(app or {}))
            self.triggers = triggers

        async def __aenter__(self):
            self.serving = serve(self.app)
            client = await self.serving.__aenter__()
            for trigger in self.triggers:
                await self.plugin.triggers.register(trigger)
            return client, self.plugin.triggers

        async def __aexit__(self, *error: object) -> None:
            await self.serving.__aexit__(*error)

    return Hooked


def test_a_door_needs_a_policy_and_triggers():
    with pytest.raises(ImproperlyConfiguredException, match="need a policy"):
        Webhooks()
    with pytest.raises(ImproperlyConfiguredException, match="not both"):
        Webhooks(guards=[lambda connection, handler: None], policy=AllowAll())
    with pytest.raises(ImproperlyConfiguredException, match="TriggerService"):
        WorkflowConfig(webhooks=Webhooks(policy=AllowAll()))


async def test_a_call_starts_an_execution_and_the_same_call_finds_it(hooked):
    hook = HttpTrigger(name="hook", flow="order", idempotency_from={"header": "X-Delivery"})
    async with hooked(hook) as (client, triggers):
        first = await client.post("/webhooks/hook", json={"id": 1}, headers={"X-Delivery": "a"})
        again = await client.post("/webhooks/hook", json={"id": 1}, headers={"X-Delivery": "a"})
        by_id = await client.post(f"/webhooks/{(await triggers.get('hook')).id}", json={}, headers={"X-Delivery": "b"})
        assert (await triggers.statistics("hook")).by_status == {"success": 2, "duplicate": 1}
    assert (first.status_code, again.status_code, by_id.status_code) == (201, 200, 201)
    assert first.json() == {"execution_id": again.json()["execution_id"], "created": True}


async def test_the_signature_is_over_the_bytes_that_came(hooked):
    body = b'{ "id" : 1 }'
    right = "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    signature = {"scheme": "github", "secret": "github"}
    async with hooked(HttpTrigger(name="hook", flow="order", signature=signature)) as (client, _):
        answer = await client.post("/webhooks/hook", content=body, headers={"X-Hub-Signature-256": right})
    assert answer.status_code == 201


async def test_a_missing_secret_is_our_fault_and_not_told(hooked, caplog):
    signature = {"scheme": "github", "secret": "elsewhere"}
    async with hooked(HttpTrigger(name="hook", flow="order", signature=signature)) as (client, _):
        answer = await client.post("/webhooks/hook", json={})
    assert (answer.status_code, answer.json()["code"]) == (500, "trigger_secret_missing")
    assert "elsewhere" not in answer.text
    assert "needs the secret 'elsewhere'" in caplog.text


async def test_guards_stand_before_the_triggers(hooked):
    def only_webhooks(connection: Any, route: Any) -> None:
        if connection.headers.get("x-key") != "k" or route.opt[ACTION] != "webhook":
            raise PermissionDeniedException("who are you")

    async with hooked(HttpTrigger(name="hook", flow="order"), policy=None, guards=[only_webhooks], info=True) as (
        client,
        triggers,
    ):
        turned_away = await client.post("/webhooks/hook", json={})
        let_in = await client.post("/webhooks/hook", json={}, headers={"x-key": "k"})
        info = await client.get("/webhooks/hook", headers={"x-key": "k"})
        assert (await triggers.statistics("hook")).total == 1
    assert (turned_away.status_code, let_in.status_code, info.status_code) == (403, 201, 403)


async def test_middleware_stands_around_these_routes(hooked):
    limited = RateLimitConfig(rate_limit=("minute", 1)).middleware
    async with hooked(HttpTrigger(name="hook", flow="order"), middleware=[limited]) as (client, _):
        answers = [await client.post("/webhooks/hook", json={}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 429]


async def test_openapi_describes_the_door(hooked):
    async with hooked(path="/hooks", info=True) as (client, _):
        schema = (await client.get("/schema/openapi.json")).json()
    call = schema["paths"]["/hooks/{trigger}"]["post"]
    assert call["operationId"] == "webhooks_receive"
    assert set(call["responses"]) == {"200", "201", "400", "401", "403", "404", "413", "500", "503"}


async def test_triggers_that_cannot_fire_are_warned_of_at_the_start(hooked, configured, caplog):
    world = hooked(
        HttpTrigger(name="hook", flow="order"), CronTrigger(name="nightly", flow="order", expression="0 3 * * *")
    )
    async with world:
        pass
    with caplog.at_level(logging.WARNING):
        async with world:
            pass
    assert "'nightly' is fired by a worker, and this process has none" in caplog.text
    assert "'hook'" not in caplog.text


async def test_a_schedule_fires_in_an_application_with_a_worker(serve, configured):
    book, declared = FlowBook(flows=[ORDER], handlers=[keep]), TriggerBook()
    made: list[TriggerService] = []
    clock = FakeClock()

    def triggers(workflows: WorkflowService) -> TriggerService:
        made.append(TriggerService(workflows, book, declared))
        return made[-1]

    config = configured(
        controllers=None,
        definitions=[*book.definitions, *declared.definitions],
        commands=[*book.commands, *declared.commands],
        guards=[],
        triggers=triggers,
        # The test fires what is due, so that it need not wait for the worker to look.
        worker=WorkerConfig(timeouts=False),
        clock=clock,
    )
    plugin = WorkflowPlugin(config)
    with pytest.raises(NotStarted):
        _ = plugin.triggers
    async with serve(Litestar(logging_config=None, plugins=[plugin])):
        await plugin.triggers.register(CronTrigger(name="often", flow="order", expression="* * * * *"))
        service = WorkflowService(plugin.runtime)
        clock.advance("1m")
        await service.process_timeouts()
        [execution] = await service.find_instances(workflow="order")
        assert (await service.wait(execution.id, completed=True)).status == "completed"
        assert plugin.triggers is made[0]
