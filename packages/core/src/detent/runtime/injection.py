"""How commands and guards get objects of the application's container, without core knowing any container."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from detent.registry.context import CommandContext

Resolve: TypeAlias = Callable[[Any], Awaitable[Any]]
"""Gives the object behind a key that `Injector.claim` answered."""


class CannotInject(Exception):
    """An annotation asks for injection, and the container has nothing for it; the text says why."""


@dataclass(frozen=True, slots=True)
class Transition:
    """The step that is under way, as the container may hand it to what it makes."""

    instance_id: UUID
    workflow: str
    connection: Any
    """Writes in the step's own transaction; the type is the store's."""


class InjectionScope(Protocol):
    """The objects of one step."""

    async def get(self, key: Any) -> Any:
        """The object behind `key`, for a guard."""
        ...

    def command(self, context: CommandContext) -> AbstractAsyncContextManager[Resolve]:
        """A scope for one command; objects made in it are finalised when it ends."""
        ...


class Injector(Protocol):
    """Connects a container. `detent.integrations.dishka` is one."""

    def claim(self, annotation: Any) -> Any | None:
        """The key under which a parameter with this annotation, or this command class, is got from the container.

        `None` when the annotation does not ask for injection. Raises `CannotInject` when it does and nothing provides it.
        """
        ...

    def open(self, transition: Transition | None) -> AbstractAsyncContextManager[InjectionScope]:
        """The scope of one step, inside its transaction; with `None`, a scope outside any step."""
        ...


class NoInjection:
    """The injector of a runtime without a container: it provides nothing."""

    def claim(self, annotation: Any) -> Any | None:
        return None

    def open(self, transition: Transition | None) -> AbstractAsyncContextManager[InjectionScope]:
        return nullcontext(_NOTHING)


class _EmptyScope:
    async def get(self, key: Any) -> Any:
        raise CannotInject(f"there is no container to provide {key!r}")

    def command(self, context: CommandContext) -> AbstractAsyncContextManager[Resolve]:
        return nullcontext(self.get)


_NOTHING = _EmptyScope()
