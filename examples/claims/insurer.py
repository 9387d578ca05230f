"""What the insurer is, whatever framework serves it: its workflows, its objects, and what it tells customers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from uuid import UUID

from advanced_alchemy.config import SQLAlchemyAsyncConfig
from dishka import AsyncContainer, Provider, Scope, provide
from pydantic import BaseModel, PositiveInt
from sqlalchemy.ext.asyncio import AsyncSession

from detent import WorkflowInstance
from detent_pg import PgStore
from examples.claims.bank import Bank
from examples.claims.commands import BookPayment, assign_assessor, settle_payment, transfer_money
from examples.claims.models import Claim
from examples.claims.repositories import ClaimRepository, PaymentRepository
from examples.claims.workflow import claim, within_limit

DATABASE = "DATABASE_URL"
"""The variable that names the PostgreSQL of a served application: `postgresql+asyncpg://…`."""

DEFINITIONS = [claim]
COMMANDS = [assign_assessor, BookPayment, transfer_money, settle_payment]
GUARDS = [within_limit]


class Insurance(Provider):
    """The objects of commands and handlers."""

    scope = Scope.REQUEST
    claims = provide(ClaimRepository)
    payments = provide(PaymentRepository)

    def __init__(self, alchemy: SQLAlchemyAsyncConfig, bank: Bank) -> None:
        super().__init__()
        self._alchemy = alchemy
        self._bank = bank

    @provide(scope=Scope.APP)
    def bank(self) -> Bank:
        return self._bank

    @provide
    async def session(self) -> AsyncIterator[AsyncSession]:
        """The session of what is neither a request nor a transition, such as a durable command."""
        async with self._alchemy.get_session() as session:
            yield session


@asynccontextmanager
async def opened(store: PgStore, container: AsyncContainer) -> AsyncIterator[None]:
    """Around all else that an application opens: Detent's tables before it, an end for container and engine after it."""
    await store.upgrade()
    try:
        yield
    finally:
        await container.close()
        # advanced-alchemy closes only the engine of the first config that a process makes for Litestar.
        await store.engine.dispose()


class NewClaim(BaseModel):
    """What a customer sends."""

    policy: str
    incident: date
    amount: PositiveInt


class Approval(BaseModel):
    """What an assessor sends."""

    reference: str


class ClaimView(BaseModel):
    """What everybody sees."""

    id: UUID
    policy: str
    assessor: str | None
    state: str
    payment: str | None = None
    """`booked` or `settled`, where there is one."""


async def told(row: Claim, instance: WorkflowInstance, payments: PaymentRepository) -> ClaimView:
    """A claim with where it stands and what is paid for it."""
    payment = await payments.get_one_or_none(claim_id=row.id)
    paid = None if payment is None else ("settled" if payment.settled else "booked")
    return ClaimView(id=row.id, policy=row.policy, assessor=row.assessor, state=instance.state, payment=paid)
