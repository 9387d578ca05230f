"""A step at work: its handler called as a durable command, and its answer turned into what the machine understands."""

import asyncio
import inspect
import logging
import reprlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from detent.definition.json_schema import check_schema
from detent.definition.selectors import keys_read, put, select
from detent.definition.shape import shape_problems
from detent.errors import InvalidValue
from detent.flows.context import HandlerContext
from detent.flows.context_view import ContextView
from detent.flows.errors import ContextTooLarge
from detent.flows.flow import Step
from detent.flows.handler import HandlerSpec
from detent.flows.large_values import LargeValues
from detent.flows.limits import ContextLimits
from detent.flows.names import ERROR, EXPIRE, FAIL, FINISH, OWN, WAIT, goto
from detent.flows.own import Own, WaitedFor, without_own
from detent.flows.results import TIMEOUT, Failure, GoTo, Result, Success, Wait, WaitForChild
from detent.flows.step_error import step_error
from detent.json_values import JsonObject, JsonValue, copy_object, json_object, json_value
from detent.problems import render
from detent.registry.context import CommandContext
from detent.registry.raises import RetryAfter
from detent.registry.results import Fail, Goto, Ok

logger = logging.getLogger("detent.flows")

Serving: TypeAlias = Callable[..., Awaitable[Ok | Fail | Goto]]

_LATE = Failure("EXECUTION_TIMEOUT", "the execution took too long", retryable=False)


class StepFailed(RetryAfter):
    """An attempt of a step failed, and another one is made; `code` is that of the failure."""

    def __init__(self, failed: Failure, after: timedelta) -> None:
        super().__init__(after, f"{failed.code}: {failed.message}")
        self.code = failed.code


def serving(spec: HandlerSpec, handlers: Mapping[str, HandlerSpec], limits: ContextLimits) -> Serving:
    """The command that runs `spec`; what the handler wants injected, the command asks for in its place."""
    steps = _Steps()

    async def serve(ctx: CommandContext, **injected: Any) -> Ok | Fail | Goto:
        return await StepAtWork(ctx, steps.of(ctx), spec, handlers, limits).run(injected)

    asked = [one.replace(kind=one.KEYWORD_ONLY) for one in spec.injected.values()]
    first = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=CommandContext)
    setattr(serve, "__signature__", inspect.Signature([first, *asked]))  # noqa: B010 (no attribute that mypy knows)
    serve.__annotations__ = {"ctx": CommandContext} | {one.name: one.annotation for one in asked}
    serve.__name__ = spec.type
    return serve


