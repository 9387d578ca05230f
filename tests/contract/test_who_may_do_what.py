"""Every route there is, and everybody who might ask: taken from the tables, so that a new route cannot be forgotten."""

from collections.abc import Callable
from typing import Any

import pytest

from detent.ids import new_id
from detent.service.http.event_operations import event_operations
from detent.service.http.operation import Operation
from detent.service.http.operations import (
    CHANGES,
    OPERATIONS,
    OPERATOR_OPERATIONS,
    PROBES,
    TOKEN_DOOR,
    TOKEN_OPERATIONS,
    TRIGGER_OPERATIONS,
)
from tests.contract.doors import ORDER
from tests.contract.full import WELCOME, Full, full
from tests.contract.streams import Socket

REST = {
    **OPERATIONS,
    **OPERATOR_OPERATIONS,
    **TRIGGER_OPERATIONS,
    **TOKEN_OPERATIONS,
    **{operation.name: operation for operation in event_operations([ORDER])},
}
ACME, ZETA = "acme", "zeta"
BODIES: dict[str, Any] = {
    "create_instance": {"workflow": "order"},
    "send_event": {"event": "pay", "payload": {"amount": 1}},
    "force_instance": {"state": "paid"},
    "generate_token": {"step": "ask"},
    "validate_token": {"token": "x"},
    "revoke_token": {"hash": "x"},
    "order_pay": {"payload": {"amount": 1}},
}
LOOKING = {"read", "webhook_info"}


def keeper(headers, action):
    """Knows operators, who may do everything, and readers, who may look."""
    match headers.get("x-role"):
        case "operator":
            return None
        case "reader":
            return None if action in LOOKING else 403
    return 401


def acting_as(role: str, tenant: str = ACME) -> dict[str, str]:
    return {"X-Role": role, "X-Tenant": tenant}


@pytest.fixture
def shop(door):
    """The whole application, guarded, with tenants."""
    return full(door, keeper=keeper, routes={"tenant": lambda request: request.headers.get("x-tenant")})


async def place(shop: Full, operation: Operation) -> str:
    """The path of an operation on something of acme's that is there."""
    workflows = shop.workflows.for_tenant(ACME)
    named: dict[str, Any] = {"workflow": "order", "event": "try"}
    instance = (await workflows.create_instance("order")).id
    if "tokens" in operation.path:
        instance = (await workflows.create_instance(WELCOME.id)).id
        await workflows.process_runs()
    if "{run_id}" in operation.path:
        named["run_id"] = (await workflows.trigger_event(instance, "send")).run_id
    if "{message_id}" in operation.path:
        named["message_id"] = (await workflows.send(instance, "pay", {"amount": 1})).id
    if "{trigger}" in operation.path:
        named["trigger"] = f"mine-{new_id()}"
        await shop.triggers.for_tenant(ACME).register({"kind": "http", "name": named["trigger"], "flow": WELCOME.id})
    if operation.path == CHANGES:
        await workflows.trigger_event(instance, "expire")
    return f"/workflows{operation.path}".format(instance_id=instance, **named)


async def ask(shop: Full, operation: Operation, url: str, headers: dict[str, str]) -> int:
    body = BODIES.get(operation.name, {})
    said = {"json": body} if operation.method == "POST" else {}
    answer = await shop.client.request(operation.method, url, headers=headers, **said)
    return answer.status_code


async def statuses(shop: Full, headers: dict[str, str], tell: Callable[[Operation], bool]) -> dict[str, int]:
    """What each operation that is told answers to somebody."""
    wanted = [operation for operation in REST.values() if tell(operation)]
    return {one.name: await ask(shop, one, await place(shop, one), headers) for one in wanted}


def test_there_are_all_kinds_of_operations():
    assert {operation.action for operation in REST.values()} == {"read", "start", "event", "operate"}
    assert len(REST) == 10 + 1 + 16 + 8 + 4 + 8


