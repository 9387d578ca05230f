"""Calls commands and guards: arguments gathered as their signatures ask, answers read as what they mean."""

import asyncio
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from detent.errors import AnswerInvalid, InvalidValue, RegistrationInvalid, StepCancelled
from detent.json_values import JsonValue, json_value
from detent.machine.forks import OWN_COMMANDS
from detent.machine.values import model_problems
from detent.machine.verdicts import GuardStep, Verdict
from detent.registry.context import CommandContext, GuardContext
from detent.registry.registry import CommandSpec, GuardSpec, Registry
from detent.registry.results import Fail, Goto, Ok, Refuse
from detent.registry.signature import Parameter, Source
from detent.runtime.history import cleaned
from detent.runtime.injection import CannotInject, InjectionScope, Injector, NoInjection, Resolve
from detent.store.records import CommandRecord


@dataclass(frozen=True, slots=True)
class _Bound:
    """A callable whose injected parameters are settled: `keys` by parameter name, `made_by` when a class is injected whole."""

    target: Any
    parameters: tuple[Parameter, ...]
    keys: Mapping[str, Any]
    made_by: Any | None
    is_async: bool


class Calls:
    """Every registered command and guard, bound to the injector once. Raises `RegistrationInvalid` for what cannot be."""

    def __init__(self, registry: Registry, injector: Injector) -> None:
        self._commands = {name: _bind(spec, injector) for name, spec in {**registry.commands, **OWN_COMMANDS}.items()}
        self._guards = {name: _bind(spec, injector) for name, spec in registry.guards.items()}

    def ask_in_place(self, guard: GuardStep, context: GuardContext) -> Verdict:
        """The verdict of a guard that neither awaits nor needs injected objects."""
        bound = self._guards[guard.name]
        arguments = {p.name: _own_argument(p, context) for p in bound.parameters}
        return _verdict(guard.name, _call(bound.target, bound.parameters, arguments))

    async def ask(self, guard: GuardStep, context: GuardContext, scope: InjectionScope) -> Verdict:
        """The verdict of any guard."""
        answer = await _call_injected(self._guards[guard.name], context, scope.get)
        return _verdict(guard.name, answer)

    async def run(
        self, name: str, context: CommandContext, scope: InjectionScope, *, in_thread: bool = False
    ) -> Ok | Fail | Goto:
        """What the command answered; `None` counts as `Ok()`. What it raises passes through.

        With `in_thread`, a command that is no coroutine runs in a thread, so that it does not hold up the event loop.
        """
        async with scope.command(context) as resolve:
            answer = await _call_injected(self._commands[name], context, resolve, in_thread=in_thread)
        return _command_answer(name, answer)


def command_record(
    name: str, answer: Ok | Fail | Goto, *, best_effort: bool, compensates: str | None = None
) -> CommandRecord:
    """What history keeps of an answer."""
    if isinstance(answer, Goto):
        return CommandRecord(
            name, ok=True, code="goto", message=answer.event, best_effort=best_effort, compensates=compensates
        )
    ok = isinstance(answer, Ok)
    return CommandRecord(name, ok, answer.code, answer.message, answer.data, best_effort, compensates)


def _bind(spec: CommandSpec | GuardSpec, injector: Injector) -> _Bound:
    claimed = {
        parameter.name: _claim(spec.name, parameter, injector)
        for parameter in spec.signature.parameters
        if parameter.source is Source.INJECTED
    }
    keys = {name: key for name, key in claimed.items() if key is not None}
    parameters = tuple(p for p in spec.signature.parameters if p.source is not Source.INJECTED or p.name in keys)
    if not inspect.isclass(spec.target):
        return _Bound(spec.target, parameters, keys, made_by=None, is_async=spec.signature.is_async)
    if not spec.constructor:
        return _Bound(spec.target(), parameters, keys, made_by=None, is_async=spec.signature.is_async)
    made_by = _claim_class(spec, injector)
    return _Bound(spec.target, parameters, keys, made_by=made_by, is_async=spec.signature.is_async)


