"""Who may use the routes, and how they are mounted. Nothing is open unless somebody writes that it is."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeAlias, TypeVar

from detent.json_values import JsonValue
from detent.service.http.bodies import ONE_MEBIBYTE
from detent.service.http.wanted import Wanted
from detent.store.records import WorkflowInstance

G = TypeVar("G")
"""What a framework calls a guard."""
R = TypeVar("R")
"""What a framework calls a request."""
C = TypeVar("C")
"""What a framework calls a request or a websocket."""

ActingOf: TypeAlias = Callable[[R], Mapping[str, JsonValue]]
"""Says who sends a request, as trigger metadata for history."""
TenantOf: TypeAlias = Callable[[R], str | None]
"""Says whose instances a request may see and touch; `None` for nobody's."""
Authorize: TypeAlias = Callable[[C, Wanted, WorkflowInstance | None], bool | Awaitable[bool]]
"""Decides on one action of a request or a websocket: `read`, `start`, `event` or `operate`, with `event` and `workflow` at it.

The instance is `None` where none is meant yet, or many are: for lists, definitions, and making one. Only `True` lets it pass.
"""


@dataclass(frozen=True, slots=True)
class AllowAll:
    """The policy that lets everybody use a door whom the application's own guards and middleware let through.

    It has to be written out, and of REST routes that are open so each start logs a warning.
    """


@dataclass(frozen=True, slots=True)
class Mount(Generic[G]):
    """Routes at one place, which are mounted only with a policy."""

    guards: Sequence[G] = ()
    """Who may use the routes; each must let a request pass, before its body is read."""
    policy: AllowAll | None = None
    """`AllowAll()` in place of guards."""
    path: str = "/"
    """The prefix of the routes."""
    tags: Sequence[str] = ()
    """The tags of the operations in OpenAPI."""
    include_in_schema: bool = True
    """Whether OpenAPI describes the routes."""
    operation_id_prefix: str = ""
    """What every operation id begins with; two sets of routes need two."""
    max_body_size: int = ONE_MEBIBYTE
    """How many bytes the body of a request may have."""

    called: ClassVar[str] = "routes"
    """What they are called in errors."""
    but_open: ClassVar[str] = "to let everybody in"
    """What `AllowAll()` is good for here."""
    decides: ClassVar[str] = "guards=[...]"
    """How somebody says who may use them."""

    @classmethod
    def unlike(cls, option: str, given: object) -> str | None:
        """What is wrong with what an option for such routes was given, or `None`; it may be left out."""
        if given is None or isinstance(given, cls):
            return None
        kind = cls.__name__
        return f"`{option}` are described by {kind}(guards=[...]), or {kind}(policy=AllowAll())"

    @property
    def closed(self) -> bool:
        """Whether something decides who may use the routes."""
        return bool(self.guards)

    @property
    def fault(self) -> str | None:
        """What is wrong with the policy, or `None`."""
        kind = type(self).__name__
        policy: object = self.policy
        if callable(self.guards):
            return f"`guards` of the {self.called} are a list: {kind}(guards=[...])"
        # Whatever else stood here would look like a decision, and open the routes to everybody.
        if not isinstance(policy, AllowAll | None):
            return f"the policy of the {self.called} is AllowAll() or nothing; what decides is {self.decides}"
        if self.closed != (self.policy is not None):
            return None
        return (
            f"the {self.called} need a policy: {kind}(guards=[...]), "
            f"or {kind}(policy=AllowAll()) {self.but_open}, and not both"
        )


