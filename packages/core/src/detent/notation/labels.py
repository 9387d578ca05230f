r"""The words on boxes and arrows: one regular grammar, for every notation and for reading it back.

    arrow   =  name [timeout] ["[" guard "]"] [way] ["/" commands]        an event is taken
            |  name "fails"                                               one of its commands failed
            |  "on enter"                                                 by itself after the entry
            |  "on enter" "fails"                                         a command of the entry failed
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

from detent.definition.guards import AllOf, AnyOf, GuardExpression, GuardRef, Not
from detent.definition.timeout import Timeout
from detent.notation.chart import Arrow, Box, Step, Way

KEYWORDS = frozenset({"on", "enter", "fails", "after", "at", "if", "else", "not", "and", "or", "all", "any"})
"""Words of the grammar; a name that is one of them is written in quotes."""
ON_ENTER = "on enter"
"""What stands in the place of the event where there is none."""

_WORD = re.compile(r"\$?\w+(?:[.-]\w+)*")
_SECOND_SPACE = re.compile("(?<= ) ")


def word(name: str) -> str:
    """The name as it stands in a label: bare where that is unambiguous, else as a JSON string."""
    return name if _WORD.fullmatch(name) and _is_visible(name) and name not in KEYWORDS else quoted(name)


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
        return f"{word(arrow.step.event)} fails"
    return " ".join([*_head(arrow.step), *_parts(way_text(arrow.way)), *_parts(commands_text(arrow.step.commands))])


def step_parts(step: Step) -> list[str]:
    """What is said of an event where it stands by itself: the event, its timeout, its guard, its commands."""
    return [*_head(step), *_parts(commands_text(step.commands))]


def entry_text(commands: tuple[str, ...]) -> str:
    """What runs when a state is entered."""
    return f"{ON_ENTER} {commands_text(commands)}"


def on_enter_text(arrow: Arrow) -> str:
    """What is said on an arrow that belongs to no event."""
    return f"{ON_ENTER} fails" if arrow.kind == "failed" else ON_ENTER


def mark_lines(box: Box) -> list[str]:
    """What is said in a box besides its definition: that it is not declared, and what marks it bears."""
    steps = f"step {', '.join(map(str, box.visits))}" if box.visits else ""
    marks = ", ".join(_parts("now" if box.current else "", steps))
    return _parts("" if box.declared else "not declared", marks)


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


def _head(step: Step) -> list[str]:
    guard = "" if step.guard is None else f"[{guard_text(step.guard)}]"
    return [word(step.event), *_parts(timeout_text(step.timeout), guard)]


def _parts(*texts: str) -> list[str]:
    return [text for text in texts if text]


def _operand(guard: GuardExpression) -> str:
    match guard:
        case AllOf(all_of=(_, _, *_)) | AnyOf(any_of=(_, _, *_)):
            return f"({guard_text(guard)})"
        case _:
            return guard_text(guard)
