"""DBOS Transact, the MIT library, with its default configuration and async workflows, as its documentation has them.

* `events`: 64 callers, each with a workflow of its own that waits in `DBOS.recv_async`. A caller sends (`DBOS.send_async`) and
  waits until the workflow has the message, which DBOS has recorded by then; a flag in this process tells, so that the answer
  costs DBOS nothing. A workflow takes 20 messages, then the caller starts a new one; the starts are not counted. Ours is an
  event: it is checked against the state, and the caller gets the new state; here that would be the workflow's own business.
* `workflows`: 64 callers call a workflow of one step and wait for its result. Ours creates, accepts, runs one durable command
  in a worker, and hears of the end.
* `steps`: the same with five steps, each counted.

LISTEN/NOTIFY is on, which is the default. Recovering the work of other processes, and retention, are not part of the MIT
library and cost nothing here; ours are on.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from uuid import uuid4

from dbos import DBOS, DBOSConfig, SetWorkflowID

from benchmarks.given import Given
from benchmarks.load import closed_loop

CALLERS = 64
MESSAGES = 20

heard: dict[str, asyncio.Event] = {}


@DBOS.workflow()
async def lamp(messages: int) -> str:
    state = "off"
    for _ in range(messages):
        await DBOS.recv_async("press", timeout_seconds=60)
        state = "on" if state == "off" else "off"
        heard[str(DBOS.workflow_id)].set()
    return state


@DBOS.step()
async def step() -> None:
    """Answers at once."""


@DBOS.workflow()
async def errand(steps: int) -> None:
    for _ in range(steps):
        await step()


def presser() -> Callable[[], Awaitable[None]]:
    left, identity = 0, ""

    async def press() -> None:
        nonlocal left, identity
        if left == 0:
            left, identity = MESSAGES, str(uuid4())
            heard[identity] = asyncio.Event()
            with SetWorkflowID(identity):
                await DBOS.start_workflow_async(lamp, MESSAGES)
        heard[identity].clear()
        await DBOS.send_async(identity, "pressed", "press")
        await heard[identity].wait()
        left -= 1

    return press


async def measure(given: Given, work: str) -> None:
    steps = 5 if work == "steps" else 1
    config: DBOSConfig = {"name": "benchmark", "system_database_url": given.url, "log_level": "ERROR"}
    DBOS(config=config)
    DBOS.launch()
    callers = [presser() for _ in range(CALLERS)] if work == "events" else [lambda: errand(steps)] * CALLERS
    load = await closed_loop(callers, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    print(load.reading(each=steps).to_json(), flush=True)


if __name__ == "__main__":
    asyncio.run(measure(Given.from_environment(), sys.argv[1]))
    DBOS.destroy()
