"""What is added to an application, and what starts and stops with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from dishka.integrations.fastapi import FastapiProvider
from dishka.integrations.starlette import ContainerMiddleware
from fastapi import FastAPI

from detent.errors import DetentError, NotStarted
from detent.integrations.hosting import Hosted
from detent.runtime.runtime import WorkflowRuntime
from detent_fastapi.config import WorkflowConfig
from detent_fastapi.errors import answer_to_error

CONTAINER = "dishka_container"
"""Under this name dishka's `setup_dishka` keeps containers in the state of applications and of requests."""
_SETUP = "detent_workflows"


class Workflows(Hosted[WorkflowConfig]):
    """The workflows of one application, while it runs; `setup_workflows` makes it."""

    def __init__(self, config: WorkflowConfig) -> None:
        super().__init__(config)
        self._from_outside = False

    def serves(self, app: FastAPI) -> bool:
        """Whether requests of `app` get their objects from the container that commands get theirs from."""
        return self._container is not None and self._container is getattr(app.state, CONTAINER, None)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Run the runtime, and the worker where it is wanted, for as long as the application runs."""
        of_requests = [FastapiProvider()] if self._config.setup_dishka else []
        async with self.hosting(
            getattr(app.state, CONTAINER, None),
            *of_requests,
            webhooks=self._config.webhooks is not None,
            # A task from outside may be a worker itself.
            worked_for=None if self._from_outside else self._config.worker_config is not None,
        ) as container:
            lends = self._config.setup_dishka and not hasattr(app.state, CONTAINER)
            if lends:
                setattr(app.state, CONTAINER, container)
            try:
                yield
            finally:
                if lends:
                    delattr(app.state, CONTAINER)

    @asynccontextmanager
    async def without_worker(self, app: FastAPI) -> AsyncIterator[WorkflowRuntime]:
        """The runtime for a task from outside, such as a command: `app` is started around it, without a worker from now on."""
        self._config = replace(self._config, worker=False)
        self._from_outside = True
        async with app.router.lifespan_context(app):
            yield self.runtime


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
