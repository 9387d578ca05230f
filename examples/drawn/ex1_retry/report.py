"""Two steps, of which the first is tried up to five times.

python -m examples.drawn.ex1_retry.report
"""

import asyncio

from detent import MemoryStore, WorkflowRuntime
from detent.workers import Worker
from examples.drawn.ex1_retry.report_base import ReportBase
from examples.drawn.ex1_retry.report_payloads import FetchPayload, SendPayload


class Report(ReportBase):
    async def fetch(self, payload: FetchPayload) -> SendPayload:
        attempt = self.ctx.durable_run.attempt
        if attempt < 3:
            raise ConnectionError(f"the database is away, in attempt {attempt}")
        return {"day": payload["day"], "rows": [3, 1, 4]}

    async def send(self, payload: SendPayload) -> None:
        print(f"{payload['day']}: {sum(payload['rows'])}")


async def main() -> None:
    runtime = WorkflowRuntime(store=MemoryStore())
    runtime.register(Report)
    async with runtime, Worker(runtime):
        handle = await Report.submit(runtime, {"day": "2026-11-21"}, key="report of 2026-11-21")
        print((await handle.wait(completed=True)).status)


if __name__ == "__main__":
    asyncio.run(main())
