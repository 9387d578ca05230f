"""What became of an invocation, in one word."""

from collections.abc import Sequence

from detent.json_values import JsonObject

_NO_FLOW = frozenset({"trigger_unavailable", "unknown_flow", "unknown_workflow", "unknown_version"})


def status_of(started: Sequence[JsonObject]) -> str:
    """Of what was to be started, each `{"id", "created"}` or `{"error"}`."""
    if not started:
        return "skipped"
    faults = [one["error"]["code"] for one in started if "error" in one]
    if faults:
        return status_of_fault(faults[0])
    return "success" if any(one["created"] for one in started) else "duplicate"


def status_of_fault(code: object) -> str:
    """Of an error that kept the flow from being started, by its code."""
    return "flow_not_found" if code in _NO_FLOW else "error"
