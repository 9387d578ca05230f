"""Who asks: what all verbs that are used on somebody's behalf have in common."""

from dataclasses import dataclass, field, replace
from typing import Self

from detent.errors import InvalidValue
from detent.json_values import JsonObject
from detent.store.quick import quickly_made
from detent.store.records import WorkflowInstance

MAX_TENANT_BYTES = 256


@quickly_made
@dataclass(frozen=True, slots=True)
class Caller:
    """The transaction a caller lends, the tenant it is bound to, and what history shall say about it."""

    connection: object | None = None
    tenant: str | None = None
    """`None` sees the instances of every tenant."""
    trigger_metadata: JsonObject = field(default_factory=dict)

    def saying(self, trigger_metadata: JsonObject | None, *, connection: object | None = None) -> Self:
        """The same caller for one call, with more to say, or in another transaction."""
        if connection is None and not trigger_metadata:
            return self
        said = {**self.trigger_metadata, **trigger_metadata} if trigger_metadata else self.trigger_metadata
        lent = self.connection if connection is None else connection
        return type(self)(lent, self.tenant, said)

    def bound_to(self, tenant: str) -> Self:
        """The same caller bound to `tenant`. Raises `InvalidValue` when it is bound to another one."""
        if self.tenant not in (None, tenant):
            raise InvalidValue("tenant", f"is {tenant!r}, and this caller is bound to {self.tenant!r}")
        return replace(self, tenant=checked_tenant(tenant))

    def tenant_of_new(self, tenant: str | None) -> str:
        """The tenant of an instance that this caller makes: its own, or the one that it names when it is bound to none."""
        if tenant is None:
            return self.tenant or ""
        return self.bound_to(tenant).tenant or ""

    def may_see(self, record: WorkflowInstance) -> bool:
        """Whether the instance is one of its tenant's."""
        return self.tenant is None or self.tenant == record.tenant


def checked_tenant(tenant: object) -> str:
    """`tenant` as it may be stored. Raises `InvalidValue`."""
    if not isinstance(tenant, str) or not tenant.strip() or "\0" in tenant:
        raise InvalidValue("tenant", "must be a text that is not blank")
    try:
        size = len(tenant.encode())
    except UnicodeEncodeError:
        raise InvalidValue("tenant", "contains a lone surrogate, which is not valid Unicode") from None
    if size > MAX_TENANT_BYTES:
        raise InvalidValue("tenant", f"must be at most {MAX_TENANT_BYTES} bytes")
    return tenant
