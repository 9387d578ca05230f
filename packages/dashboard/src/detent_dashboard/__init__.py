"""Detent's dashboard: pages for operators, as one ASGI application that any framework mounts.

`dashboard(runtime, policy=authorize)` makes it; nothing is mounted, and nobody is let in, unless it is said.
"""

from detent.service.http.policy import AllowAll
from detent_dashboard.app import dashboard
from detent_dashboard.policy import Acting, Action, Authorize, Decision, Policy, TenantOf

__all__ = ["Acting", "Action", "AllowAll", "Authorize", "Decision", "Policy", "TenantOf", "dashboard"]
