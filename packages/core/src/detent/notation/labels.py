r"""The words on boxes and arrows: one regular grammar, for every notation and for reading it back.

    arrow   =  name [timeout] ["[" guard "]"] [way] ["/" commands]        an event is taken
            |  name "fails"                                               one of its commands failed
            |  "on enter"                                                 by itself after the entry
            |  "on enter" "fails"                                         a command of the entry failed, or a branch
            |  "on enter" "branch"                                        a branch begins there, beside others
            |  "when joined"                                              by itself when all branches have ended
    line    =  "on enter" "/" commands                                    in a box: what runs on entry
            |  name [timeout] ["[" guard "]"] ["/" commands]              in a box: an internal event
    timeout =  "after" duration  |  "at" path
    way     =  "if" guard  |  "else if" guard  |  "else"                  branches in order, then what is left over
    guard   =  name  |  "not" part  |  part "and" part …  |  part "or" part …  |  "all(" guard ")"  |  "any(" guard ")"
    part    =  name  |  "not" part  |  "all(" guard ")"  |  "any(" guard ")"  |  "(" guard ")"
    commands = name {"," name}
    name    =  word  |  JSON string
    word    =  letters, digits and "_", with "." or "-" between them, perhaps "$" before; none of the words above

`all(…)` and `any(…)` are what has only one part. A name that is not a word, or that would be invisible or ambiguous,
is written as a JSON string: `"on hold"`, `"after"`, `"a\nb"`. Alone in its place, as the title of a box, a name stays as
it is as long as it can be seen; otherwise it is a JSON string as well, and so is one that begins with a quotation mark.
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta

from detent.definition.duration import duration_text
from detent.definition.guards import AllOf, AnyOf, GuardExpression, GuardRef, Not
from detent.definition.timeout import Timeout
from detent.notation.chart import Arrow, Box, Kind, Step, Way
from detent.notation.symbols import PLAIN, Symbols

KEYWORDS = frozenset({"on", "enter", "fails", "branch", "after", "at", "if", "else", "not", "and", "or", "all", "any"})
"""Words of the grammar; a name that is one of them is written in quotes."""
ON_ENTER = "on enter"
"""What stands in the place of the event where there is none."""

_AFTER_ENTRY: Mapping[Kind, str] = {"failed": " fails", "branch": " branch"}
_MANY = 5
"""How many visits of a state are told one by one."""
_SIZES = {86400: 3600, 3600: 60, 60: 1}
"""For each unit in seconds the unit that is told beside it."""
WORD = re.compile(r"\$?\w+(?:[.-]\w+)*")
"""A name that needs no quotes, unless it is a keyword."""
_SECOND_SPACE = re.compile("(?<= ) ")


def word(name: str) -> str:
    """The name as it stands in a label: bare where that is unambiguous, else as a JSON string."""
    return name if WORD.fullmatch(name) and _is_visible(name) and name not in KEYWORDS else quoted(name)


def title(name: str) -> str:
    """The name as it stands alone: as it is, or as a JSON string where parts of it could not be seen."""
    alone = name and " ".join(name.split()) == name and not name.startswith('"')
    return name if alone and _is_visible(name) else quoted(name)


def quoted(name: str) -> str:
    """The name as a JSON string in which every character can be seen."""
    return _SECOND_SPACE.sub(r"\\u0020", visible_json(name))


def visible_json(value: object) -> str:
    """The value as JSON on one line, in which every character can be seen."""
    written = json.dumps(value, ensure_ascii=False)
    return "".join(char if _is_visible(char) else json.dumps(char)[1:-1] for char in written)


def _is_visible(text: str) -> bool:
    """Whether every character is seen; Mermaid swallows two, which it hides its own entities behind."""
    return text.isprintable() and not set(text) & set("ﬂ¶")


def arrow_text(arrow: Arrow) -> str:
    """Everything that is said on an arrow."""
    if arrow.step is None:
        return on_enter_text(arrow)
    if arrow.kind == "failed":
        return " ".join([f"{word(arrow.step.event)} fails", *_parts(passed_text(arrow.passed))])
    said = [*_head(arrow.step, PLAIN), *_parts(way_text(arrow.way)), *_parts(commands_text(arrow.step.commands))]
    return " ".join([*said, *_parts(passed_text(arrow.passed))])


def step_parts(step: Step, symbols: Symbols = PLAIN) -> list[str]:
    """What is said of an event where it stands by itself: the event, its timeout, its guard, its commands."""
    return [*_head(step, symbols), *_parts(commands_text(step.commands), passed_text(step.taken))]


def event_lines(step: Step, symbols: Symbols) -> list[str]:
    """What is said in the box of an event, line by line; of an internal one that it is, by a sign or in words."""
    event, *said = step_parts(step, symbols)
    if step.internal and not symbols.internal:
        return [event, "internal", *said]
    return [symbols.internal + event if step.internal else event, *said]


def entry_text(commands: tuple[str, ...]) -> str:
    """What runs when a state is entered."""
    return f"{ON_ENTER} {commands_text(commands)}"


def on_enter_text(arrow: Arrow, symbols: Symbols = PLAIN) -> str:
    """What is said on an arrow that belongs to no event."""
    failed = arrow.kind == "failed"
    said = arrow.label or f"{ON_ENTER}{_AFTER_ENTRY.get(arrow.kind, '')}"
    sign = symbols.fails if failed else symbols.hop if arrow.kind in ("hop", "branch") else ""
    return " ".join([sign + said, *_parts(passed_text(arrow.passed))])


def condition_text(arrow: Arrow, symbols: Symbols = PLAIN) -> str:
    """What is said on an arrow whose event stands in a box of its own."""
    said = f"{symbols.fails}fails" if arrow.kind == "failed" else way_text(arrow.way)
    return " ".join(_parts(said, passed_text(arrow.passed)))


def outcome_text(box: Box, symbols: Symbols = PLAIN) -> str:
    """That an instance ends in the box, and how it has ended where the definition says it; empty where it goes on."""
    if not box.terminal:
        return ""
    outcome = box.outcome or "success"
    sign = {"success": symbols.success, "failure": symbols.failure, "cancelled": symbols.cancelled}[outcome]
    return f"{sign}outcome {outcome}" if box.outcome else f"{sign}end"


def box_marks(box: Box, symbols: Symbols = PLAIN) -> list[str]:
    """What is said in a box besides its definition: that it waits, or is not declared, and what marks it bears."""
    marks = ", ".join(_parts(symbols.now + "now" if box.current else "", _steps(box.visits)))
    stayed = f"for {rough_text(box.stayed)}" if box.stayed is not None else ""
    left = [f"{symbols.timeout}{word(event)} {_until(left)}" for event, left in box.left.items()]
    return [*_parts("waits" if box.waits else "", "" if box.declared else "not declared", marks, stayed), *left]


def passed_text(times: int) -> str:
    """How often a way was gone; empty where it never was."""
    return f"({_times(times)})" if times else ""


def rough_text(duration: timedelta) -> str:
    """A length of time in its two greatest units, rounded down: `3d4h`, `12m5s`, `0s`."""
    seconds = int(duration.total_seconds())
    for unit, size in _SIZES.items():
        if seconds >= unit:
            return duration_text(timedelta(seconds=seconds - seconds % size))
    return f"{seconds}s"


def _steps(visits: tuple[int, ...]) -> str:
    """Which steps of the way these were; of many the newest."""
    if not visits:
        return ""
    if len(visits) <= _MANY:
        return f"step {', '.join(map(str, visits))}"
    return f"{_times(len(visits))}, last in step {visits[-1]}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _until(left: timedelta | None) -> str:
    if left is None:
        return "is parked"
    return f"in {rough_text(left)}" if left > timedelta(0) else f"is due since {rough_text(-left)}"


def way_text(way: Way | None) -> str:
    """When this way is the one of several; empty where there is only one."""
    if way is None:
        return ""
    if way.guard is None:
        return "else"
    return f"{'if' if way.first else 'else if'} {guard_text(way.guard)}"


def guard_text(guard: GuardExpression) -> str:
    """A guard, or several combined, as one would say it."""
    match guard:
        case GuardRef(name=name):
            return word(name)
        case Not(not_=inner):
            return f"not {_operand(inner)}"
        case AllOf(all_of=(only,)):
            return f"all({guard_text(only)})"
        case AnyOf(any_of=(only,)):
            return f"any({guard_text(only)})"
        case AllOf(all_of=several):
            return " and ".join(map(_operand, several))
        case AnyOf(any_of=several):
            return " or ".join(map(_operand, several))


def timeout_text(timeout: Timeout | None) -> str:
    """When an event fires by itself; empty where it does not."""
    if timeout is None:
        return ""
    return f"after {timeout.spoken}" if timeout.at is None else f"at {word(timeout.at)}"


def commands_text(commands: tuple[str, ...]) -> str:
    """What runs, in order; empty where nothing does."""
    return "/ " + ", ".join(map(word, commands)) if commands else ""


def _head(step: Step, symbols: Symbols) -> list[str]:
    guard = "" if step.guard is None else f"{symbols.guard}[{guard_text(step.guard)}]"
    timeout = f"{symbols.timeout}{timeout_text(step.timeout)}" if step.timeout else ""
    return [word(step.event), *_parts(timeout, guard)]


def _parts(*texts: str) -> list[str]:
    return [text for text in texts if text]


def _operand(guard: GuardExpression) -> str:
    match guard:
        case AllOf(all_of=(_, _, *_)) | AnyOf(any_of=(_, _, *_)):
            return f"({guard_text(guard)})"
        case _:
            return guard_text(guard)
