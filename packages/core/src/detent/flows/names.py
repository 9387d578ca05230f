"""What the states, events and commands of a lowered flow are called, and where its own affairs stand in the context."""

from collections.abc import Collection

OWN = "$flow"
"""The key under which a flow keeps its own affairs in the instance's context; handlers do not see it."""
ERROR = "error"
"""The key under which the error of the step that failed last stands in the context."""

WAIT, RESUME, WAKE = "wait", "resume", "wake"
CHILD_ENDED = "child_ended"
"""The event by which a child's end comes to the flow that waits for it."""
FAIL, EXPIRE, FINISH = "fail", "expire", "finish"
WAIT_TIMEOUT = "wait_timeout"

RESUMED, CHILD, EXPIRED = "flow.resumed", "flow.child_ended", "flow.expired"
"""The commands that every flow has beside its handlers."""
IS_CHILD_FAILED, IS_OTHER_CHILD = "flow.child_failed", "flow.other_child"
"""The guards."""


def command_of(type_: str) -> str:
    """The command that runs a handler."""
    return f"flow.handler.{type_}"


def goto(step: str) -> str:
    """The event by which a handler goes to a step."""
    return f"goto.{step}"


def waiting(step: str) -> str:
    """The state in which a step waits."""
    return f"{step}.waiting"


def step_of(state: str, steps: Collection[str]) -> str | None:
    """The step that a state belongs to; `None` for the ends."""
    if state in steps:
        return state
    bare = state.removesuffix(".waiting")
    return bare if bare in steps else None


def end(name: str, steps: Collection[str]) -> str:
    """The state of an end, `completed`, `failed` or `cancelled`, under a name that no step has."""
    taken = {*steps, *map(waiting, steps)}
    while name in taken:
        name += "_"
    return name
