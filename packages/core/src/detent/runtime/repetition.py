"""Whether and when a failed attempt of a run's command is repeated: decided from values."""

from datetime import timedelta
from traceback import format_exception
from types import TracebackType

from detent.errors import (
    AnswerInvalid,
    CommandFailed,
    CommandTimedOut,
    DetentError,
    GotoNotAllowed,
    InvalidValue,
    RunStuck,
)
from detent.json_values import JsonObject
from detent.registry.raises import GiveUp, RetryAfter
from detent.retry import Retry
from detent.runtime.history import cleaned, error_facts, keepable, typed
from detent.store.records import CommandRecord

_NO_USE = (GiveUp, AnswerInvalid, InvalidValue, GotoNotAllowed, CommandFailed, RunStuck)
"""What another attempt would not change: a decision of the command, or a fault in its code that comes after its work."""

MAX_TRACEBACK = 8000
"""Of a longer traceback the last characters are kept, where it says what was raised."""


def delay_of(error: Exception, *, attempts: int, retry: Retry) -> timedelta | None:
    """After what time the attempt is repeated that ended with `error` as the `attempts`-th; `None` when it is not."""
    if retry.exhausted(attempts) or isinstance(error, _NO_USE):
        return None
    if isinstance(error, RetryAfter):
        return max(error.after, timedelta(0))
    return retry.delay(attempts) if retry.worth_repeating(error) else None


def failure_record(name: str, error: Exception, *, best_effort: bool, compensates: str | None) -> CommandRecord:
    """What history says of a command whose attempts are used up."""
    if isinstance(error, GiveUp):
        code, message = error.code, str(error)
    elif isinstance(error, CommandTimedOut):
        code, message = error.code, error.message
    else:
        code, message = "raised", typed(error)
    return CommandRecord(
        name, ok=False, code=code, message=cleaned(message), best_effort=best_effort, compensates=compensates
    )


def facts_of(error: BaseException) -> JsonObject:
    """`code` and `message` of an error, for the run."""
    facts = error_facts(error, None)
    if isinstance(error, GiveUp):
        facts["code"] = error.code
    return facts if isinstance(error, DetentError | GiveUp) else {**facts, "message": facts["message"] or repr(error)}


def facts_with_traceback(error: BaseException) -> JsonObject:
    """The same, and the `traceback` of what was raised, from where it left Detent's own code."""
    facts = facts_of(error)
    if error.__traceback__ is None:
        return facts
    lines = format_exception(type(error), error, _outside(error.__traceback__))
    return {**facts, "traceback": keepable("".join(lines)[-MAX_TRACEBACK:])}


def _outside(frames: TracebackType) -> TracebackType:
    """The frames from the first that is not Detent's; all of them where there is no such one."""
    frame: TracebackType | None = frames
    while frame is not None and str(frame.tb_frame.f_globals.get("__name__")).startswith("detent."):
        frame = frame.tb_next
    return frame or frames
