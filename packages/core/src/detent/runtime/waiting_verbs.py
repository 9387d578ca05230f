"""The verb that waits until an instance is where the caller wants it."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from detent.errors import InvalidValue
from detent.runtime.arguments import check_timeout, id_of
from detent.runtime.verbs import Verbs
from detent.runtime.waiting import Goal
from detent.store.records import WorkflowInstance


class WaitingVerbs(Verbs):
    """Wait for what workers and others do."""

    async def wait(
        self,
        instance_id: UUID | str | WorkflowInstance,
        state: str | Iterable[str] | None = None,
        *,
        completed: bool = False,
        timeout: float | timedelta | str = "30s",
    ) -> WorkflowInstance:
        """The instance once it is in `state`, a name or several, and no run of it is under way.

        With `completed`, once it has ended, well or not; with neither, once no run of it is under way. Answers at once
        when that is so already. `timeout` is a length of time, as a text or in seconds, of the real clock. A state that is
        left again at once may be missed: wait for several then, or for the end.

        Raises `InstanceNotFound`; `RunParked` when its run waits for an operator; `InstanceFinished` when it ended somewhere
        else; `WaitTimeout`, or `StoreError` where the store could not be asked in the end; `InvalidValue`, for a state that
        the instance's version does not have too.
        """
        return await self.running().waiting.until(
            id_of(instance_id),
            Goal(_names(state), completed),
            tenant=self.tenant,
            timeout=check_timeout(timeout),
        )


def _names(state: object) -> frozenset[str] | None:
    if state is None:
        return None
    names = (state,) if isinstance(state, str) or not isinstance(state, Iterable) else tuple(state)
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidValue("state", "must be the name of a state or a list of names")
    return frozenset(names)
