"""What a request wants to do, as policies are asked about it."""

from typing import Literal, Self, TypeAlias

Action: TypeAlias = Literal["read", "start", "event", "operate"]
"""What a route does to instances: nothing, making one, letting one take an event, or an operator's verb."""


class Wanted(str):
    """An `Action`, which it is equal to, with what is known of it: `wanted == "event" and wanted.event == "pay"`.

    A text, so that a function that decides on actions alone serves these routes and the dashboard alike.
    """

    operation: str
    """The name of the operation, such as `trigger_event`."""
    event: str | None
    """The event that is to be taken or kept."""
    workflow: str | None
    """The workflow of which an instance is to be made."""

    def __new__(
        cls, action: Action, operation: str = "", *, event: str | None = None, workflow: str | None = None
    ) -> Self:
        made = super().__new__(cls, action)
        made.operation, made.event, made.workflow = operation, event, workflow
        return made
