"""The descendants of a cancelled instance: they are cancelled too, all of them, however deep."""

import logging
from uuid import UUID

from detent.errors import InstanceFinished, InstanceNotFound
from detent.machine.forks import JOINED
from detent.runtime.caller import Caller
from detent.runtime.operations import Cancel, Operations
from detent.runtime.outgoing import cancellation_id, cancelled_with
from detent.runtime.parts import Parts
from detent.store.query import InstanceQuery, Order, Position
from detent.store.records import LIVE, Status, WorkflowInstance

logger = logging.getLogger("detent.inbox")

PAGE = 100
"""How many children are read at a time."""

_BY_ID = Order("id", descending=False)


class Descendants:
    """Cancels children with their parents. One per runtime.

    The commit that cancels an instance leaves an order to cancel its children in its inbox, and whoever carries that out
    takes it out afterwards. Each child is cancelled in a step of its own and so leaves an order of its own: whatever stops in
    between, somebody goes on.
    """

    def __init__(self, parts: Parts, operations: Operations) -> None:
        self._parts = parts
        self._operations = operations

    async def follow(self, cancelled: WorkflowInstance, reason: str | None) -> None:
        """Cancel what lives below an instance as far as that goes now; what remains is left to the inbox."""
        if cancelled.status is not Status.CANCELLED:
            return
        try:
            await self.cancel(cancelled, reason)
        except Exception as error:
            logger.info("the children of instance %s are left to be cancelled from its inbox: %r", cancelled.id, error)

    async def cancel(self, parent: WorkflowInstance, reason: str | None, *, left: int | None = None) -> None:
        """Cancel what lives below a cancelled instance; with `left`, those branches alone that it has left behind at that
        version.

        Raises the first error when all that can be done is done.
        """
        above, done, errors = [parent], list[UUID](), list[Exception]()
        while above:
            instance = above.pop()
            try:
                which = left if instance is parent else None
                above += await self._cancel_children(instance, reason or "its parent was cancelled", which)
            except Exception as error:
                errors.append(error)
            else:
                # Its other children are not cancelled yet, if they are to be.
                done += [cancellation_id(instance)] if which is None else []
        await self._parts.store.inbox.discard(done)
        if errors:
            raise errors[0]

    async def _cancel_children(self, parent: WorkflowInstance, reason: str, left: int | None) -> list[WorkflowInstance]:
        """The children that lived until now, cancelled. Raises the first error when all have been tried."""
        # A tenant's instance says nothing about those of another; one of nobody's may have children of any.
        query = InstanceQuery(parent_id=parent.id, statuses=tuple(LIVE)).of_tenant(parent.tenant or None)
        caller = Caller(trigger_metadata=cancelled_with(parent.id))
        cancelled, errors = list[WorkflowInstance](), list[Exception]()
        place: Position | None = None
        while True:
            page = await self._parts.store.find(query, order=_BY_ID, limit=PAGE, after=place)
            for child in page:
                if left is not None and not _was_left(child, left):
                    continue
                try:
                    cancelled.append(await self._operations.perform(child.id, Cancel(reason), caller))
                except (InstanceFinished, InstanceNotFound):
                    # It ended by itself meanwhile.
                    continue
                except Exception as error:
                    errors.append(error)
            if len(page) < PAGE:
                break
            place = Position(page[-1].id, None)
        if errors:
            raise errors[0]
        return cancelled


def _was_left(child: WorkflowInstance, left: int) -> bool:
    """Whether it is a branch that its parent had left behind at that version, and none that was begun since."""
    link = child.parent_link
    return link is not None and link.event == JOINED and link.since < left
