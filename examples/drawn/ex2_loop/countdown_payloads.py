"""What the steps of `countdown` are given. Written once by `detent generate`; the fields are yours."""

from typing import TypedDict


class CountDownPayload(TypedDict):
    """What `countDown` is given. The workflow is submitted with it."""

    left: int


class LiftOffPayload(TypedDict):
    """What `liftOff` is given."""

    counted: bool
