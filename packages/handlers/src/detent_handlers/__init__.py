"""Handlers for the steps of flows, and deliveries to the world outside.

`all_handlers()` is every handler, for a `FlowBook`; each can be had by its name, too.
`WebhookSink` posts the messages of the outbox to a URL, signed as Standard Webhooks (https://www.standardwebhooks.com).
"""

from detent_handlers.address_rules import AddressRules
from detent_handlers.addresses import Resolver
from detent_handlers.anthropic_chat import AnthropicChat
from detent_handlers.batch import batch
from detent_handlers.catalogue import all_handlers
from detent_handlers.chat import ChatAnswer, ChatFailed, ChatMessage, ChatModel, ChatRequest, Usage
from detent_handlers.condition import condition
from detent_handlers.delay import delay
from detent_handlers.email import EmailHandler
from detent_handlers.errors import AddressRefused, WebhookRefused, WebhookUnreachable
from detent_handlers.http import HttpHandler, http_request
from detent_handlers.human import human
from detent_handlers.llm import LlmHandler
from detent_handlers.log import log
from detent_handlers.openai_chat import OpenAiChat
from detent_handlers.safe_client import SafeAnswer, SafeClient, SafeRequest
from detent_handlers.signing import new_secret
from detent_handlers.sub_flow import sub_flow
from detent_handlers.switch import switch
from detent_handlers.transform import transform
from detent_handlers.webhook_call import WebhookHandler
from detent_handlers.webhook_sink import WebhookSink

__all__ = [
    "AddressRefused",
    "AddressRules",
    "AnthropicChat",
    "ChatAnswer",
    "ChatFailed",
    "ChatMessage",
    "ChatModel",
    "ChatRequest",
    "EmailHandler",
    "HttpHandler",
    "LlmHandler",
    "OpenAiChat",
    "Resolver",
    "SafeAnswer",
    "SafeClient",
    "SafeRequest",
    "Usage",
    "WebhookHandler",
    "WebhookRefused",
    "WebhookSink",
    "WebhookUnreachable",
    "all_handlers",
    "batch",
    "condition",
    "delay",
    "http_request",
    "human",
    "log",
    "new_secret",
    "sub_flow",
    "switch",
    "transform",
]
