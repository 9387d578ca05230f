"""Detent in a Litestar application: the plugin, its routes and its injection.

`WorkflowPlugin(WorkflowConfig(...))` in `Litestar(plugins=[...])` is all there is to set up; see `WorkflowConfig` for what
runs and is mounted on request only.
"""

from detent.integrations.modules import WorkflowModule, providers_of
from detent.service.http.policy import AllowAll
from detent.workers.config import WorkerConfig
from detent_litestar.alchemy import within
from detent_litestar.channels import ChannelsBridge, channels_of, public_view
from detent_litestar.config import Controllers, Probes, Tokens, Webhooks, WorkflowConfig
from detent_litestar.plugin import WorkflowPlugin
from detent_litestar.routes import workflow_router

__all__ = [
    "AllowAll",
    "ChannelsBridge",
    "Controllers",
    "Probes",
    "Tokens",
    "Webhooks",
    "WorkerConfig",
    "WorkflowConfig",
    "WorkflowModule",
    "WorkflowPlugin",
    "channels_of",
    "providers_of",
    "public_view",
    "within",
    "workflow_router",
]
