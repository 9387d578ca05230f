"""What an operation takes of a request, read off the function that answers it: each web package says it in its own words."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_type_hints
from uuid import UUID

from detent.service.http.headers import IF_MATCH, KEY, KEY_OF_CREATION, KEY_OF_EVENT, MAX_KEY, VERSION_SEEN

MAX_PAGE = 100
"""How many entries one answer holds at most."""
USUAL_PAGE = 50
LAST_SEQUENCE = 2**31 - 1
"""Stores count entries in 32 bits."""
LAST_NUMBER = 2**63 - 1
"""And messages in 64."""

REQUIRED = inspect.Parameter.empty
"""The default of what has to be sent."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Where a request has a parameter, and what it may be."""

    place: Literal["path", "query", "header"]
    name: str | None = None
    """As it is sent, where that is not the name of the argument."""
    description: str | None = None
    ge: int | None = None
    le: int | None = None
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """One argument of an answering function."""

    argument: str
    kind: Any
    """Its type."""
    default: Any
    """`REQUIRED` where there is none."""
    parameter: Parameter | None
    """Where it stands in the request; `None` for the body."""

    @property
    def sent(self) -> str:
        """What it is called where it is sent."""
        return self.argument if self.parameter is None else self.parameter.name or self.argument


def taken_by(answer: Callable[..., Any]) -> tuple[Taken, ...]:
    """What `answer` takes beside the first of its arguments, which is the `Ask`."""
    hints = get_type_hints(answer, include_extras=True)
    _, *arguments = inspect.signature(answer).parameters.values()
    return tuple(_taken(each.name, hints[each.name], each.default) for each in arguments)


def _taken(argument: str, hint: Any, default: Any) -> Taken:
    kind, *said = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
    parameter = next((one for one in said if isinstance(one, Parameter)), None)
    return Taken(argument, kind, default, parameter)


InstanceId: TypeAlias = Annotated[UUID, Parameter("path")]
RunId: TypeAlias = Annotated[UUID, Parameter("path")]
MessageId: TypeAlias = Annotated[UUID, Parameter("path")]
Named: TypeAlias = Annotated[str, Parameter("path")]
"""A name in the path."""

KeyOfCreation: TypeAlias = Annotated[
    str | None, Parameter("header", KEY, max_length=MAX_KEY, description=KEY_OF_CREATION)
]
KeyOfEvent: TypeAlias = Annotated[str | None, Parameter("header", KEY, max_length=MAX_KEY, description=KEY_OF_EVENT)]
IfMatch: TypeAlias = Annotated[str | None, Parameter("header", IF_MATCH, description=VERSION_SEEN)]

Limit: TypeAlias = Annotated[int, Parameter("query", ge=1, le=MAX_PAGE, description="How many entries at most.")]
Before: TypeAlias = Annotated[
    int | None,
    Parameter("query", ge=1, le=LAST_SEQUENCE, description="Only entries with a lower sequence: the page after."),
]
Names: TypeAlias = Annotated[list[str] | None, Parameter("query", description="One or several.")]
# A parameter that is called `state` in Python is Litestar's own.
States: TypeAlias = Annotated[list[str] | None, Parameter("query", "state", description="One or several.")]
Cursor: TypeAlias = Annotated[
    str | None, Parameter("query", description="Where the page begins, as the one before it said.")
]
