"""What the fast path keeps while nothing is under way."""

from uuid import uuid4

from detent.store.lanes import Lanes


class Waits:
    is_awaited = True
    since = 0.0


async def test_lanes_that_nobody_is_in_take_no_memory() -> None:
    """A lane is named by what a caller says of the workflow, which nobody checks."""
    lanes: Lanes[Waits] = Lanes(10)
    for _ in range(100):
        await lanes.enter(f"workflow-{uuid4()}", Waits())
        assert len(lanes.take(10)) == 1
    assert not lanes._lanes