async def test_what_is_mounted_is_what_the_tables_say(shop, door):
    async with shop as running:
        mounted = door.mounted(running.client)
    rest = {(operation.method, f"/workflows{operation.path}") for operation in REST.values()}
    others = {
        ("WEBSOCKET", f"/workflows{CHANGES}"),
        ("POST", "/webhooks/{trigger}"),
        ("GET", "/webhooks/{trigger}"),
        *(("POST", f"/resume{operation.path}") for operation in TOKEN_DOOR.values()),
        *(("GET", f"/health{operation.path}") for operation in PROBES.values()),
    }
    assert mounted == rest | others


async def test_who_is_not_known_is_401_everywhere(shop):
    async with shop as running:
        found = await statuses(running, {"X-Tenant": ACME}, lambda operation: True)
        others = [
            await running.client.request(method, url)
            for method, url in (
                ("POST", "/webhooks/hook"), ("GET", "/webhooks/hook"), ("POST", "/resume"),
                ("GET", "/health/live"), ("GET", "/health/ready"),
            )
        ]  # fmt: skip
    assert found == dict.fromkeys(REST, 401)
    assert [answer.status_code for answer in others] == [401] * 5


async def test_who_may_look_may_look_and_nothing_else(shop):
    async with shop as running:
        looking = await statuses(running, acting_as("reader"), lambda operation: operation.action == "read")
        others = await statuses(running, acting_as("reader"), lambda operation: operation.action != "read")
        info = await running.client.get("/webhooks/hook", headers=acting_as("reader"))
        called = await running.client.post("/webhooks/hook", json={}, headers=acting_as("reader"))
        resumed = await running.client.post("/resume", json={"token": "x"}, headers=acting_as("reader"))
        ready = await running.client.get("/health/ready", headers=acting_as("reader"))
    assert looking == dict.fromkeys(looking, 200)
    assert others == dict.fromkeys(others, 403)
    assert (info.status_code, called.status_code, resumed.status_code, ready.status_code) == (200, 403, 403, 200)


async def test_an_operator_may_do_everything(shop):
    async with shop as running:
        found = await statuses(running, acting_as("operator"), lambda operation: True)
        called = await running.client.post("/webhooks/hook", json={}, headers=acting_as("operator"))
    # What cannot be done now is told: nothing had failed, no message was dead, and no flow's step is over at once.
    refused = {name: status for name, status in found.items() if status >= 300}
    assert refused == {
        "retry_run": 409,
        "revive_message": 409,
        "retry_instance": 409,
        "order_approve": 409,
        "order_charge": 422,
    }
    assert called.status_code == 201


async def test_another_tenants_operator_finds_nothing(shop):
    def about_one(operation: Operation) -> bool:
        return any(part in operation.path for part in ("{instance_id}", "{run_id}", "{message_id}", "{trigger}"))

    async with shop as running:
        found = await statuses(running, acting_as("operator", ZETA), about_one)
        lists = [
            (await running.client.get(f"/workflows/{where}", headers=acting_as("operator", ZETA))).json()
            for where in ("instances", "parked", "runs", "triggers")
        ]
        nobody = await statuses(running, {"X-Role": "operator"}, lambda operation: True)
    assert found == dict.fromkeys(found, 404)
    assert lists == [
        {"instances": [], "cursor": None}, {"instances": [], "cursor": None}, {"runs": [], "after": None}, [],
    ]  # fmt: skip
    assert nobody == dict.fromkeys(REST, 403)


@pytest.mark.parametrize(
    ("headers", "opens"),
    [
        (acting_as("reader"), True),
        (acting_as("operator"), True),
        (acting_as("operator", ZETA), False),
        ({"X-Tenant": ACME}, False),
        ({"X-Role": "operator"}, False),
    ],
    ids=["reader", "operator", "wrong tenant", "anonymous", "no tenant"],
)
async def test_the_websocket_is_for_who_may_look(shop, headers, opens):
    async with shop as running:
        url = await place(running, OPERATIONS["stream_changes"])
        async with Socket(running.client.app, url, headers) as socket:
            assert (await socket.refusal() is None) == opens
