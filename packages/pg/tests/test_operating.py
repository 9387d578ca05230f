"""The commands of operators over PostgreSQL: by the database alone, as `DETENT_DATABASE_URL` names it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL

from detent import TriggerBook, TriggerService, WorkflowDefinition, WorkflowRuntime, WorkflowService
from detent.cli.main import main
from detent.flows import Flow, FlowBook, HandlerContext, Step, Success, handler, success
from detent.triggers import CronTrigger
from detent_pg import PgStore
from detent_pg.schema import schema_version
from tests.databases import database_beside

DOOR = WorkflowDefinition.from_dict(
    {
        "name": "door",
        "initial_state": "shut",
        "states": {
            "shut": {"events": {"open": {"target": "open"}}},
            "open": {"events": {"shut": {"target": "shut", "timeout": "1h"}, "remove": {"target": "removed"}}},
            "removed": {},
        },
    }
)


@handler("write", targets=False)
async def write(ctx: HandlerContext) -> Success:
    return success()


@dataclass(frozen=True)
class Doors:
    """Two doors in a database of their own, and the command line beside it."""

    url: str
    ids: list[UUID]

    async def run(self, *arguments: str) -> Result:
        """Calls `detent`, which runs an event loop of its own."""
        env = {"DETENT_DATABASE_URL": self.url, "DETENT_RUNTIME": None, "COLUMNS": "120"}
        return await asyncio.to_thread(CliRunner().invoke, main, arguments, env=env)

    async def ask(self, *arguments: str) -> Any:
        """The JSON that it answers."""
        result = await self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
async def doors(postgres_url: URL) -> AsyncIterator[Doors]:
    async with database_beside(postgres_url) as url:
        store = PgStore.from_url(url)
        await store.upgrade()
        async with WorkflowRuntime(store=store, definitions=[DOOR]) as runtime:
            ids = [(await runtime.create_instance("door", metadata={"room": room})).id for room in (1, 2)]
        yield Doors(url, ids)


async def test_operators_find(doors: Doors) -> None:
    [found] = (await doors.ask("list", "--metadata", "room=2"))["instances"]
    assert found["id"] == str(doors.ids[1])
    page = await doors.ask("list", "--limit", "1")
    assert [each["id"] for each in (await doors.ask("list", "--cursor", page["cursor"]))["instances"]] == [
        str(doors.ids[0])
    ]
    assert (await doors.ask("parked"))["instances"] == []
    assert (await doors.ask("runs"))["runs"] == []
    [definition] = (await doors.ask("definitions"))["definitions"]
    assert (definition["workflow"], definition["live"], definition["registered"]) == ("door", 2, False)


async def test_operators_look(doors: Doors) -> None:
    one = str(doors.ids[0])
    assert (await doors.ask("show", one))["problems"] == []
    assert [entry["event"] for entry in (await doors.ask("history", one))["entries"]] == ["$created"]
    assert [event["name"] for event in (await doors.ask("events", one))["events"]] == ["open"]


async def test_operators_trigger_and_send(doors: Doors) -> None:
    one, two = map(str, doors.ids)
    assert (await doors.ask("trigger", one, "open"))["instance"]["state"] == "open"
    assert (await doors.ask("send", two, "shut"))["instance_id"] == two


async def test_operators_move(doors: Doors) -> None:
    ids = sorted(map(str, doors.ids))
    assert (await doors.ask("pause", "--workflow", "door", "--yes"))["changed"] == ids
    assert (await doors.ask("resume", *ids, "--yes"))["changed"] == ids
    assert (await doors.ask("force", ids[0], "--to", "removed", "--yes"))["changed"] == [ids[0]]
    assert (await doors.ask("cancel", "--state", "shut", "--yes", "--reason", "gone"))["changed"] == [ids[1]]


async def test_operators_mend_messages(doors: Doors) -> None:
    sent = [(await doors.ask("send", str(door), "shut"))["id"] for door in doors.ids]
    page = await doors.ask("messages", "list", "--not-dead", "--limit", "1")
    rest = await doors.ask("messages", "list", "--after", str(page["after"]))
    assert [each["id"] for each in [*page["messages"], *rest["messages"]]] == sent
    assert (await doors.ask("messages", "revive", "--all"))["changed"] == []
    assert (await doors.ask("messages", "discard", *sent, "--yes"))["changed"] == sent
    assert (await doors.ask("deliveries", "list"))["deliveries"] == []


async def test_operators_switch_a_trigger_by_the_database_alone(doors: Doors) -> None:
    assert (await doors.ask("schedules", "list"))["schedules"] == []
    flow = Flow("report", initial_step_id="write", steps={"write": Step("write")})
    book, triggers = FlowBook(flows=[flow], handlers=[write]), TriggerBook()
    async with WorkflowRuntime(
        store=PgStore.from_url(doors.url),
        definitions=[*book.definitions, *triggers.definitions],
        commands=[*book.commands, *triggers.commands],
    ) as runtime:
        service = TriggerService(WorkflowService(runtime), book, triggers)
        await service.register(CronTrigger(name="nightly", flow="report", expression="0 3 * * *"))
    switched = [(await doors.ask("schedules", verb, "nightly"))["state"] for verb in ("disable", "enable", "pause")]
    assert switched == ["disabled", "enabled", "paused"]
    [found] = (await doors.ask("schedules", "list", "--state", "paused"))["schedules"]
    assert (found["name"], found["kind"], found["timezone"]) == ("nightly", "cron", "UTC")


async def test_tables_elsewhere_are_reached_by_schema_and_prefix(postgres_url: URL) -> None:
    async with database_beside(postgres_url) as url:
        elsewhere, places = Doors(url, []), ("--schema", "shop", "--prefix", "wf_")
        assert (await elsewhere.ask("db", "upgrade", *places))["version"] == schema_version
        async with WorkflowRuntime(
            store=PgStore.from_url(url, schema="shop", prefix="wf_"), definitions=[DOOR]
        ) as runtime:
            made = await runtime.create_instance("door")
        assert [each["id"] for each in (await elsewhere.ask("list", *places))["instances"]] == [str(made.id)]
        without = await elsewhere.run("list")
    assert (without.exit_code, "detent db upgrade" in without.stderr) == (1, True)


async def test_the_bench_leaves_what_it_found(doors: Doors) -> None:
    asked = await doors.run("bench", "--instances", "20")
    assert (asked.exit_code, "the database holds 2 instances" in asked.stderr) == (1, True)
    view = await doors.ask("bench", "--instances", "20", "--concurrency", "5", "--yes")
    assert [(each["verb"], each["count"]) for each in view["measures"]] == [("create", 20), ("trigger", 20)]
    assert (view["removed"], len((await doors.ask("list"))["instances"])) == (20, 2)


async def test_the_doctor_tells_schema_and_clocks(doors: Doors) -> None:
    found = {each["check"]: each for each in (await doors.ask("doctor"))["findings"]}
    assert found["database"]["detail"].startswith("answers: PostgreSQL")
    assert found["database"]["detail"].endswith(f", schema version {schema_version}")
    assert found["clocks"]["status"] == "ok"


async def test_the_doctor_says_what_to_do_about_an_empty_database(postgres_url: URL) -> None:
    async with database_beside(postgres_url) as url:
        result = await Doors(url, []).run("doctor")
    assert result.exit_code == 1
    assert "detent db upgrade" in result.stdout
