"""What a store answers when asked whether it works."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the store can be used right now, and a sentence for people."""

    ok: bool
    detail: str
