"""Steps that go round in a circle, because the diagram says `loops: true`.

python -m examples.drawn.ex2_loop.countdown
"""

import asyncio

from detent import MemoryStore, WorkflowRuntime
from detent.workers import Worker
from examples.drawn.ex2_loop.countdown_base import CountdownBase, DecisionDecision
from examples.drawn.ex2_loop.countdown_payloads import CountDownPayload, LiftOffPayload


class Countdown(CountdownBase):
    async def count_down(self, payload: CountDownPayload) -> DecisionDecision:
        print(payload["left"])
        if payload["left"] > 1:
            return self.decision.not_yet({"left": payload["left"] - 1})
        return self.decision.zero({"counted": True})

    async def lift_off(self, payload: LiftOffPayload) -> None:
        print("lift-off" if payload["counted"] else "?")


async def main() -> None:
    runtime = WorkflowRuntime(store=MemoryStore())
    runtime.register(Countdown)
    async with runtime, Worker(runtime):
        handle = await Countdown.submit(runtime, {"left": 3})
        await handle.wait(completed=True)


if __name__ == "__main__":
    asyncio.run(main())
