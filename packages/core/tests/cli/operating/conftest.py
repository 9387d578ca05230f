"""An application with claims in a SQLite file, and the `detent` command beside it."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest
from click.testing import Result

from detent import SqliteStore, WorkflowInstance, WorkflowRuntime

T = TypeVar("T")
Detent: TypeAlias = Callable[..., Result]
Claims: TypeAlias = dict[str, str]
"""Ids by customer."""
Application: TypeAlias = Callable[[], WorkflowRuntime]

CLAIMS = """
from detent import Fail, Refuse, SqliteStore, WorkflowDefinition, WorkflowRuntime, command, guard

claim = WorkflowDefinition.from_dict({
    "name": "claim", "initial_state": "open",
    "states": {
        "open": {"events": {
            "decide": {"target": "decided", "guard": "complete", "payload": {"type": "object"}},
            "lapse": {"target": "lapsed", "timeout": "30d"},
            "charge": {"target": "decided", "commands": ["charge"]},
            "route": {"target": "decided", "error": "lapsed", "commands": ["charge"]},
        }},
        "decided": {"events": {"pay": {"target": "paid"}}},
        "paid": {},
        "lapsed": {"outcome": "failure"},
    },
})
door = WorkflowDefinition.from_dict({
    "name": "door", "initial_state": "shut",
    "states": {"shut": {"events": {"open": {"target": "open"}}}, "open": {"events": {"shut": {"target": "shut"}}}},
})
news = WorkflowDefinition.from_dict({
    "name": "news", "initial_state": "new", "publish": "news",
    "states": {"new": {"events": {"print": {"target": "out"}}}, "out": {}},
})
gone = WorkflowDefinition.from_dict({
    "name": "gone", "initial_state": "new",
    "states": {"new": {"events": {"go": {"target": "out", "commands": ["go"]}}}, "out": {}},
})

@guard("complete")
def complete(ctx: object) -> bool | Refuse:
    return True if ctx.context.get("papers") else Refuse("papers are missing \\x1b[2J")

@command("charge")
async def charge(ctx: object) -> Fail:
    return Fail("declined", "the bank said no")

@command("go", durable=True, retry="never")
async def go(ctx: object) -> Fail:
    return Fail("blocked", "the way is blocked")

def runtime():
    return WorkflowRuntime(
        store=SqliteStore("claims.db"), definitions=[claim, door, news, gone], guards=[complete], commands=[charge, go]
    )
"""

OFFICE = """
from datetime import timedelta
from contextlib import asynccontextmanager
from detent import Event, SqliteStore, State, TriggerBook, TriggerService, WorkflowDefinition, WorkflowRuntime
from detent import WorkflowService, command, subscriber
from detent.flows import Flow, FlowBook, Result, Step, handler, success, wait
from detent.triggers import CronTrigger, EventTrigger, HttpTrigger

@handler("ask", targets=False)
async def ask(ctx) -> Result:
    return wait(timedelta(days=7), "an answer")

report = Flow("report", initial_step_id="ask", steps={"ask": Step("ask", output_key="answer")})
book = FlowBook(flows=[report], handlers=[ask])
triggers = TriggerBook()
shop = WorkflowDefinition(
    name="shop", initial_state="open", publish="news",
    states={"open": State(events={"sell": Event(target="sold")}), "sold": State(events={"close": Event(target="shut")}),
            "shut": State()},
)

@subscriber("news.*", name="post", retry="never")
async def post(delivery) -> None:
    raise RuntimeError("the post is shut")

def made():
    return WorkflowRuntime(
        store=SqliteStore("office.db"), definitions=[*book.definitions, *triggers.definitions, shop],
        commands=[*book.commands, *triggers.commands], subscribers=[*triggers.subscribers, post], adopts=book.adopts,
    )

@asynccontextmanager
async def runtime():
    async with made() as runtime:
        service = TriggerService(WorkflowService(runtime), book, triggers)
        await service.register(CronTrigger(
            name="nightly", flow="report", expression="0 3 * * *", timezone="Europe/Berlin"))
        await service.register(HttpTrigger(name="called", flow="report", input_schema={"type": "object"}))
        await service.register(HttpTrigger(name="called", flow="report", tenant="acme"))
        yield runtime

def without_triggers():
    return WorkflowRuntime(store=SqliteStore("office.db"), definitions=[shop])
"""


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable names a runtime."""
    for name in ("DETENT_RUNTIME", "DETENT_DATABASE_URL", "DETENT_DATABASE_SCHEMA", "DETENT_DATABASE_PREFIX"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def application(detent: Detent) -> Iterator[Application]:
    """Makes the application's runtime, which `claims:runtime` names."""
    sys.modules.pop("claims", None)
    Path("claims.py").write_text(CLAIMS)
    names: dict[str, Any] = {}
    exec(CLAIMS, names)  # noqa: S102 - the module that commands import, for the test itself
    yield names["runtime"]
    sys.modules.pop("claims", None)


@pytest.fixture
def claims(application: Application, monkeypatch: pytest.MonkeyPatch) -> Claims:
    """Claims of anna, ben and eve, whose papers are complete; `DETENT_RUNTIME` names their application."""

    async def make(runtime: WorkflowRuntime) -> Claims:
        made = {}
        for customer in ("anna", "ben", "eve"):
            context = {"papers": 3} if customer == "eve" else {}
            created = await runtime.create_instance("claim", metadata={"customer": customer}, context=context)
            made[customer] = str(created.id)
        return made

    monkeypatch.setenv("DETENT_RUNTIME", "claims:runtime")
    return _within(application, make)


@pytest.fixture
def office(detent: Detent, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    """An application with triggers, a flow that waits, and a workflow that publishes; `DETENT_RUNTIME` names it.

    Gives what opens its runtime, triggers and all.
    """
    sys.modules.pop("office", None)
    Path("office.py").write_text(OFFICE)
    names: dict[str, Any] = {}
    exec(OFFICE, names)  # noqa: S102 - the module that commands import, for the test itself
    monkeypatch.setenv("DETENT_RUNTIME", "office:runtime")
    yield names["runtime"]
    sys.modules.pop("office", None)


@pytest.fixture
def in_office(office: Application) -> Callable[[Callable[[WorkflowRuntime], Awaitable[Any]]], Any]:
    """Gives what a function answers that is given the office's runtime, running."""
    return lambda work: _within(office, work)


def _within(application: Application, work: Callable[[WorkflowRuntime], Awaitable[T]]) -> T:
    async def worked() -> T:
        async with application() as runtime:
            return await work(runtime)

    return asyncio.run(worked())


@pytest.fixture
def within(application: Application) -> Callable[[Callable[[WorkflowRuntime], Awaitable[Any]]], Any]:
    """Gives what a function answers that is given the application's runtime, running."""
    return lambda work: _within(application, work)


@pytest.fixture
def stored() -> Callable[[str], WorkflowInstance]:
    """The instance of an id as it is in the file."""

    def load(instance: str) -> WorkflowInstance:
        async def loaded() -> WorkflowInstance:
            async with WorkflowRuntime(store=SqliteStore("claims.db")) as runtime:
                return await runtime.get_instance(instance)

        return asyncio.run(loaded())

    return load
