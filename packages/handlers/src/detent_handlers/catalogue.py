"""All handlers of this package, for an application that wants them all."""

from typing import Any

from detent.flows.handler import Handlers
from detent_handlers.batch import batch
from detent_handlers.condition import condition
from detent_handlers.delay import delay
from detent_handlers.http import HttpHandler
from detent_handlers.human import human
from detent_handlers.llm import LlmHandler
from detent_handlers.log import log
from detent_handlers.sub_flow import sub_flow
from detent_handlers.switch import switch
from detent_handlers.transform import transform
from detent_handlers.webhook_call import WebhookHandler

_READY = (
    batch,
    condition,
    delay,
    human,
    log,
    sub_flow,
    switch,
    transform,
)


def all_handlers(*configured: Any) -> list[Any]:
    """Every handler, for `FlowBook(handlers=…)`, found under FlowMonkey's types, too.

    `configured` are handlers that take the place of those of their types, or that are added: `http`, `webhook` and `llm` are here
    without secrets and models, and `email` is not, because it needs a server.

    ```python
    all_handlers(HttpHandler(secrets={"crm": key}), EmailHandler("smtp.example.com", sender="shop@example.com"))
    ```
    """
    own = Handlers(configured)
    ready = Handlers([*_READY, HttpHandler(), WebhookHandler(), LlmHandler()])
    return [*configured, *(spec.target for spec in ready if spec.type not in own.types)]
