"""What a handler is told about the step it works for, and what it may say while it works."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from detent.flows.limits import ContextLimits
from detent.flows.results import Result
from detent.json_values import JsonObject, JsonValue, json_value
from detent.registry.context import CommandContext
from detent.registry.run_context import RunContext


class Perform(Protocol):
    """Calls another handler inside this one."""

    async def __call__(self, type_: str, config: JsonObject, chosen: JsonValue, *, scope: str = "") -> Result:
        """What the handler `type_` answers, given its config and input.

        `scope` tells the calls of one step apart, the same on every attempt: each has a `key` and checkpoints of its own. By
        default it is the type.
        """
        ...


async def _nothing(key: str) -> JsonValue:  # noqa: ARG001 - what values beside the context are asked by
    return None


@dataclass(slots=True)
class HandlerContext:
    """One is made for each attempt of each step.

    `ctx.context` is the flow's context, to read and to write; what is written is stored with the step, if that does not fail.
    """

    execution_id: UUID
    """The instance that the flow is."""
    flow: str
    version: str
    """The version of the flow that it was started with."""
    step_id: str
    step_type: str
    config: JsonObject
    """The step's config as it was written."""
    input: JsonValue
    """What the step's selector took from the context."""
    context: JsonObject
    """The flow's context. Of a large value that was not read back it says so: `InvalidValue`."""
    error: JsonObject | None
    """The error of the step that failed last: `code`, `message`, `step_id`, `details`, `timestamp`."""
    metadata: JsonObject
    """The labels that the flow was started with."""
    tenant: str
    """Whose flow it is; empty without tenants."""
    now: datetime
    attempt: int
    """1 for the first attempt of this step."""
    step_count: int
    """How many steps were begun, this one included."""
    limits: ContextLimits
    command: CommandContext = field(repr=False)
    perform: Perform = field(repr=False)
    """Calls another handler inside this one: `await ctx.perform("http", {...}, None)`."""
    scope: str = ""
    """Which call of the step it is, where another handler performs this one."""
    beside: Callable[[str], Awaitable[JsonValue]] = field(default=_nothing, repr=False)
    """What `read` uses."""
    keys_beside: set[str] = field(default_factory=set, repr=False)
    """The keys of large values that were not read back."""

    @property
    def key(self) -> str:
        """The same on every attempt of this step, and for no other: an idempotency key for whoever it calls."""
        return f"{self._run.key}:{self.scope}" if self.scope else self._run.key

    @property
    def kept(self) -> Mapping[str, JsonValue]:
        """What this step has kept by `checkpoint`, in earlier attempts as well."""
        own = self._named("")
        return {name.removeprefix(own): value for name, value in self._run.kept.items() if name.startswith(own)}

    async def checkpoint(self, name: str, value: JsonValue = None) -> None:
        """Keep `value` for later attempts of this step: `ctx.kept[name]`. It is durable once this returns."""
        await self._run.checkpoint(self._named(name), value)

    async def progress(self, fraction: float, message: str | None = None) -> None:
        """Say how far it is, from 0 to 1."""
        await self._run.progress(fraction, message)

    async def heartbeat(self) -> None:
        """Say that it is still at it; the worker does so by itself."""
        await self._run.heartbeat()

    def get(self, key: str, default: JsonValue = None) -> JsonValue:
        """A value of the context. Raises `InvalidValue` for a large one that was not read back; see `read`."""
        return self.context.get(key, default)

    async def read(self, key: str) -> JsonValue:
        """A value of the context, `None` where there is none: `await ctx.read("report")`.

        Large values that the step's input is not made of are not in `ctx.context` until they are read.
        """
        return await self.beside(key) if key in self.keys_beside else self.context.get(key)

    def set(self, key: str, value: JsonValue) -> None:
        """Put a value into the context. Raises `ContextTooLarge` where a limit does not allow it, and `InvalidValue`."""
        checked = json_value(value, f"context.{key}")
        self.limits.check({**self.context, key: checked})
        self.keys_beside.discard(key)
        self.context[key] = checked

    def has(self, key: str) -> bool:
        """Whether the context has a key, also one whose large value was not read back."""
        return key in self.context or key in self.keys_beside

    def delete(self, key: str) -> None:
        """Take a key out of the context; nothing happens where there is none."""
        self.keys_beside.discard(key)
        self.context.pop(key, None)

    def publish(
        self, topic: str, payload: JsonValue = None, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Publish a message with this step, in its commit, if it does not fail."""
        self.command.publish(topic, payload, key=key, headers=headers)

    async def start_child(
        self,
        flow: str,
        *,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        on_end: str | None = None,
        wait_for: Literal["each", "all", "any"] = "each",
        group: str = "",
        key: str | None = None,
    ) -> UUID:
        """The id of a child, started once however often this step is repeated. See `CommandContext.start_child`."""
        return await self.command.start_child(
            flow, context=context, metadata=metadata, on_end=on_end, wait_for=wait_for, group=group, key=key
        )

    def _named(self, name: str) -> str:
        return f"{self.scope}/{name}" if self.scope else name

    @property
    def _run(self) -> RunContext:
        return self.command.durable_run
