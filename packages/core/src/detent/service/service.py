"""What an application injects: the runtime's verbs, for one caller."""

from typing import Self

from detent.json_values import JsonObject, JsonValue
from detent.runtime.caller import Caller
from detent.runtime.running import Running
from detent.runtime.runtime import WorkflowRuntime
from detent.runtime.workflow_verbs import WorkflowVerbs
from detent.upgrade.verbs import UpgradeVerbs


class WorkflowService(WorkflowVerbs, UpgradeVerbs):
    """The runtime as one caller uses it: within its transaction if it lends one, for its tenant, and under its name in history.

    Without `within`, every call commits before it returns.
    """

    def __init__(
        self,
        runtime: WorkflowRuntime,
        *,
        connection: object | None = None,
        tenant: str | None = None,
        trigger_metadata: JsonObject | None = None,
    ) -> None:
        caller = Caller(tenant=runtime.tenant).saying(trigger_metadata, connection=connection)
        super().__init__(caller if tenant is None else caller.bound_to(tenant))
        self._runtime = runtime

    def running(self) -> Running:
        """The runtime's parts. Raises `NotStarted`."""
        return self._runtime.running()

    def within(self, connection: object) -> Self:
        """The same service inside a transaction of the caller: nothing is visible until the caller commits."""
        return self._for(self._caller.saying(None, connection=connection))

    def acting(self, **trigger_metadata: JsonValue) -> Self:
        """The same service with more said about who acts and why: `service.acting(actor="ana")`."""
        return self._for(self._caller.saying(trigger_metadata))

    def for_tenant(self, tenant: str) -> Self:
        """The same service bound to a tenant: it sees, touches and makes that one's instances and no other's.

        Raises `InvalidValue` when it is bound to another one.
        """
        return self._for(self._caller.bound_to(tenant))

    def _for(self, caller: Caller) -> Self:
        return type(self)(
            self._runtime,
            connection=caller.connection,
            tenant=caller.tenant,
            trigger_metadata=caller.trigger_metadata,
        )
