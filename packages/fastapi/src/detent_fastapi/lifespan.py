"""What is added to an application, and what starts and stops with it."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from dishka import AsyncContainer
from dishka.integrations.fastapi import FastapiProvider
from dishka.integrations.starlette import ContainerMiddleware
from fastapi import FastAPI

from detent.errors import DetentError, NotStarted
from detent.integrations.hosting import DEFAULT_NAME, Hosted
from detent.integrations.several import clash, runtime_called
from detent.runtime.runtime import WorkflowRuntime
from detent_fastapi.config import WorkflowConfig
from detent_fastapi.errors import answer_to_error

logger = logging.getLogger("detent.fastapi")

CONTAINER = "dishka_container"
"""Under this name dishka's `setup_dishka` keeps containers in the state of applications and of requests."""
_LENT = "detent_lent_container"
"""Under this name it is noted that the container of an application is one of ours."""
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
        _warn_of_autocommit(app)
        of_requests = [FastapiProvider()] if self._config.setup_dishka else []
        async with self.hosting(
            None if hasattr(app.state, _LENT) else getattr(app.state, CONTAINER, None),
            *of_requests,
            webhooks=self._config.webhooks is not None,
            # A task from outside may be a worker itself.
            worked_for=None if self._from_outside else self._config.worker_config is not None,
        ) as container:
            with _lent(app, container) if self._config.setup_dishka else nullcontext():
                yield

    @asynccontextmanager
    async def without_worker(self, app: FastAPI) -> AsyncIterator[WorkflowRuntime]:
        """The runtime for a task from outside, such as a command: `app` is started around it, without workers from now on."""
        for ours in _known(app).values():
            ours._config = replace(ours._config, worker="external")
            ours._from_outside = True
        async with app.router.lifespan_context(app):
            yield self.runtime


@contextmanager
def _lent(app: FastAPI, container: AsyncContainer) -> Iterator[None]:
    """Let handlers get their `FromDishka[...]` from `container` until the end, unless the application has one."""
    if hasattr(app.state, CONTAINER):
        yield
        return
    setattr(app.state, CONTAINER, container)
    setattr(app.state, _LENT, True)
    try:
        yield
    finally:
        delattr(app.state, CONTAINER)
        delattr(app.state, _LENT)


def attach(app: FastAPI, config: WorkflowConfig) -> Workflows:
    """Give `app` a runtime: its lifespan inside that of `app`, and the answers to our errors unless it has some.

    Raises `ValueError` for what another runtime of `app` has already.
    """
    ours = Workflows(config)
    known = _known(app)
    for other in known.values():
        if (why := clash(other.config.claims(), ours.config.claims())) is not None:
            raise ValueError(why)
    setattr(app.state, _SETUP, {**known, ours.name: ours})
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


def setup_of(app: FastAPI, name: str | None = None) -> Workflows:
    """The workflows of `app`: those of the runtime of that name; without one the only one's, or those that need no name.

    Raises `NotStarted` where nobody called `setup_workflows`, and `ValueError`, which lists the names, for one that is not there.
    """
    known = _known(app)
    if not known:
        raise NotStarted
    usual = DEFAULT_NAME if DEFAULT_NAME in known else None
    return known[runtime_called(name or usual, known)]


def _known(app: FastAPI) -> Mapping[str, Workflows]:
    return getattr(app.state, _SETUP, {})


def _warn_of_autocommit(app: FastAPI) -> None:
    """Say that advanced-alchemy's own commit is not to be relied on: it comes when the client has its answer."""
    # Known by what it has: the package need not be there.
    configs = getattr(getattr(app.state, "advanced_alchemy", None), "config", ())
    for mode in {getattr(config, "commit_mode", "manual") for config in configs} - {"manual"}:
        logger.warning(
            "advanced-alchemy commits sessions by commit_mode=%r: where that commit fails, the client was told that all is "
            "well, and nothing is kept. Leave out commit_mode=, and commit in the handler, by within(...) or "
            "workflows.transaction(...)",
            mode,
        )
