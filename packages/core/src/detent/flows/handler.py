"""Handlers: code that does the work of a step, under the name that a flow calls its type."""

import asyncio
import functools
import inspect
import reprlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar, get_type_hints

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from detent.definition.duration import duration_argument
from detent.errors import RegistrationInvalid
from detent.flows.context import HandlerContext
from detent.json_values import JsonObject
from detent.registry.registry import HANDLER_MARK

Target = TypeVar("Target", bound=Callable[..., Any])

ModelClass: TypeAlias = type[BaseModel]
Targets: TypeAlias = Callable[[JsonObject], Collection[str]]
"""Which steps a handler may go to, by its config; a mapping says as well where in the config each of them is named."""
Waits: TypeAlias = Callable[[JsonObject], bool]
"""Whether a handler may wait, by its config."""
NeedsInput: TypeAlias = Callable[[JsonObject], str | None]
"""What a handler cannot do without, where its config leaves that to the step's input: in words; `None` where it needs none."""

_OWN = ("config", "input")


@dataclass(frozen=True, slots=True)
class HandlerSpec:
    """A handler as it was declared, and how it is called."""

    type: str
    """What a step calls it."""
    aliases: tuple[str, ...]
    """What a step may call it as well."""
    target: Callable[..., Any]
    """A function, or an object with `__call__`, as it was written."""
    call: Callable[..., Any]
    """The same as it is called: what is no coroutine function runs in a thread."""
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
    waits: Waits | bool
    """Whether it may answer a wait, or with which config."""
    needs_input: NeedsInput | None
    """What a step without an input lacks, by its config; `None` for a handler that can do without."""
    performs: tuple[str, ...]
    """The fields of its config that hold another handler: its type, or `{"type", "config"}`."""
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


@dataclass(frozen=True, slots=True)
class Performed:
    """A handler that another one performs, as its config says."""

    field: str
    """Where in the config, as it is spelt there."""
    type: str
    config: JsonObject


class Handlers:
    """A set of handlers by type."""

    def __init__(self, handlers: Iterable[Any] = ()) -> None:
        self._specs: dict[str, HandlerSpec] = {}
        self._aliases: dict[str, HandlerSpec] = {}
        self.add(handlers)

    def add(self, handlers: Iterable[Any]) -> None:
        """Register what `@handler` marked: functions, classes that need no arguments, or their instances; and other sets and
        lists of such.

        A type goes before the same word as another's alias. Raises `RegistrationInvalid` when a type or an alias is taken by
        its like, or a signature cannot be served.
        """
        _check_listed(handlers)
        for spec in _specs_in(handlers):
            _take(self._specs, spec.type, spec)
            for alias in spec.aliases:
                _take(self._aliases, alias, spec)

    def __iter__(self) -> Iterator[HandlerSpec]:
        return iter(self._specs.values())

    def __contains__(self, type_: object) -> bool:
        return type_ in self._specs or type_ in self._aliases

    def get(self, type_: str) -> HandlerSpec | None:
        """The handler of a type or an alias."""
        return self._specs.get(type_) or self._aliases.get(type_)

    @property
    def types(self) -> Mapping[str, HandlerSpec]:
        """All of them by type, and by alias."""
        return MappingProxyType(self._aliases | self._specs)

    def in_category(self, category: str) -> list[HandlerSpec]:
        """Those that an editor lists under `category`."""
        return [spec for spec in self if spec.category == category]

    def manifest(self) -> JsonObject:
        """All of them as JSON, with the JSON Schemas of their config and input, for an editor."""
        return {"handlers": [_described(spec) for spec in sorted(self, key=lambda spec: spec.type)]}


