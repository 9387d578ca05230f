"""What Mermaid accepts and draws as something else than was meant; none of it says so."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from detent.notation.mermaid_reader.source import BLANKS, Place
from detent.notation.mermaid_reader.texts import as_written
from detent.notation.mermaid_reader.tree import (
    EDGE,
    Arrow,
    Composite,
    Divider,
    Look,
    Name,
    Pseudo,
    Statement,
    Titled,
    Word,
)
from detent.problems import Problem

_DIRECTION = re.compile(r"direction\s+(?:TB|BT|RL|LR)", re.IGNORECASE)
_STEREOTYPE = re.compile(r"<<.*|.*>>|\[\[.*|.*\]\]", re.DOTALL)
_HISTORY = re.compile(r".*\[H\*?\]")
_KEYWORDS = {
    "direction": ("unknown_direction", "the directions are TB, BT, LR and RL", "write `direction TB` instead of TD"),
    "linkstyle": ("no_statement", "`linkStyle` belongs to flowcharts", "leave it out"),
    "skinparam": ("no_statement", "`skinparam` belongs to PlantUML", "write `classDef` and `class`"),
    "title": (
        "no_statement",
        "a title stands in the front matter",
        "write `title: …` between two lines `---` at the top",
    ),
    "if": ("no_statement", "`if … then` belongs to PlantUML", "write `state x <<choice>>`"),
    "else": ("no_statement", "`else` belongs to PlantUML", "write `state x <<choice>>`"),
    "endif": ("no_statement", "`endif` belongs to PlantUML", "write `state x <<choice>>`"),
    "click": ("link_in_block", "inside braces Mermaid reads a link as states", "write it below the closing brace"),
    "subgraph": ("no_statement", "`subgraph` belongs to flowcharts", "write `state id {`"),
    "end": ("no_statement", "`end` belongs to flowcharts", "close a block with `}`"),
}
_LIKE_AN_ARROW = re.compile(r"[=.~<>→⇒]*[>→⇒]")
_ONE_FOR_EACH_LINE = "write one statement in each line"
_ONE_WORD_FOR_AN_ID = f'{_ONE_FOR_EACH_LINE}; for a name of two words write `state "Two words" as id`, and use the id'


def misreadings(statements: Sequence[Statement]) -> Iterator[Problem]:
    """Every silent misreading of Mermaid's, in the order of the text."""
    states = set(_states(statements))
    for _, group in groupby(statements, key=lambda each: each.place.line):
        in_line = list(group)
        foreign = _foreign(in_line, states)
        if foreign is not None:
            yield foreign
            continue
        for index, each in enumerate(in_line):
            yield from _of(each, same_line=index > 0)
    for each in statements:
        if isinstance(each, Composite):
            yield from misreadings(each.body)
            yield from _trailing_divider(each)


def _states(statements: Sequence[Statement]) -> Iterator[str]:
    """What is surely meant as a state: what has a title, or stands at an arrow."""
    for each in statements:
        match each:
            case Arrow():
                yield from (each.source.id, each.target.id)
            case Titled():
                yield each.id


def _foreign(in_line: list[Statement], states: set[str]) -> Problem | None:
    """The problem of a line that begins with a word of another language, which Mermaid takes for a state."""
    first = in_line[0]
    if not isinstance(first, Name) or first.id in states or (len(in_line) == 1 and first.text is None):
        return None
    known = _KEYWORDS.get(first.id.casefold())
    return None if known is None else _problem(first.place, *known)


def _of(each: Statement, *, same_line: bool) -> Iterator[Problem]:
    match each:
        case Name():
            yield from _name(each, alone=same_line)
        case Arrow():
            for end in (each.source, each.target):
                yield from _name(end, alone=False)
            yield from _label(each)
        case Word():
            yield from _word(each, same_line)
        case Pseudo():
            yield from _pseudo(each)
        case Titled():
            yield from _titled(each)
        case Look(kind="direction") if not _DIRECTION.fullmatch(each.value.strip(BLANKS)):
            message = f"Mermaid takes this whole line for `direction {each.subject}`"
            yield _problem(each.place, "direction_in_text", message, "write the word `direction` in another way")
        case Look(kind="floating"):
            message = "Mermaid draws no note that stands by itself"
            yield _problem(each.place, "floating_note", message, "write `note right of a : text`", warning=True)


