"""Subscribers: who hears of published messages, by the topics they name."""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Any, TypeAlias, TypeVar

from detent.definition.retries import RetryLike
from detent.errors import RegistrationInvalid
from detent.registry.options import retry_option, timeout_option
from detent.retry import Retry
from detent.store.messages import Delivery

Deliver: TypeAlias = Callable[[Delivery], Awaitable[None]]
"""Takes one delivery; what it raises makes it fail. It may be called again with one it has taken already."""
Target = TypeVar("Target", bound=Callable[..., Any])

SUBSCRIBER_MARK = "__detent_subscriber__"
"""What marks a subscriber."""
_HINT = '@subscriber("order.*")'
_TIMEOUT = timedelta(seconds=30)


@dataclass(frozen=True)
class Subscriber:
    """A receiver of messages, told apart by its name: deliveries that wait are addressed to that."""

    name: str
    patterns: tuple[str, ...]
    """The topics it hears of; `*` stands for any characters, dots included: `order.*`."""
    deliver: Deliver
    retry: Retry | None = None
    """How a failed delivery is repeated; `None` for `Settings.outbox_retry`."""
    timeout: timedelta = _TIMEOUT
    """After what time an attempt is cancelled."""

    def hears(self, topic: str) -> bool:
        """Whether messages of `topic` are delivered to it."""
        return any(fnmatchcase(topic, pattern) for pattern in self.patterns)


def subscriber(
    *patterns: str, name: str | None = None, retry: RetryLike | None = None, timeout: timedelta | str = "30s"
) -> Callable[[Target], Target]:
    """A decorator that makes an async function a subscriber of these topics; register it by `subscribers=[it]`.

    It is called with a `Delivery`. `name` (its own by default) must stay the same as long as deliveries to it wait. Raises
    `RegistrationInvalid`.
    """
    if patterns and callable(patterns[0]):
        raise RegistrationInvalid(_called(patterns[0]), "it names no topic", hint=_HINT)

    def decorate(target: Target) -> Target:
        chosen = name or _called(target)
        longest = timeout_option(chosen, timeout) or _TIMEOUT
        found = Subscriber(chosen, patterns, target, retry_option(chosen, retry), longest)
        _check(found)
        setattr(target, SUBSCRIBER_MARK, found)
        return target

    return decorate


class Subscribers:
    """All subscribers of a runtime."""

    def __init__(self, declared: Iterable[Any] = ()) -> None:
        self._by_name: dict[str, Subscriber] = {}
        for item in declared:
            self._add(item)
        self.hearing = lru_cache(maxsize=1024)(self._hearing)
        """The names of those that hear of a topic."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all."""
        return tuple(self._by_name)

    def __getitem__(self, name: str) -> Subscriber:
        return self._by_name[name]

    def _hearing(self, topic: str) -> tuple[str, ...]:
        return tuple(name for name, one in self._by_name.items() if one.hears(topic))

    def _add(self, item: Any) -> None:
        found = item if isinstance(item, Subscriber) else getattr(item, SUBSCRIBER_MARK, None)
        if not isinstance(found, Subscriber):
            raise RegistrationInvalid(_called(item), "it is no subscriber", hint=f"mark it with {_HINT}")
        _check(found)
        if self._by_name.setdefault(found.name, found) != found:
            raise RegistrationInvalid(found.name, "another subscriber of this name is already registered")


def _check(found: Subscriber) -> None:
    patterns: tuple[Any, ...] = found.patterns
    if not patterns or not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise RegistrationInvalid(found.name, "it names no topic", hint=_HINT)
    call = found.deliver if inspect.isroutine(found.deliver) else type(found.deliver).__call__
    if not inspect.iscoroutinefunction(call):
        raise RegistrationInvalid(found.name, "it is no async function", hint="declare it with `async def`")


def _called(item: Any) -> str:
    return getattr(item, "__name__", None) or repr(item)
