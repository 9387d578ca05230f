"""A handler's own transaction on PostgreSQL: what the client reads is what was committed."""

from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from detent import CommandContext, WorkflowDefinition, WorkflowService, command
from detent_fastapi import AllowAll, WorkflowConfig, WorkflowRoutes, setup_workflows, within
from detent_pg import PgStore
from detent_pg.dishka import PgWorkflowProvider

SALE = WorkflowDefinition.from_dict(
    {
        "name": "api_sale",
        "initial_state": "new",
        "states": {"new": {"events": {"note": {"target": "done", "commands": ["note"]}}}, "done": {}},
    }
)


@command("note")
async def note(ctx: CommandContext, session: AsyncSession) -> None:
    await session.execute(text("INSERT INTO api_notes (note) VALUES (:note)"), {"note": ctx.payload})


@pytest.fixture
async def engine(postgres_url: URL) -> AsyncIterator[AsyncEngine]:
    store = PgStore.from_url(postgres_url)
    await store.upgrade()
    await store.engine.dispose()
    engine = create_async_engine(postgres_url.set(drivername="postgresql+asyncpg"))
    async with engine.begin() as connection:
        # A fault that PostgreSQL finds only at COMMIT.
        await connection.exec_driver_sql(
            "CREATE TABLE api_notes (note text NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED)"
        )
    yield engine
    async with engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE api_notes")
    await engine.dispose()


@pytest.fixture
async def shop(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """An application whose handler writes a row of its own and takes a step, in one transaction."""

    async def session() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine) as session, session.begin():
            yield session

    app = FastAPI()

    @app.post("/sales/{name}", status_code=201)
    async def sell(
        name: str,
        workflows: Annotated[WorkflowService, within(session)],
        session: Annotated[AsyncSession, Depends(session, scope="function")],
        fails: bool = False,
    ) -> str:
        await session.execute(text("INSERT INTO api_notes (note) VALUES (:note)"), {"note": f"{name} sold"})
        instance = await workflows.create_instance("api_sale", idempotency_key=name)
        await workflows.trigger_event(instance.id, "note", payload=f"{name} noted")
        if fails:
            raise ValueError("changed its mind")
        return str(instance.id)

    config = WorkflowConfig(
        store=PgStore(engine),
        definitions=[SALE],
        commands=[note],
        providers=[PgWorkflowProvider()],
        routes=WorkflowRoutes(policy=AllowAll()),
    )
    setup_workflows(app, config)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client,
    ):
        yield client


async def written(engine: AsyncEngine) -> tuple[list[str], int]:
    """The notes, and how many instances there are."""
    async with engine.connect() as connection:
        notes = (await connection.execute(text("SELECT note FROM api_notes ORDER BY note"))).scalars().all()
        count = (await connection.execute(text("SELECT count(*) FROM detent_instances"))).scalar_one()
    return list(notes), count


async def test_the_handlers_row_and_the_step_are_committed_together_before_the_answer(shop, engine):
    _, before = await written(engine)
    sold = await shop.post("/sales/ada")
    notes, after = await written(engine)
    found = await shop.get(f"/workflows/instances/{sold.json()}")
    assert (sold.status_code, notes, after - before) == (201, ["ada noted", "ada sold"], 1)
    assert found.json()["state"] == "done"


async def test_a_handler_that_fails_leaves_nothing(shop, engine):
    before = await written(engine)
    assert (await shop.post("/sales/cleo", params={"fails": True})).status_code == 500
    assert await written(engine) == before


async def test_a_commit_that_fails_is_an_error_to_the_client_and_leaves_nothing(shop, engine):
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO api_notes (note) VALUES ('bob sold')"))
    before = await written(engine)
    answer = await shop.post("/sales/bob")
    assert answer.status_code == 500
    assert await written(engine) == before
