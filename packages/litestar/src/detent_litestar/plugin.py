"""The plugin: what it adds to an application, and what it starts and stops with it."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any, Self

from click import Group
from dishka.integrations.litestar import LitestarProvider
from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, ImproperlyConfiguredException
from litestar.plugins import CLIPlugin, InitPlugin
from litestar.types import AnyCallable, Scope

from detent.errors import DetentError
from detent.integrations.hosting import Hosted
from detent.integrations.several import clash, runtime_called
from detent.runtime.handle import WorkflowHandle
from detent.runtime.runtime import WorkflowRuntime
from detent.service.flows import FlowService
from detent.service.service import WorkflowService
from detent.service.triggers import TriggerService
from detent.store.records import WorkflowInstance
from detent_litestar.channels import ChannelsBridge
from detent_litestar.commands import add_commands
from detent_litestar.config import WorkflowConfig
from detent_litestar.errors import answer_to_error
from detent_litestar.injection import CONTAINER, container_of, injected_requests
from detent_litestar.routes import probe_router, token_router, workflow_router
from detent_litestar.webhooks import webhook_router

logger = logging.getLogger("detent.litestar")

_TYPES = (WorkflowService, FlowService, TriggerService, WorkflowRuntime, WorkflowHandle, WorkflowInstance)
"""What handlers may import for type checkers alone. These names win over those of their module, so none is one of daily life."""


class WorkflowPlugin(Hosted[WorkflowConfig], InitPlugin, CLIPlugin):
    """Workflows in a Litestar application: `Litestar(plugins=[WorkflowPlugin(WorkflowConfig(...))])`.

    Handlers get a `WorkflowService` as `workflows: NamedDependency[WorkflowService]`, or as `FromDishka[WorkflowService]`
    where dishka serves requests; with `flows` in the config they get a `FlowService` likewise, as `flows`. Errors of Detent
    become `application/problem+json`. Routes and the worker run only when the config asks for them. The application's
    lifespan starts the runtime, and at its end drains the worker first, then the runtime, then closes a private container.

    List it after `SQLAlchemyPlugin` and other plugins whose resources commands use, so that those are still open then. An
    application may have several runtimes, each with its plugin: `WorkflowConfig(name="billing", dependency_key="billing", ...)`.
    """

    __slots__ = ("_component", "_config", "_container", "_from_outside", "_runtime", "_triggers", "_worker")

    def __init__(self, config: WorkflowConfig) -> None:
        super().__init__(config)
        self._from_outside = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The plugin itself: Litestar copies routes with their dependencies, and ours are bound to what is running here."""
        return self

    @classmethod
    def of(cls, app: Litestar, name: str | None = None) -> Self:
        """The plugin of the runtime of that name in `app`, or the only one: `WorkflowPlugin.of(app, "billing")`.

        Plugins of classes that inherit from this one are found, too. Raises `ValueError`, which lists the names there are.
        """
        known = {plugin.name: plugin for plugin in _plugins_of(app) if isinstance(plugin, cls)}
        return known[runtime_called(name, known)]

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the dependencies, the answers to errors, the routes where they are wanted, and the lifespan."""
        self._check_others(app_config)
        self._add_dependencies(app_config)
        for known in _TYPES:
            app_config.signature_namespace.setdefault(known.__name__, known)
        app_config.exception_handlers.setdefault(DetentError, answer_to_error)
        if self._config.controllers is not None:
            app_config.route_handlers.append(
                workflow_router(
                    self._config.controllers,
                    self,
                    flows=self._config.flows,
                    definitions=self._config.definitions,
                    answers_http_errors=HTTPException not in app_config.exception_handlers,
                )
            )
        if self._config.webhooks is not None:
            app_config.route_handlers.append(
                webhook_router(
                    self._config.webhooks,
                    lambda: self.triggers,
                    answers_http_errors=HTTPException not in app_config.exception_handlers,
                )
            )
        if self._config.tokens is not None:
            app_config.route_handlers.append(
                token_router(
                    self._config.tokens,
                    self,
                    flows=self._config.flows,
                    answers_http_errors=HTTPException not in app_config.exception_handlers,
                )
            )
        if self._config.probes is not None:
            app_config.route_handlers.append(
                probe_router(
                    self._config.probes,
                    self,
                    answers_http_errors=HTTPException not in app_config.exception_handlers,
                )
            )
        # A plugin like SQLAlchemyPlugin appends another one that opens its engine. Appended as well, ours still comes after.
        app_config.plugins.append(_EnteredLast(self))
        return app_config

    def on_cli_init(self, cli: Group) -> None:
        """Add `litestar workflows`."""
        add_commands(cli, WorkflowPlugin.of)

    @asynccontextmanager
    async def lifespan(self, app: Litestar) -> AsyncIterator[None]:
        """Run the runtime, and the worker where it is wanted, for as long as the application runs."""
        _check_order(app)
        _warn_of_autocommit(app)
        self._warn_of_open_routes()
        of_requests = [LitestarProvider()] if self._config.setup_dishka else []
        async with self.hosting(
            container_of(app),
            *of_requests,
            webhooks=self._config.webhooks is not None,
            # A task from outside may be a worker itself.
            worked_for=None if self._from_outside else self._config.worker_config is not None,
        ) as container:
            with injected_requests(app, container) if self._config.setup_dishka else nullcontext():
                yield

    @asynccontextmanager
    async def without_worker(self, app: Litestar) -> AsyncIterator[WorkflowRuntime]:
        """The runtime for a task from outside, such as a command: `app` is started around it, without workers from now on."""
        for plugin in _plugins_of(app):
            plugin._config = replace(plugin._config, worker="external")
            plugin._from_outside = True
        async with app.lifespan():
            yield self.runtime

    async def provide_service(self, scope: Scope) -> WorkflowService:
        """The service for one connection: the request container's own where ours serves requests, else a plain one."""
        of_request = scope.get("state", {}).get(CONTAINER)
        ours = self._container is not None and self._container is Litestar.from_scope(scope).state.get(CONTAINER)
        if ours and of_request is not None and scope["type"] == ScopeType.HTTP:
            return await self.service_from(of_request)
        return WorkflowService(self.runtime)

    def _check_others(self, app_config: AppConfig) -> None:
        """Refuse what another runtime of the application has already."""
        others = [known for known in app_config.plugins if isinstance(known, WorkflowPlugin) and known is not self]
        for other in others:
            if (why := clash(self._config.claims(), other._config.claims())) is not None:
                raise ImproperlyConfiguredException(why)

    def _add_dependencies(self, app_config: AppConfig) -> None:
        _add_dependency(app_config, "dependency_key", self._config.dependency_key, self.provide_service)
        if (book := self._config.flows) is not None:

            async def provide_flows(scope: Scope) -> FlowService:
                return FlowService(await self.provide_service(scope), book)

            _add_dependency(app_config, "flows_dependency_key", self._config.flows_dependency_key, provide_flows)

    def _warn_of_open_routes(self) -> None:
        controllers = self._config.controllers
        if controllers is not None and controllers.policy is not None:
            logger.warning("the workflow routes under %s are open to everybody: AllowAll()", controllers.path)


