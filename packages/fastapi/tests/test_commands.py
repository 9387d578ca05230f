"""`detent fastapi`, and `fastapi workflows` in a program that adds it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fastapi import FastAPI

from detent import (
    Event,
    Observation,
    SqliteStore,
    State,
    TriggerBook,
    TriggerService,
    WorkflowDefinition,
    WorkflowObserver,
)
from detent.cli.main import main
from detent.flows import Flow, FlowBook, HandlerContext, Step, Success, handler, success
from detent.triggers import CronTrigger
from detent_fastapi import WorkflowConfig, setup_workflows
from detent_fastapi.commands import workflow_commands
from detent_fastapi.lifespan import setup_of

Run = Callable[..., Result]

ORDER = WorkflowDefinition(
    name="order",
    initial_state="new",
    states={
        "new": State(
            events={"pay": Event(target="paid"), "expire": Event(target="expired", timeout=timedelta(microseconds=1))}
        ),
        "paid": State(),
        "expired": State(outcome="failure"),
    },
)

SHOP = """
from fastapi import FastAPI
from detent import Event, SqliteStore, State, WorkflowDefinition
from detent_fastapi import WorkflowConfig, setup_workflows

order = WorkflowDefinition(
    name="order", initial_state="new", states={"new": State(events={"pay": Event(target="paid")}), "paid": State()}
)

def make():
    app = FastAPI()
    setup_workflows(app, WorkflowConfig(store=SqliteStore("shop.db"), definitions=[order], worker="asgi"))
    return app

app = make()
plain = FastAPI()
number = 7
"""

OWN = """
from fastapi_cli.cli import main
from detent_fastapi.fastapi_command import add_workflow_commands
from shop import app

add_workflow_commands(app)
main()
"""


def application(**options: Any) -> FastAPI:
    app = FastAPI()
    setup_workflows(app, WorkflowConfig(**{"store": SqliteStore("orders.db"), "definitions": [ORDER], **options}))
    return app


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with the module `shop`, which no variable names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("DETENT_FASTAPI", raising=False)
    Path("shop.py").write_text(SHOP)
    sys.modules.pop("shop", None)
    yield
    sys.modules.pop("shop", None)


@pytest.fixture
def detent() -> Run:
    """Calls `detent`."""
    return lambda *arguments: CliRunner().invoke(main, arguments)


@pytest.fixture
def workflows() -> Run:
    """Calls the commands of an application."""

    def call(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(workflow_commands(application(**options)), arguments)

    return call


def made(**options: Any) -> str:
    """The id of an order that the application has made."""

    async def make() -> str:
        app = application(**options)
        async with app.router.lifespan_context(app):
            return str((await setup_of(app).runtime.create_instance("order")).id)

    return asyncio.run(make())


@pytest.mark.parametrize("source", ["shop:app", "shop:make"])
def test_operators_work_with_the_applications_runtime(detent: Run, source: str):
    found = json.loads(detent("fastapi", "--entrypoint", source, "definitions", "--json").stdout)
    assert [(each["workflow"], each["registered"]) for each in found["definitions"]] == [("order", True)]


def test_the_application_is_the_one_that_the_project_names(detent: Run, monkeypatch: pytest.MonkeyPatch):
    assert detent("fastapi", "list").exit_code == 2
    Path("pyproject.toml").write_text('[tool.fastapi]\nentrypoint = "shop:app"\n')
    assert detent("fastapi", "list").stdout == "no instance was found\n"
    monkeypatch.setenv("DETENT_FASTAPI", "shop:plain")
    assert "has no workflows: call setup_workflows" in detent("fastapi", "list").stderr


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("shop", "is no MODULE:APP"),
        ("shop:number", "is a int and not a FastAPI application"),
        ("shop:ap", "did you mean 'app'?"),
        ("shop:plain", "the application has no workflows"),
    ],
)
def test_what_is_no_application_is_said_in_a_sentence(detent: Run, source: str, says: str):
    result = detent("fastapi", "-e", source, "list")
    assert (result.exit_code, says in " ".join(result.stderr.replace("│", " ").split())) == (1, True)


def test_help_imports_no_application(detent: Run):
    result = detent("fastapi", "-e", "nothing.there:app", "trigger", "--help")
    assert (result.exit_code, "Let an instance take EVENT now" in result.stdout) == (0, True)


def test_commands_of_the_application_are_there(workflows: Run):
    order = made()
    assert "stateDiagram-v2" in workflows("diagram", "order").stdout
    assert json.loads(workflows("sweep", "--json").stdout)["processed"] == 1
    assert json.loads(workflows("show", order, "--json").stdout)["state"] == "expired"
    assert "--app" in workflows("list", "--app", "shop:app").stderr


@pytest.fixture
def signals_as_before() -> Iterator[None]:
    """A worker that was told to stop leaves it to the next signal to kill, and here the process goes on."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGINT, before[0])
    signal.signal(signal.SIGTERM, before[1])


