"""What the steps of `shipping` are given. Written once by `detent generate`; the fields are yours."""

from pydantic import BaseModel


class CheckPayload(BaseModel):
    """What `check` is given. The workflow is submitted with it."""

    items: list[str]
    price: int


class BillPayload(BaseModel):
    """What `bill` is given."""

    price: int


class PickPayload(BaseModel):
    """What `pick` is given."""

    items: list[str]


class PreparePayload(BillPayload, PickPayload):
    """What is there while `prepare` waits for its branches: bill, pick."""


class BillResult(BaseModel):
    """What the branch of `bill` ends with."""

    invoice: str


class PickResult(BaseModel):
    """What the branch of `pick` ends with."""

    parcels: int


class SendPayload(PreparePayload):
    """What `send` is given."""

    bill: BillResult
    pick: PickResult


class PackPayload(BaseModel):
    """What `pack` is given."""

    picked: list[str]