def _claim(name: str, parameter: Parameter, injector: Injector) -> Any | None:
    try:
        key = injector.claim(parameter.annotation)
    except CannotInject as error:
        raise RegistrationInvalid(name, str(error), parameter=parameter.name) from error
    if key is None and not parameter.optional:
        raise RegistrationInvalid(
            name,
            "nothing provides an argument for it",
            parameter=parameter.name,
            hint=_how_to_provide(parameter.annotation, injector),
        )
    return key


def _how_to_provide(annotation: Any, injector: Injector) -> str:
    first = f"let a provider make {annotation.__name__}, or " if inspect.isclass(annotation) else ""
    if isinstance(injector, NoInjection):
        return f"give the runtime an injector, and {first}annotate it FromDishka[...]; or give it a default"
    return f"{first}annotate it FromDishka[...], or give it a default"


def _claim_class(spec: CommandSpec | GuardSpec, injector: Injector) -> Any:
    try:
        key = injector.claim(spec.target)
    except CannotInject as error:
        raise RegistrationInvalid(spec.name, str(error), parameter=spec.constructor[0].name) from error
    if key is None:
        raise RegistrationInvalid(
            spec.name,
            f"its constructor needs {', '.join(p.name for p in spec.constructor)}, and no container makes it",
            parameter=spec.constructor[0].name,
            hint="register the class in a provider and give the runtime an injector, or register an instance",
        )
    return key


async def _call_injected(
    bound: _Bound, context: CommandContext | GuardContext, resolve: Resolve, *, in_thread: bool = False
) -> Any:
    target = bound.target if bound.made_by is None else await resolve(bound.made_by)
    arguments = {}
    for parameter in bound.parameters:
        if parameter.source is Source.INJECTED:
            arguments[parameter.name] = await resolve(bound.keys[parameter.name])
        else:
            arguments[parameter.name] = _own_argument(parameter, context)
    if in_thread and not bound.is_async:
        answer = await asyncio.to_thread(_call, target, bound.parameters, arguments)
    else:
        answer = _call(target, bound.parameters, arguments)
    if not inspect.isawaitable(answer):
        return answer
    try:
        return await answer
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody cancelled this step: a cancellation of its own making must not pass for the caller's.
        raise StepCancelled from None


def _own_argument(parameter: Parameter, context: CommandContext | GuardContext) -> Any:
    match parameter.source:
        case Source.PAYLOAD_MODEL:
            return _as_model(parameter.annotation, context.payload, "payload")
        case Source.CONTEXT_MODEL:
            return _as_model(parameter.annotation, dict(context.context), "context")
        case _:
            return context


def _as_model(model: type[BaseModel], value: JsonValue, path: str) -> BaseModel:
    try:
        return model.model_validate_json(to_json(value))
    except ValidationError as error:
        raise InvalidValue(path, f"does not fit {model.__name__}", problems=model_problems(error)) from None


def _call(target: Any, parameters: tuple[Parameter, ...], arguments: Mapping[str, Any]) -> Any:
    positional = [arguments[p.name] for p in parameters if p.positional_only]
    return target(*positional, **{p.name: arguments[p.name] for p in parameters if not p.positional_only})


def _text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidValue(f"answer of command {name!r}", f"says {value!r} where a text belongs", hint="pass str(it)")
    return cleaned(value)


def _verdict(name: str, answer: Any) -> Verdict:
    match answer:
        case True:
            return Verdict(True)
        case False:
            return Verdict(False, f"guard {name!r} refused")
        case Refuse(reason=str(reason)):
            return Verdict(False, cleaned(reason))
    if inspect.iscoroutine(answer):
        answer.close()
    raise AnswerInvalid(name, answer, kind="guard", expected="answer True, False or Refuse('why')")


def _command_answer(name: str, answer: Any) -> Ok | Fail | Goto:
    match answer:
        case None:
            return Ok()
        case Ok():
            data = json_value(answer.data, f"data of command {name!r}")
            return Ok(_text(name, answer.code), _text(name, answer.message), data)
        case Fail():
            data = json_value(answer.data, f"data of command {name!r}")
            return Fail(_text(name, answer.code) or "failed", _text(name, answer.message), data)
        case Goto():
            return Goto(answer.event, json_value(answer.payload, f"payload of Goto from command {name!r}"))
    raise AnswerInvalid(name, answer)
