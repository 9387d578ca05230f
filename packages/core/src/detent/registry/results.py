"""What a command or a guard may answer. Outcomes are values; exceptions are for surprises."""

from dataclasses import dataclass
from typing import TypeAlias

from detent.json_values import JsonValue


@dataclass(frozen=True, slots=True)
class Ok:
    """The command did its work. Answering `None` says the same."""

    code: str | None = None
    """A stable name for what happened, kept in history."""
    message: str | None = None
    """A sentence for people, kept in history."""
    data: JsonValue = None
    """JSON kept in history, and put into the context where the command's reference names an `output` path."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The command could not do its work, for a reason of the business: the event's `error` target is taken."""

    code: str
    """A stable name for the reason, kept in history."""
    message: str | None = None
    """A sentence for people, kept in history."""
    data: JsonValue = None
    """JSON kept in history."""


@dataclass(frozen=True, slots=True)
class Goto:
    """An `on_enter` command chose the event to take next, among those its state declares."""

    event: str
    payload: JsonValue = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """A guard says no, and why."""

    reason: str


CommandAnswer: TypeAlias = Ok | Fail | Goto | None
GuardAnswer: TypeAlias = bool | Refuse
