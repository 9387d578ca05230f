"""Detent in a Litestar application: the plugin, its routes and its injection.

`WorkflowPlugin(WorkflowConfig(...))` in `Litestar(plugins=[...])` is all there is to set up; see `WorkflowConfig` for what
runs and is mounted on request only.
"""

from detent.service.http.policy import AllowAll
from detent.workers.config import WorkerConfig
from detent_litestar.alchemy import within
from detent_litestar.config import Controllers, Probes, Tokens, Webhooks, WorkflowConfig
from detent_litestar.plugin import WorkflowPlugin
from detent_litestar.routes import workflow_router

__all__ = [
    "AllowAll",
    "Controllers",
    "Probes",
    "Tokens",
    "Webhooks",
    "WorkerConfig",
    "WorkflowConfig",
    "WorkflowPlugin",
    "within",
    "workflow_router",
]
