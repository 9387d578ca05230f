"""Under whatever path a framework mounts it, its addresses are right."""

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from litestar import Litestar
from litestar.handlers import asgi
from litestar.types import Receive, Scope, Send
from starlette.applications import Starlette
from starlette.routing import Mount

from detent import MemoryStore, WorkflowDefinition, WorkflowRuntime, WorkflowService
from detent_dashboard import AllowAll, dashboard
from packages.dashboard.tests.conftest import ORDER, charge, crash, followed, in_stock


def _litestar(app: Any) -> Any:
    @asgi("/ops/flows", is_mount=True, copy_scope=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return Litestar([mounted])


def _starlette(app: Any) -> Any:
    return Starlette(routes=[Mount("/ops/flows", app)])


def _fastapi(app: Any) -> Any:
    application = FastAPI()
    application.mount("/ops/flows", app)
    return application


@pytest.mark.parametrize("mounted", [_litestar, _starlette, _fastapi])
async def test_all_its_addresses_are_under_the_path_it_is_mounted_at(mounted: Any):
    runtime = WorkflowRuntime(
        store=MemoryStore(),
        definitions=[WorkflowDefinition.from_dict(ORDER)],
        commands=[charge, crash],
        guards=[in_stock],
    )
    app = mounted(dashboard(lambda: WorkflowService(runtime), policy=AllowAll()))
    async with runtime, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as http:
        made = await runtime.create_instance("order")
        first = await http.get("/ops/flows/")
        assert first.status_code == 200
        seen = await followed(http, f"/ops/flows/instances/{made.id}")
        assert len(seen) > 8
        assert all(path.startswith("/ops/flows/") for path in seen)
        page = await http.get(f"/ops/flows/instances/{made.id}")
        token = re.findall(r'name="csrf_token" value="(\w+)"', page.text)[0]
        sent = {"csrf_token": token, "reason": "r", "confirmed": "yes", "expected_version": "1"}
        paused = await http.post(f"/ops/flows/instances/{made.id}/pause", data=sent)
        assert paused.headers["location"] == f"/ops/flows/instances/{made.id}?done=pause"


async def test_two_slashes_at_the_front_make_no_address_on_another_host():
    seen: list[str] = []
    runtime = WorkflowRuntime(store=MemoryStore())
    inner = dashboard(runtime, policy=AllowAll())

    async def stripping(scope: Any, receive: Any, send: Any) -> None:
        await inner({**scope, "path": "/"}, receive, send)

    async with runtime, httpx.AsyncClient(transport=httpx.ASGITransport(stripping), base_url="http://t") as http:
        page = await http.get("http://t//evil.test/")
        seen += re.findall(r'(?:href|src|action)="([^"]*)"', page.text)
    assert seen
    assert not [each for each in seen if "evil.test" in each]
