"""Whatever a client can bring about by a request is told with its own status and code, and never as a fault of the server."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
from litestar import Litestar, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from detent import (
    CommandContext,
    Fail,
    GuardContext,
    MemoryStore,
    Refuse,
    Settings,
    WorkflowDefinition,
    WorkflowRuntime,
    WorkflowService,
    command,
    guard,
)
from detent.errors import OutcomeUnknown, StoreUnavailable
from detent.ids import new_id
from detent_litestar import WorkflowPlugin

INSTANCES = "/workflows/instances"
JSON = {"Content-Type": "application/json"}

CLAIM = {
    "name": "claim",
    "initial_state": "open",
    "states": {
        "open": {
            "events": {
                "close": {"target": "closed"},
                "count": {"target": "open", "payload": {"type": "object", "required": ["n"]}},
                "deny": {"target": "closed", "guard": "never"},
                "pay": {"target": "closed", "commands": ["pay"]},
                "hold": {"target": "open", "commands": ["hold"]},
            }
        },
        "closed": {},
    },
}
UNBORN = {
    "name": "unborn",
    "initial_state": "new",
    "states": {"new": {"on_enter": {"commands": ["pay"], "target": "done"}}, "done": {}},
}


@guard("never")
def never(ctx: GuardContext) -> Refuse:
    return Refuse("never")


@command("pay")
async def pay(ctx: CommandContext) -> Fail:
    return Fail("card_declined")


@command("hold")
async def hold_nothing(ctx: CommandContext) -> None:
    """Stands in where nobody waits."""


@post("/cancel/{instance_id:uuid}")
async def cancel(instance_id: FromPath[UUID], workflows: NamedDependency[WorkflowService]) -> None:
    await workflows.cancel(instance_id)


@post("/retry/{instance_id:uuid}")
async def retry(instance_id: FromPath[UUID], workflows: NamedDependency[WorkflowService]) -> None:
    await workflows.retry(instance_id)


class Breakable(MemoryStore):
    """A store whose database can go away."""

    error: Exception | None = None

    async def load(self, *arguments, **options):
        if self.error is not None:
            raise self.error
        return await super().load(*arguments, **options)

    async def apply(self, *arguments, **options):
        if self.error is not None:
            raise self.error
        return await super().apply(*arguments, **options)


@dataclass
class Shop:
    """A running application, and what a test needs to trouble it."""

    client: httpx.AsyncClient
    runtime: WorkflowRuntime
    store: Breakable
    holding: asyncio.Event
    let_go: asyncio.Event

    async def claim(self) -> str:
        """The path of a new claim."""
        answer = await self.client.post(INSTANCES, json={"workflow": "claim"})
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    async def send(self, event: str, path: str | None = None, headers=None, **body) -> httpx.Response:
        """The answer to an event of a claim, by default a new one."""
        return await self.client.post(f"{path or await self.claim()}/events/{event}", json=body, headers=headers)

    async def create(self, headers=None, **body) -> httpx.Response:
        return await self.client.post(INSTANCES, json={"workflow": "claim", **body}, headers=headers)

    async def raw(self, content: bytes) -> httpx.Response:
        return await self.client.post(INSTANCES, content=content, headers=JSON)


@pytest.fixture
def shop(serve, configured):
    """The application, to be entered by the test."""
    return running(serve, configured)


@asynccontextmanager
async def running(serve, configured):
    holding, let_go = asyncio.Event(), asyncio.Event()

    @command("hold")
    async def hold(ctx: CommandContext) -> None:
        holding.set()
        await let_go.wait()

    store = Breakable(lock_timeout=0.05)
    definitions = [WorkflowDefinition.from_dict(CLAIM), WorkflowDefinition.from_dict(UNBORN)]
    plugin = WorkflowPlugin(configured(store=store, definitions=definitions, commands=[pay, hold], guards=[never]))
    async with serve(Litestar([cancel, retry], logging_config=None, plugins=[plugin])) as client:
        yield Shop(client, plugin.runtime, store, holding, let_go)


async def key_for_another_payload(shop: Shop) -> httpx.Response:
    path, key = await shop.claim(), {"Idempotency-Key": "k"}
    await shop.send("count", path, key, payload={"n": 1})
    return await shop.send("count", path, key, payload={"n": 2})


async def key_for_another_creation(shop: Shop) -> httpx.Response:
    key = {"Idempotency-Key": "k"}
    await shop.create(key)
    return await shop.create(key, context={"a": 1})


async def event_of_a_paused_one(shop: Shop) -> httpx.Response:
    path = await shop.claim()
    await shop.runtime.pause(path.rpartition("/")[2])
    return await shop.send("close", path)


async def event_while_another_is_under_way(shop: Shop) -> httpx.Response:
    path = await shop.claim()
    first = asyncio.create_task(shop.send("hold", path))
    await shop.holding.wait()
    second = await shop.send("close", path)
    shop.let_go.set()
    assert (await first).status_code == 200
    return second


async def cancel_of_a_finished_one(shop: Shop) -> httpx.Response:
    path = await shop.claim()
    await shop.send("close", path)
    return await shop.client.post(f"/cancel/{path.rpartition('/')[2]}")


async def retry_of_nothing(shop: Shop) -> httpx.Response:
    return await shop.client.post(f"/retry/{(await shop.claim()).rpartition('/')[2]}")


async def database_away(shop: Shop) -> httpx.Response:
    path = await shop.claim()
    shop.store.error = StoreUnavailable("postgres://detent:secret@db refused")
    return await shop.send("close", path)


async def connection_lost_at_commit(shop: Shop) -> httpx.Response:
    path = await shop.claim()
    shop.store.error = OutcomeUnknown(new_id(), 1)
    return await shop.send("close", path)


async def history_of(shop: Shop, query: str) -> httpx.Response:
    return await shop.client.get(f"{await shop.claim()}/history?{query}")


CAUSES: dict[str, tuple[int, str, Callable[[Shop], Awaitable[httpx.Response]]]] = {
    "no such instance": (404, "instance_not_found", lambda s: s.client.get(f"{INSTANCES}/{new_id()}")),
    "event of no instance": (404, "instance_not_found", lambda s: s.send("close", f"{INSTANCES}/{new_id()}")),
    "no such workflow": (404, "unknown_workflow", lambda s: s.create(workflow="clam")),
    "diagram of no workflow": (404, "unknown_workflow", lambda s: s.client.get("/workflows/definitions/x/diagram")),
    "event not declared": (409, "event_not_available", lambda s: s.send("open")),
    "event named like a method": (409, "event_not_available", lambda s: s.send("__class__")),
    "event of Detent's own": (409, "event_not_available", lambda s: s.send("$created")),
    "a guard's no": (409, "event_refused", lambda s: s.send("deny")),
    "paused": (409, "instance_paused", event_of_a_paused_one),
    "busy": (409, "instance_busy", event_while_another_is_under_way),
    "finished": (409, "instance_finished", cancel_of_a_finished_one),
    "nothing to retry": (409, "nothing_to_retry", retry_of_nothing),
    "another version": (409, "version_conflict", lambda s: s.send("close", expected_version=7)),
    "another ETag": (409, "version_conflict", lambda s: s.send("close", headers={"If-Match": '"7"'})),
    "key for another payload": (409, "idempotency_conflict", key_for_another_payload),
    "key for another creation": (409, "idempotency_conflict", key_for_another_creation),
    "failure nothing takes": (422, "command_failed", lambda s: s.send("pay")),
    "failure at birth": (422, "command_failed", lambda s: s.create(workflow="unborn")),
    "payload breaks its model": (400, "invalid_value", lambda s: s.send("count", payload={})),
    "NUL in a context": (400, "invalid_value", lambda s: s.create(context={"a": "\0"})),
    "NUL in trigger metadata": (400, "invalid_value", lambda s: s.send("close", trigger_metadata={"a": "\0"})),
    "torn body": (400, "invalid_request", lambda s: s.raw(b"{")),
    "no object": (400, "invalid_request", lambda s: s.raw(b"[]")),
    "unknown field": (400, "invalid_request", lambda s: s.create(colour="red")),
    "unknown field of an event": (400, "invalid_request", lambda s: s.send("close", subject={})),
    "version 0": (400, "invalid_request", lambda s: s.send("close", expected_version=0)),
    "no ETag": (400, "invalid_value", lambda s: s.send("close", headers={"If-Match": "latest"})),
    "blank key": (400, "invalid_value", lambda s: s.create({"Idempotency-Key": " "})),
    "long key": (400, "invalid_request", lambda s: s.send("close", headers={"Idempotency-Key": "k" * 257})),
    "no UUID": (400, "invalid_request", lambda s: s.client.get(f"{INSTANCES}/7")),
    "page of none": (400, "invalid_request", lambda s: history_of(s, "limit=0")),
    "unknown style": (
        400, "invalid_request", lambda s: s.client.get("/workflows/definitions/claim/diagram?style=x"),
    ),
    "no JSON": (415, "json_expected", lambda s: s.client.post(INSTANCES, content=b"{}")),
    "too large": (413, "body_too_large", lambda s: s.create(context={"a": "x" * 2**20})),
    # These two a client cannot bring about, and must understand.
    "database away": (503, "store_unavailable", database_away),
    "connection lost at COMMIT": (500, "outcome_unknown", connection_lost_at_commit),
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES)
async def test_each_cause_has_its_status_and_its_code(shop, cause):
    status, code, bring_about = CAUSES[cause]
    async with shop as entered:
        answer = await bring_about(entered)
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert "secret" not in answer.text


@pytest.fixture
async def outgrown():
    """A store with a live claim of version 1, whose state version 2 does not have."""
    store = MemoryStore()
    async with WorkflowRuntime(
        store=store,
        definitions=[WorkflowDefinition.from_dict({**CLAIM, "version_policy": "latest"})],
        commands=[pay, hold_nothing],
        guards=[never],
    ) as runtime:
        path = f"{INSTANCES}/{(await runtime.create_instance('claim')).id}"
    newer = {
        "name": "claim",
        "version": "2",
        "version_policy": "latest",
        "initial_state": "asked",
        "states": {"asked": {"events": {"close": {"target": "closed"}}}, "closed": {}},
    }
    return path, {"store": store, "definitions": [WorkflowDefinition.from_dict(newer)], "commands": [], "guards": []}


async def test_a_workflow_that_cannot_run_here_is_503_and_its_words_stay_here(serve, configured, outgrown, caplog):
    path, parts = outgrown
    async with serve(configured(**parts)) as client:
        answers = [
            await client.post(f"{path}/events/close", json={}),
            await client.post(INSTANCES, json={"workflow": "claim"}),
        ]
        looked = await client.get(path)
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "workflow_unavailable")
        assert answer.json()["workflow"] == "claim"
        assert set(answer.json()) == {"type", "title", "status", "detail", "code", "workflow"}
        assert "version" not in answer.text
        assert "retry-after" not in answer.headers
    assert looked.status_code == 200
    assert "live instance" in caplog.text


async def test_a_state_that_the_newest_version_lacks_is_409(serve, configured, outgrown):
    path, parts = outgrown
    async with serve(configured(**parts, settings=Settings(unresolvable="warn"))) as client:
        answer = await client.post(f"{path}/events/close", json={})
        listed = await client.get(f"{path}/events")
    for one in (answer, listed):
        assert (one.status_code, one.json()["code"]) == (409, "incompatible_state")
        assert (one.json()["state"], one.json()["version"]) == ("open", "2")
