"""Calls a handler as a step would, in a world of fakes that notes what it does there."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from pydantic import ValidationError

from detent.definition.shape import shape_problems
from detent.errors import InvalidValue
from detent.flows.checks import check_flow
from detent.flows.context import HandlerContext, Perform
from detent.flows.flow import Flow
from detent.flows.handler import Handlers, spec_of
from detent.flows.limits import ContextLimits
from detent.flows.results import Failure, Result, Success
from detent.json_values import json_value
from detent.problems import Problem, render
from detent.registry.context import CommandContext
from detent.registry.message import Message
from detent.registry.run_context import RunContext
from detent_handlers import all_handlers

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
EXECUTION = UUID(int=7)


@dataclass
class World:
    """What handlers may reach, and what they did with it. One world is one step: what it keeps survives its attempts."""

    kept: dict[str, Any] = field(default_factory=dict)
    progress: list[tuple[float, str | None]] = field(default_factory=list)
    published: list[Message] = field(default_factory=list)
    children: dict[str, tuple[UUID, dict[str, Any]]] = field(default_factory=dict)
    """The children that were started, by their keys."""
    refuses: Exception | None = None
    """What starting a child ends in."""

    async def keep(self, *, kept: dict[str, Any] | None = None, progress: dict[str, Any] | None = None) -> None:
        self.kept |= kept or {}
        if progress is not None:
            self.progress.append((progress["fraction"], progress["message"]))

    async def start(self, workflow: str, *, key: str | None, **told: Any) -> UUID:
        if self.refuses is not None:
            raise self.refuses
        assert key is not None
        child, _ = self.children.setdefault(key, (uuid4(), {"workflow": workflow, **told}))
        return child


async def call(
    target: Any,
    *,
    config: dict[str, Any] | None = None,
    input: Any = None,  # noqa: A002 - what handlers call it
    context: dict[str, Any] | None = None,
    world: World | None = None,
    attempt: int = 1,
    step_type: str | None = None,
    perform: Callable[..., Any] | None = None,
    limits: ContextLimits | None = None,
) -> Result:
    """What a handler answers. Config and input are validated as a step's are, and an output must be JSON."""
    spec, world = spec_of(target), world or World()
    given = {"config": config or {}, "input": input}
    models = {"config": spec.config_model, "input": spec.input_model}
    try:
        arguments = {name: _read(models[name], given[name]) for name in spec.takes}
    except ValidationError as error:
        return Failure("INPUT_VALIDATION_FAILED", render(shape_problems(error)), retryable=False)
    run = RunContext(UUID(int=9), 0, attempt, world.kept, world)
    command = _command(world, run, context or {})
    ctx = HandlerContext(
        execution_id=EXECUTION,
        flow="order",
        version="1",
        step_id="the_step",
        step_type=step_type or spec.type,
        config=given["config"],
        input=input,
        context=command.context,
        error=None,
        metadata={},
        tenant="acme",
        now=NOW,
        attempt=attempt,
        step_count=1,
        limits=limits or ContextLimits(),
        command=command,
        perform=_scoped(perform or _nobody),
    )
    answer = spec.call(ctx, **arguments)
    result: Result = await answer if inspect.isawaitable(answer) else answer
    world.published += command.published
    if isinstance(result, Success):
        assert json_value(result.output, "output") == result.output
    return result


def _scoped(perform: Callable[..., Any]) -> Perform:
    """As a context performs: the calls of one step are told apart, which these tests need not do."""

    async def performed(type_: str, config: dict[str, Any], chosen: Any, *, scope: str = "") -> Result:
        result: Result = await perform(type_, config, chosen)
        return result

    return performed


def problems(type_: str, config: dict[str, Any], *, steps: tuple[str, ...] = ()) -> list[Problem]:
    """What is wrong with a flow whose first step has this type and config, and goes on to `steps`, as far as that step goes."""
    others = {name: {"type": "log", "config": {"message": name}} for name in steps}
    flow = Flow("order", initial_step_id="first", steps={"first": {"type": type_, "config": config}, **others})
    return [one for one in check_flow(flow, Handlers(all_handlers()).types) if one.severity == "error"]


def _command(world: World, run: RunContext, context: dict[str, Any]) -> CommandContext:
    return CommandContext(
        instance_id=EXECUTION,
        workflow="order",
        event="$on_enter",
        subject=None,
        context=context,
        metadata={},
        payload=None,
        trigger_metadata={},
        now=NOW,
        from_state="the_step",
        to_state="completed",
        transition_id=UUID(int=8),
        command_metadata={},
        input=None,
        tenant="acme",
        connection=None,
        run=run,
        children=world,
    )


def _read(model: Any, value: Any) -> Any:
    return value if model is None else model.model_validate(value)


async def _nobody(type_: str, config: dict[str, Any], given: Any) -> Result:
    raise InvalidValue("perform", f"was not expected, of {type_!r}")
