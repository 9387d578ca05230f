"""A webhook of a code host that starts a flow: signed, checked, and taken once.

python -m examples.flows.webhook
"""

import asyncio
import hashlib
import hmac
import json
from typing import Any

from detent import MemoryStore, TriggerBook, TriggerService, WorkflowRuntime, WorkflowService
from detent.flows import Flow, FlowBook, HandlerContext, Result, Step, handler, success
from detent.triggers import HttpTrigger

SECRET = "change me"


@handler("deploy", category="external", targets=False)
async def deploy(ctx: HandlerContext, input: Any) -> Result:
    """Deploys what was pushed."""
    return success(f"deployed {input['ref']}")


deployment = Flow(
    "deployment", initial_step_id="deploy", steps={"deploy": Step("deploy", input={"key": "push"}, output_key="told")}
)

PUSHED = HttpTrigger(
    name="pushed",
    flow="deployment",
    context_key="push",
    input_schema={"type": "object", "required": ["ref"], "properties": {"ref": {"type": "string"}}},
    signature={"scheme": "github", "secret": "code host"},
    idempotency_from={"header": "X-GitHub-Delivery"},
)


async def main() -> None:
    """Call the webhook as its sender would: well, twice, with a body that is wrong, and with a signature that is."""
    book = FlowBook(flows=[deployment], handlers=[deploy])
    triggers = TriggerBook()
    runtime = WorkflowRuntime(
        store=MemoryStore(),
        definitions=[*book.definitions, *triggers.definitions],
        commands=[*book.commands, *triggers.commands],
        subscribers=triggers.subscribers,
        adopts=book.adopts,
    )
    async with runtime:
        service = TriggerService(WorkflowService(runtime), book, triggers, secrets={"code host": SECRET})
        await service.register(PUSHED)
        for delivery, body in (("1", {"ref": "main"}), ("1", {"ref": "main"}), ("2", {"branch": "main"})):
            raw = json.dumps(body).encode()
            received = await service.receive("pushed", raw, {"X-GitHub-Delivery": delivery, **signed(raw)})
            print(received.answer, *(f"{error.path or 'body'}: {error.message}" for error in received.errors))
        print((await service.receive("pushed", b"{}", {"X-Hub-Signature-256": "sha256=0"})).answer)
        print([invocation.status for invocation in await service.history("pushed")])


def signed(raw: bytes) -> dict[str, str]:
    """The header with which the sender proves who it is."""
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()}


if __name__ == "__main__":
    asyncio.run(main())
