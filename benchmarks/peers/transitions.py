"""transitions, the state machine library that Detent decides with: 1,000 models of one `Machine`, pressed in turn.

It keeps nothing: no history, no versions, no locks, no copy of what it holds. Our case is an event in the memory store, which
has all of these and differs from the durable ones only in what it writes to. This is the price of everything around the
decision.
"""

import asyncio
import sys
from itertools import cycle

from transitions import Machine

from benchmarks.given import Given
from benchmarks.load import closed_loop


class Lamp:
    """A model: `transitions` gives it `state` and `press`."""


async def measure(given: Given) -> None:
    lamps = [Lamp() for _ in range(1_000)]
    Machine(
        lamps,
        states=["off", "on"],
        transitions=[["press", "off", "on"], ["press", "on", "off"]],
        initial="off",
        auto_transitions=False,
    )
    turn = cycle(lamps)

    async def press() -> None:
        next(turn).press()

    load = await closed_loop([press], meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    print(load.reading().to_json(), flush=True)


if __name__ == "__main__":
    assert sys.argv[1] == "events"
    asyncio.run(measure(Given.from_environment()))
