"""Handlers that talk to the world outside.

`WebhookSink` posts the messages of the outbox to a URL, signed as Standard Webhooks (https://www.standardwebhooks.com).
"""

from detent_handlers.addresses import Resolver
from detent_handlers.errors import AddressRefused, WebhookRefused, WebhookUnreachable
from detent_handlers.signing import new_secret
from detent_handlers.webhook_sink import WebhookSink

__all__ = [
    "AddressRefused",
    "Resolver",
    "WebhookRefused",
    "WebhookSink",
    "WebhookUnreachable",
    "new_secret",
]
