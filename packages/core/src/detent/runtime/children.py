"""Children: instances that a command starts, and whose end their parent hears of."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import get_args
from uuid import UUID

from detent.clock import Clock
from detent.errors import InvalidValue
from detent.json_values import JsonObject, JsonValue
from detent.machine.machine import Machine
from detent.problems import did_you_mean
from detent.runtime.caller import Caller
from detent.runtime.creation_order import CreationOrder
from detent.runtime.machines import Machines
from detent.runtime.outgoing import order_to_cancel
from detent.runtime.value_keeper import InstanceKeeper
from detent.store.protocol import Store
from detent.store.records import ParentLink, Status, WaitFor, WorkflowInstance
from detent.store.signals import INBOX

_WAIT_FOR: tuple[WaitFor, ...] = get_args(WaitFor)


class Children:
    """Starts children. One per runtime."""

    def __init__(
        self,
        create: Callable[[CreationOrder], Awaitable[WorkflowInstance]],
        machines: Machines,
        store: Store,
        clock: Clock | None,
    ) -> None:
        self._create = create
        self._machines = machines
        self._store = store
        self._clock = clock

    def of(self, parent: WorkflowInstance, machine: Machine, caller: Caller, *, key: str | None = None) -> "Starter":
        """Starts children of `parent`, which `machine` governs: in the transaction that `caller` lends, or each once under
        `key`.
        """
        return Starter(self, parent, machine, caller, key)

    async def start(self, order: CreationOrder) -> WorkflowInstance:
        """The child, or the one that was made under its key before."""
        child = await self._create(order)
        if order.attempt.caller.connection is None and child.parent_id is not None:
            await self._reach(child.parent_id)
        return child

    async def _reach(self, parent_id: UUID) -> None:
        """See to it that a child is cancelled which was started while its parent was being cancelled.

        A durable command holds nothing while it starts a child, so that the order to cancel the children may have been
        carried out already.
        """
        parent = await self._store.load(parent_id)
        if parent is not None and parent.status is Status.CANCELLED:
            now = self._store.now() if self._clock is None else self._clock.now()
            await self._store.inbox.put(order_to_cancel(parent, None, now))
            self._store.signals.announce([INBOX])

    async def values(self, child_id: UUID, refs: Collection[str], connection: object | None) -> Mapping[str, JsonValue]:
        """What the commands of a child have put."""
        return await InstanceKeeper(self._store.values, child_id).load(refs, outside=connection)

    def order(
        self,
        workflow: str,
        parent: WorkflowInstance,
        caller: Caller,
        *,
        context: JsonObject | None,
        metadata: JsonObject | None,
        link: ParentLink | None,
        key: str | None,
        branch_of: Machine | None,
        state: str | None,
    ) -> CreationOrder:
        """What is to be created. Raises `UnknownWorkflow`, `WorkflowUnavailable` and `InvalidValue`."""
        machine = branch_of or self._machines.latest(workflow)
        self._machines.require_available(workflow)
        return CreationOrder(
            machine,
            caller,
            context=context,
            metadata=metadata,
            tenant=parent.tenant or None,
            parent_id=parent.id,
            parent_link=link,
            key=key,
            fingerprint=None,
            state=state,
        )


@dataclass(slots=True)
class Starter:
    """Starts the children of one command; see `CommandContext.start_child`."""

    children: Children
    parent: WorkflowInstance
    machine: Machine
    """What governs the parent."""
    caller: Caller
    key: str | None
    """Under what the command starts each child once; `None` where its transaction sees to that."""
    started: int = field(default=0)

    async def start(
        self,
        workflow: str,
        *,
        context: JsonObject | None,
        metadata: JsonObject | None,
        on_end: str | None,
        wait_for: WaitFor,
        group: str,
        key: str | None,
        state: str | None = None,
    ) -> UUID:
        """The id of the child. Raises `InvalidValue` for an end that the parent could never hear of."""
        link = self._link(on_end, wait_for, group, state)
        self.started += 1
        # Told apart, so that a key of the caller's is never the number of another child.
        unique = None if self.key is None else f"{self.key}:{self.started if key is None else f'={key}'}"
        order = self.children.order(
            workflow,
            self.parent,
            self.caller,
            context=context,
            metadata=metadata,
            link=link,
            key=unique,
            branch_of=None if state is None else self.machine,
            state=state,
        )
        return (await self.children.start(order)).id

    async def values(self, child_id: UUID, refs: Collection[str]) -> Mapping[str, JsonValue]:
        """What the commands of a child have put."""
        return await self.children.values(child_id, refs, self.caller.connection)

    def _link(self, on_end: str | None, wait_for: WaitFor, group: str, state: str | None) -> ParentLink | None:
        if wait_for not in _WAIT_FOR:
            raise InvalidValue("wait_for", f"is {wait_for!r}", hint=did_you_mean(str(wait_for), _WAIT_FOR))
        if on_end is None:
            if wait_for != "each" or group:
                given = "group" if wait_for == "each" else "wait_for"
                raise InvalidValue(given, "says nothing without on_end", hint="name the event that the end sends")
            return None
        declared = [event for state in self.machine.definition.states.values() for event in state.events]
        if on_end not in declared and state is None:
            reason = f"is {on_end!r}, which no state of {self.machine.workflow!r} declares"
            raise InvalidValue("on_end", reason, hint=did_you_mean(str(on_end), set(declared)))
        return ParentLink(on_end, wait_for, group, since=self.parent.version)
