"""Handlers: code that does the work of a step, under the name that a flow calls its type."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar, get_type_hints

from pydantic import BaseModel

from detent.definition.duration import duration_argument
from detent.errors import RegistrationInvalid
from detent.flows.context import HandlerContext
from detent.json_values import JsonObject

Target = TypeVar("Target", bound=Callable[..., Any])

ModelClass: TypeAlias = type[BaseModel]
Targets: TypeAlias = Callable[[JsonObject], Collection[str]]
"""Which steps a handler may go to, by its config."""

_MARK = "__detent_handler__"
_OWN = ("config", "input")


@dataclass(frozen=True, slots=True)
class HandlerSpec:
    """A handler as it was declared, and how it is called."""

    type: str
    """What a step calls it."""
    call: Callable[..., Any]
    """A function, or an object with `__call__`."""
    name: str
    """For people."""
    description: str
    category: str
    """What an editor lists it under: `control`, `data`, `external`, `ai`, `utility` or a word of yours."""
    stateful: bool
    """Whether it keeps checkpoints between its attempts."""
    timeout: timedelta | None
    """After what time an attempt fails with `TIMEOUT`, where the step does not say."""
    targets: Targets | None
    """Which steps it may go to by `goto`; `None` where it never does."""
    config_model: ModelClass | None
    """What the step's `config` is validated as."""
    input_model: ModelClass | None
    """What the selected input is validated as."""
    injected: Mapping[str, inspect.Parameter]
    """The parameters that the application's container fills."""
    takes: frozenset[str]
    """Which of `config` and `input` it asks for."""
    context_name: str
    """What its first parameter is called."""


class Handlers:
    """A set of handlers by type."""

    def __init__(self, handlers: Iterable[Any] = ()) -> None:
        self._specs: dict[str, HandlerSpec] = {}
        self.add(handlers)

    def add(self, handlers: Iterable[Any]) -> None:
        """Register what `@handler` marked: functions, classes that need no arguments, or their instances; and other sets.

        Raises `RegistrationInvalid` when a type is taken, or a signature cannot be served.
        """
        for one in handlers:
            for spec in one if isinstance(one, Handlers) else (spec_of(one),):
                known = self._specs.get(spec.type)
                if known is not None and known.call is not spec.call:
                    raise RegistrationInvalid(spec.type, "another handler of this type is already registered")
                self._specs[spec.type] = spec

    def __iter__(self) -> Any:
        return iter(self._specs.values())

    def __contains__(self, type_: object) -> bool:
        return type_ in self._specs

    def get(self, type_: str) -> HandlerSpec | None:
        """The handler of a type."""
        return self._specs.get(type_)

    @property
    def types(self) -> Mapping[str, HandlerSpec]:
        """All of them by type."""
        return MappingProxyType(self._specs)

    def in_category(self, category: str) -> list[HandlerSpec]:
        """Those that an editor lists under `category`."""
        return [spec for spec in self if spec.category == category]

    def manifest(self) -> JsonObject:
        """All of them as JSON, with the JSON Schemas of their config and input, for an editor."""
        return {"handlers": [_described(spec) for spec in sorted(self, key=lambda spec: spec.type)]}


def handler(
    type_: str,
    *,
    name: str | None = None,
    description: str | None = None,
    category: str = "utility",
    stateful: bool = False,
    timeout: timedelta | str | None = None,
    targets: Targets | bool = True,
) -> Callable[[Target], Target]:
    """A decorator that makes a function or a class the handler `type_`.

    It is called with a `HandlerContext`, and with `config` and `input` where it has parameters of these names: annotated with a
    pydantic model they are validated as that, and are plain JSON otherwise. What else it asks for comes from the container.
    It answers a `Result`; what it raises is a failure with the code `HANDLER_ERROR`. `name` and `description` are taken from the
    function's name and docstring where they are not given; `category` is what `Handlers.in_category` finds it by. A `stateful`
    one keeps checkpoints; each attempt may take `timeout` (`"30s"`). `targets` says which steps it may `goto`: any,
    none, or those that a function finds in its config, which makes a smaller machine and a better diagram.
    Raises `RegistrationInvalid`.
    """
    if not type_.strip():
        raise RegistrationInvalid(repr(type_), "it has no type to be called by", hint='write @handler("http")')
    limit = None if timeout is None else duration_argument(timeout, "timeout", least=timedelta(microseconds=1))

    def decorate(target: Target) -> Target:
        told = inspect.getdoc(target) or ""
        mark = {
            "type": type_,
            "name": name or getattr(target, "__name__", type_).replace("_", " ").strip(),
            "description": description if description is not None else told.partition("\n")[0],
            "category": category,
            "stateful": stateful,
            "timeout": limit,
            "targets": _targets(targets),
        }
        setattr(target, _MARK, mark)
        return target

    return decorate


def spec_of(target: Any) -> HandlerSpec:
    """How to call what `@handler` marked. Raises `RegistrationInvalid`."""
    mark = getattr(target, _MARK, None)
    if mark is None:
        shown = getattr(target, "__name__", None) or repr(target)
        raise RegistrationInvalid(shown, "it is no handler", hint='mark it with @handler("type")')
    call = _made(target, mark["type"]) if inspect.isclass(target) else target
    context, *others = _parameters(call, mark["type"])
    models = {one.name: one.annotation for one in others if _is_model(one.annotation)}
    return HandlerSpec(
        call=call,
        config_model=models.get("config"),
        input_model=models.get("input"),
        injected={one.name: one for one in others if one.name not in _OWN},
        takes=frozenset(one.name for one in others if one.name in _OWN),
        context_name=context.name,
        **mark,
    )


def _targets(targets: Targets | bool) -> Targets | None:
    if targets is True:
        return any_step
    return None if targets is False else targets


def any_step(config: JsonObject) -> Collection[str]:  # noqa: ARG001 - what targets are asked with
    """The targets of a handler that may go anywhere: none is named."""
    return ()


def _made(target: type, type_: str) -> Any:
    try:
        return target()
    except TypeError as error:
        hint = "register an instance, or let its __call__ take what the container provides"
        raise RegistrationInvalid(type_, f"{target.__name__} cannot be made without arguments", hint=hint) from error


def _parameters(call: Any, type_: str) -> list[inspect.Parameter]:
    function = call if inspect.isroutine(call) else type(call).__call__
    hints = get_type_hints(function, include_extras=True)
    declared = list(inspect.signature(call).parameters.values())
    named = [one for one in declared if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    if len(named) != len(declared) or not named:
        raise RegistrationInvalid(type_, "a handler takes a context first, and the rest by name")
    read = [one.replace(annotation=hints.get(one.name, one.empty)) for one in named]
    if read[0].name in _OWN or read[0].annotation not in (HandlerContext, inspect.Parameter.empty):
        raise RegistrationInvalid(type_, "its first parameter is the context", hint="write (ctx: HandlerContext, …)")
    for one in read[1:]:
        if one.name not in _OWN and one.annotation is one.empty and one.default is one.empty:
            raise RegistrationInvalid(type_, "nothing tells what to pass", parameter=one.name)
    return read


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _described(spec: HandlerSpec) -> JsonObject:
    return {
        "type": spec.type,
        "name": spec.name,
        "description": spec.description,
        "category": spec.category,
        "stateful": spec.stateful,
        "timeout_seconds": None if spec.timeout is None else spec.timeout.total_seconds(),
        "config_schema": _schema(spec.config_model),
        "input_schema": _schema(spec.input_model),
    }


def _schema(model: ModelClass | None) -> JsonObject | None:
    return None if model is None else model.model_json_schema()
