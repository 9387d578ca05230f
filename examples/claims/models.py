"""The insurer's own tables, as models of advanced-alchemy."""

from datetime import date
from uuid import UUID

from advanced_alchemy.base import UUIDAuditBase
from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column


class Claim(UUIDAuditBase):
    """What a customer asks money for. Where it stands is known to its workflow, `instance_id`."""

    __tablename__ = "claims"
    # PostgreSQL looks at this only at COMMIT, so that two claims can swap what they are about in one transaction.
    __table_args__ = (UniqueConstraint("policy", "incident", deferrable=True, initially="DEFERRED"),)

    policy: Mapped[str]
    incident: Mapped[date]
    amount: Mapped[int]
    assessor: Mapped[str | None]
    # Not known yet when the row is made, and known when it is committed.
    instance_id: Mapped[UUID] = mapped_column(unique=True, nullable=True)


class Payment(UUIDAuditBase):
    """Money for one claim: booked when it is approved, settled when the bank has sent it."""

    __tablename__ = "payments"
    __table_args__ = (UniqueConstraint("reference", deferrable=True, initially="DEFERRED"),)

    claim_id: Mapped[UUID] = mapped_column(ForeignKey("claims.id"), unique=True)
    reference: Mapped[str]
    amount: Mapped[int]
    settled: Mapped[bool] = mapped_column(default=False)
