"""What a store brings along so that the contract can be tried on it."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from detent.store.protocol import Store

Topic: TypeAlias = Literal[
    "instances",
    "history",
    "changes",
    "receipts",
    "races",
    "together",
    "applying",
    "applying_inside",
    "transactions",
    "joined",
    "timers",
    "row_locks",
    "sharing",
    "time",
    "finding",
    "counting",
    "archiving",
    "definitions",
    "cancellation",
    "runtime",
    "runs",
    "claims",
    "leases",
    "effects",
    "inbox",
    "outbox",
    "signals",
    "far_signals",
    "backlog",
    "values",
]
"""A part of the contract, named like the file that holds its tests."""

TOPICS: frozenset[str] = frozenset(get_args(Topic))
"""All of them."""


@dataclass(frozen=True)
class StoreKit:
    """An open, empty store, and the few things that every store does in its own way."""

    store: Store
    lend: Callable[[], AbstractAsyncContextManager[Any]]
    """Opens a transaction of the application's own, as it would pass to `join`: commits on leaving, or rolls back when
    an exception leaves it."""
    savepoint: Callable[[Any], AbstractAsyncContextManager[object]]
    """Opens a savepoint of the application's own inside what `lend` gave: undone when an exception leaves it."""
    note: Callable[[Any, str], Awaitable[None]]
    """Writes a text through a unit's `connection`, or through what `lend` gave, as a command would write a row."""
    noted: Callable[[str], Awaitable[bool]]
    """Whether a text that was noted is committed."""
    second: Callable[[], AbstractAsyncContextManager[Store]] | None = None
    """Opens another store object on the same data, as another process would; needed for the topics `sharing` and
    `far_signals`."""
    declines: frozenset[Topic] = frozenset()
    """What the store does not promise, said aloud: these topics are skipped by name."""

    def __post_init__(self) -> None:
        unknown = self.declines - TOPICS
        if unknown:
            raise ValueError(f"there are no such topics: {', '.join(sorted(unknown))}")
        undone = sorted({"sharing", "far_signals"} - self.declines) if self.second is None else []
        if undone:
            raise ValueError(f"a store without `second` has to decline the topics {', '.join(map(repr, undone))}")
