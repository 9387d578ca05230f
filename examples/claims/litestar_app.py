"""The insurer as a Litestar application: `uvicorn --factory examples.claims.litestar_app:create_app`."""

import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from advanced_alchemy.config import AsyncSessionConfig
from advanced_alchemy.extensions.litestar import EngineConfig, SQLAlchemyAsyncConfig, SQLAlchemyPlugin
from dishka import FromDishka, Has, Provider, Scope, make_async_container, provide
from dishka.integrations.litestar import LitestarProvider, inject, setup_dishka
from litestar import Litestar, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from detent import WorkflowObserver, WorkflowService
from detent_litestar import WorkflowConfig, WorkflowPlugin, within
from detent_pg import SESSION_SETTINGS, PgStore
from detent_pg.dishka import PgWorkflowProvider
from examples.claims.bank import Bank
from examples.claims.commands import BookPayment
from examples.claims.insurer import (
    COMMANDS,
    DATABASE,
    DEFINITIONS,
    GUARDS,
    Approval,
    ClaimView,
    Insurance,
    NewClaim,
    opened,
    told,
)
from examples.claims.models import Claim
from examples.claims.repositories import ClaimRepository, PaymentRepository


@post("/claims", dependencies={"joined": within("db_session")})
@inject
async def file_claim(
    data: JSONBody[NewClaim],
    joined: NamedDependency[WorkflowService],
    claims: FromDishka[ClaimRepository],
    payments: FromDishka[PaymentRepository],
) -> ClaimView:
    """File a claim: its row, its instance, and the assessor that a command writes into the row are one commit."""
    row = await claims.add(Claim(policy=data.policy, incident=data.incident, amount=data.amount))
    instance = await joined.create_instance("claim", context={"claim_id": str(row.id), "amount": row.amount})
    row.instance_id = instance.id
    return await told(row, instance, payments)


@post("/claims/{claim_id:uuid}/approve", status_code=200)
@inject
async def approve_claim(
    claim_id: FromPath[UUID],
    data: JSONBody[Approval],
    workflows: NamedDependency[WorkflowService],
    claims: FromDishka[ClaimRepository],
    payments: FromDishka[PaymentRepository],
) -> ClaimView:
    """Approve a claim: the new state and the payment that a command books are one commit, made by the step."""
    row = await claims.get(claim_id)
    result = await workflows.trigger_event(row.instance_id, "approve", payload=data.model_dump())
    result.raise_if_refused()
    return await told(row, result.instance, payments)


@get("/claims/{claim_id:uuid}")
@inject
async def show_claim(
    claim_id: FromPath[UUID],
    workflows: NamedDependency[WorkflowService],
    claims: FromDishka[ClaimRepository],
    payments: FromDishka[PaymentRepository],
) -> ClaimView:
    """One claim as it stands."""
    row = await claims.get(claim_id)
    return await told(row, await workflows.get_instance(row.instance_id), payments)


class RequestSession(Provider):
    """In a request `AsyncSession` is advanced-alchemy's, the one that handlers know as `db_session`."""

    def __init__(self, alchemy: SQLAlchemyAsyncConfig) -> None:
        super().__init__()
        self._alchemy = alchemy

    @provide(scope=Scope.REQUEST, when=Has(Request))
    def session(self, request: Request) -> AsyncSession:  # type: ignore[type-arg]  # as dishka's provider has it
        return self._alchemy.provide_session(request.app.state, request.scope)


def conflict(_: Request[Any, Any, Any], error: IntegrityError) -> Response[dict[str, str]]:
    """What PostgreSQL does not accept, also where it finds out only at COMMIT."""
    return Response({"detail": "there is one like this already"}, status_code=409)


def create_app(
    url: str | None = None, *, bank: Bank | None = None, observers: Sequence[WorkflowObserver] = ()
) -> Litestar:
    """The application over the PostgreSQL at `url`, by default the one that DATABASE_URL names."""
    alchemy = SQLAlchemyAsyncConfig(
        connection_string=url or os.environ[DATABASE],
        engine_config=EngineConfig(connect_args={"server_settings": dict(SESSION_SETTINGS)}),
        session_config=AsyncSessionConfig(expire_on_commit=False),
        create_all=True,
    )
    # There is one engine, advanced-alchemy's.
    store = PgStore(alchemy.get_engine())
    container = make_async_container(
        LitestarProvider(), Insurance(alchemy, bank or Bank()), RequestSession(alchemy), PgWorkflowProvider(BookPayment)
    )
    workflows = WorkflowConfig(
        store=store, definitions=DEFINITIONS, commands=COMMANDS, guards=GUARDS, observers=observers, worker="asgi"
    )
    app = Litestar(
        [file_claim, approve_claim, show_claim],
        plugins=[SQLAlchemyPlugin(alchemy), WorkflowPlugin(workflows)],
        lifespan=[lambda _: opened(store, container)],
        exception_handlers={IntegrityError: conflict},
        logging_config=None,
    )
    setup_dishka(container, app)
    return app
