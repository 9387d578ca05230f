"""python-statemachine: 1,000 machines of one class, each sent its event in turn, synchronously, which is its faster engine.

It keeps nothing: no history, no versions, no locks. Our case is an event in the memory store, which has all of these.
"""

import asyncio
import sys
from itertools import cycle

from statemachine import State, StateMachine

from benchmarks.given import Given
from benchmarks.load import closed_loop


class Lamp(StateMachine):
    off = State(initial=True)
    on = State()
    press = off.to(on) | on.to(off)


async def measure(given: Given) -> None:
    turn = cycle([Lamp() for _ in range(1_000)])

    async def press() -> None:
        next(turn).send("press")

    load = await closed_loop([press], meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    print(load.reading().to_json(), flush=True)


if __name__ == "__main__":
    assert sys.argv[1] == "events"
    asyncio.run(measure(Given.from_environment()))
