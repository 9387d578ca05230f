"""The one call that an application makes."""

from fastapi import FastAPI

from detent_fastapi.config import WorkflowConfig
from detent_fastapi.lifespan import Workflows, attach
from detent_fastapi.routes import probe_router, token_router, workflow_router
from detent_fastapi.webhooks import webhook_router


def setup_workflows(app: FastAPI, config: WorkflowConfig) -> Workflows:
    """Workflows in a FastAPI application; called before it starts, once for each of its runtimes.

    The lifespan of `app` then starts the runtime, inside the application's own: engines that the application opens there are
    open before, and closed after the worker was drained and the runtime has stopped, with a private container last. Errors
    of Detent become `application/problem+json`, unless the application has a handler for `DetentError`. Routes and the worker
    run only when the config asks for them. Handlers get `Annotated[WorkflowService, Depends(workflows)]`, or
    `FromDishka[WorkflowService]` where dishka serves requests.

    The answer tells of the running `runtime`, `worker` and `triggers`. Each of several runtimes has its
    `WorkflowConfig(name="billing", ...)`, and handlers get it by `Depends(workflows_of("billing"))`. Raises `ValueError` for what
    two cannot both have, such as a name or a path.
    """
    ours = attach(app, config)
    if config.routes is not None:
        app.include_router(workflow_router(config.routes, ours.config.definitions, runtime=config.name))
    if config.webhooks is not None:
        app.include_router(webhook_router(config.webhooks, runtime=config.name))
    if config.tokens is not None:
        app.include_router(token_router(config.tokens, runtime=config.name))
    if config.probes is not None:
        app.include_router(probe_router(config.probes, runtime=config.name))
    return ours
