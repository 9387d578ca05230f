"""`litestar workflows`."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from litestar import Litestar
from litestar.cli._utils import LitestarEnv, LitestarGroup

from detent import Observation, WorkflowObserver
from detent.testing.clock import FakeClock
from detent_litestar import WorkflowPlugin


@pytest.fixture
def run(configured):
    """Runs `litestar workflows …` on an application, and gives the result."""

    def invoke(*arguments: str, **options):
        plugin = WorkflowPlugin(configured(**options))
        app = Litestar(logging_config=None, plugins=[plugin])
        cli = LitestarGroup("litestar")
        plugin.on_cli_init(cli)
        env = LitestarEnv(app_path="shop:app", app=app, cwd=Path())
        return CliRunner().invoke(cli, ["workflows", *arguments], obj=env)

    return invoke


def test_definitions_names_the_workflows(run):
    assert run("definitions").stdout.splitlines()[1].split()[:5] == ["order", "1", "0", "0", "yes"]
    assert [found["workflow"] for found in json.loads(run("definitions", "--json").stdout)["definitions"]] == ["order"]


def test_definitions_of_nothing_says_so(run):
    assert "no definition" in run("definitions", definitions=[], commands=[], guards=[]).stdout


def test_operators_work_with_the_applications_runtime(run, store, configured):
    clock = FakeClock()
    asyncio.run(_create(store, clock, configured))
    [found] = json.loads(run("list", "--json", store=store, clock=clock).stdout)["instances"]
    refused = run("trigger", found["id"], "approve", store=store, clock=clock)
    assert (refused.exit_code, refused.stdout.split()[:4]) == (1, ["approve", "was", "refused", "in"])
    assert run("cancel", found["id"], "--yes", store=store, clock=clock).exit_code == 0
    assert run("list", "--status", "cancelled", "--json", store=store, clock=clock).stdout.count(found["id"]) == 1


def test_the_doctor_says_what_to_call_here(run, store, configured):
    clock = FakeClock()
    asyncio.run(_create(store, clock, configured))
    clock.advance(hours=3)
    result = run("doctor", store=store, clock=clock)
    assert result.exit_code == 1
    assert "litestar workflows worker starts one" in " ".join(result.stdout.split())


def test_operators_need_not_say_which_application(run):
    result = run("list", "--app", "shop:runtime")
    assert result.exit_code == 2
    assert "--app" in result.stderr


def test_what_is_wrong_is_said_in_a_sentence(run):
    result = run("show", "01a1fff0-04b1-73ba-9d75-0b9b2e1aae52")
    assert result.exit_code == 1
    assert "no instance" in result.stderr
    assert "Traceback" not in result.output


def test_diagram_draws_a_workflow(run):
    assert "stateDiagram-v2" in run("diagram", "order").stdout
    assert "flowchart LR" in run("diagram", "order", "--style", "flowchart").stdout
    assert "\u2713" in run("diagram", "order", "--style", "flowchart").stdout
    assert "\u2713" not in run("diagram", "order", "--style", "flowchart", "--symbols", "text").stdout


def test_diagram_of_an_unknown_workflow_fails_with_a_hint(run):
    result = run("diagram", "ordr")
    assert result.exit_code == 1
    assert "did you mean 'order'?" in result.stderr


async def _create(store, clock, configured):
    plugin = WorkflowPlugin(configured(store=store, clock=clock))
    async with Litestar(logging_config=None, plugins=[plugin]).lifespan():
        await plugin.runtime.create_instance("order")


def test_sweep_fires_what_is_due_and_tells(run, store, configured):
    clock = FakeClock()
    asyncio.run(_create(store, clock, configured))
    clock.advance(hours=1)
    result = run("sweep", "--json", store=store, clock=clock, worker="asgi")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["processed"] == 1
    assert run("sweep", store=store, clock=clock).stdout.startswith("0 processed, 0 refused")


@pytest.fixture
def signals_as_before():
    """A worker that was told to stop leaves it to the next signal to kill, and here the process goes on."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGINT, before[0])
    signal.signal(signal.SIGTERM, before[1])


@pytest.mark.usefixtures("signals_as_before")
def test_worker_works_until_it_is_told_to_stop(run, store, configured):
    clock = FakeClock()
    asyncio.run(_create(store, clock, configured))
    clock.advance(hours=1)

    class Expired(WorkflowObserver):
        async def on_completed(self, seen: Observation) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    result = run("worker", "--concurrency", "2", store=store, clock=clock, observers=[Expired()])
    assert result.exit_code == 0, result.output
    started, stopped = result.stdout.splitlines()
    assert started.endswith("started: runs, timeouts, inbox, outbox, retention")
    assert stopped.endswith("stopped: runs, timeouts, inbox, outbox, retention")
