"""Liveness and readiness."""

import asyncio

import httpx
import pytest

from detent import MemoryStore, State, WorkflowDefinition
from detent.store.health import Health


class Measured(MemoryStore):
    """A store that is as well as a test says."""

    ok: bool | Exception | None = True

    async def health(self) -> Health:
        if self.ok is None:
            await asyncio.Event().wait()
        if isinstance(self.ok, Exception):
            raise self.ok
        return Health(ok=bool(self.ok), detail="postgres://detent:secret@db refused")


async def test_by_default_there_are_no_probes(door):
    async with door.serve() as client:
        assert (await client.get("/health/live")).status_code == 404


async def test_a_process_that_works_is_alive_and_ready(door):
    async with door.serve(probes={}, worker="asgi") as client:
        answers = [await client.get(f"/health/{probe}") for probe in ("live", "ready")]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"ok": True, "failing": []})] * 2


@pytest.mark.parametrize("ok", [False, RuntimeError("secret"), None], ids=["unwell", "raises", "hangs"])
async def test_what_fails_is_named_and_no_more_is_told(door, ok):
    store = Measured()
    async with door.serve(probes={"patience": 0.05}, store=store) as client:
        store.ok = ok
        answer, live = await client.get("/health/ready"), await client.get("/health/live")
        store.ok = True
        again = await client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"ok": False, "failing": ["store"]})
    assert (live.status_code, again.status_code) == (200, 200)


async def test_a_workflow_that_cannot_run_here_is_told_of(door):
    store = MemoryStore()
    async with door.serve(store=store) as client:
        await client.post("/workflows/instances", json={"workflow": "order"})
    newer = WorkflowDefinition(name="order", version="2", initial_state="new", states={"new": State()})
    async with door.serve(store=store, definitions=[newer], commands=[], guards=[], probes={}) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["failing"]) == (503, ["workflows"])


async def test_a_worker_that_has_stopped_is_told_of(door):
    async with door.serve(probes={}, worker="asgi") as client:
        await door.host_of(client).worker.__aexit__(None, None, None)
        answer = await client.get("/health/ready")
        await door.host_of(client).worker.__aenter__()
    assert answer.json() == {"ok": False, "failing": ["worker"]}


async def test_a_process_that_stops_is_not_ready_any_more(door):
    async with door.serve(probes={}) as client:
        before = await client.get("/health/ready")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=client.app), base_url="http://shop.test") as late:
        after, alive = await late.get("/health/ready"), await late.get("/health/live")
    assert (before.status_code, after.json(), alive.status_code) == (200, {"ok": False, "failing": ["runtime"]}, 200)


async def test_guards_hold_for_probes(door):
    async with door.serve(probes={}, keeper=lambda headers, action: 401) as client:
        answers = [await client.get(f"/health/{probe}") for probe in ("live", "ready")]
    assert [answer.status_code for answer in answers] == [401, 401]
