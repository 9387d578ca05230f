"""What runs on the transitions of a claim: three commands in their transaction, and one outside, by a worker.

All get their objects from the application's container. In a transition the `AsyncSession` behind a repository is that of the
transition, so that what it writes is committed with the new state.
"""

from uuid import UUID

from dishka import FromDishka

from detent import CommandContext, Fail, command
from examples.claims.bank import Bank
from examples.claims.models import Payment
from examples.claims.repositories import ClaimRepository, PaymentRepository

ASSESSORS = ("Ada", "Grace", "Mary")
BUDGET = 15_000
"""How many euros may be paid in all."""


@command("assign_assessor")
async def assign_assessor(ctx: CommandContext, claims: FromDishka[ClaimRepository]) -> None:
    """Give the claim, whose row may not be committed yet, to the next assessor."""
    claim = await claims.get(_claim_of(ctx))
    claim.assessor = ASSESSORS[await claims.count() % len(ASSESSORS)]
    await claims.update(claim)


@command("book_payment")
class BookPayment:
    """Writes the payment, unless the year's money is spent: then neither it nor the approval is kept."""

    def __init__(self, payments: PaymentRepository) -> None:
        self._payments = payments

    async def __call__(self, ctx: CommandContext) -> Fail | None:
        await self._payments.add(
            Payment(claim_id=_claim_of(ctx), reference=ctx.payload["reference"], amount=ctx.context["amount"])
        )
        spent = await self._payments.total()
        return Fail("budget_spent", f"{spent} euros would be more than {BUDGET}") if spent > BUDGET else None


@command("transfer_money", durable=True)
async def transfer_money(ctx: CommandContext, bank: FromDishka[Bank]) -> None:
    """Have the bank send the money. It may be asked again after a crash, under the same key."""
    await bank.send(ctx.durable_run.key, ctx.context["amount"])


@command("settle_payment")
async def settle_payment(ctx: CommandContext, payments: FromDishka[PaymentRepository]) -> None:
    """Note that the money was sent."""
    payment = await payments.get_one(claim_id=_claim_of(ctx))
    payment.settled = True
    await payments.update(payment)


def _claim_of(ctx: CommandContext) -> UUID:
    return UUID(ctx.context["claim_id"])
