"""A run's journal: what its commands and guards answered, as JSON, and how a step is led through it again.

Nothing that has answered is asked again: its entry is read instead, and what it wrote to the context is written once more.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from detent.json_values import JsonObject, json_object
from detent.machine.verdicts import Verdict
from detent.registry.message import Message
from detent.registry.results import Goto
from detent.runtime.step import AskGuard, LastPart, Ran, Request, RunCommand, Step
from detent.runtime.written_context import WrittenContext
from detent.store.records import CommandRecord


@dataclass(frozen=True, slots=True)
class Before:
    """A context as it was before a command wrote to it."""

    values: JsonObject
    touched: frozenset[str]

    @classmethod
    def of(cls, context: WrittenContext) -> "Before":
        """What `context` holds now."""
        return cls(json_object(context, "context"), frozenset(context.written))

    def restore(self, context: WrittenContext) -> None:
        """Undo what was written since."""
        context.reset(self.values, self.touched)


def verdict_entry(request: AskGuard, verdict: Verdict) -> JsonObject:
    """What the journal keeps of a guard's answer."""
    return {"guard": request.guard.name, "passed": verdict.passed, "reason": verdict.reason}


def command_entry(request: RunCommand, ran: Ran, before: Before, trace: JsonObject) -> JsonObject:
    """What the journal keeps of a command's answer: what history will say, what it wrote, and the trace context of the attempt.

    Raises `InvalidValue`.
    """
    context = request.context
    changed = {key for key, value in context.items() if key not in before.values or before.values[key] != value}
    written = (changed | (context.written - before.touched)) & context.keys()
    entry = {
        "command": ran.record.name,
        "record": _record(ran.record),
        "goto": None if ran.goto is None else {"event": ran.goto.event, "payload": ran.goto.payload},
        "messages": [asdict(message) for message in ran.messages],
        "written": json_object({key: context[key] for key in sorted(written)}, "context"),
        "removed": sorted(before.values.keys() - context.keys()),
    }
    return {**entry, "trace": trace} if trace else entry


def last_trace(journal: Sequence[JsonObject]) -> JsonObject:
    """The trace context of the attempt that the journal tells of last; empty where it tells of none."""
    return next((entry["trace"] for entry in reversed(journal) if "trace" in entry), {})


def _record(record: CommandRecord) -> JsonObject:
    # By hand, because `asdict` goes through every value to copy it; what it says is a copy already.
    return {
        "name": record.name,
        "ok": record.ok,
        "code": record.code,
        "message": record.message,
        "data": record.data,
        "best_effort": record.best_effort,
        "compensates": record.compensates,
    }


class Diverged(Exception):
    """The journal does not fit the step that is led through it."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"the journal says {found!r} where the definition asks for {expected!r}")


class Replay:
    """Answers a step's requests from a journal, as far as that goes."""

    def __init__(self, journal: Iterable[JsonObject]) -> None:
        self._left: Iterator[JsonObject] = iter(journal)

    def lead(self, step: Step[None]) -> Request:
        """The first request that the journal does not answer; `LastPart` when it answers all of the run's own.

        Raises `Diverged`.
        """
        answer: object = None
        while True:
            request: Request = step.send(answer)
            entry = None if isinstance(request, LastPart) else next(self._left, None)
            if entry is None:
                return request
            answer = answer_in(entry, request)


def answer_in(entry: JsonObject, request: Request) -> Verdict | Ran:
    """What an entry answers to a request, with the context written as it was. Raises `Diverged`."""
    match request:
        case AskGuard(guard=guard) if entry.get("guard") == guard.name:
            return Verdict(entry["passed"], entry["reason"])
        case RunCommand(command=command) if entry.get("command") == command.name:
            return _ran(request, entry)
    asked: Any = request
    wanted = asked.guard.name if isinstance(request, AskGuard) else asked.command.name
    raise Diverged(wanted, str(entry.get("command") or entry.get("guard")))


def _ran(request: RunCommand, entry: JsonObject) -> Ran:
    request.context.update(json_object(entry["written"], "context"))
    for key in entry["removed"]:
        request.context.pop(key, None)
    goto = entry["goto"]
    return Ran(
        CommandRecord(**entry["record"]),
        None if goto is None else Goto(goto["event"], goto["payload"]),
        tuple(Message(**message) for message in entry["messages"]),
    )
