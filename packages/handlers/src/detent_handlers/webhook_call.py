"""A step that posts to a URL, signed as Standard Webhooks."""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, JsonValue
from pydantic_core import to_json

from detent.flows.context import HandlerContext
from detent.flows.handler import handler
from detent.flows.results import Result, success
from detent_handlers.address_rules import PUBLIC_ONLY, AddressRules
from detent_handlers.addresses import Resolver, resolve
from detent_handlers.call_config import CallTime, callable_url
from detent_handlers.call_failures import CALL_ERRORS, call_failure, status_failure, unknown_secret
from detent_handlers.call_key import call_key
from detent_handlers.config import HandlerConfig
from detent_handlers.safe_client import SafeClient, SafeRequest
from detent_handlers.signing import SigningKey, read_key, signed_headers

_ANSWER_LIMIT = 64 * 1024


class WebhookConfig(HandlerConfig):
    """Who is told what."""

    url: Annotated[str, AfterValidator(callable_url)]
    """The receiver: `https://…`."""
    event: str
    """What has happened, for the receiver to go by."""
    secret: str
    """The name of the secret that signs."""
    timeout: CallTime = timedelta(seconds=30)
    """From the name's resolution to the answer."""
    longest_wait: CallTime = timedelta(hours=1)
    """How long a `Retry-After` may make the step wait."""


@handler("webhook", name="Webhook", category="external", stateful=True, targets=False)
class WebhookHandler:
    """Posts the step's input to a URL, signed as Standard Webhooks.

    The body is `{event, execution_id, step_id, timestamp, payload}`, the same bytes on every attempt, and the receiver knows a
    repeated one by its `webhook-id`. Any `2xx` is a success; failures are those of `http`, and redirects are not followed.
    The output is `{status, webhook_id, duration_ms}`.

    `secrets` are texts such as `new_secret()` makes, by the names that steps call them. `rules` say which receivers may be
    called, `allow_http` whether in clear text. `tls`, `resolve` and `connect_timeout` are those of `SafeClient`. Raises
    `InvalidValue` for a secret that is none.
    """

    def __init__(
        self,
        *,
        secrets: Mapping[str, str] | None = None,
        rules: AddressRules = PUBLIC_ONLY,
        allow_http: bool = False,
        connect_timeout: timedelta | str = "5s",
        tls: ssl.SSLContext | None = None,
        resolve: Resolver = resolve,
    ) -> None:
        self._keys: dict[str, SigningKey] = {
            name: read_key(text, f"secrets.{name}") for name, text in (secrets or {}).items()
        }
        self._client = SafeClient(
            rules=rules, allow_http=allow_http, connect_timeout=connect_timeout, tls=tls, resolve=resolve
        )

    async def __call__(self, ctx: HandlerContext, config: WebhookConfig, input: JsonValue) -> Result:
        key = self._keys.get(config.secret)
        if key is None:
            return unknown_secret(config.secret)
        webhook_id = call_key(ctx)
        body = to_json(
            {
                "event": config.event,
                "execution_id": ctx.execution_id,
                "step_id": ctx.step_id,
                "timestamp": await _first_tried(ctx, webhook_id),
                "payload": input,
            }
        )
        headers = {"content-type": "application/json"} | signed_headers((key,), webhook_id, ctx.now, body)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await self._client.request(
                SafeRequest("POST", config.url, headers, body, timeout=config.timeout, max_bytes=_ANSWER_LIMIT)
            )
        except CALL_ERRORS as error:
            return call_failure(error)
        if not 200 <= answer.status < 300:
            # The path of many receivers is their secret: it is not told.
            return status_failure(answer, ctx.now, config.longest_wait, asked="POST")
        took = round((loop.time() - began) * 1000)
        return success({"status": answer.status, "webhook_id": webhook_id, "duration_ms": took})


async def _first_tried(ctx: HandlerContext, webhook_id: str) -> str:
    """When the first attempt was made: it is part of the body, which must stay the same."""
    name = f"webhook {webhook_id}"
    kept = ctx.kept.get(name)
    if isinstance(kept, str):
        return kept
    now = ctx.now.isoformat()
    await ctx.checkpoint(name, now)
    return now
