"""Repositories of advanced-alchemy. They know nothing of workflows, and never commit."""

from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from examples.claims.models import Claim, Payment


class ClaimRepository(SQLAlchemyAsyncRepository[Claim]):
    """The claims."""

    model_type = Claim

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(session=session)


class PaymentRepository(SQLAlchemyAsyncRepository[Payment]):
    """The payments."""

    model_type = Payment

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(session=session)

    async def total(self) -> int:
        """All that was booked, in euros."""
        return await self.session.scalar(select(func.coalesce(func.sum(Payment.amount), 0))) or 0
