"""Nothing is mounted unasked, and nothing that is mounted is open unsaid."""

import logging

import pytest
from litestar import Litestar
from litestar.exceptions import ImproperlyConfiguredException, PermissionDeniedException
from litestar.routes import HTTPRoute

from detent import MemoryStore
from detent.service.http.operations import ACTION, OPERATIONS
from detent_litestar import AllowAll, Controllers, WorkflowConfig, WorkflowPlugin


async def test_by_default_there_are_no_routes_and_openapi_knows_of_none(serve, configured):
    async with serve(configured(controllers=None)) as client:
        posted = await client.post("/workflows/instances", json={"workflow": "order"})
        listed = await client.get("/workflows/definitions")
        schema = (await client.get("/schema/openapi.json")).json()
    assert (posted.status_code, listed.status_code) == (404, 404)
    assert schema.get("paths", {}) == {}


def test_routes_without_a_policy_are_refused():
    with pytest.raises(ImproperlyConfiguredException, match=r"need a policy.*AllowAll"):
        Controllers()


def test_what_is_switched_on_by_true_is_told_how_it_is_described():
    for option, kind in (("controllers", "Controllers"), ("tokens", "Tokens"), ("probes", "Probes")):
        with pytest.raises(ImproperlyConfiguredException, match=rf"`{option}` are described by {kind}\(guards"):
            WorkflowConfig(store=MemoryStore(), **{option: True})  # type: ignore[arg-type]  # the mistake


def test_guards_and_an_open_door_contradict_each_other():
    with pytest.raises(ImproperlyConfiguredException, match="not both"):
        Controllers(guards=[lambda connection, handler: None], policy=AllowAll())


async def test_open_routes_are_warned_of_at_each_start(serve, configured, caplog):
    app = Litestar(logging_config=None, plugins=[WorkflowPlugin(configured())])
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            async with serve(app):
                pass
        assert "open to everybody" in caplog.text


def test_every_route_has_the_guards(configured, guarded):
    def nobody(connection, handler):
        raise PermissionDeniedException

    app = Litestar(
        logging_config=None, plugins=[WorkflowPlugin(configured(controllers=guarded(nobody)))], openapi_config=None
    )
    routes = [route for route in app.routes if isinstance(route, HTTPRoute)]
    ours = [handler for route in routes for handler in route.route_handlers if ACTION in handler.opt]
    assert len(ours) == len(OPERATIONS)
    assert all(nobody in [getattr(guard, "func", guard) for guard in handler.resolve_guards()] for handler in ours)


async def test_who_may_not_use_a_route_gets_no_body_read(serve, configured, guarded):
    def nobody(connection, handler):
        raise PermissionDeniedException

    async with serve(configured(controllers=guarded(nobody))) as client:
        answer = await client.post("/workflows/instances", content=b"{", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 403


async def test_a_guard_can_tell_what_is_asked_for(serve, configured, guarded):
    def readers(connection, handler):
        if handler.opt[ACTION] != "read":
            raise PermissionDeniedException("you may look")

    async with serve(configured(controllers=guarded(readers))) as client:
        read = await client.get("/workflows/definitions")
        started = await client.post("/workflows/instances", json={"workflow": "order"})
        triggered = await client.post(f"/workflows/instances/{'0' * 32}/events/pay", json={})
    assert (read.status_code, started.status_code, triggered.status_code) == (200, 403, 403)


async def test_guards_of_the_application_hold_as_well(serve, configured):
    def nobody(connection, handler):
        raise PermissionDeniedException

    async with serve(configured(), guards=[nobody]) as client:
        answer = await client.get("/workflows/definitions")
    assert answer.status_code == 403


async def test_the_routes_can_be_elsewhere(serve, configured):
    controllers = Controllers(policy=AllowAll(), path="/api/v1/flows")
    async with serve(configured(controllers=controllers)) as client:
        answer = await client.post("/api/v1/flows/instances", json={"workflow": "order"})
        found = await client.get(answer.headers["location"])
    assert answer.headers["location"].startswith("/api/v1/flows/instances/")
    assert found.status_code == 200
