"""What an application says about its workflows; nothing is mounted and no loop runs unless it is said here."""

from dataclasses import dataclass

from fastapi import Request
from fastapi.params import Depends

from detent.integrations.hosting import RuntimeConfig
from detent.service.http.policy import RestRoutes, WebhookRoutes


@dataclass(frozen=True, slots=True)
class WorkflowRoutes(RestRoutes[Depends, Request]):
    """The REST routes. They are mounted only with `guards`, or with the policy `AllowAll()`; else `ValueError`.

    `guards` are dependencies, `[Depends(staff_only)]`, which let a request pass by not raising. One can tell what is asked
    for by a dependency of its own, `Annotated[str, Depends(workflow_action)]`: `read`, `start`, `event` or `operate`.
    """

    def __post_init__(self) -> None:
        _check(self.fault)


@dataclass(frozen=True, slots=True)
class Webhooks(WebhookRoutes[Depends, Request]):
    """The door of HTTP triggers: `POST {path}/{trigger}`. It is mounted only with `guards`, or with the policy `AllowAll()`.

    A trigger's own signature is verified behind them. `AllowAll()` is what webhooks from outside need, that have nothing else to
    show; a trigger without a signature is then open to whoever knows its name. Raises `ValueError` without either.
    """

    def __post_init__(self) -> None:
        _check(self.fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowConfig(RuntimeConfig):
    """The workflows of an application, and what of Detent it wants to run in its process.

    Where no web process has a `worker`, `detent worker MODULE:RUNTIME` is one. Raises `ValueError` for what contradicts itself.
    """

    setup_dishka: bool = False
    """Whether handlers of requests get their `FromDishka[...]` from this container too."""
    routes: WorkflowRoutes | None = None
    """The REST routes; `None` mounts none. `workflow_router` makes them for another place."""
    webhooks: Webhooks | None = None
    """The door of HTTP triggers; `None` mounts none."""

    def __post_init__(self) -> None:
        if self.webhooks is not None and self.triggers is None:
            raise ValueError(
                "webhooks call triggers: say triggers=lambda workflows: TriggerService(workflows, book, triggers)"
            )
        _check(self.fault)


def _check(fault: str | None) -> None:
    if fault is not None:
        raise ValueError(fault)
