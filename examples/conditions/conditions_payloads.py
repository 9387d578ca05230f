"""What the steps of `ConditionsWorkflow` are given. Written once by `detent generate`; the fields are yours."""

from typing import TypedDict


class DecidePayload(TypedDict):
    """What `decide` is given. The workflow is submitted with it."""

    number: int


class LeftPayload(TypedDict):
    """What `left` is given."""

    even: int


class RightPayload(TypedDict):
    """What `right` is given."""

    reason: str
