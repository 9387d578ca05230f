"""The plugin, in runs of pytest of its own."""

import subprocess
import sys

import pytest

WORKFLOW = """
from detent import Event, State, WorkflowDefinition

door = WorkflowDefinition(
    name="door",
    initial_state="open",
    states={"open": State(events={"shut": Event(target="shut"), "rot": Event(target="rotten", timeout="9d")}),
            "shut": State(), "rotten": State()},
)
"""
TESTS = """
import pytest
from door import door

{mark}
async def test_shut(workflow_harness):
    async with workflow_harness(door) as harness:
        await harness.run(["shut"])
        await harness.assert_state("shut")

{mark}
async def test_rot(workflow_harness, workflow_clock):
    async with workflow_harness(door, stubs=False) as harness:
        assert harness.clock is workflow_clock
        {rot}
"""


@pytest.fixture
def run(tmp_path):
    """Runs pytest over the two tests above, and answers its exit code and what it printed."""

    def run(*options, rot="await harness.run(['9d'])", mode="auto", mark=""):
        (tmp_path / "door.py").write_text(WORKFLOW)
        (tmp_path / "test_door.py").write_text(TESTS.format(rot=rot, mark=mark))
        (tmp_path / "conftest.py").write_text('pytest_plugins = ["detent.testing.plugin"]\n')
        (tmp_path / "pytest.ini").write_text(
            f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
        )
        arguments = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        result = subprocess.run(  # noqa: S603 - our own tests
            arguments, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        return result.returncode, result.stdout + result.stderr

    return run


def test_the_fixtures_serve_under_pytest_asyncio_and_nothing_is_reported_unasked(run):
    code, out = run()
    assert (code, "2 passed" in out, "workflow coverage" in out) == (0, True, False), out


def test_the_fixtures_serve_under_anyio(run):
    code, out = run(
        "-p", "no:asyncio", "-p", "anyio", "-W", "ignore", "-k", "asyncio", mode="", mark="@pytest.mark.anyio"
    )
    assert (code, "2 passed" in out) == (0, True), out


def test_coverage_is_reported_at_the_end_and_too_little_fails_the_run(run):
    code, out = run("--workflow-coverage-at-least=90", rot="pass")
    assert code == 1, out
    assert "workflow coverage" in out
    assert "    -  open -rot after 9d, by itself" in out
    assert "FAILED: door v1: 1 of 3 transitions taken (33 %), and 90 % are asked for" in out


def test_workers_hand_what_they_saw_to_the_one_that_reports(run):
    code, out = run("-n", "2", "--workflow-coverage", "--workflow-coverage-at-least=100")
    assert (code, "door v1: 3 of 3 transitions taken (100 %)" in out) == (0, True), out


def test_the_plugin_loads_neither_hypothesis_nor_the_contract_of_stores():
    script = "import sys, detent.testing.plugin; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own line
    heavy = ("hypothesis", "detent.testing.strategies", "detent.testing.store_contract")
    assert [name for name in done.stdout.split() if name.startswith(heavy)] == []
