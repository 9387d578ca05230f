"""The insurer as a FastAPI application: `uvicorn --factory examples.claims.fastapi_app:create_app`."""

import os
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from advanced_alchemy.config import AsyncSessionConfig
from advanced_alchemy.exceptions import NotFoundError
from advanced_alchemy.extensions.fastapi import AdvancedAlchemy, EngineConfig, SQLAlchemyAsyncConfig
from dishka import FromDishka, Has, Provider, Scope, make_async_container, provide
from dishka.integrations.fastapi import FastapiProvider, inject, setup_dishka
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from detent import WorkflowObserver, WorkflowService
from detent_fastapi import WorkflowConfig, setup_workflows, within, workflows
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

routes = APIRouter()


def db_session(request: Request) -> AsyncSession:
    """The session that advanced-alchemy keeps for the request."""
    alchemy: AdvancedAlchemy = request.app.state.advanced_alchemy
    return alchemy.get_async_session(request)


@routes.post("/claims", status_code=201)
@inject
async def file_claim(
    data: NewClaim,
    joined: Annotated[WorkflowService, within(db_session)],
    claims: FromDishka[ClaimRepository],
    payments: FromDishka[PaymentRepository],
) -> ClaimView:
    """File a claim: its row, its instance, and the assessor that a command writes into the row are one commit."""
    row = await claims.add(Claim(policy=data.policy, incident=data.incident, amount=data.amount))
    instance = await joined.create_instance("claim", context={"claim_id": str(row.id), "amount": row.amount})
    row.instance_id = instance.id
    return await told(row, instance, payments)


@routes.post("/claims/{claim_id}/approve")
@inject
async def approve_claim(
    claim_id: UUID,
    data: Approval,
    service: Annotated[WorkflowService, Depends(workflows)],
    claims: FromDishka[ClaimRepository],
    payments: FromDishka[PaymentRepository],
) -> ClaimView:
    """Approve a claim: the new state and the payment that a command books are one commit, made by the step."""
    row = await claims.get(claim_id)
    result = await service.trigger_event(row.instance_id, "approve", payload=data.model_dump())
    result.raise_if_refused()
    return await told(row, result.instance, payments)


@routes.get("/claims/{claim_id}")
@inject
async def show_claim(
    claim_id: UUID,
    service: Annotated[WorkflowService, Depends(workflows)],
    claims: FromDishka[ClaimRepository],
    payments: FromDishka[PaymentRepository],
) -> ClaimView:
    """One claim as it stands."""
    row = await claims.get(claim_id)
    return await told(row, await service.get_instance(row.instance_id), payments)


class RequestSession(Provider):
    """In a request `AsyncSession` is advanced-alchemy's, as in `Depends(db_session)`."""

    @provide(scope=Scope.REQUEST, when=Has(Request))
    def session(self, request: Request) -> AsyncSession:
        return db_session(request)


async def conflict(_: Request, error: IntegrityError) -> JSONResponse:
    """What PostgreSQL does not accept, also where it finds out only at COMMIT."""
    return JSONResponse({"detail": "there is one like this already"}, status_code=409)


async def not_found(_: Request, error: NotFoundError) -> JSONResponse:
    """What a repository does not find."""
    return JSONResponse({"detail": "there is none"}, status_code=404)


def create_app(
    url: str | None = None, *, bank: Bank | None = None, observers: Sequence[WorkflowObserver] = ()
) -> FastAPI:
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
        FastapiProvider(), Insurance(alchemy, bank or Bank()), RequestSession(), PgWorkflowProvider(BookPayment)
    )
    app = FastAPI(
        lifespan=lambda _: opened(store, container),
        exception_handlers={IntegrityError: conflict, NotFoundError: not_found},
    )
    app.include_router(routes)
    AdvancedAlchemy(alchemy, app)
    setup_dishka(container, app)
    setup_workflows(
        app,
        WorkflowConfig(
            store=store, definitions=DEFINITIONS, commands=COMMANDS, guards=GUARDS, observers=observers, worker="asgi"
        ),
    )
    return app
