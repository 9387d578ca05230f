"""Books: what brings definitions together with the commands that run them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from detent.definition.model import WorkflowDefinition
from detent.errors import InvalidValue
from detent.json_values import JsonObject

Adopts: TypeAlias = Callable[[JsonObject], bool]
"""Says of a stored definition whether this runtime runs it."""


class Book(Protocol):
    """What `WorkflowRuntime.register` takes: a class that a diagram was made into, a `FlowBook`, a `TriggerBook`.

    It may have `guards`, `subscribers` and `adopts` besides, as a `WorkflowRuntime` takes them.
    """

    @property
    def definitions(self) -> Iterable[WorkflowDefinition]:
        """Its workflows."""
        ...

    @property
    def commands(self) -> Iterable[Any]:
        """What runs them, as `@command` marked it or in `Registry` objects."""
        ...


@dataclass(frozen=True, slots=True)
class Contents:
    """What a book holds, read once."""

    definitions: tuple[WorkflowDefinition, ...]
    commands: tuple[Any, ...]
    guards: tuple[Any, ...]
    subscribers: tuple[Any, ...]
    adopts: Adopts | None


def either(first: Adopts | None, second: Adopts) -> Adopts:
    """Says of a stored definition whether one of the two adopts it."""
    return second if first is None else lambda definition: first(definition) or second(definition)


def contents_of(book: Book | type[Any]) -> Contents:
    """What `book` holds. Raises `InvalidValue` where it is none."""
    if not hasattr(book, "definitions") or not hasattr(book, "commands"):
        named = f"the class {book.__name__}" if isinstance(book, type) else f"a {type(book).__name__}"
        hint = "register a class made by `detent generate`, a FlowBook, or what else has `definitions` and `commands`"
        if hasattr(type(book), "definitions"):
            hint = "pass the class itself, and no object of it"
        raise InvalidValue("book", f"is {named}, which has no definitions and commands", hint=hint)
    return Contents(
        tuple(book.definitions),
        tuple(book.commands),
        tuple(getattr(book, "guards", ())),
        tuple(getattr(book, "subscribers", ())),
        getattr(book, "adopts", None),
    )
