"""The whole of it on PostgreSQL: routes, injection of the step's session, a joined transaction, the worker."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from dishka import STRICT_VALIDATION, FromDishka, Provider, Scope, make_async_container, provide
from dishka.integrations.litestar import setup_dishka
from litestar import Litestar, post
from litestar.di import NamedDependency
from litestar.params import FromQuery
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from detent import CommandContext, Observation, WorkflowDefinition, WorkflowObserver, WorkflowService, command
from detent.integrations.dishka import WorkflowProvider
from detent.testing.clock import FakeClock
from detent_litestar import AllowAll, Controllers, WorkerConfig, WorkflowConfig, WorkflowPlugin
from detent_pg import PgStore
from detent_pg.dishka import PgWorkflowProvider

SALE = WorkflowDefinition.from_dict(
    {
        "name": "sale",
        "initial_state": "new",
        "states": {
            "new": {
                "events": {
                    "note": {"target": "done", "commands": ["note"]},
                    "expire": {"target": "late", "timeout": {"after_days": 1}},
                }
            },
            "done": {},
            "late": {},
        },
    }
)


class Notes:
    """A repository of the application: it knows nothing of workflows."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def add(self, note: str) -> None:
        await self.session.execute(text("INSERT INTO web_notes (note) VALUES (:note)"), {"note": note})


class App(Provider):
    """The application's provider, with its usual session."""

    scope = Scope.REQUEST
    notes = provide(Notes)

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__()
        self.engine = engine

    @provide
    async def session(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self.engine) as session:
            yield session


@command("note")
async def note(ctx: CommandContext, notes: FromDishka[Notes]) -> None:
    await notes.add(str(ctx.payload))
    if ctx.payload == "wrong":
        raise ValueError("this note is wrong")


class Ended(WorkflowObserver):
    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def on_completed(self, seen: Observation) -> None:
        self.event.set()


@pytest.fixture
async def engine(postgres_url: URL) -> AsyncIterator[AsyncEngine]:
    store = PgStore.from_url(postgres_url)
    await store.upgrade()
    await store.engine.dispose()
    engine = create_async_engine(postgres_url.set(drivername="postgresql+asyncpg"))
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE web_notes (note text NOT NULL)")
    yield engine
    async with engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE web_notes")
    await engine.dispose()


async def noted(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list((await connection.execute(text("SELECT note FROM web_notes ORDER BY note"))).scalars())


def config(engine: AsyncEngine, **options) -> WorkflowConfig:
    return WorkflowConfig(
        store=PgStore(engine),
        definitions=[SALE],
        commands=[note],
        providers=[App(engine), PgWorkflowProvider()],
        controllers=Controllers(policy=AllowAll()),
        **options,
    )


async def test_a_command_writes_in_the_transaction_of_its_step(serve, engine):
    async with serve(config(engine)) as client:
        path = (await client.post("/workflows/instances", json={"workflow": "sale"})).headers["location"]
        wrong = await client.post(f"{path}/events/note", json={"payload": "wrong"})
        right = await client.post(f"{path}/events/note", json={"payload": "right"})
    assert (wrong.status_code, right.status_code) == (500, 200)
    assert await noted(engine) == ["right"]


async def test_a_handler_lends_its_session_and_commits(serve, engine):
    @post("/sell")
    async def sell(workflows: NamedDependency[WorkflowService], fails: FromQuery[bool] = False) -> str:
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(text("INSERT INTO web_notes (note) VALUES ('sold')"))
            joined = workflows.within(session)
            instance = await joined.create_instance("sale")
            await joined.trigger_event(instance.id, "note", payload="noted")
            if fails:
                raise ValueError("changed its mind")
        return str(instance.id)

    async with serve(config(engine), route_handlers=[sell]) as client:
        assert (await client.post("/sell", params={"fails": True})).status_code == 500
        assert await noted(engine) == []
        sold = await client.post("/sell")
        found = await client.get(f"/workflows/instances/{sold.text}")
    assert found.json()["state"] == "done"
    assert await noted(engine) == ["noted", "sold"]


async def test_the_worker_fires_what_is_due(serve, engine):
    clock, ended = FakeClock(), Ended()
    worker = WorkerConfig(poll=timedelta(milliseconds=5))
    async with asyncio.timeout(20), serve(config(engine, clock=clock, observers=[ended], worker=worker)) as client:
        path = (await client.post("/workflows/instances", json={"workflow": "sale"})).headers["location"]
        clock.advance(days=1)
        await ended.event.wait()
        assert (await client.get(path)).json()["state"] == "late"


@pytest.fixture
async def beside(engine: AsyncEngine) -> AsyncIterator[PgStore]:
    """A second store on the same database, in a schema of its own."""
    store = PgStore(engine, schema="returns")
    await store.upgrade()
    yield store
    async with engine.begin() as connection:
        await connection.exec_driver_sql("DROP SCHEMA returns CASCADE")


async def test_two_runtimes_share_a_database_and_a_container(serve, engine, beside):
    container = make_async_container(
        App(engine),
        PgWorkflowProvider(),
        WorkflowProvider().to_component("returns"),
        validation_settings=STRICT_VALIDATION,
    )
    routes = Controllers(policy=AllowAll(), path="/returns", operation_id_prefix="returns")
    returns = WorkflowConfig(
        name="returns",
        dependency_key="returns",
        store=beside,
        definitions=[SALE],
        commands=[note],
        controllers=routes,
    )
    sales = replace(config(engine), providers=())
    app = Litestar(logging_config=None, plugins=[WorkflowPlugin(sales), WorkflowPlugin(returns)])
    setup_dishka(container, app)
    async with serve(app) as client:
        sold, returned = [
            (await client.post(f"{path}/instances", json={"workflow": "sale"})).headers["location"]
            for path in ("/workflows", "/returns")
        ]
        for path in (sold, returned):
            wrong = await client.post(f"{path}/events/note", json={"payload": "wrong"})
            right = await client.post(f"{path}/events/note", json={"payload": path.split("/")[1]})
            assert (wrong.status_code, right.status_code) == (500, 200)
        assert (await client.get(returned.replace("/returns", "/workflows"))).status_code == 404
    assert await noted(engine) == ["returns", "workflows"]
    await container.close()
