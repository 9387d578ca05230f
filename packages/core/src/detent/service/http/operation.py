"""One operation of the contract: where it is, who answers it, and what OpenAPI tells of it."""

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

from pydantic import BaseModel

from detent.json_values import JsonObject
from detent.service.http.admission import admit
from detent.service.http.answers import MERMAID, PLAIN, Answer
from detent.service.http.ask import Ask
from detent.service.http.bodies import JSON
from detent.service.http.changes import EVENT_SCHEMA, EVENT_STREAM, EventStream
from detent.service.http.parameters import REQUIRED, Taken, taken_by
from detent.service.http.wanted import Action

Answers: TypeAlias = Callable[..., Coroutine[Any, Any, Answer[Any]]]

_MEDIA_TYPES: Mapping[Any, Sequence[str]] = {str: (PLAIN, MERMAID), EventStream: (EVENT_STREAM,)}
"""How what is no JSON is sent, by what a function answers."""


@dataclass(frozen=True, slots=True)
class FurtherAnswer:
    """An answer of another status that is no error."""

    view: type[BaseModel] | None
    """`None` for an answer without a body."""
    description: str


@dataclass(frozen=True)
class Operation:
    """One operation of the contract."""

    method: Literal["GET", "POST"]
    path: str
    """Below the prefix, with its parameters in braces."""
    answers: Answers
    """The function that answers it; its name is the operation's."""
    action: Action
    summary: str
    errors: Sequence[int]
    """The statuses of the errors to expect, beside those of the guards."""
    further: Mapping[int, FurtherAnswer] = field(default_factory=dict)
    headers: Sequence[str] = ()
    """What the answer tells in headers; `headers.TOLD` has their meaning."""
    status: int = 200
    """The status of the usual answer."""
    named: str | None = None
    """What it is called, where that is not the name of the function."""
    told: str | None = None
    """What OpenAPI tells of it, where that is not the function's docstring."""
    event: str | None = None
    """The event that it takes, where that stands in no parameter."""
    body_schema: JsonObject | None = None
    """What OpenAPI shows of the body, where that is not what it is read as."""

    @property
    def name(self) -> str:
        """What its operation id ends with, and routes are found by."""
        return self.named or self.answers.__name__

    @property
    def description(self) -> str:
        """What OpenAPI tells of it."""
        return self.told or " ".join((inspect.getdoc(self.answers) or "").split())

    @cached_property
    def taken(self) -> tuple[Taken, ...]:
        """Its parameters and its body."""
        return taken_by(self.answers)

    @property
    def body(self) -> Taken | None:
        """Its body, if it takes one."""
        return next((each for each in self.taken if each.parameter is None), None)

    @property
    def needs_body(self) -> bool:
        """Whether a body that is empty is refused; where something is posted."""
        return self.body is not None and self.body.default is REQUIRED

    @cached_property
    def view(self) -> Any:
        """What it answers: a view or a list of them, `str` for text."""
        return get_args(get_type_hints(self.answers)["return"])[0]

    @property
    def media_types(self) -> Sequence[str]:
        """In which forms it is answered."""
        return _MEDIA_TYPES.get(self.view, (JSON,))

    @property
    def text_schema(self) -> JsonObject:
        """What OpenAPI tells of an answer that is no JSON."""
        return EVENT_SCHEMA if self.view is EventStream else {"type": "string"}

    @property
    def is_text(self) -> bool:
        """Whether the answer is no JSON."""
        return self.view in _MEDIA_TYPES

    async def answer(self, ask: Ask, taken: Mapping[str, Any]) -> Answer[Any]:
        """The answer to a request that brought `taken`, by the names of arguments, if its sender may have it."""
        await self.admitted(ask, taken)
        return await self.answers(ask, **taken)

    async def admitted(self, ask: Ask, taken: Mapping[str, Any]) -> None:
        """Raise `NotTaken` or `InstanceNotFound` unless the sender of such a request may do this."""
        about = taken if self.event is None else {**taken, "event": self.event}
        await admit(ask, self.action, self.name, about)
