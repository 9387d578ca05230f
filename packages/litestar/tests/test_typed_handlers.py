"""Handlers whose module imports our types for type checkers alone."""

import importlib
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from litestar import Litestar

from detent import MemoryStore, WorkflowDefinition
from detent.flows import FlowBook
from detent_litestar import WorkflowConfig, WorkflowPlugin

LAMP = WorkflowDefinition.from_dict({"name": "lamp", "initial_state": "off", "states": {"off": {}}})
MODULE = """
    from __future__ import annotations

    from typing import TYPE_CHECKING

    from litestar import get
    from litestar.di import NamedDependency, Provide

    if TYPE_CHECKING:
        from detent import FlowService, WorkflowHandle, WorkflowInstance, WorkflowRuntime, WorkflowService
        from detent.service.triggers import TriggerService

    def runtime(workflows: NamedDependency[WorkflowService]) -> WorkflowRuntime | None: ...
    def handle(workflows: NamedDependency[WorkflowService]) -> WorkflowHandle | None: ...
    def instance(workflows: NamedDependency[WorkflowService]) -> WorkflowInstance | None: ...
    def triggers(workflows: NamedDependency[WorkflowService]) -> TriggerService | None: ...

    providers = (runtime, handle, instance, triggers)

    @get("/kinds", dependencies={one.__name__: Provide(one, sync_to_thread=False) for one in providers})
    async def kinds(
        workflows: NamedDependency[WorkflowService],
        flows: NamedDependency[FlowService],
        runtime: NamedDependency[WorkflowRuntime | None],
        handle: NamedDependency[WorkflowHandle | None],
        instance: NamedDependency[WorkflowInstance | None],
        triggers: NamedDependency[TriggerService | None],
    ) -> list[str]:
        return [type(one).__name__ for one in (workflows, flows, runtime, handle, instance, triggers)]
"""


async def test_our_types_need_not_be_imported_at_run_time(serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "typed_handlers.py").write_text(dedent(MODULE), "utf-8")
    handlers = importlib.import_module("typed_handlers")
    config = WorkflowConfig(store=MemoryStore(), definitions=[LAMP], flows=FlowBook())
    app = Litestar([handlers.kinds], plugins=[WorkflowPlugin(config)], logging_config=None)
    async with serve(app) as client:
        found = await client.get("/kinds")
    del sys.modules["typed_handlers"]
    assert found.json() == ["WorkflowService", "FlowService", *["NoneType"] * 4], found.text
