"""Detent in a FastAPI application: its runtime, its routes and its injection.

`setup_workflows(app, WorkflowConfig(...))` is all there is to set up; see `WorkflowConfig` for what runs and is mounted on
request only. Handlers get `Annotated[WorkflowService, Depends(workflows)]`.
"""

from detent.integrations.modules import WorkflowModule, providers_of
from detent.service.http.policy import AllowAll
from detent.workers.config import WorkerConfig
from detent_fastapi.config import Probes, Tokens, Webhooks, WorkflowConfig, WorkflowRoutes
from detent_fastapi.injection import flows, flows_of, triggers, triggers_of, within, workflows, workflows_of
from detent_fastapi.lifespan import Workflows
from detent_fastapi.routes import probe_router, token_router, workflow_router
from detent_fastapi.setup import setup_workflows
from detent_fastapi.turning_away import workflow_action
from detent_fastapi.webhooks import webhook_router

__all__ = [
    "AllowAll",
    "Probes",
    "Tokens",
    "Webhooks",
    "WorkerConfig",
    "WorkflowConfig",
    "WorkflowModule",
    "WorkflowRoutes",
    "Workflows",
    "flows",
    "flows_of",
    "probe_router",
    "providers_of",
    "setup_workflows",
    "token_router",
    "triggers",
    "triggers_of",
    "webhook_router",
    "within",
    "workflow_action",
    "workflow_router",
    "workflows",
    "workflows_of",
]