class _Steps:
    """Steps as they were written, read once."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, str], tuple[JsonObject, Step]] = {}

    def of(self, ctx: CommandContext) -> Step:
        """The step that a command belongs to."""
        written: JsonObject = ctx.command_metadata["written"]
        known = self._read.get((ctx.workflow, ctx.from_state))
        if known is None or known[0] != written:
            # Of several versions of a flow the one that was used last is known.
            known = self._read[ctx.workflow, ctx.from_state] = written, Step.model_validate(written)
        return known[1]


class StepAtWork:
    """One attempt of one step."""

    def __init__(
        self,
        ctx: CommandContext,
        step: Step,
        spec: HandlerSpec,
        handlers: Mapping[str, HandlerSpec],
        limits: ContextLimits,
    ) -> None:
        self._ctx = ctx
        self._spec = spec
        self._handlers = handlers
        self._limits = limits
        self._step = step
        self._id: str = ctx.command_metadata["step"]
        self._own = Own.of(ctx.context)
        there = copy_object(without_own(ctx.context))
        # Who resumed or patched it may have written a key anew.
        beside = {key: where for key, where in self._own.values.items() if key not in there}
        self._large = LargeValues(beside, ctx.values, mark=str(self._own.steps))
        self._view = ContextView(there, self._large.keys)

    async def run(self, injected: Mapping[str, Any]) -> Ok | Fail | Goto:
        """What the machine is told of the attempt. Raises `StepFailed` where another one is to be made."""
        if self._is_late():
            return Goto(EXPIRE)
        if self._own.steps >= self._ctx.command_metadata["steps"]:
            self._keep(self._own)
            self._note(Failure("MAX_STEPS", f"it has begun {self._own.steps} steps"))
            return Goto(FAIL)
        self._own = self._own.going_on()
        result = await self._attempt(injected)
        if result is _LATE:
            self._keep(self._own)
            return Goto(EXPIRE)
        return await self._told(result)

    async def _attempt(self, injected: Mapping[str, Any]) -> Result:
        try:
            await self._fetch()
            chosen = None if self._step.input is None else select(self._step.input, self._view)
        except InvalidValue as error:
            return Failure("INPUT_ERROR", str(error), {"path": error.path}, retryable=False)
        limit, left = self._step.timeout or self._spec.timeout, self._left()
        if left is not None and (limit is None or left <= limit):
            return await self._call(self._spec, self._step.config, chosen, injected, limit=left, late=_LATE)
        return await self._call(self._spec, self._step.config, chosen, injected, limit=limit)

    async def _call(
        self,
        spec: HandlerSpec,
        config: JsonObject,
        chosen: JsonValue,
        injected: Mapping[str, Any],
        *,
        limit: timedelta | None,
        late: Failure | None = None,
        scope: str = "",
    ) -> Result:
        """Call a handler within its time, whatever it raises; `late` is what is answered where that has passed."""
        try:
            own = {"config": spec.config_model, "input": spec.input_model}
            # A copy: it is the definition's, and a handler may write to it.
            given = {"config": copy_object(config), "input": chosen}
            arguments = {name: _as_model(own[name], given[name]) for name in spec.takes}
        except ValidationError as error:
            problems = shape_problems(error)
            details = [{"path": one.path, "code": one.code, "message": one.message} for one in problems]
            return Failure("INPUT_VALIDATION_FAILED", render(problems), details, retryable=False)
        context = self._context(config, chosen, scope)
        late = late or Failure(TIMEOUT, f"it took longer than {limit}")
        timer = asyncio.timeout(None if limit is None else limit.total_seconds())
        try:
            async with timer:
                answer = await _called(spec, context, arguments | dict(injected))
        except TimeoutError as error:
            return late if timer.expired() else self._raised(error)
        except Exception as error:
            return self._raised(error)
        # One that does not let itself be stopped is too late all the same.
        return late if timer.expired() else _result(answer)

    def _raised(self, error: Exception) -> Failure:
        if isinstance(error, RetryAfter):
            return Failure("HANDLER_ERROR", str(error), retry_after=error.after)
        if isinstance(error, ContextTooLarge):
            return Failure(error.limit, error.message, retryable=False)
        # The error of the step says what was raised; only the log can say where.
        logger.exception("step %r of execution %s raised", self._id, self._ctx.instance_id)
        return Failure("HANDLER_ERROR", f"{type(error).__name__}: {error}")

    async def _perform(
        self, type_: str, config: JsonObject, chosen: JsonValue, *, scope: str = "", around: str = ""
    ) -> Result:
        """Another handler, called inside the one whose scope is `around`; see `HandlerContext.perform`."""
        spec = self._handlers.get(type_)
        if spec is None:
            return Failure("HANDLER_NOT_FOUND", f"no handler {type_!r} is registered", retryable=False)
        if any(one.default is one.empty for one in spec.injected.values()):
            return Failure("HANDLER_NOT_FOUND", f"{type_!r} needs a container, and is for steps only", retryable=False)
        inside = "/".join(part for part in (around, scope or type_) if part)
        return await self._call(spec, json_object(config, "config"), chosen, {}, limit=spec.timeout, scope=inside)

    def _context(self, config: JsonObject, chosen: JsonValue, scope: str) -> HandlerContext:
        ctx = self._ctx
        version = ctx.command_metadata.get("version", "")
        return HandlerContext(
            execution_id=ctx.instance_id,
            flow=ctx.workflow,
            version=version,
            step_id=self._id,
            step_type=self._spec.type,
            config=json_object(config, "config"),
            input=chosen,
            context=self._view,
            error=self._view.get(ERROR),
            metadata=ctx.metadata,
            tenant=ctx.tenant,
            now=ctx.now,
            attempt=ctx.durable_run.attempt,
            step_count=self._own.steps,
            limits=self._limits,
            command=ctx,
            perform=partial(self._perform, around=scope),
            scope=scope,
            beside=self._read,
            keys_beside=self._large.keys,
        )

    async def _told(self, result: Result) -> Ok | Fail | Goto:
        match result:
            case Failure():
                return self._failed(result)
            case Success(output):
                refused = await self._take_over(output)
                return Ok() if refused is None else self._failed(refused)
            case GoTo(step, output):
                return await self._gone(step, output)
            case Wait(until, reason, details, form):
                return await self._waiting(until, reason, details, form)
            case WaitForChild(child_id):
                return await self._waiting(None, "a child", {"child": child_id})

    async def _gone(self, step: str | None, output: JsonValue) -> Ok | Fail | Goto:
        event = FINISH if step is None else goto(step)
        if event not in self._choices():
            return self._failed(Failure("INVALID_TRANSITION", f"it cannot go to {step!r} from here", retryable=False))
        refused = await self._take_over(output)
        return Goto(event) if refused is None else self._failed(refused)

    def _choices(self) -> set[str]:
        return set(self._ctx.command_metadata["choices"])

    async def _waiting(
        self, until: Any, reason: str | None, details: JsonObject | None, form: JsonObject | None = None
    ) -> Fail | Goto:
        try:
            told = None if details is None else json_object(details, "details")
            waited = WaitedFor(reason, told, self._ctx.now, None if form is None else _read_form(form))
            self._own = self._own.waiting(_end_of_wait(until), waited)
        except (InvalidValue, OverflowError) as error:
            return self._failed(Failure("INVALID_WAIT", str(error), retryable=False))
        refused = await self._take_over(None)
        return Goto(WAIT) if refused is None else self._failed(refused)

    async def _take_over(self, output: JsonValue) -> Failure | None:
        """Keep what the handler wrote, and its output; or the failure that comes of it, with nothing kept."""
        view = self._view
        try:
            if self._step.output_key is not None and output is not None:
                put(view, self._step.output_key, json_value(output, self._step.output_key))
            written = json_object(view, "context")
            beside = self._large.left_beside(written)
            self._limits.check(written, beside=sum(where["bytes"] for where in beside.values()))
        except ContextTooLarge as error:
            return Failure(error.limit, error.message, retryable=False)
        except InvalidValue as error:
            return Failure("OUTPUT_ERROR", str(error), {"path": error.path}, retryable=False)
        stays, away = await self._large.put_away(written, self._limits.inline_bytes)
        context = self._ctx.context
        for key in without_own(context).keys() - stays.keys():
            del context[key]
        for key, value in stays.items():
            if key not in context or context[key] != value:
                context[key] = value
        self._keep(self._own.keeping({**beside, **away}))
        return None

    async def _fetch(self) -> None:
        """Read back the large values that the step's input is made of, and that its output is put into. Those that the step
        before has dropped go now: its commit stands.
        """
        await self._large.drop(self._own.dropped)
        keys = frozenset[str]() if self._step.input is None else keys_read(self._step.input)
        if keys is not None and self._step.output_key is not None and "." in self._step.output_key:
            keys |= {self._step.output_key.split(".")[0]}
        self._view |= await self._large.load(keys)

    async def _read(self, key: str) -> JsonValue:
        """A value of the context, read back where it is kept beside it."""
        self._view |= await self._large.load({key})
        return self._view.get(key)

    def _failed(self, answered: Failure) -> Fail:
        failed = _written(answered)
        delay = self._delay(failed)
        if delay is not None:
            raise StepFailed(failed, delay)
        self._keep(self._own)
        self._note(failed)
        return Fail(failed.code, failed.message, failed.details)

    def _delay(self, failed: Failure) -> timedelta | None:
        """After what time the step is tried again; `None` when it is not."""
        retry, attempt = self._step.retry, self._ctx.durable_run.attempt
        if retry is None or not failed.retryable or attempt > retry.max_attempts:
            return None
        if retry.retry_on is not None and failed.code not in retry.retry_on:
            return None
        delay = timedelta() if retry.backoff_ms == 0 else retry.policy.delay(attempt)
        if failed.retry_after is not None:
            delay = failed.retry_after
        left = self._left()
        # At its deadline an execution ends, also one that would try again later.
        return delay if left is None else min(delay, left)

    def _note(self, failed: Failure) -> None:
        """Leave the error where the step that deals with it finds it."""
        error = step_error(failed.code, failed.message, self._id, failed.details, self._ctx.now)
        self._ctx.context[ERROR] = self._limits.fitting(error)

    def _keep(self, own: Own) -> None:
        self._ctx.context[OWN] = own.to_json()

    def _is_late(self) -> bool:
        return self._own.deadline is not None and self._own.deadline <= self._ctx.now

    def _left(self) -> timedelta | None:
        """How much time the execution has left, which bounds the attempt too."""
        return None if self._own.deadline is None else self._own.deadline - self._ctx.now


async def _called(spec: HandlerSpec, context: HandlerContext, arguments: Mapping[str, Any]) -> Any:
    answer = spec.call(**{spec.context_name: context}, **arguments)
    return await answer if inspect.isawaitable(answer) else answer


def _as_model(model: type[BaseModel] | None, value: JsonValue) -> Any:
    return value if model is None else model.model_validate(value)


def _result(answer: Any) -> Result:
    if answer is None:
        return Success()
    if isinstance(answer, Success | Failure | Wait | WaitForChild | GoTo):
        return answer
    said = f"it answered a {type(answer).__name__}, which is no result"
    return Failure("HANDLER_ERROR", said, retryable=False)


def _written(failed: Failure) -> Failure:
    """The same as it can be kept: without NUL and lone surrogates, and with details that are JSON."""
    code, message = _kept(failed.code), _kept(failed.message)
    try:
        return replace(failed, code=code, message=message, details=json_value(failed.details, "details"))
    except InvalidValue as error:
        return replace(failed, code=code, message=message, details={"unreadable": str(error)})


def _kept(text: str) -> str:
    return str(text).replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _read_form(form: JsonObject) -> JsonObject:
    """A JSON Schema that data can be judged by. Raises `InvalidValue`."""
    read = json_object(form, "form")
    fault = check_schema(read)
    if fault is not None:
        raise InvalidValue("form", f"is no JSON Schema: {fault}")
    return read


def _end_of_wait(until: object) -> datetime | timedelta | None:
    """When a wait ends. Raises `InvalidValue` for what is no time."""
    if until is None or isinstance(until, timedelta) or (isinstance(until, datetime) and until.tzinfo is not None):
        return until
    hint = "wait(timedelta(…)), or wait_until() with a datetime that has its time zone"
    if isinstance(until, int | float) and not isinstance(until, bool):
        hint = f"a number has no unit: wait(timedelta(seconds={until})), or milliseconds="
    raise InvalidValue("wait", f"was given {reprlib.repr(until)}", hint=hint)
