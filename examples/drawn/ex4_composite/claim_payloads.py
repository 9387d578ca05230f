"""What the steps of `claim` are given. Written once by `detent generate`; the fields are yours."""

from typing import TypedDict


class RegisterPayload(TypedDict):
    """What `register` is given. The workflow is submitted with it."""

    text: str


class FormalPayload(TypedDict):
    """What `formal` is given."""

    number: int
    text: str


class ExpertPayload(TypedDict):
    """What `expert` is given."""

    number: int
    amount: int


class AnswerPayload(TypedDict):
    """What `answer` is given."""

    number: int
    paid: int


class SettlePayload(TypedDict):
    """What `settle` is given."""

    number: int
    amount: int
