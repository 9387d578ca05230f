"""Workflows that come in modules, and those that are discovered, behind every door."""

import sys
from pathlib import Path
from typing import Any

import pytest

from detent import WorkflowDefinition
from detent.errors import RegistrationInvalid
from detent_litestar import WorkflowModule
from tests.contract.doors import ORDER, Door, charge, create, deliver, in_stock

ALONE: dict[str, Any] = {"definitions": [], "commands": [], "guards": []}
LAMP = WorkflowDefinition.from_dict({"name": "lamp", "initial_state": "off", "states": {"off": {}}})


async def test_the_workflows_of_modules_are_served(door: Door):
    stock = WorkflowModule("stock", guards=[in_stock])
    shop = WorkflowModule("shop", definitions=[ORDER], commands=[charge, deliver], imports=[stock])
    async with door.serve(modules=[shop, stock, WorkflowModule("lamps", definitions=[LAMP])], **ALONE) as client:
        path = await create(client, context={"stock": 1})
        assert (await client.post(f"{path}/events/approve", json={})).json()["to_state"] == "paid"
        assert [found["name"] for found in (await client.get("/workflows/definitions")).json()] == ["order", "lamp"]


async def test_two_modules_that_differ_stop_the_application_where_it_is_made(door: Door):
    lamps = [WorkflowModule(name, definitions=[LAMP.model_copy()]) for name in ("hall", "cellar")]
    with pytest.raises(RegistrationInvalid, match="'lamp v1': module 'hall' and module 'cellar'"):
        async with door.serve(modules=lamps, **ALONE):
            pass


async def test_what_a_package_declares_is_served(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    name = f"lamps_of_{door.name}"
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"{name}.py").write_text(
        "from detent import WorkflowDefinition\n"
        "LAMP = WorkflowDefinition.from_dict({'name': 'lamp', 'initial_state': 'off', 'states': {'off': {}}})\n",
        "utf-8",
    )
    async with door.serve(discover=name, **ALONE) as client:
        assert [found["name"] for found in (await client.get("/workflows/definitions")).json()] == ["lamp"]
    del sys.modules[name]
