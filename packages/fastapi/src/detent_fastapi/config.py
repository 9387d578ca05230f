"""What an application says about its workflows; nothing is mounted and no loop runs unless it is said here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.params import Depends
from fastapi.requests import HTTPConnection

from detent.integrations.hosting import RuntimeConfig
from detent.integrations.several import Claim, claims_of
from detent.service.http.policy import Mount, ProbeRoutes, RestRoutes, TokenRoutes, WebhookRoutes


@dataclass(frozen=True, slots=True)
class WorkflowRoutes(RestRoutes[Depends, Request, HTTPConnection]):
    """The REST routes. They are mounted only with `guards`, an `authorize`, or the policy `AllowAll()`; else `ValueError`.

    `guards` are dependencies, `[Depends(staff_only)]`, which let a request pass by not raising. One can tell what is asked
    for by a dependency of its own, `Annotated[str, Depends(workflow_action)]`: `read`, `start`, `event` or `operate`.
    """

    def __post_init__(self) -> None:
        _check(self.fault or _no_dependency(self.guards))


@dataclass(frozen=True, slots=True)
class Webhooks(WebhookRoutes[Depends, Request]):
    """The door of HTTP triggers: `POST {path}/{trigger}`. It is mounted only with `guards`, or with the policy `AllowAll()`.

    A trigger's own signature is verified behind them. `AllowAll()` is what webhooks from outside need, that have nothing else to
    show; a trigger without a signature is then open to whoever knows its name. Raises `ValueError` without either.
    """

    def __post_init__(self) -> None:
        _check(self.fault or _no_dependency(self.guards))


@dataclass(frozen=True, slots=True)
class Tokens(TokenRoutes[Depends]):
    """The door for who holds a resume token: `POST {path}`. It is mounted only with `guards`, or with the policy `AllowAll()`."""

    def __post_init__(self) -> None:
        _check(self.fault or _no_dependency(self.guards))


@dataclass(frozen=True, slots=True)
class Probes(ProbeRoutes[Depends]):
    """`GET {path}/live` and `GET {path}/ready`. They are mounted only with `guards`, or with the policy `AllowAll()`."""

    def __post_init__(self) -> None:
        _check(self.fault or _no_dependency(self.guards))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowConfig(RuntimeConfig):
    """The workflows of an application, and what of Detent it wants to run in its process.

    Where `worker` is `"external"`, `detent fastapi worker` is one. Raises `ValueError` for what contradicts itself.
    """

    routes: WorkflowRoutes | None = None
    """The REST routes; `None` mounts none. `workflow_router` makes them for another place."""
    webhooks: Webhooks | None = None
    """The door of HTTP triggers; `None` mounts none."""
    tokens: Tokens | None = None
    """The door for who holds a resume token; `None` mounts none."""
    probes: Probes | None = None
    """Liveness and readiness; `None` mounts none."""

    def __post_init__(self) -> None:
        for option, kind in _MOUNTS.items():
            _check(kind.unlike(option, getattr(self, option)))
        if self.webhooks is not None and self.triggers is None:
            raise ValueError(
                "webhooks call triggers: say triggers=lambda workflows: TriggerService(workflows, book, triggers)"
            )
        if self.routes is not None:
            _check(self.routes.lacks(triggers=self.triggers is not None, flows=self.expects_flows))
        if self.tokens is not None and not self.expects_flows:
            _check("resume tokens are for flows: say flows=FlowBook(...)")
        _check(self.fault)

    def claims(self) -> Iterator[Claim]:
        """What no other runtime of the application may have, too."""
        # A dataclass with slots is made anew, and `super()` does not know it.
        yield from RuntimeConfig.claims(self)
        yield from claims_of(
            mount for mount in (self.routes, self.webhooks, self.tokens, self.probes) if mount is not None
        )


_MOUNTS: Mapping[str, type[Mount[Any]]] = {
    "routes": WorkflowRoutes,
    "webhooks": Webhooks,
    "tokens": Tokens,
    "probes": Probes,
}


def _check(fault: str | None) -> None:
    if fault is not None:
        raise ValueError(fault)


def _no_dependency(guards: Sequence[object]) -> str | None:
    """What to write where a guard is a plain function, which FastAPI would stumble over later."""
    odd = next((guard for guard in guards if not isinstance(guard, Depends)), None)
    return None if odd is None else f"guards are dependencies: guards=[Depends({getattr(odd, '__name__', '...')})]"