class _EnteredLast(InitPlugin):
    """Adds the plugin's lifespan after those of the plugins that were listed before it, and of what they appended."""

    __slots__ = ("_plugin",)

    def __init__(self, plugin: WorkflowPlugin) -> None:
        self._plugin = plugin

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        _check_channels(self._plugin.config, app_config)
        app_config.lifespan.append(self._plugin.lifespan)
        return app_config


def _plugins_of(app: Litestar) -> list[WorkflowPlugin]:
    # Litestar itself finds plugins by their exact type, and only one of each.
    return [plugin for plugin in app.plugins if isinstance(plugin, WorkflowPlugin)]


def _add_dependency(app_config: AppConfig, option: str, key: str, provide: AnyCallable) -> None:
    if key in app_config.dependencies:
        raise ImproperlyConfiguredException(
            f"the application has a dependency {key!r} of its own; give ours another name: WorkflowConfig({option}=...)"
        )
    app_config.dependencies[key] = Provide(provide)


def _check_channels(config: WorkflowConfig, app_config: AppConfig) -> None:
    """Refuse a bridge to channels that would not be open yet, or not any more, when there is something to publish."""
    bridges = [observer for observer in config.observers if isinstance(observer, ChannelsBridge)]
    if any(bridge.channels not in app_config.lifespan for bridge in bridges):
        raise ImproperlyConfiguredException(
            "list the ChannelsPlugin of the ChannelsBridge before WorkflowPlugin: plugins=[channels, WorkflowPlugin(...)]"
        )


def _check_order(app: Litestar) -> None:
    """Refuse to start before an engine of advanced-alchemy is open: it would be closed while the worker still drains."""
    if any(config.engine_app_state_key not in app.state for config in _alchemy_configs(app)):
        raise ImproperlyConfiguredException(
            "list SQLAlchemyPlugin before WorkflowPlugin: "
            "plugins=[SQLAlchemyPlugin(...), WorkflowPlugin(...)]; its engine would close while work is under way"
        )


def _warn_of_autocommit(app: Litestar) -> None:
    """Say that advanced-alchemy's own commit is not to be relied on: what it raises is logged there at `DEBUG`, and no more."""
    for config in _alchemy_configs(app):
        made_by = getattr(getattr(config, "before_send_handler", None), "__qualname__", "")
        if made_by.startswith("autocommit_handler_maker."):
            logger.warning(
                "advanced-alchemy commits the session %r by autocommit: where that commit fails, the client is told that all is "
                "well, and nothing is kept. Leave out before_send_handler=, and commit in the handler, by within(%r) or "
                "workflows.transaction(...)",
                config.session_dependency_key,
                config.session_dependency_key,
            )


def _alchemy_configs(app: Litestar) -> list[Any]:
    """Those of advanced-alchemy's plugins, known by what they have: the package need not be there."""
    known = [getattr(plugin, "config", None) for plugin in app.plugins]
    configs = [config for found in known for config in (found if isinstance(found, Sequence) else (found,))]
    # `SQLAlchemyPlugin` brings another plugin that has the same configs.
    ours = {id(config): config for config in configs if isinstance(getattr(config, "engine_app_state_key", None), str)}
    return list(ours.values())
