"""Reads a callable once: which of its parameters get the context, a validated model, or an injected object."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, get_type_hints

from pydantic import BaseModel

from detent.errors import RegistrationInvalid
from detent.registry.context import CommandContext, GuardContext

_UNSAID = (None, Any, object)
"""Annotations that ask for nothing in particular."""


class Source(Enum):
    """Where the argument for a parameter comes from."""

    CONTEXT = "context"
    """The `CommandContext` or `GuardContext`."""
    PAYLOAD_MODEL = "payload"
    """`ctx.payload`, validated as the annotated pydantic model."""
    CONTEXT_MODEL = "context model"
    """`ctx.context`, validated as the annotated pydantic model."""
    INJECTED = "injected"
    """An object of the application's container."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter and where its argument comes from."""

    name: str
    source: Source
    annotation: Any
    positional_only: bool = False
    optional: bool = False
    """Whether it has a default: then it is injected only if its annotation asks for that."""


@dataclass(frozen=True, slots=True)
class Signature:
    """All that must be known to call a command or a guard."""

    parameters: tuple[Parameter, ...]
    is_async: bool


def read_signature(name: str, target: Callable[..., Any], context_type: type) -> Signature:
    """How to call `target`, or an instance of it where it is a class.

    The first parameter gets the context when it is annotated with `context_type`, or with nothing in particular. `payload` and
    `context` get a validated model when they are annotated with one. Others are left to the container. Raises
    `RegistrationInvalid` for a parameter that can never be given an argument.
    """
    call, is_method = _call_of(name, target)
    hints = _hints(name, call)
    declared = list(inspect.signature(call).parameters.values())[1 if is_method else 0 :]
    parameters = []
    for position, parameter in enumerate(declared):
        read = _read_parameter(name, parameter, hints.get(parameter.name), position, context_type)
        if read is not None:
            parameters.append(read)
    return Signature(tuple(parameters), inspect.iscoroutinefunction(_unwrapped(call)))


def _call_of(name: str, target: Callable[..., Any]) -> tuple[Callable[..., Any], bool]:
    """The function behind `target`, and whether its first parameter is a `self` that is not passed."""
    if inspect.isroutine(target) or isinstance(target, functools.partial):
        return target, False
    owner = target if inspect.isclass(target) else type(target)
    method = inspect.getattr_static(owner, "__call__", None)
    if not inspect.isfunction(method):
        raise RegistrationInvalid(name, f"{owner.__name__} has no __call__ method")
    return method, True


def _unwrapped(call: Callable[..., Any]) -> Callable[..., Any]:
    bare: Callable[..., Any] = inspect.unwrap(call.func if isinstance(call, functools.partial) else call)
    return bare


def constructor_parameters(name: str, cls: type) -> tuple[Parameter, ...]:
    """The parameters that `cls` cannot be made without; all of them must be injected."""
    made_by = inspect.getattr_static(cls, "__init__")
    hints = _hints(name, made_by) if inspect.isfunction(made_by) else {}
    required = [p for p in inspect.signature(cls).parameters.values() if p.default is p.empty and _can_be_given(p)]
    return tuple(Parameter(p.name, Source.INJECTED, hints.get(p.name, Any)) for p in required)


def _can_be_given(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


def _hints(name: str, call: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(_unwrapped(call), include_extras=True)
    except NameError as error:
        raise RegistrationInvalid(
            name,
            f"its annotation names {error.name!r}, which does not exist at run time",
            hint="import it outside `if TYPE_CHECKING`",
        ) from error


def _read_parameter(
    name: str, parameter: inspect.Parameter, annotation: Any, position: int, context_type: type
) -> Parameter | None:
    positional_only = parameter.kind is parameter.POSITIONAL_ONLY
    if annotation is context_type or (position == 0 and annotation in _UNSAID and _can_be_given(parameter)):
        return Parameter(parameter.name, Source.CONTEXT, context_type, positional_only)
    if _is_model(annotation) and parameter.name in ("payload", "context"):
        source = Source.PAYLOAD_MODEL if parameter.name == "payload" else Source.CONTEXT_MODEL
        return Parameter(parameter.name, source, annotation, positional_only)
    if not _can_be_given(parameter):
        return None
    if annotation not in _UNSAID and parameter.name in ("payload", "context"):
        raise RegistrationInvalid(
            name,
            f"is annotated {annotation!r}, and only a pydantic model can be filled from it",
            parameter=parameter.name,
            hint=f"annotate it with the model alone, or take ctx.{parameter.name}",
        )
    if annotation in (CommandContext, GuardContext):
        raise RegistrationInvalid(
            name, f"gets a {context_type.__name__} here", parameter=parameter.name, hint="annotate it so"
        )
    optional = parameter.default is not parameter.empty
    if annotation is None and optional:
        return None
    if annotation is None:
        raise RegistrationInvalid(
            name,
            "has no annotation, so nothing tells what to pass",
            parameter=parameter.name,
            hint=f"annotate it, or take the {context_type.__name__} alone",
        )
    return Parameter(parameter.name, Source.INJECTED, annotation, positional_only, optional)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
