"""What an application says about its workflows; nothing is mounted and no loop runs unless it is said here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import ImproperlyConfiguredException
from litestar.types import Guard, Middleware

from detent.integrations.hosting import RuntimeConfig
from detent.integrations.several import Claim, claims_of
from detent.service.http.policy import Mount, ProbeRoutes, RestRoutes, TokenRoutes, WebhookRoutes

AnyRequest: TypeAlias = Request[Any, Any, Any]
AnyConnection: TypeAlias = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Controllers(RestRoutes[Guard, AnyRequest, AnyConnection]):
    """The REST routes. They are mounted only with `guards`, an `authorize`, or the policy `AllowAll()`.

    A guard can tell what is asked for from `route_handler.opt["workflow_action"]`: `read`, `start`, `event` or
    `operate`.
    """

    def __post_init__(self) -> None:
        _check(self.fault)


@dataclass(frozen=True, slots=True)
class Webhooks(WebhookRoutes[Guard, AnyRequest]):
    """The door of HTTP triggers: `POST {path}/{trigger}`. It is mounted only with `guards`, or with the policy `AllowAll()`.

    A trigger's own signature is verified behind them. `AllowAll()` is what webhooks from outside need, that have nothing else to
    show; a trigger without a signature is then open to whoever knows its name.
    """

    middleware: Sequence[Middleware] = ()
    """What stands around these routes alone, such as a rate limit."""

    def __post_init__(self) -> None:
        _check(self.fault)


@dataclass(frozen=True, slots=True)
class Tokens(TokenRoutes[Guard]):
    """The door for who holds a resume token: `POST {path}`. It is mounted only with `guards`, or with the policy `AllowAll()`."""

    middleware: Sequence[Middleware] = ()
    """What stands around this route alone, such as a rate limit."""

    def __post_init__(self) -> None:
        _check(self.fault)


@dataclass(frozen=True, slots=True)
class Probes(ProbeRoutes[Guard]):
    """`GET {path}/live` and `GET {path}/ready`. They are mounted only with `guards`, or with the policy `AllowAll()`."""

    def __post_init__(self) -> None:
        _check(self.fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowConfig(RuntimeConfig):
    """The workflows of an application, and what of Detent it wants to run in its process.

    Where `worker` is `"external"`, `litestar workflows worker` is one. The service that `triggers` makes is `plugin.triggers`.
    """

    controllers: Controllers | None = None
    """The REST routes; `None` mounts none."""
    webhooks: Webhooks | None = None
    """The door of HTTP triggers; `None` mounts none."""
    tokens: Tokens | None = None
    """The door for who holds a resume token; `None` mounts none."""
    probes: Probes | None = None
    """Liveness and readiness; `None` mounts none."""
    dependency_key: str = "workflows"
    """The name under which handlers get the `WorkflowService`."""
    flows_dependency_key: str = "flows"
    """The name under which handlers get the `FlowService`, where there are `flows`."""

    def __post_init__(self) -> None:
        for option, kind in _MOUNTS.items():
            _check(kind.unlike(option, getattr(self, option)))
        if self.webhooks is not None and self.triggers is None:
            raise ImproperlyConfiguredException(
                "webhooks call triggers: say triggers=lambda workflows: TriggerService(workflows, book, triggers)"
            )
        if self.controllers is not None:
            _check(self.controllers.lacks(triggers=self.triggers is not None, flows=self.expects_flows))
        if self.tokens is not None and not self.expects_flows:
            _check("resume tokens are for flows: say flows=FlowBook(...)")
        _check(self.fault)

    def claims(self) -> Iterator[Claim]:
        """What no other runtime of the application may have, too."""
        # A dataclass with slots is made anew, and `super()` does not know it.
        yield from RuntimeConfig.claims(self)
        for option in ("dependency_key", "flows_dependency_key") if self.flows else ("dependency_key",):
            key = getattr(self, option)
            yield Claim(("key", key), f"have the dependency {key!r}", f"WorkflowConfig({option}=...) renames one")
        yield from claims_of(
            mount for mount in (self.controllers, self.webhooks, self.tokens, self.probes) if mount is not None
        )


_MOUNTS: Mapping[str, type[Mount[Any]]] = {
    "controllers": Controllers,
    "webhooks": Webhooks,
    "tokens": Tokens,
    "probes": Probes,
}


def _check(fault: str | None) -> None:
    if fault is not None:
        raise ImproperlyConfiguredException(fault)
