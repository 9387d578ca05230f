"""What is added to an application, and what starts and stops with it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from dishka import AsyncContainer
from dishka.integrations.fastapi import FastapiProvider
from dishka.integrations.starlette import ContainerMiddleware
from fastapi import FastAPI

from detent.errors import DetentError, NotStarted
from detent.integrations.hosting import container_for, running
from detent.runtime.runtime import WorkflowRuntime
from detent.service.service import WorkflowService
from detent.service.triggers import TriggerService
from detent.workers.worker import Worker
from detent_fastapi.config import WorkflowConfig
from detent_fastapi.errors import answer_to_error

CONTAINER = "dishka_container"
"""Under this name dishka's `setup_dishka` keeps containers in the state of applications and of requests."""
_SETUP = "detent_workflows"


class Workflows:
    """The workflows of one application, while it runs; `setup_workflows` makes it."""

    def __init__(self, config: WorkflowConfig) -> None:
        self._config = config
        self._runtime: WorkflowRuntime | None = None
        self._container: AsyncContainer | None = None
        self._worker: Worker | None = None
        self._triggers: TriggerService | None = None

    @property
    def config(self) -> WorkflowConfig:
        """What the application said."""
        return self._config

    @property
    def runtime(self) -> WorkflowRuntime:
        """The running runtime. Raises `NotStarted` outside the application's lifespan."""
        if self._runtime is None:
            raise NotStarted
        return self._runtime

    @property
    def worker(self) -> Worker | None:
        """The worker of this process, if one runs; its `health()` is for the application's `/healthz`."""
        return self._worker

    @property
    def triggers(self) -> TriggerService:
        """The service of triggers. Raises `NotStarted` outside the application's lifespan, and where the config makes none."""
        if self._triggers is None:
            raise NotStarted
        return self._triggers

    def serves(self, app: FastAPI) -> bool:
        """Whether requests of `app` get their objects from the container that commands get theirs from."""
        return self._container is not None and self._container is getattr(app.state, CONTAINER, None)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Run the runtime, and the worker where it is wanted, for as long as the application runs."""
        async with AsyncExitStack() as stack:
            of_requests = [FastapiProvider()] if self._config.setup_dishka else []
            container = await stack.enter_async_context(
                container_for(self._config, getattr(app.state, CONTAINER, None), *of_requests)
            )
            runtime = await stack.enter_async_context(running(self._config, container))
            await self._begin_triggers(runtime)
            if wanted := self._config.worker_config:
                self._worker = await stack.enter_async_context(wanted.worker(runtime))
            if self._config.setup_dishka and not hasattr(app.state, CONTAINER):
                setattr(app.state, CONTAINER, container)
                stack.callback(delattr, app.state, CONTAINER)
            self._runtime, self._container = runtime, container
            try:
                yield
            finally:
                self._runtime = self._container = self._worker = self._triggers = None

    async def _begin_triggers(self, runtime: WorkflowRuntime) -> None:
        """Make their service before a worker fires them, and warn of those that cannot fire here."""
        if self._config.triggers is None:
            return
        self._triggers = self._config.triggers(WorkflowService(runtime))
        if self._config.webhooks is not None:
            self._triggers.open_door("http")
        await self._triggers.check(worker=self._config.worker_config is not None)


def attach(app: FastAPI, config: WorkflowConfig) -> Workflows:
    """Give `app` its workflows: their lifespan inside its own, and the answers to our errors unless it has some."""
    if getattr(app.state, _SETUP, None) is not None:
        raise ValueError("the application has its workflows already: one setup_workflows() for one application")
    ours = Workflows(config)
    setattr(app.state, _SETUP, ours)
    app.exception_handlers.setdefault(DetentError, answer_to_error)
    if config.setup_dishka and not hasattr(app.state, CONTAINER):
        app.add_middleware(ContainerMiddleware)
    own = app.router.lifespan_context

    @asynccontextmanager
    async def merged(app: FastAPI) -> AsyncIterator[Any]:
        # The application's own resources open before the runtime that uses them, and close after it.
        async with own(app) as state, ours.lifespan(app):
            yield state

    app.router.lifespan_context = merged
    return ours


def setup_of(app: FastAPI) -> Workflows:
    """The workflows of `app`. Raises `NotStarted` where nobody called `setup_workflows`."""
    found = getattr(app.state, _SETUP, None)
    if not isinstance(found, Workflows):
        raise NotStarted
    return found