def _name(name: Name, *, alone: bool) -> Iterator[Problem]:
    id_, place = as_written(name.id), name.place
    if id_.endswith(";"):
        message = f"a semicolon ends no statement; Mermaid makes a state {id_!r}"
        yield _problem(place, "semicolon", message, "leave it out; in a text write `#59;`")
    elif id_ == "&":
        yield _problem(place, "ampersand", "`&` joins no states; Mermaid makes a state of it", _ONE_FOR_EACH_LINE)
    elif id_.startswith("|"):
        message = f"{id_!r} is no label; Mermaid makes a state of it"
        yield _problem(place, "label_in_bars", message, "write `a --> b : label`")
    elif id_ in ("<", ">"):
        message = "an arrow has one head; Mermaid makes a state of the other"
        yield _problem(place, "arrow_of_two_heads", message, "write two arrows")
    elif _HISTORY.fullmatch(id_):
        message = f"{id_!r} is no history; Mermaid makes a plain state of it"
        yield _problem(place, "history_not_supported", message, "name the state to go back to")
    elif _STEREOTYPE.fullmatch(id_):
        yield _stereotype(place, id_)
    elif id_.startswith("//"):
        yield _problem(place, "comment_of_slashes", "a comment begins with `%%`, on a line of its own", None)
    elif id_ == "}":
        yield _problem(
            place, "unexpected_brace", "this brace closes nothing; Mermaid makes a state of it", "leave it out"
        )
    elif alone and id_ != EDGE:
        yield _several_words(place, id_)


def _several_words(place: Place, id_: str) -> Problem:
    if _LIKE_AN_ARROW.fullmatch(id_):
        message = f"{id_!r} is no arrow of a state diagram; Mermaid makes a state of it"
        return _problem(place, "unknown_arrow", message, "write `a --> b`")
    message = f"{id_!r} stands behind another statement; Mermaid makes a state of it"
    return _problem(place, "several_words", message, _ONE_WORD_FOR_AN_ID)


def _label(arrow: Arrow) -> Iterator[Problem]:
    if arrow.label and "%%" in arrow.label:
        message = "a comment behind a label is a part of the label"
        yield _problem(arrow.place, "comment_in_label", message, "write it on a line of its own", warning=True)


def _word(word: Word, same_line: bool) -> Iterator[Problem]:
    text = as_written(word.text)
    if _STEREOTYPE.fullmatch(text) or text in ("choice", "fork", "join", ">>"):
        yield _stereotype(word.place, text)
    elif same_line or text.startswith(":"):
        message = f"behind `state` stands one word; Mermaid makes a state {text!r} of the next"
        hint = 'write `state "Two words" as id`, and `id : text` for more'
        yield _problem(word.place, "several_words", message, hint)


def _pseudo(pseudo: Pseudo) -> Iterator[Problem]:
    id_ = as_written(pseudo.id)
    if not id_ or '"' in id_ or any(char in BLANKS for char in id_):
        message = f"a {pseudo.kind} has no title; Mermaid makes one with the id {id_!r}"
        yield _problem(pseudo.place, "title_of_choice", message, "give it an id only, and put the text in a note")


def _titled(titled: Titled) -> Iterator[Problem]:
    if titled.more is not None and titled.more.startswith("::"):
        hint = f"write `class {titled.id} {titled.more[2:].strip()}`"
        yield _problem(titled.place, "class_is_lost", "behind a title Mermaid reads no class", hint)
    elif titled.more is not None and ":" in titled.more:
        hint = "write `#colon;` for the second colon"
        message = "Mermaid shows nothing behind the second colon"
        yield _problem(titled.place, "text_is_cut", message, hint, warning=True)


def _trailing_divider(composite: Composite) -> Iterator[Problem]:
    last = composite.body[-1] if composite.body else None
    if isinstance(last, Divider):
        yield _problem(last.place, "divider_at_end", "`--` with nothing behind it does nothing", None, warning=True)


def _stereotype(place: Place, text: str) -> Problem:
    message = f"{text!r} is no kind of state that Mermaid knows; it makes a state of it"
    return _problem(place, "unknown_stereotype", message, "write `state id <<choice>>`, `<<fork>>` or `<<join>>`")


def _problem(place: Place, code: str, message: str, hint: str | None, *, warning: bool = False) -> Problem:
    return Problem(str(place), code, message, hint, "warning" if warning else "error")
