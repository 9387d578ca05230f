"""What a command or a guard is told about the step it is part of."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from detent.errors import InvalidValue
from detent.json_values import JsonObject, JsonValue
from detent.registry.message import Message, checked_message
from detent.registry.run_context import RunContext


class ChildStarter(Protocol):
    """Starts instances on behalf of a command."""

    async def start(
        self,
        workflow: str,
        *,
        context: JsonObject | None,
        metadata: JsonObject | None,
        on_end: str | None,
        wait_for: Literal["each", "all", "any"],
        group: str,
        key: str | None,
        state: str | None = None,
    ) -> UUID:
        """The id of the child; see `CommandContext.start_child`. With `state`, it begins there, in its parent's version."""
        ...

    async def values(self, child_id: UUID, refs: Collection[str]) -> Mapping[str, JsonValue]:
        """What the commands of a child have put; see `CommandContext.values_of`."""
        ...


class ValueKeeper(Protocol):
    """Keeps values beside the instance of a command, under refs: texts of at most 512 bytes that do not start with `key:`.

    Each call is durable once it returns, whatever becomes of the command. So make a ref of what the value says (its hash), put
    the value first, and let the context, which is stored with the step, refer to it afterwards: an attempt that is repeated
    then puts the same again, and one that fails leaves nothing that is referred to.
    """

    async def put(self, ref: str, value: JsonValue) -> None:
        """Keep `value` under `ref`, unless something is there. Raises `InvalidValue` and `InstanceNotFound`."""
        ...

    async def load(self, refs: Collection[str]) -> Mapping[str, JsonValue]:
        """The values under `refs` that are there."""
        ...

    async def delete(self, refs: Collection[str]) -> int:
        """Take out the values under `refs`; answers how many there were."""
        ...

    async def clear(self) -> int:
        """Take out all that commands have put; answers how many there were. What applications set stays."""
        ...


@dataclass(frozen=True, slots=True)
class GuardContext:
    """What a guard sees. It must not change anything: a guard may be asked several times for one event."""

    instance_id: UUID
    workflow: str
    event: str
    subject: Any
    """Whatever the caller passed along for this call; never stored."""
    context: JsonObject
    """A copy of the instance's context."""
    metadata: JsonObject
    payload: JsonValue
    """What came with the event, already valid."""
    trigger_metadata: JsonObject
    """Who and why."""
    now: datetime
    from_state: str
    guard_metadata: JsonObject
    """The metadata of the reference by which the definition names this guard."""
    tenant: str
    """Whose instance it is; empty without tenants."""


@dataclass(slots=True)
class CommandContext:
    """What a command gets: one is made for each command of each step.

    `ctx.context` is written to in place; assigning another object to it replaces what it holds.
    """

    instance_id: UUID
    workflow: str
    event: str
    """The event whose command this is; `$on_enter` for those of a state's entry."""
    subject: Any
    """Whatever the caller passed along for this call; never stored."""
    context: JsonObject
    """The instance's context. What is written here is stored with the step and wins over the state's own patch."""
    metadata: JsonObject
    payload: JsonValue
    """What came with the event, already valid."""
    trigger_metadata: JsonObject
    """Who and why."""
    now: datetime
    from_state: str
    """The state the instance is in while the command runs."""
    to_state: str
    """The state that is entered if no command fails."""
    transition_id: UUID
    """The same for every command and every history entry of this step."""
    command_metadata: JsonObject
    """The metadata of the reference by which the definition names this command."""
    input: JsonValue
    """What the reference's `input` selector took from the context; `None` without one."""
    tenant: str
    """Whose instance it is; empty without tenants."""
    connection: Any
    """Writes in the step's own transaction: an `AsyncSession`, a `SqliteConnection` or a `MemoryTransaction`, by store.
    `None` for a durable command, which runs in none.
    """
    run: RunContext | None = None
    """The run it is part of, where a worker runs it; `durable_run` is the same without the `None`."""
    published: list[Message] = field(default_factory=list)
    """What `publish` has collected."""
    children: ChildStarter | None = None
    """What `start_child` uses."""
    values: ValueKeeper | None = None
    """Values beside the instance, too large for its context. `None` for a transactional command: each call is its own commit,
    which a rollback would not undo, and which the only writer of a SQLite file would wait for in vain.
    """

    @property
    def durable_run(self) -> RunContext:
        """The run it is part of. Raises `InvalidValue` where the command runs inside the transaction."""
        if self.run is None:
            raise InvalidValue("ctx.run", "is there for durable commands only", hint="register it with durable=True")
        return self.run

    def publish(
        self,
        topic: str | Message,
        payload: JsonValue = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Publish a message with this transition: written to the outbox in the same commit, if the command succeeds."""
        message = topic if isinstance(topic, Message) else Message(topic, payload, key, headers or {})
        self.published.append(checked_message(message))

    async def start_child(
        self,
        workflow: str,
        *,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        on_end: str | None = None,
        wait_for: Literal["each", "all", "any"] = "each",
        group: str = "",
        key: str | None = None,
    ) -> UUID:
        """The id of a new instance of `workflow` whose parent is this one.

        When it ends, the event `on_end` is sent to this instance: for `each` child, for the last of `all` children in the
        `group`, or for the first of `any`. Its payload names the child, how it ended, and its context. Cancelling this
        instance cancels all its descendants. A transactional command starts it in its own commit; a durable one starts
        it once, however many attempts it needs, told apart by `key` where the order of calls may differ between them.
        """
        if self.children is None:
            raise InvalidValue("ctx", "cannot start children outside of a runtime")
        return await self.children.start(
            workflow, context=context, metadata=metadata, on_end=on_end, wait_for=wait_for, group=group, key=key
        )

    async def values_of(self, child_id: UUID, refs: Collection[str]) -> Mapping[str, JsonValue]:
        """The values under `refs` that commands of a child have put by `ctx.values`, read in the transaction of this one."""
        if self.children is None:
            raise InvalidValue("ctx", "cannot read values outside of a runtime")
        return await self.children.values(child_id, refs)

    def __setattr__(self, name: str, value: Any) -> None:
        held = getattr(self, "context", None) if name == "context" else None
        if held is None or held is value:
            object.__setattr__(self, name, value)
            return
        replacement = dict(value)
        held.clear()
        held.update(replacement)
