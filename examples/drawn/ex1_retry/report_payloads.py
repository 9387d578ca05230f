"""What the steps of `report` are given. Written once by `detent generate`; the fields are yours."""

from typing import TypedDict


class FetchPayload(TypedDict):
    """What `fetch` is given. The workflow is submitted with it."""

    day: str


class SendPayload(TypedDict):
    """What `send` is given."""

    day: str
    rows: list[int]
