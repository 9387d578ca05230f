"""Calls a handler as a step does, attempt after attempt, without a runtime."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from detent.flows.context import HandlerContext
from detent.flows.handler import spec_of
from detent.flows.limits import ContextLimits
from detent.flows.results import Failure, Result, Success
from detent.json_values import JsonObject, JsonValue, json_object, json_value
from detent.registry.context import CommandContext
from detent.registry.run_context import RunContext

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Step:
    """A step of a flow: its attempts share a key and what they keep."""

    def __init__(self, handler: Any, *, scope: str = "", run: int = 7) -> None:
        self.spec = spec_of(handler)
        self.scope = scope
        self.run_id = UUID(int=run)
        self.kept: JsonObject = {}
        self.attempt = 0
        self.now = NOW

    @property
    def key(self) -> str:
        return f"{self.run_id}:0"

    async def keep(self, *, kept: JsonObject | None = None, progress: JsonObject | None = None) -> None:
        self.kept |= kept or {}

    async def __call__(self, config: JsonObject, given: JsonValue = None) -> Result:
        """One attempt; its config and input are read as a step's are, and its answer must be JSON."""
        self.attempt += 1
        values: dict[str, Any] = {"config": json_object(config, "config"), "input": json_value(given, "input")}
        models = {"config": self.spec.config_model, "input": self.spec.input_model}
        arguments = {name: _read(models[name], values[name]) for name in self.spec.takes}
        result: Result = await self.spec.call(
            **{self.spec.context_name: self._context(values["config"], values["input"])}, **arguments
        )
        if isinstance(result, Success):
            json_value(result.output, "output")
        elif isinstance(result, Failure):
            json_value(result.details, "details")
            json_value(result.message, "message")
        return result

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

    def _context(self, config: JsonObject, given: JsonValue) -> HandlerContext:
        run = RunContext(self.run_id, 0, self.attempt, self.kept, self)
        command = CommandContext(
            instance_id=UUID(int=3),
            workflow="order",
            event="$on_enter",
            subject=None,
            context={},
            metadata={},
            payload=None,
            trigger_metadata={},
            now=self.now,
            from_state="call",
            to_state="call",
            transition_id=UUID(int=4),
            command_metadata={},
            input=None,
            tenant="",
            connection=None,
            run=run,
        )
        return HandlerContext(
            execution_id=command.instance_id,
            flow="order",
            version="1",
            step_id="call",
            step_type=self.spec.type,
            config=config,
            input=given,
            context={},
            error=None,
            metadata={},
            tenant="",
            now=self.now,
            attempt=self.attempt,
            step_count=1,
            limits=ContextLimits(),
            command=command,
            perform=_nobody,
            scope=self.scope,
        )


def _read(model: type[BaseModel] | None, value: JsonValue) -> Any:
    return value if model is None else model.model_validate(value)


async def _nobody(type_: str, config: JsonObject, chosen: JsonValue, *, scope: str = "") -> Result:
    raise AssertionError(f"{type_} is not here")
