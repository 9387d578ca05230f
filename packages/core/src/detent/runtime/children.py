"""Children: instances that a command starts, and whose end their parent hears of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from detent.json_values import JsonObject
from detent.runtime.caller import Caller
from detent.runtime.creation_order import CreationOrder
from detent.runtime.machines import Machines
from detent.runtime.outgoing import order_to_cancel
from detent.store.protocol import Store
from detent.store.records import ParentLink, Status, WaitFor, WorkflowInstance
from detent.store.signals import INBOX


class Children:
    """Starts children. One per runtime."""

    def __init__(
        self, create: Callable[[CreationOrder], Awaitable[WorkflowInstance]], machines: Machines, store: Store
    ) -> None:
        self._create = create
        self._machines = machines
        self._store = store

    def of(self, parent: WorkflowInstance, caller: Caller, *, key: str | None = None) -> "Starter":
        """Starts children of `parent`: in the transaction that `caller` lends, or each once under `key`."""
        return Starter(self, parent, caller, key)

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
            await self._store.inbox.put(order_to_cancel(parent, None, self._store.now()))
            self._store.signals.announce([INBOX])

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
    ) -> CreationOrder:
        """What is to be created. Raises `UnknownWorkflow`, `WorkflowUnavailable` and `InvalidValue`."""
        machine = self._machines.latest(workflow)
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
        )


@dataclass(slots=True)
class Starter:
    """Starts the children of one command; see `CommandContext.start_child`."""

    children: Children
    parent: WorkflowInstance
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
    ) -> UUID:
        """The id of the child."""
        self.started += 1
        link = None if on_end is None else ParentLink(on_end, wait_for, group, since=self.parent.version)
        # Told apart, so that a key of the caller's is never the number of another child.
        unique = None if self.key is None else f"{self.key}:{self.started if key is None else f'={key}'}"
        order = self.children.order(
            workflow, self.parent, self.caller, context=context, metadata=metadata, link=link, key=unique
        )
        return (await self.children.start(order)).id
