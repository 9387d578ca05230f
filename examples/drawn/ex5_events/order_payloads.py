"""What the steps of `order` are given. Written once by `detent generate`; the fields are yours."""

from typing import TypedDict


class PricePayload(TypedDict):
    """What `price` is given. The workflow is submitted with it."""

    items: list[str]


class WaitingPayload(TypedDict):
    """What is there while `waiting` waits for cancel, expire, pay, remind; what comes with an event is laid over it."""

    items: list[str]
    total: int


class ShipPayload(WaitingPayload):
    """What `ship` is given."""

    address: str
