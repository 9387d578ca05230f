"""Steps inside of a state: `checking` is over when what is drawn in it has come to its end.

python -m examples.drawn.ex4_composite.claim "broken window, 80"
"""

import asyncio
import sys

from detent import MemoryStore, WorkflowRuntime
from detent.workers import Worker
from examples.drawn.ex4_composite.claim_base import ClaimBase, FoundDecision
from examples.drawn.ex4_composite.claim_payloads import (
    AnswerPayload,
    ExpertPayload,
    FormalPayload,
    RegisterPayload,
    SettlePayload,
)


class Claim(ClaimBase):
    async def register(self, payload: RegisterPayload) -> FormalPayload:
        return {"number": 7, "text": payload["text"]}

    async def formal(self, payload: FormalPayload) -> ExpertPayload:
        return {"number": payload["number"], "amount": int(payload["text"].rpartition(",")[2])}

    async def expert(self, payload: ExpertPayload) -> FoundDecision:
        if payload["amount"] <= 100:
            return self.found.small({"number": payload["number"], "amount": payload["amount"]})
        return self.found.large({"number": payload["number"], "paid": 0})

    async def settle(self, payload: SettlePayload) -> AnswerPayload:
        return {"number": payload["number"], "paid": payload["amount"]}

    async def answer(self, payload: AnswerPayload) -> None:
        print(f"claim {payload['number']}: {payload['paid']} paid")


async def main(text: str) -> None:
    runtime = WorkflowRuntime(store=MemoryStore())
    runtime.register(Claim)
    async with runtime, Worker(runtime):
        handle = await Claim.submit(runtime, {"text": text})
        await handle.wait(completed=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