@pytest.mark.usefixtures("signals_as_before")
def test_a_worker_works_until_it_is_told_to_stop(workflows: Run):
    made()

    class Expired(WorkflowObserver):
        async def on_completed(self, seen: Observation) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    result = workflows("worker", "--no-inbox", "--json", observers=[Expired()])
    assert result.exit_code == 0, result.output
    started, stopped = map(json.loads, result.stdout.splitlines())
    assert (started["worker"], stopped["worker"]) == ("started", "stopped")
    assert started["loops"] == ["runs", "timeouts", "outbox", "retention"]


@handler("write", targets=False)
async def write(ctx: HandlerContext) -> Success:
    return success()


def test_a_trigger_of_the_application_is_fired(workflows: Run):
    report = Flow("report", initial_step_id="write", steps={"write": Step("write")})
    book, triggers = FlowBook(flows=[report], handlers=[write]), TriggerBook()
    options: dict[str, Any] = {
        "definitions": triggers.definitions,
        "commands": triggers.commands,
        "flows": book,
        "triggers": lambda service: TriggerService(service, book, triggers),
    }

    async def register() -> None:
        app = application(**options)
        async with app.router.lifespan_context(app):
            nightly = CronTrigger(name="nightly", flow="report", expression="0 3 * * *")
            await setup_of(app).triggers.register(nightly)

    asyncio.run(register())
    fired = json.loads(workflows("schedules", "fire", "nightly", "--json", **options).stdout)
    assert fired["created"] is True
    assert fired["execution_id"] in workflows("list", **options).stdout


def test_a_program_adds_them_to_fastapis_own_command(tmp_path: Path):
    Path("own.py").write_text(OWN)

    def own(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "own.py", *arguments]
        return subprocess.run(  # noqa: S603 - our own program
            command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    listed = own("workflows", "list")
    assert (listed.returncode, listed.stdout) == (0, "no instance was found\n"), listed.stderr
    unknown = own("workflows", "show", "01a1fff0-04b1-73ba-9d75-0b9b2e1aae52")
    assert (unknown.returncode, "no instance" in unknown.stderr) == (1, True)
    assert own("workflows", "nonsense").returncode == 2
    assert "Usage: own.py workflows trigger" in own("workflows", "trigger", "--help").stdout
    assert "Look at the application's workflows" in own("--help").stdout


def test_without_fastapis_command_ours_is_there_all_the_same():
    without = "import sys; sys.modules |= {'fastapi_cli': None, 'typer': None}; import detent_fastapi.commands"
    subprocess.run([sys.executable, "-c", without], timeout=60, check=True)  # noqa: S603 - our own program


@pytest.fixture
def of_two() -> Run:
    """Calls the commands of an application with the runtimes `billing` and `shipping`."""

    def call(*arguments: str) -> Result:
        app = FastAPI()
        for name in ("billing", "shipping"):
            definition = ORDER.model_copy(update={"name": name})
            setup_workflows(app, WorkflowConfig(name=name, store=SqliteStore(f"{name}.db"), definitions=[definition]))
        return CliRunner().invoke(workflow_commands(app), arguments)

    return call


def test_of_several_runtimes_one_is_named(of_two: Run):
    answer = of_two("--runtime", "shipping", "definitions", "--json")
    assert [found["workflow"] for found in json.loads(answer.stdout)["definitions"]] == ["shipping"]


@pytest.mark.parametrize("arguments", [("definitions",), ("sweep",), ("--runtime", "biling", "worker")])
def test_where_it_is_not_said_which_the_runtimes_are_listed(of_two: Run, arguments: tuple[str, ...]):
    answer = of_two(*arguments)
    assert answer.exit_code == 2
    assert "the application has billing, shipping" in " ".join(answer.stderr.split())