@dataclass(frozen=True, slots=True)
class RestRoutes(Mount[G], Generic[G, R, C]):
    """The REST routes. They are mounted only with `guards`, an `authorize`, or the policy `AllowAll()`."""

    path: str = "/workflows"
    """The prefix of the routes."""
    tags: Sequence[str] = ("workflows",)
    """The tags of the operations in OpenAPI."""
    operation_id_prefix: str = "workflows"
    """What every operation id begins with; two sets of routes need two."""
    authorize: Authorize[C] | None = None
    """Decides on each action, behind the guards, with the instance where one is meant. An instance that may not be read is a 404,
    and is left out of lists, so that a page may be shorter than its `limit`; all else that it refuses is a 403.
    """
    acting: ActingOf[R] | None = None
    """What history is told about the sender of a request; it wins over what the body says."""
    tenant: TenantOf[C] | None = None
    """Which tenant a request is bound to, taken from what the guards or the middleware know of it: it sees, touches and makes
    that one's instances, and any other is not there. A request of which it says `None` gets a 403, so that a forgotten header
    opens nothing. Without it the routes reach the instances of every tenant.
    """
    operators: bool = False
    """Whether the routes list instances, parked work, runs and kept messages, send events, cancel, pause, resume, force and
    retry. Of what changes something by force guards are told that it wants to `operate`.
    """
    triggers: bool = False
    """Whether the routes list, switch and fire triggers; guards are told `read` and `operate`."""
    tokens: bool = False
    """Whether the routes list, make, judge and revoke resume tokens of flows; guards are told `read` and `operate`."""
    event_operations: bool = False
    """Whether each event of each workflow is an operation of its own as well, with its payload in OpenAPI:
    `POST {path}/{workflow}/{instance_id}/events/{event}`.
    """
    websockets: bool = False
    """Whether live updates are also there as a websocket. What the guards ask of a request they then ask of a websocket."""
    origins: Sequence[str] = ()
    """Whose pages, such as `https://shop.example`, may open the websocket, beside those of the host itself."""

    called: ClassVar[str] = "workflow routes"
    decides: ClassVar[str] = "guards=[...] or authorize=..."

    @property
    def closed(self) -> bool:
        """Whether something decides who may use the routes."""
        return bool(self.guards) or self.authorize is not None

    def lacks(self, *, triggers: bool, flows: bool) -> str | None:
        """What these routes want that the application does not have, or `None`."""
        if self.triggers and not triggers:
            return "the routes of triggers want some: say triggers=lambda workflows: TriggerService(workflows, book, triggers)"
        if self.tokens and not flows:
            return "the routes of tokens want flows: say flows=FlowBook(...)"
        return None


@dataclass(frozen=True, slots=True)
class WebhookRoutes(Mount[G], Generic[G, C]):
    """The door of HTTP triggers: `POST {path}/{trigger}`. It is mounted only with `guards`, or with the policy `AllowAll()`.

    A trigger's own signature is verified behind them. `AllowAll()` is what webhooks from outside need, that have nothing else to
    show; a trigger without a signature is then open to whoever knows its name.
    """

    path: str = "/webhooks"
    """The prefix of the routes."""
    tags: Sequence[str] = ("webhooks",)
    """The tags of the operations in OpenAPI."""
    operation_id_prefix: str = "webhooks"
    """What every operation id begins with."""
    tenant: TenantOf[C] | None = None
    """Which tenant's triggers a request reaches; one of which it says `None` gets a 403. Without it triggers are reached by their
    id, and by their name those of nobody.
    """
    info: bool = False
    """Whether `GET {path}/{trigger}` tells what the trigger is called, whether it is enabled and what body it takes."""

    called: ClassVar[str] = "webhooks"
    but_open: ClassVar[str] = "where the signatures of the triggers are all that callers show"


@dataclass(frozen=True, slots=True)
class TokenRoutes(Mount[G]):
    """The door for who holds a resume token: `POST {path}`. It is mounted only with `guards`, or with the policy `AllowAll()`.

    The token is what lets a request pass behind them, and it stands in the body: paths are logged. `AllowAll()` is what people
    from outside need, who have nothing else to show.
    """

    path: str = "/resume"
    """Where the door is."""
    tags: Sequence[str] = ("tokens",)
    """The tags of the operations in OpenAPI."""
    operation_id_prefix: str = "tokens"
    """What every operation id begins with."""

    called: ClassVar[str] = "resume tokens"
    but_open: ClassVar[str] = "where the token is all that people show"


@dataclass(frozen=True, slots=True)
class ProbeRoutes(Mount[G]):
    """Liveness and readiness: `GET {path}/live`, `GET {path}/ready`. Mounted only with `guards`, or with the policy `AllowAll()`.

    They answer the names of what fails, and nothing of the insides.
    """

    path: str = "/health"
    """The prefix of the routes."""
    tags: Sequence[str] = ("health",)
    """The tags of the operations in OpenAPI."""
    operation_id_prefix: str = "health"
    """What every operation id begins with."""
    patience: float = 2.0
    """After how many seconds a check that does not answer has failed."""

    called: ClassVar[str] = "probes"
    but_open: ClassVar[str] = "where everybody who can connect may ask"
