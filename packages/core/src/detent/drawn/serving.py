"""A step at work: its method called as a durable command, and what it answers turned into what the machine understands."""

import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

from detent.drawn.decision import taken
from detent.drawn.drawing import Step
from detent.drawn.payloads import read, written
from detent.errors import AnswerInvalid
from detent.json_values import JsonObject
from detent.registry.context import CommandContext
from detent.registry.results import Fail, Goto, Ok
from detent.registry.signature import constructor_parameters

Serving: TypeAlias = Callable[..., Awaitable[Ok | Fail | Goto]]

current: ContextVar[CommandContext] = ContextVar("detent.drawn.current")
"""The context of the step that is at work."""


class Failed(Exception):
    """Raised by a step that failed for a reason of the business: the way `on enter fails` out of its state is taken.

    It is not repeated. Where the diagram has no such way, it waits for an operator.
    """

    def __init__(self, code: str, message: str | None = None) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.reason = message


def serving(owner: type[Any], step: Step) -> Serving:
    """The command that lets an object of `owner` do the work of `step`. Each execution gets one of its own.

    Where a container has the class, it makes the object; a class whose constructor asks for nothing needs none.
    """

    async def serve(ctx: CommandContext, workflow: Any = None) -> Ok | Fail | Goto:
        token = current.set(ctx)
        try:
            return await _done(step, ctx, owner() if workflow is None else workflow)
        finally:
            current.reset(token)

    _sign(serve, owner, needs_container=bool(constructor_parameters(step.command, owner)))
    serve.__name__ = step.method
    return serve


def _sign(serve: Serving, owner: type[Any], *, needs_container: bool) -> None:
    default = inspect.Parameter.empty if needs_container else None
    keyword = inspect.Parameter.KEYWORD_ONLY
    asked = inspect.Parameter("workflow", keyword, annotation=owner, default=default)
    first = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=CommandContext)
    setattr(serve, "__signature__", inspect.Signature([first, asked]))  # noqa: B010 (no attribute that mypy knows)
    serve.__annotations__ = {"ctx": CommandContext, "workflow": owner}


async def _done(step: Step, ctx: CommandContext, workflow: Any) -> Ok | Fail | Goto:
    payload = read(step.payload, ctx.context)
    try:
        answer = await getattr(workflow, step.method)(payload)
    except Failed as failed:
        return Fail(failed.code, failed.reason)
    return _told(step, ctx, answer)


def _told(step: Step, ctx: CommandContext, answer: object) -> Ok | Goto:
    if step.decides is None:
        _go_on(step, ctx, answer, leads_on=step.answers is not None)
        return Ok()
    if not isinstance(answer, step.decides):
        raise AnswerInvalid(step.command, answer, expected=f"answer a {step.decides.__name__}, made by its choice")
    event, payload = taken(answer)
    if payload is not None:
        _go_on(step, ctx, payload, leads_on=True)
    return Ok() if event is None else Goto(event)


def _go_on(step: Step, ctx: CommandContext, payload: object, *, leads_on: bool) -> None:
    """Make the payload the context; at an end the context stays."""
    if leads_on:
        context: JsonObject = written(payload, f"answer of {step.command}")
        ctx.context = context
    elif payload is not None:
        raise AnswerInvalid(step.command, payload, expected="answer nothing: the workflow ends here")
