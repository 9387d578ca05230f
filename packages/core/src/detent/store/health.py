"""What a store answers when asked whether it works."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the store can be used right now, and a sentence for people."""

    ok: bool
    detail: str


@runtime_checkable
class Measured(Protocol):
    """A store that says how it does."""

    async def health(self) -> Health:
        """Whether it can be used right now; never raises."""
        ...
