"""Calls a handler as a step would, in a world of fakes that notes what it does there."""

from collections.abc import Callable, Collection, Mapping
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
from detent.flows.handler import Handlers, HandlerSpec, spec_of
from detent.flows.limits import ContextLimits
from detent.flows.results import Failure, Result, Success
from detent.json_values import JsonObject, JsonValue, json_object, json_value
from detent.problems import Problem, render
from detent.registry.context import CommandContext
from detent.registry.message import Message
from detent.registry.run_context import RunContext
from detent_handlers import all_handlers

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
EXECUTION = UUID(int=3)
RUN = UUID(int=7)


@dataclass
class World:
    """What handlers may reach, and what they did with it. One world is one step: what it keeps survives its attempts."""

    run_id: UUID = RUN
    kept: dict[str, Any] = field(default_factory=dict)
    progress: list[tuple[float, str | None]] = field(default_factory=list)
    published: list[Message] = field(default_factory=list)
    children: dict[str, tuple[UUID, dict[str, Any]]] = field(default_factory=dict)
    """The children that were started, by their keys."""
    refuses: Exception | None = None
    """What starting a child ends in."""
    beside: dict[str, Any] = field(default_factory=dict)
    """Large values, which the context holds only once they are read."""

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

    async def values(self, child_id: UUID, refs: Collection[str]) -> Mapping[str, Any]:
        return {}

    async def read(self, key: str) -> Any:
        return self.beside.get(key)


class Step:
    """A step of a flow: its attempts share a key and what they keep."""

    def __init__(self, handler: Any, *, scope: str = "", run: int = 7) -> None:
        self.spec = spec_of(handler)
        self.scope = scope
        self.world = World(UUID(int=run))
        self.attempt = 0
        self.now = NOW

    @property
    def key(self) -> str:
        return f"{self.world.run_id}:0"

    async def __call__(self, config: JsonObject, given: JsonValue = None) -> Result:
        """One attempt."""
        self.attempt += 1
        return await _answer(
            self.spec, config, given, world=self.world, attempt=self.attempt, scope=self.scope, now=self.now
        )

    async def succeeds(self, config: JsonObject, given: JsonValue = None) -> Any:
        """The output of an attempt that succeeds."""
        result = await self(config, given)
        assert isinstance(result, Success), result
        return result.output

    async def fails(self, config: JsonObject, given: JsonValue = None) -> Failure:
        """The failure of an attempt that fails."""
        result = await self(config, given)
        assert isinstance(result, Failure), result
        return result


async def call(target: Any, *, config: JsonObject | None = None, input: Any = None, **more: Any) -> Result:
    """What a handler answers to one attempt; `more` is what `_answer` takes."""
    return await _answer(spec_of(target), config or {}, input, **more)


async def _answer(
    spec: HandlerSpec,
    config: JsonObject,
    given: JsonValue,
    *,
    context: dict[str, Any] | None = None,
    world: World | None = None,
    attempt: int = 1,
    scope: str = "",
    now: datetime = NOW,
    perform: Callable[..., Any] | None = None,
    limits: ContextLimits | None = None,
) -> Result:
    """Config and input are validated as a step's are, and what is answered must be JSON."""
    world = world or World()
    values: dict[str, Any] = {"config": json_object(config, "config"), "input": given}
    models = {"config": spec.config_model, "input": spec.input_model}
    try:
        arguments = {name: _read(models[name], values[name]) for name in spec.takes}
    except ValidationError as error:
        return Failure("INPUT_VALIDATION_FAILED", render(shape_problems(error)), retryable=False)
    command = _command(world, RunContext(world.run_id, 0, attempt, world.kept, world), context or {}, now)
    ctx = HandlerContext(
        execution_id=EXECUTION,
        flow="order",
        version="1",
        step_id="the_step",
        step_type=spec.type,
        config=values["config"],
        input=given,
        context=command.context,
        error=None,
        metadata={},
        tenant="acme",
        now=now,
        attempt=attempt,
        step_count=1,
        limits=limits or ContextLimits(),
        command=command,
        perform=_scoped(perform or _nobody),
        scope=scope,
        beside=world.read,
        keys_beside=set(world.beside),
    )
    result: Result = await spec.call(**{spec.context_name: ctx}, **arguments)
    world.published += command.published
    if isinstance(result, Success):
        assert json_value(result.output, "output") == result.output
    elif isinstance(result, Failure):
        json_value([result.message, result.details], "failure")
    return result


def _scoped(perform: Callable[..., Any]) -> Perform:
    """As a context performs: the calls of one step are told apart, which these tests need not do."""

    async def performed(type_: str, config: dict[str, Any], chosen: Any, *, scope: str = "") -> Result:
        result: Result = await perform(type_, config, chosen)
        return result

    return performed


def problems(
    type_: str, config: dict[str, Any], *, steps: tuple[str, ...] = (), added: tuple[Any, ...] = ()
) -> list[Problem]:
    """What is wrong with a flow whose first step has this type and config, and goes on to `steps`, as far as that step goes."""
    others = {name: {"type": "log", "config": {"message": name}} for name in steps}
    first = {"type": type_, "config": config, "input": {"full": True}}
    flow = Flow("order", initial_step_id="first", steps={"first": first, **others})
    return [one for one in check_flow(flow, Handlers(all_handlers(*added)).types) if one.severity == "error"]


def _command(world: World, run: RunContext, context: dict[str, Any], now: datetime) -> CommandContext:
    return CommandContext(
        instance_id=EXECUTION,
        workflow="order",
        event="$on_enter",
        subject=None,
        context=context,
        metadata={},
        payload=None,
        trigger_metadata={},
        now=now,
        from_state="the_step",
        to_state="completed",
        transition_id=UUID(int=4),
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
