"""Beside advanced-alchemy, on its engine: what a handler writes and the steps it takes are one commit, before the answer."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from advanced_alchemy.base import UUIDBase
from advanced_alchemy.config import AsyncSessionConfig
from advanced_alchemy.extensions.litestar import EngineConfig, SQLAlchemyAsyncConfig, SQLAlchemyPlugin
from advanced_alchemy.extensions.litestar.providers import create_service_dependencies
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from litestar import Litestar, Request, Response, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import ImproperlyConfiguredException
from litestar.params import FromPath
from sqlalchemy import URL, UniqueConstraint, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from detent import InvalidValue, Observation, WorkflowDefinition, WorkflowObserver, WorkflowService
from detent_litestar import WorkflowConfig, WorkflowPlugin, within
from detent_pg import SESSION_SETTINGS, PgStore
from tests.databases import database_beside

SALE = WorkflowDefinition.from_dict(
    {"name": "sale", "initial_state": "new", "states": {"new": {"events": {"end": {"target": "done"}}}, "done": {}}}
)


class Sale(UUIDBase):
    __tablename__ = "aa_sales"
    # A fault that PostgreSQL finds only at COMMIT.
    __table_args__ = (UniqueConstraint("name", deferrable=True, initially="DEFERRED"),)
    name: Mapped[str]


class Sales(SQLAlchemyAsyncRepositoryService[Sale]):
    class Repository(SQLAlchemyAsyncRepository[Sale]):
        model_type = Sale

    repository_type = Repository


class Told(WorkflowObserver):
    def __init__(self) -> None:
        self.created: list[UUID] = []

    async def on_created(self, seen: Observation) -> None:
        self.created.append(seen.instance.id)


@post("/joined/{name:str}", dependencies={"joined": within()})
async def sell(
    name: FromPath[str], db_session: NamedDependency[AsyncSession], joined: NamedDependency[WorkflowService]
) -> UUID:
    db_session.add(Sale(name=name))
    return (await joined.create_instance("sale")).id


@post("/refused/{name:str}", dependencies={"joined": within()})
async def sell_and_fail(
    name: FromPath[str], db_session: NamedDependency[AsyncSession], joined: NamedDependency[WorkflowService]
) -> None:
    db_session.add(Sale(name=name))
    await joined.create_instance("sale")
    raise InvalidValue("name", "is not liked")


async def picky(joined: NamedDependency[WorkflowService]) -> None:
    await joined.create_instance("sale")
    raise InvalidValue("name", "is not liked")


@post("/picky", dependencies={"joined": within(), "picked": Provide(picky)})
async def sell_to_nobody(picked: NamedDependency[None]) -> None:
    raise AssertionError("a dependency has failed")


@post("/swallowed/{name:str}", dependencies={"joined": within()})
async def sell_and_swallow(
    name: FromPath[str], db_session: NamedDependency[AsyncSession], joined: NamedDependency[WorkflowService]
) -> None:
    await joined.create_instance("sale")
    try:
        await db_session.execute(text("SELECT 1/0"))
    except Exception:
        return


@post("/early/{name:str}", dependencies={"joined": within()})
async def sell_and_commit(
    name: FromPath[str], db_session: NamedDependency[AsyncSession], joined: NamedDependency[WorkflowService]
) -> None:
    db_session.add(Sale(name=name))
    await db_session.commit()
    await joined.create_instance("sale")


@post("/service/{name:str}", dependencies={"joined": within(), **create_service_dependencies(Sales, "sales")})
async def sell_by_service(
    name: FromPath[str], sales: NamedDependency[Sales], joined: NamedDependency[WorkflowService]
) -> None:
    await sales.create({"name": name})
    await joined.create_instance("sale")


@post("/block/{name:str}", dependencies=create_service_dependencies(Sales, "sales"))
async def sell_in_a_block(
    name: FromPath[str],
    db_session: NamedDependency[AsyncSession],
    sales: NamedDependency[Sales],
    workflows: NamedDependency[WorkflowService],
) -> None:
    async with workflows.transaction(db_session):
        await sales.create({"name": name})
        await workflows.within(db_session).create_instance("sale")


@post("/trusting/{name:str}")
async def sell_and_trust(
    name: FromPath[str], db_session: NamedDependency[AsyncSession], workflows: NamedDependency[WorkflowService]
) -> None:
    db_session.add(Sale(name=name))
    await workflows.within(db_session).create_instance("sale")


def conflict(_: Request[Any, Any, Any], error: IntegrityError) -> Response[str]:
    return Response("conflict", status_code=409)


HANDLERS = [
    sell,
    sell_and_fail,
    sell_to_nobody,
    sell_and_swallow,
    sell_and_commit,
    sell_by_service,
    sell_in_a_block,
    sell_and_trust,
]


@pytest.fixture(scope="module")
async def shop_url(postgres_url: URL) -> AsyncIterator[str]:
    async with database_beside(postgres_url) as url:
        yield url


@pytest.fixture(params=[None, "autocommit"], ids=["manual", "autocommit"])
async def alchemy(request: pytest.FixtureRequest, shop_url: str) -> AsyncIterator[SQLAlchemyAsyncConfig]:
    config = SQLAlchemyAsyncConfig(
        connection_string=shop_url.replace("postgresql:", "postgresql+asyncpg:"),
        engine_config=EngineConfig(connect_args={"server_settings": dict(SESSION_SETTINGS)}),
        session_config=AsyncSessionConfig(expire_on_commit=False),
        before_send_handler=request.param,
    )
    await PgStore(config.get_engine()).upgrade()
    table = Sale.metadata.tables["aa_sales"]
    async with config.get_engine().begin() as connection:
        await connection.run_sync(table.create)
    yield config
    async with config.get_engine().begin() as connection:
        await connection.run_sync(table.drop)
    await config.get_engine().dispose()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def shop(alchemy: SQLAlchemyAsyncConfig, told: Told) -> Litestar:
    workflows = WorkflowConfig(store=PgStore(alchemy.get_engine()), definitions=[SALE], observers=[told])
    return Litestar(
        HANDLERS,
        plugins=[SQLAlchemyPlugin(alchemy), WorkflowPlugin(workflows)],
        exception_handlers={IntegrityError: conflict},
        logging_config=None,
    )


async def committed(alchemy: SQLAlchemyAsyncConfig) -> tuple[int, int]:
    """How many sales there are, and how many instances."""
    async with alchemy.get_session() as session:
        sales = await session.scalar(select(func.count()).select_from(Sale))
        return sales or 0, await session.scalar(text("SELECT count(*) FROM detent_instances")) or 0


async def grown(alchemy: SQLAlchemyAsyncConfig, client: httpx.AsyncClient, path: str) -> tuple[int, tuple[int, int]]:
    """What a request was answered, and how many sales and instances it has left."""
    sales, instances = await committed(alchemy)
    answer = await client.post(path)
    more_sales, more_instances = await committed(alchemy)
    return answer.status_code, (more_sales - sales, more_instances - instances)


async def test_row_and_instance_are_committed_before_the_answer_and_observers_are_told(serve, shop, alchemy, told):
    async with serve(shop) as client:
        assert await grown(alchemy, client, "/joined/ada") == (201, (1, 1))
        await shop.plugins.get(WorkflowPlugin).runtime.settled()
    assert len(told.created) == 1


async def test_a_commit_that_fails_is_an_error_to_the_client_and_leaves_nothing(serve, shop, alchemy, told):
    async with serve(shop) as client:
        await client.post("/joined/ada")
        assert await grown(alchemy, client, "/joined/ada") == (409, (0, 0))
        await shop.plugins.get(WorkflowPlugin).runtime.settled()
    assert len(told.created) == 1


@pytest.mark.parametrize(("path", "status"), [("/refused/ada", 400), ("/picky", 400), ("/swallowed/ada", 500)])
async def test_what_goes_wrong_in_the_handler_leaves_nothing(serve, shop, alchemy, path, status):
    async with serve(shop) as client:
        assert await grown(alchemy, client, path) == (status, (0, 0))


async def test_a_handler_may_commit_for_itself_in_between(serve, shop, alchemy):
    async with serve(shop) as client:
        assert await grown(alchemy, client, "/early/ada") == (201, (1, 1))


async def test_beside_another_generator_a_commit_that_fails_is_still_seen_though_not_by_its_type(serve, shop, alchemy):
    async with serve(shop) as client:
        assert await grown(alchemy, client, "/service/ada") == (201, (1, 1))
        assert await grown(alchemy, client, "/service/ada") == (500, (0, 0))


async def test_a_block_in_the_handler_fails_by_its_type_beside_any_dependency(serve, shop, alchemy):
    async with serve(shop) as client:
        assert await grown(alchemy, client, "/block/ada") == (201, (1, 1))
        assert await grown(alchemy, client, "/block/ada") == (409, (0, 0))


@pytest.mark.parametrize("alchemy", ["autocommit"], indirect=True)
async def test_autocommit_alone_answers_that_all_is_well_when_its_commit_fails(serve, shop, alchemy):
    """Not ours, and the reason for ours: when this fails, advanced-alchemy has mended it, and docs/transactions.md can say so."""
    async with serve(shop) as client:
        assert await grown(alchemy, client, "/trusting/ada") == (201, (1, 1))
        assert await grown(alchemy, client, "/trusting/ada") == (201, (0, 0))


@pytest.mark.parametrize("alchemy", [None], indirect=True)
async def test_a_session_that_nobody_commits_is_rolled_back_behind_the_answer(serve, shop, alchemy):
    async with serve(shop) as client:
        assert await grown(alchemy, client, "/trusting/ada") == (201, (0, 0))


async def test_sessions_and_services_may_have_other_names(serve, alchemy):
    alchemy.session_dependency_key = "shop_session"

    @post("/", dependencies={"joined": within("shop_session", workflows_key="instances")})
    async def sell(shop_session: NamedDependency[AsyncSession], joined: NamedDependency[WorkflowService]) -> None:
        shop_session.add(Sale(name="ada"))
        await joined.create_instance("sale")

    workflows = WorkflowConfig(store=PgStore(alchemy.get_engine()), definitions=[SALE], dependency_key="instances")
    app = Litestar([sell], plugins=[SQLAlchemyPlugin(alchemy), WorkflowPlugin(workflows)], logging_config=None)
    async with serve(app) as client:
        assert await grown(alchemy, client, "/") == (201, (1, 1))


@pytest.mark.parametrize("alchemy", [None], indirect=True)
async def test_an_engine_that_would_be_closed_before_the_runtime_is_refused(serve, alchemy):
    workflows = WorkflowPlugin(WorkflowConfig(store=PgStore(alchemy.get_engine()), definitions=[SALE]))
    app = Litestar(plugins=[workflows, SQLAlchemyPlugin(alchemy)], logging_config=None)
    refused = pytest.RaisesExc(ImproperlyConfiguredException, match="list SQLAlchemyPlugin before WorkflowPlugin")
    with pytest.RaisesGroup(refused, flatten_subgroups=True):
        async with serve(app):
            pass
