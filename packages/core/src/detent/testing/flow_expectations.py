"""What a test expects of an execution, compared with how it stands. Each raises `AssertionError` with both, and the path."""

from collections.abc import Mapping, Sequence
from typing import Any

from detent.flows.names import EXPIRE, RESUME, WAIT, WAIT_TIMEOUT, WAKE, waiting
from detent.runtime.event_names import CANCELLED, CREATED
from detent.service.execution import Execution, ExecutionStatus
from detent.store.records import HistoryEntry, Outcome
from detent.testing.expectations import differences
from detent.testing.handler_calls import HandlerCall

_WAITING = waiting("")


def expect_status(expected: ExecutionStatus, execution: Execution, path: str) -> None:
    """The execution is `expected`."""
    if execution.status is not expected:
        wanted = "to wait" if expected is ExecutionStatus.WAITING else f"to be {expected}"
        _refuse(f"expected the execution {wanted}", execution, path)


def expect_failed(code: str | None, execution: Execution, path: str) -> None:
    """The execution has failed, with `code` where that is said."""
    expect_status(ExecutionStatus.FAILED, execution, path)
    if code is not None and (execution.error is None or execution.error.code != code):
        _refuse(f"expected it to fail with {code}", execution, path)


def expect_cancelled(source: str | None, execution: Execution, path: str) -> None:
    """The execution was cancelled, by `source` where that is said."""
    expect_status(ExecutionStatus.CANCELLED, execution, path)
    if source is not None and (execution.cancellation is None or execution.cancellation.source != source):
        _refuse(f"expected it to be cancelled by {source}", execution, path)


def expect_waiting(reason: str | None, step: str | None, execution: Execution, path: str) -> None:
    """The execution waits, in `step` and for a reason with `reason` in it, where these are said."""
    expect_status(ExecutionStatus.WAITING, execution, path)
    if step is not None and execution.current_step != step:
        _refuse(f"expected it to wait in {step!r}", execution, path)
    if reason is not None and reason not in (execution.wait_reason or ""):
        _refuse(f"expected it to wait for {reason!r}", execution, path)


def expect_values(expected: Mapping[str, Any], execution: Execution, path: str) -> None:
    """The context has each value of `expected` at its dotted path; what else it holds does not matter."""
    wrong = differences(expected, execution.context)
    if wrong:
        said = ["the context is not as expected:", *wrong, f"the execution {standing(execution)}", path]
        raise AssertionError("\n".join(said))


def standing(execution: Execution) -> str:
    """How an execution stands, as the rest of a sentence about it."""
    match execution.status:
        case ExecutionStatus.PENDING:
            return "is pending: its first step was not begun"
        case ExecutionStatus.WAITING:
            until = "" if execution.wake_at is None else f", until {execution.wake_at:%Y-%m-%d %H:%M:%S}"
            reason = "" if execution.wait_reason is None else f": {execution.wait_reason}"
            return f"waits in {execution.current_step!r}{reason}{until}"
        case ExecutionStatus.FAILED if execution.error is not None:
            error = execution.error
            return f"has failed in {error.step_id!r} with {error.code}" + (
                f": {error.message}" if error.message else ""
            )
        case ExecutionStatus.CANCELLED if execution.cancellation is not None:
            ended = execution.cancellation
            return f"was cancelled by {ended.source}" + (f": {ended.reason}" if ended.reason else "")
        case ExecutionStatus.COMPLETED:
            return "is completed"
        case _:
            return f"is {execution.status} in {execution.current_step!r}"


def path_of(entries: Sequence[HistoryEntry], calls: Sequence[HandlerCall]) -> str:
    """The steps that an execution took, as lines for people: each call of a handler, and where it led.

    `calls` are those made for it; those of a step that has not ended stand at the end.
    """
    ended = {entry.transition_id for entry in entries}
    under_way = [f"  {call}" for call in calls if call.run_id not in ended]
    lines = [line for entry in entries for line in _lines(entry, calls)]
    return "\n".join(["the path that led there:", *lines, *under_way])


def _lines(entry: HistoryEntry, calls: Sequence[HandlerCall]) -> list[str]:
    made = [f"  {call}" for call in calls if call.run_id == entry.transition_id]
    return [*made, f"  {_told(entry)}"]


def _told(entry: HistoryEntry) -> str:
    step, target = (entry.from_state or "").removesuffix(_WAITING), entry.to_state.removesuffix(_WAITING)
    why = entry.reason or (entry.error or {}).get("message")
    end = "" if entry.outcome is Outcome.SUCCESS else f" ({entry.outcome}" + (f": {why})" if why else ")")
    match entry.event:
        case event if event == CREATED:
            return f"started in {target!r}"
        case event if event == CANCELLED:
            return f"cancelled in {step!r}" + (f": {entry.reason}" if entry.reason else "")
        case event if event == WAIT:
            return f"{step} waits{end}"
        case event if event == RESUME:
            return f"{step} resumed → {target}{end}"
        case event if event == WAKE:
            return f"{step} woken → {target}{end}"
        case event if event in (EXPIRE, WAIT_TIMEOUT):
            return f"{step} took too long → {target}{end}"
        case _:
            return f"{step} → {target}{end}"


def _refuse(expected: str, execution: Execution, path: str) -> None:
    raise AssertionError(f"{expected}; it {standing(execution)}\n{path}")
