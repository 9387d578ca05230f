"""Who may use the routes, and how they are mounted. Nothing is open unless somebody writes that it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from detent.json_values import JsonValue
from detent.service.http.bodies import ONE_MEBIBYTE

G = TypeVar("G")
"""What a framework calls a guard."""
R = TypeVar("R")
"""What a framework calls a request."""

ActingOf: TypeAlias = Callable[[R], Mapping[str, JsonValue]]
"""Says who sends a request, as trigger metadata for history."""
TenantOf: TypeAlias = Callable[[R], str | None]
"""Says whose instances a request may see and touch; `None` for nobody's."""


@dataclass(frozen=True, slots=True)
class AllowAll:
    """The policy that lets everybody use a door whom the application's own guards and middleware let through.

    It has to be written out, and each start logs a warning.
    """


@dataclass(frozen=True, slots=True)
class RestRoutes(Generic[G, R]):
    """The REST routes. They are mounted only with `guards`, or with the policy `AllowAll()`."""

    guards: Sequence[G] = ()
    """Who may use the routes; each must let a request pass, before its body is read."""
    policy: AllowAll | None = None
    """`AllowAll()` in place of guards."""
    path: str = "/workflows"
    """The prefix of the routes."""
    acting: ActingOf[R] | None = None
    """What history is told about the sender of a request; it wins over what the body says."""
    tenant: TenantOf[R] | None = None
    """Which tenant a request is bound to, taken from what the guards or the middleware know of it: it sees, touches and makes
    that one's instances, and any other is not there. A request of which it says `None` gets a 403, so that a forgotten header
    opens nothing. Without it the routes reach the instances of every tenant.
    """
    tags: Sequence[str] = ("workflows",)
    """The tags of the operations in OpenAPI."""
    include_in_schema: bool = True
    """Whether OpenAPI describes the routes."""
    operation_id_prefix: str = "workflows"
    """What every operation id begins with; two sets of routes need two."""
    max_body_size: int = ONE_MEBIBYTE
    """How many bytes the body of a request may have."""
    operators: bool = False
    """Whether the routes list instances, parked work and runs, send events, cancel, pause, resume, force and retry. Of what
    changes something by force guards are told that it wants to `operate`.
    """

    @property
    def fault(self) -> str | None:
        """What is wrong with the policy, or `None`."""
        if bool(self.guards) != (self.policy is not None):
            return None
        kind = type(self).__name__
        return (
            f"the workflow routes need a policy: {kind}(guards=[...]), "
            f"or {kind}(policy=AllowAll()) to let everybody in, and not both"
        )


@dataclass(frozen=True, slots=True)
class WebhookRoutes(Generic[G, R]):
    """The door of HTTP triggers: `POST {path}/{trigger}`. It is mounted only with `guards`, or with the policy `AllowAll()`.

    A trigger's own signature is verified behind them. `AllowAll()` is what webhooks from outside need, that have nothing else to
    show; a trigger without a signature is then open to whoever knows its name.
    """

    guards: Sequence[G] = ()
    """Who may call; each must let a request pass, before its body is read."""
    policy: AllowAll | None = None
    """`AllowAll()` in place of guards."""
    path: str = "/webhooks"
    """The prefix of the routes."""
    tenant: TenantOf[R] | None = None
    """Which tenant's triggers a request reaches; one of which it says `None` gets a 403. Without it triggers are reached by their
    id, and by their name those of nobody.
    """
    info: bool = False
    """Whether `GET {path}/{trigger}` tells what the trigger is called, whether it is enabled and what body it takes."""
    tags: Sequence[str] = ("webhooks",)
    """The tags of the operations in OpenAPI."""
    include_in_schema: bool = True
    """Whether OpenAPI describes the routes."""
    operation_id_prefix: str = "webhooks"
    """What every operation id begins with."""
    max_body_size: int = ONE_MEBIBYTE
    """How many bytes a body may have."""

    @property
    def fault(self) -> str | None:
        """What is wrong with the policy, or `None`."""
        if bool(self.guards) != (self.policy is not None):
            return None
        kind = type(self).__name__
        return (
            f"the webhooks need a policy: {kind}(guards=[...]), or {kind}(policy=AllowAll()) where the signatures of "
            "the triggers are all that callers show, and not both"
        )
