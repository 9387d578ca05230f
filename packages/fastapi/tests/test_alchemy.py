"""Beside advanced-alchemy, on its engine: what a handler writes and the steps it takes are one commit, before the answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import httpx
import pytest
from advanced_alchemy.base import UUIDBase
from advanced_alchemy.config import AsyncSessionConfig
from advanced_alchemy.extensions.fastapi import AdvancedAlchemy, EngineConfig, SQLAlchemyAsyncConfig
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import URL, UniqueConstraint, event, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from detent import InvalidValue, WorkflowDefinition, WorkflowService
from detent_fastapi import WorkflowConfig, setup_workflows, within, workflows
from detent_pg import SESSION_SETTINGS, PgStore
from tests.databases import database_beside

VISIT = WorkflowDefinition.from_dict(
    {"name": "visit", "initial_state": "new", "states": {"new": {"events": {"end": {"target": "done"}}}, "done": {}}}
)


class Visit(UUIDBase):
    __tablename__ = "aa_visits"
    # A fault that PostgreSQL finds only at COMMIT.
    __table_args__ = (UniqueConstraint("name", deferrable=True, initially="DEFERRED"),)
    name: Mapped[str]


class Visits(SQLAlchemyAsyncRepositoryService[Visit]):
    class Repository(SQLAlchemyAsyncRepository[Visit]):
        model_type = Visit

    repository_type = Repository


@pytest.fixture(scope="module")
async def shop_url(postgres_url: URL) -> AsyncIterator[str]:
    async with database_beside(postgres_url) as url:
        yield url


@pytest.fixture(params=["manual", "autocommit"])
async def config(request: pytest.FixtureRequest, shop_url: str) -> AsyncIterator[SQLAlchemyAsyncConfig]:
    config = SQLAlchemyAsyncConfig(
        connection_string=shop_url.replace("postgresql:", "postgresql+asyncpg:"),
        engine_config=EngineConfig(connect_args={"server_settings": dict(SESSION_SETTINGS)}),
        session_config=AsyncSessionConfig(expire_on_commit=False),
        commit_mode=request.param,
    )
    await PgStore(config.get_engine()).upgrade()
    table = Visit.metadata.tables["aa_visits"]
    async with config.get_engine().begin() as connection:
        await connection.run_sync(table.create)
    yield config
    async with config.get_engine().begin() as connection:
        await connection.run_sync(table.drop)
    await config.get_engine().dispose()


async def conflict(_: Request, error: IntegrityError) -> JSONResponse:
    return JSONResponse("conflict", status_code=409)


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client,
    ):
        yield client


@pytest.fixture
def app(config: SQLAlchemyAsyncConfig) -> FastAPI:
    app = FastAPI(exception_handlers={IntegrityError: conflict})
    alchemy = AdvancedAlchemy(config, app)
    setup_workflows(app, WorkflowConfig(store=PgStore(config.get_engine()), definitions=[VISIT]))
    db_session = alchemy.provide_async_session()

    @app.post("/joined/{name}", status_code=201)
    async def visit(
        name: str,
        session: Annotated[AsyncSession, Depends(db_session)],
        joined: Annotated[WorkflowService, within(db_session)],
    ) -> UUID:
        session.add(Visit(name=name))
        return (await joined.create_instance("visit")).id

    @app.post("/refused/{name}")
    async def visit_and_fail(
        name: str,
        session: Annotated[AsyncSession, Depends(db_session)],
        joined: Annotated[WorkflowService, within(db_session)],
    ) -> None:
        session.add(Visit(name=name))
        await joined.create_instance("visit")
        raise InvalidValue("name", "is not liked")

    @app.post("/swallowed/{name}")
    async def visit_and_swallow(
        name: str,
        session: Annotated[AsyncSession, Depends(db_session)],
        joined: Annotated[WorkflowService, within(db_session)],
    ) -> None:
        await joined.create_instance("visit")
        try:
            await session.execute(text("SELECT 1/0"))
        except Exception:
            return

    @app.post("/service/{name}", status_code=201)
    async def visit_by_service(
        name: str,
        visits: Annotated[Visits, Depends(alchemy.provide_service(Visits))],
        joined: Annotated[WorkflowService, within(db_session)],
    ) -> None:
        await visits.create({"name": name})
        await joined.create_instance("visit")

    @app.post("/function-service/{name}", status_code=201)
    async def visit_by_short_service(
        name: str,
        joined: Annotated[WorkflowService, within(db_session)],
        visits: Annotated[Visits, Depends(alchemy.provide_service(Visits), scope="function")],
    ) -> None:
        await visits.create({"name": name})
        await joined.create_instance("visit")

    async def begun() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(config.get_engine()) as session, session.begin():
            yield session

    @app.post("/begun/{name}", status_code=201)
    async def visit_in_a_transaction(
        name: str,
        session: Annotated[AsyncSession, Depends(begun, scope="function")],
        joined: Annotated[WorkflowService, within(begun)],
    ) -> None:
        session.add(Visit(name=name))
        await joined.create_instance("visit")

    @app.post("/block/{name}", status_code=201)
    async def visit_in_a_block(
        name: str,
        session: Annotated[AsyncSession, Depends(db_session)],
        service: Annotated[WorkflowService, Depends(workflows)],
    ) -> None:
        async with service.transaction(session):
            session.add(Visit(name=name))
            await service.within(session).create_instance("visit")

    @app.post("/trusting/{name}", status_code=201)
    async def visit_and_trust(
        name: str,
        session: Annotated[AsyncSession, Depends(db_session)],
        service: Annotated[WorkflowService, Depends(workflows)],
    ) -> None:
        session.add(Visit(name=name))
        await service.within(session).create_instance("visit")

    return app


async def committed(config: SQLAlchemyAsyncConfig) -> tuple[int, int]:
    """How many visits there are, and how many instances."""
    async with config.get_session() as session:
        visits = await session.scalar(select(func.count()).select_from(Visit))
        return visits or 0, await session.scalar(text("SELECT count(*) FROM detent_instances")) or 0


async def grown(config: SQLAlchemyAsyncConfig, client: httpx.AsyncClient, path: str) -> tuple[int, tuple[int, int]]:
    """What a request was answered, and how many visits and instances it has left."""
    visits, instances = await committed(config)
    answer = await client.post(path)
    more_visits, more_instances = await committed(config)
    return answer.status_code, (more_visits - visits, more_instances - instances)


@pytest.mark.parametrize("path", ["/joined/ada", "/begun/ada", "/service/ada", "/block/ada"])
async def test_row_and_instance_are_one_commit_before_the_answer_and_its_failure_an_error(app, config, path):
    async with serving(app) as client:
        assert await grown(config, client, path) == (201, (1, 1))
        assert await grown(config, client, path) == (409, (0, 0))


@pytest.mark.parametrize(("path", "status"), [("/refused/ada", 400), ("/swallowed/ada", 500)])
async def test_what_goes_wrong_in_the_handler_leaves_nothing(app, config, path, status):
    async with serving(app) as client:
        assert await grown(config, client, path) == (status, (0, 0))


@pytest.mark.parametrize("config", ["autocommit"], indirect=True)
async def test_autocommit_alone_answers_that_all_is_well_when_its_commit_fails(app, config):
    """Not ours, and the reason for ours: when this fails, advanced-alchemy has mended it, and docs/transactions.md can say so."""
    async with serving(app) as client:
        assert await grown(config, client, "/trusting/ada") == (201, (1, 1))
        assert await grown(config, client, "/trusting/ada") == (201, (0, 0))


@pytest.mark.parametrize("config", ["autocommit"], indirect=True)
async def test_the_start_warns_of_a_commit_that_may_fail_unseen_and_says_what_to_do(app, caplog):
    async with serving(app):
        pass
    (warned,) = [record.getMessage() for record in caplog.records if record.name == "detent.fastapi"]
    assert "Leave out commit_mode=" in warned


@pytest.mark.parametrize("config", ["manual"], indirect=True)
async def test_a_session_that_the_handlers_commit_is_nothing_to_warn_of(app, caplog):
    async with serving(app):
        pass
    assert not [record for record in caplog.records if record.name == "detent.fastapi"]


async def test_a_service_of_advanced_alchemy_in_function_scope_rolls_back_before_the_commit(app, config):
    """Not ours either: there it takes every answer for one that is not to be committed."""
    async with serving(app) as client:
        assert await grown(config, client, "/function-service/ada") == (201, (0, 0))


@pytest.mark.parametrize("config", ["manual"], indirect=True)
@pytest.mark.parametrize("alchemy_first", [True, False])
async def test_the_engine_is_closed_after_the_runtime_whichever_was_set_up_first(config, alchemy_first):
    closed = []

    class Watched(PgStore):
        async def close(self) -> None:
            await super().close()
            closed.append("runtime")

    event.listen(config.get_engine().sync_engine, "engine_disposed", lambda _: closed.append("engine"))
    app, workflows = FastAPI(), WorkflowConfig(store=Watched(config.get_engine()), definitions=[VISIT], worker="asgi")
    if alchemy_first:
        AdvancedAlchemy(config, app)
    setup_workflows(app, workflows)
    if not alchemy_first:
        AdvancedAlchemy(config, app)
    async with serving(app):
        pass
    assert closed == ["runtime", "engine"]
