"""A number goes left or right: three methods behind a diagram.

python -m examples.conditions.conditions 4
"""

import asyncio
import sys

from detent import MemoryStore, WorkflowRuntime
from detent.workers import WorkflowWorker
from examples.conditions.conditions_base import ChoiceDecision, ConditionsBase
from examples.conditions.conditions_payloads import DecidePayload, LeftPayload, RightPayload


class Conditions(ConditionsBase):
    async def decide(self, payload: DecidePayload) -> ChoiceDecision:
        if payload["number"] % 2 == 0:
            return self.choice.choose_left({"even": payload["number"]})
        return self.choice.choose_right({"reason": f"{payload['number']} is odd"})

    async def left(self, payload: LeftPayload) -> None:
        print("left, with", payload["even"])

    async def right(self, payload: RightPayload) -> None:
        print("right, because", payload["reason"])


async def main(number: int) -> None:
    runtime = WorkflowRuntime(store=MemoryStore())
    runtime.register(Conditions)
    async with runtime:
        await Conditions.submit(runtime, {"number": number})
        print((await WorkflowWorker(runtime).execute_waiting(type=Conditions)).outcome)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