def handler(
    type_: str,
    *,
    aliases: Iterable[str] = (),
    name: str | None = None,
    description: str | None = None,
    category: str = "utility",
    stateful: bool = False,
    timeout: timedelta | str | None = None,
    targets: Targets | bool = True,
    waits: Waits | bool = False,
    needs_input: NeedsInput | None = None,
    performs: Iterable[str] = (),
) -> Callable[[Target], Target]:
    """A decorator that makes a function or a class the handler `type_`.

    It is called with a `HandlerContext`, and with `config` and `input` where it has parameters of these names: annotated with a
    pydantic model they are validated as that, and are plain JSON otherwise. What else it asks for comes from the container.
    It answers a `Result`; what it raises is a failure with the code `HANDLER_ERROR`. A plain function runs in a thread, so that
    it does not hold up the event loop.

    * `aliases`: other types under which steps find it.
    * `name`, `description`: taken from the function's name and docstring where they are not given.
    * `category`: what `Handlers.in_category` finds it by.
    * `stateful`: it keeps checkpoints.
    * `timeout`: how long each attempt may take (`"30s"`).
    * `targets`: which steps it may `goto`: any, none, or those that a function finds in its config, which makes a smaller
      machine and a better diagram.
    * `waits`: it may answer a wait, always or with those configs that a function says. It then cannot be performed inside a
      handler that does not say so of itself; the same goes for `targets`.
    * `needs_input`: told the config, says in words what a step without an input lacks, which is then a problem of its flow;
      `None` where it lacks nothing.
    * `performs`: the fields of its config that hold another handler, as its type or `{"type", "config"}`, for `ctx.perform`.
      That one is checked with the flow.

    Raises `RegistrationInvalid`.
    """
    _check_named(type_)
    others = tuple(dict.fromkeys(aliases))
    if type_ in others or not all(alias.strip() for alias in others):
        raise RegistrationInvalid(type_, "an alias is blank, or its own type")
    limit = None if timeout is None else duration_argument(timeout, "timeout", least=timedelta(microseconds=1))

    def decorate(target: Target) -> Target:
        told = inspect.getdoc(target) or ""
        mark = {
            "type": type_,
            "aliases": others,
            "name": name or getattr(target, "__name__", type_).replace("_", " ").strip(),
            "description": description if description is not None else told.partition("\n")[0],
            "category": category,
            "stateful": stateful,
            "timeout": limit,
            "targets": _targets(targets),
            "waits": waits,
            "needs_input": needs_input,
            "performs": tuple(performs),
        }
        setattr(target, HANDLER_MARK, mark)
        return target

    return decorate


def _check_named(type_: object) -> None:
    if not isinstance(type_, str) or not type_.strip():
        called = getattr(type_, "__name__", None)
        hint = f'write @handler("{called or "http"}")'
        raise RegistrationInvalid(called or repr(type_), "it has no type to be called by", hint=hint)


def spec_of(target: Any) -> HandlerSpec:
    """How to call what `@handler` marked. Raises `RegistrationInvalid`."""
    mark = getattr(target, HANDLER_MARK, None)
    if mark is None:
        shown = getattr(target, "__name__", None) or repr(target)
        raise RegistrationInvalid(shown, "it is no handler", hint='mark it with @handler("type")')
    call = _made(target, mark["type"]) if inspect.isclass(target) else target
    context, *others = _parameters(call, mark["type"])
    models = {one.name: one.annotation for one in others if _is_model(one.annotation)}
    return HandlerSpec(
        target=call,
        call=call if _is_async(call) else _in_thread(call),
        config_model=models.get("config"),
        input_model=models.get("input"),
        injected={one.name: one for one in others if one.name not in _OWN},
        takes=frozenset(one.name for one in others if one.name in _OWN),
        context_name=context.name,
        **mark,
    )


def _check_listed(given: Any) -> None:
    if hasattr(given, HANDLER_MARK) or not isinstance(given, Iterable) or isinstance(given, str | Mapping):
        called = getattr(given, "__name__", None)
        uncalled = inspect.isroutine(given) and not hasattr(given, HANDLER_MARK)
        hint = f"call it: handlers={called}()" if uncalled else f"write handlers=[{called or '...'}]"
        raise RegistrationInvalid(called or reprlib.repr(given), "it is no list of handlers", hint=hint)


def _specs_in(given: Iterable[Any]) -> Iterator[HandlerSpec]:
    """The handlers of a set, or of a list, which may hold further sets and lists."""
    if isinstance(given, Handlers):
        yield from given
        return
    for one in given:
        if isinstance(one, Handlers | list | tuple):
            yield from _specs_in(one)
        else:
            yield spec_of(one)


def _take(taken: dict[str, HandlerSpec], name: str, spec: HandlerSpec) -> None:
    known = taken.setdefault(name, spec)
    if known.target is not spec.target:
        raise RegistrationInvalid(name, "another handler of this type is already registered")


def _is_async(call: Any) -> bool:
    function = call.func if isinstance(call, functools.partial) else call
    function = function if inspect.isroutine(function) else type(function).__call__
    return inspect.iscoroutinefunction(inspect.unwrap(function))


def _in_thread(call: Callable[..., Any]) -> Callable[..., Any]:
    async def called(*given: Any, **named: Any) -> Any:
        answer = await asyncio.to_thread(call, *given, **named)
        return await answer if inspect.isawaitable(answer) else answer

    return called


def performed(spec: HandlerSpec, config: JsonObject) -> Iterator[Performed]:
    """The handlers that `config` gives `spec` to perform; what is not written as one is left to the config's model."""
    for name in spec.performs:
        for field in dict.fromkeys((name, to_camel(name))):
            written = config.get(field)
            if isinstance(written, str):
                yield Performed(field, written, {})
            elif isinstance(written, dict) and isinstance(written.get("type"), str):
                inner = written.get("config") or {}
                yield Performed(field, written["type"], inner if isinstance(inner, dict) else {})


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
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        said = f"its annotation names {error.name!r}, which does not exist at run time"
        raise RegistrationInvalid(type_, said, hint="import it where the program runs, too") from error
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
        "aliases": list(spec.aliases),
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
