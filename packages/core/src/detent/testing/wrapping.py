"""Wraps commands and guards so that a harness stands around each call, without changing what they ask for.

A wrapper declares the very parameters that the registry has read from the callable behind it, each annotated as there,
and one more that gets the context object. So models are validated and objects injected as in the application. A class
that the container makes becomes one more injected parameter, annotated with the class.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from detent.registry.context import CommandContext, GuardContext
from detent.registry.registry import CommandSpec, GuardSpec
from detent.registry.signature import Parameter, Source

_CONTEXT = "detent_context"
_MADE = "detent_made"

AroundCommand: TypeAlias = Callable[[str, CommandContext, Callable[[], Any]], Awaitable[Any]]
"""Gets the name, the context and a call of the real thing; answers what the runtime is to see."""
DecideGuard: TypeAlias = Callable[[str, GuardContext], Any]
"""What a guard of this name is to answer, or `ASK` for the real thing."""
NoteGuard: TypeAlias = Callable[[str, GuardContext, Any], None]
"""Is told what a guard has answered."""
ASK: Final = object()
"""Nothing is decided: the real guard is asked."""


@dataclass(frozen=True, slots=True)
class _Call:
    """How the callable behind a wrapper is called with what the wrapper was given."""

    target: Any
    """A callable, or `None` where the container makes it."""

    def of(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> Callable[[], Any]:
        own = {name: value for name, value in given.items() if name not in (_CONTEXT, _MADE)}
        target = given[_MADE] if self.target is None else self.target
        return lambda: target(*args, **own)


def wrapped_command(spec: CommandSpec, around: AroundCommand) -> Callable[..., Any]:
    """A command that asks for what the one in `spec` asks for, and lets `around` decide whether that is called."""
    call = _call_of(spec)

    async def wrapper(*args: Any, **given: Any) -> Any:
        return await around(spec.name, given[_CONTEXT], call.of(args, given))

    return _declared(wrapper, spec, CommandContext)


def wrapped_guard(spec: GuardSpec, decide: DecideGuard, note: NoteGuard) -> Callable[..., Any]:
    """The same for a guard. A plain one stays plain, so that it is still asked without a lock."""
    call = _call_of(spec)

    def answered(args: tuple[Any, ...], given: Mapping[str, Any]) -> Any:
        decided = decide(spec.name, given[_CONTEXT])
        return call.of(args, given)() if decided is ASK else decided

    def plain(*args: Any, **given: Any) -> Any:
        answer = answered(args, given)
        note(spec.name, given[_CONTEXT], answer)
        return answer

    async def awaiting(*args: Any, **given: Any) -> Any:
        answer = answered(args, given)
        answer = await answer if inspect.isawaitable(answer) else answer
        note(spec.name, given[_CONTEXT], answer)
        return answer

    return _declared(awaiting if spec.signature.is_async else plain, spec, GuardContext)


def _call_of(spec: CommandSpec | GuardSpec) -> _Call:
    if not inspect.isclass(spec.target):
        return _Call(spec.target)
    return _Call(None if spec.constructor else spec.target())


def _declared(wrapper: Callable[..., Any], spec: CommandSpec | GuardSpec, context: type) -> Callable[..., Any]:
    """The wrapper with the signature that the registry is to read."""
    parameters = [*_parameters(spec, context)]
    wrapper.__name__ = wrapper.__qualname__ = spec.name
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return wrapper


def _parameters(spec: CommandSpec | GuardSpec, context: type) -> Iterator[inspect.Parameter]:
    declared = spec.signature.parameters
    yield from (_parameter(parameter) for parameter in declared if parameter.positional_only)
    yield inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=context)
    yield from (_parameter(parameter) for parameter in declared if not parameter.positional_only)
    if inspect.isclass(spec.target) and spec.constructor:
        yield inspect.Parameter(_MADE, inspect.Parameter.KEYWORD_ONLY, annotation=spec.target)


def _parameter(read: Parameter) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_ONLY if read.positional_only else inspect.Parameter.KEYWORD_ONLY
    optional = read.optional and read.source is Source.INJECTED
    # The default only says that there is one: what is not injected is not passed, and the callable fills it in itself.
    return inspect.Parameter(
        read.name, kind, annotation=read.annotation, default=None if optional else inspect.Parameter.empty
    )
