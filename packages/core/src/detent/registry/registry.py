"""Names and the callables behind them."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeVar

from detent.definition.retries import RetryLike
from detent.errors import RegistrationInvalid
from detent.registry.context import CommandContext, GuardContext
from detent.registry.options import retry_option, timeout_option
from detent.registry.signature import Parameter, Signature, constructor_parameters, read_signature
from detent.retry import Retry

Target = TypeVar("Target", bound=Callable[..., Any])

HANDLER_MARK = "__detent_handler__"
"""What marks the handler of a flow, which is taken for a command by mistake."""
DECLARED_MARK = "__detent_declared__"
"""What marks a command or a guard."""

DEFAULT_QUEUE = "default"
"""The queue of commands that name none."""
MAX_QUEUE_NAME = 200


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """How a command runs."""

    best_effort: bool = False
    """Whether a failure or an exception is recorded and otherwise without effect."""
    durable: bool = False
    """Whether a worker runs it outside the transaction, checkpointed and repeated."""
    retry: Retry | None = None
    """How it is repeated where a worker runs it; `None` for the runtime's `Settings.run_retry`."""
    timeout: timedelta | None = None
    """After what time an attempt by a worker is cancelled; `None` for the runtime's `Settings.command_timeout`."""
    queue: str = DEFAULT_QUEUE
    """Whose workers take it."""
    priority: int = 0
    """Of what waits in a queue, higher ones are taken first."""


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A registered command."""

    name: str
    target: Callable[..., Any]
    """A function, an instance with `__call__`, or a class whose instances have one."""
    signature: Signature
    constructor: tuple[Parameter, ...]
    """What the container must provide to make `target`, where it is a class."""
    options: CommandOptions


@dataclass(frozen=True, slots=True)
class GuardSpec:
    """A registered guard."""

    name: str
    target: Callable[..., Any]
    signature: Signature
    constructor: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class _Declared:
    name: str
    options: CommandOptions | None
    """`None` for a guard."""


class Registry:
    """A set of commands and guards by name. A definition refers to them; a runtime calls them."""

    def __init__(self) -> None:
        self._commands: dict[str, CommandSpec] = {}
        self._guards: dict[str, GuardSpec] = {}

    @property
    def commands(self) -> Mapping[str, CommandSpec]:
        """The commands by name."""
        return MappingProxyType(self._commands)

    @property
    def guards(self) -> Mapping[str, GuardSpec]:
        """The guards by name."""
        return MappingProxyType(self._guards)

    def command(self, name: str, target: Callable[..., Any], options: CommandOptions | None = None) -> None:
        """Register `target`, a function, a class or an instance, under `name`.

        Raises `RegistrationInvalid` when the name is taken or the signature cannot be served.
        """
        chosen = options or _declared_options(target)
        known = self._commands.get(name)
        if known is not None and known.target is target and known.options == chosen:
            return
        if known is not None:
            raise RegistrationInvalid(name, "another command of this name is already registered")
        signature = read_signature(name, target, CommandContext)
        self._commands[name] = CommandSpec(name, target, signature, _made_from(name, target), chosen)

    def guard(self, name: str, target: Callable[..., Any]) -> None:
        """Register `target` as the guard `name`. Raises `RegistrationInvalid` as `command` does."""
        known = self._guards.get(name)
        if known is not None and known.target is target:
            return
        if known is not None:
            raise RegistrationInvalid(name, "another guard of this name is already registered")
        signature = read_signature(name, target, GuardContext)
        self._guards[name] = GuardSpec(name, target, signature, _made_from(name, target))

    def add(self, declared: Iterable[Any]) -> None:
        """Register what `@command` or `@guard` marked, and all that other registries hold."""
        for item in declared:
            if isinstance(item, Registry):
                self._merge(item)
            else:
                self._add_marked(item)

    def _add_marked(self, item: Any) -> None:
        mark = getattr(item, DECLARED_MARK, None)
        shown = getattr(item, "__name__", None) or repr(item)
        if hasattr(item, HANDLER_MARK):
            hint = "give it to a FlowBook(handlers=…), and the runtime commands=book.commands"
            raise RegistrationInvalid(shown, "it is a handler of flows, and no command", hint=hint)
        if not isinstance(mark, _Declared):
            raise RegistrationInvalid(
                shown, "it has no name to be called by", hint='mark it with @command("name") or @guard("name")'
            )
        if mark.options is None:
            self.guard(mark.name, item)
        else:
            self.command(mark.name, item, mark.options)

    def _merge(self, other: "Registry") -> None:
        for spec in other.commands.values():
            self.command(spec.name, spec.target, spec.options)
        for guard_spec in other.guards.values():
            self.guard(guard_spec.name, guard_spec.target)


def command(
    name: str,
    *,
    best_effort: bool = False,
    durable: bool = False,
    retry: RetryLike | None = None,
    timeout: timedelta | str | None = None,
    queue: str = DEFAULT_QUEUE,
    priority: int = 0,
) -> Callable[[Target], Target]:
    """A decorator that names a function or class as the command `name`; register it by `commands=[it]`.

    `best_effort` commands are recorded and never change the outcome. A `durable` one runs outside any transaction, by a
    worker of its `queue`; each attempt may take `timeout` (`"30s"`), and what it raises is repeated as `retry` says, until
    its attempts are used up. `retry="never"` makes one attempt at most: where its worker dies, an operator decides.
    Raises `RegistrationInvalid`.
    """
    _check_named("command", name)
    options = CommandOptions(
        best_effort=best_effort,
        durable=durable,
        retry=retry_option(name, retry),
        timeout=timeout_option(name, timeout),
        queue=_queue_name(name, queue),
        priority=priority,
    )
    return _marker(_Declared(name, options))


def guard(name: str) -> Callable[[Target], Target]:
    """A decorator that names a function or class as the guard `name`; register it by `guards=[it]`."""
    _check_named("guard", name)
    return _marker(_Declared(name, None))


def _check_named(kind: str, name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        shown = getattr(name, "__name__", None) or repr(name)
        raise RegistrationInvalid(shown, "it has no name to be called by", hint=f'write @{kind}("name")')


def _queue_name(name: str, queue: object) -> str:
    if not isinstance(queue, str) or not queue.strip() or len(queue) > MAX_QUEUE_NAME or "\0" in queue:
        raise RegistrationInvalid(name, f"its queue is {queue!r}", hint=f"a text of up to {MAX_QUEUE_NAME} characters")
    return queue


def _marker(mark: _Declared) -> Callable[[Target], Target]:
    def decorate(target: Target) -> Target:
        setattr(target, DECLARED_MARK, mark)
        return target

    return decorate


def _declared_options(target: Callable[..., Any]) -> CommandOptions:
    mark = getattr(target, DECLARED_MARK, None)
    options = mark.options if isinstance(mark, _Declared) else None
    return options or CommandOptions()


def _made_from(name: str, target: Callable[..., Any]) -> tuple[Parameter, ...]:
    return constructor_parameters(name, target) if inspect.isclass(target) else ()
