"""Tokens to statements. What is no statement is a problem, and the reading goes on in the next line."""

import re
from bisect import bisect_right
from collections.abc import Callable

from detent.notation.mermaid_reader.lexing import Lexer, Stray, Token
from detent.notation.mermaid_reader.source import BLANKS, Source
from detent.notation.mermaid_reader.tree import (
    Accessible,
    Arrow,
    Composite,
    Divider,
    Look,
    Name,
    Note,
    Pseudo,
    Statement,
    Titled,
    Word,
)
from detent.problems import Problem

MAX_PROBLEMS = 20
"""After so many the rest is left unread."""
MAX_DEPTH = 50
"""How many composites may stand in one another."""
_MOST_AHEAD = 4
"""How many tokens from where it is a statement looks at."""
_LINE_END = "nl"
"""Mermaid's own name for a line end: such a word declares nothing."""

_STRAYS = {
    "note_text": (
        "note_not_closed",
        "the note is not closed",
        "write `: text` on the same line, or end it with `end note`",
    ),
    "note_id": ("unreadable_note", "the note names no state that Mermaid can read", "write `note right of a : text`"),
    "note": ("unreadable_note", "a note stands `left of` or `right of` a state", "write `note right of a : text`"),
    "classdef": ("unreadable_class", "the name of a class is made of letters, digits and `_`", None),
    "class": ("unreadable_class", "the states of a class are given by ids of letters, digits and `_`", None),
    "style": ("unreadable_style", "the states of a style are given by ids of letters, digits and `_`", None),
    "scale": ("unreadable_scale", "a scale is a whole number, then `width`", "write `scale 350 width`"),
    "state": (
        "name_of_two_words",
        "a state that holds others is named by one word",
        'write `state "Two words" as id {`',
    ),
}
_ARROWS = "the only arrow is `-->`; write `a --> b : label`, one arrow for each line"
_WORDS = frozenset({"CLICK", "HREF", "DEFAULT", "NOTE", "CLASS", "CLASSDEF", "STYLE", "SCALE"})
_WORD_BEFORE_AN_ARROW = re.compile(r"\s*(\w+)\s+")
_EXPECTED = {
    "ARROW": ("unexpected_arrow", "an arrow has one state on each side of it", _ARROWS),
    "DESCR": ("unexpected_colon", "a colon follows a state or an arrow, once", "write `#colon;` for a colon in a text"),
    "STRING": ("unexpected_quotes", "a state is named by its id", 'write `state "Its name" as id`, and use the id'),
    "OPEN": ("unexpected_brace", "only `state id` is followed by a brace", "write `state id {`"),
    "CLOSE": ("unexpected_brace", "this brace closes nothing", None),
    "SEPARATOR": (
        "unexpected_class",
        "a state has one class at most where it is named",
        "write `class a first, second`",
    ),
    "AS": ("unexpected_as", "`as` follows a text in double quotes", 'write `state "Its name" as id`'),
    "TITLE": ("title_without_id", "a text in quotes is followed by `as` and an id", 'write `state "Its name" as id`'),
    "HEADER": ("header_twice", "a diagram has one header", None),
    "DEFAULT_CLASS": ("default_class", "Mermaid reads no `classDef default` in this diagram", "name the class"),
}
_UNREADABLE = [
    (re.compile(r"(?<=--)-"), ("unknown_divider", "regions are divided by `--`, inside of braces only", "write `--`")),
    (
        re.compile(r"\{"),
        ("unexpected_brace", "inside of braces a block opens on the line of its state", "write `state id {`"),
    ),
    (
        re.compile(r"-{3,}(?![->])"),
        ("unknown_divider", "regions are divided by `--`, inside of braces only", "write `--`"),
    ),
    (re.compile(r"-[-.=]*>|-+\w+->"), ("unknown_arrow", "this is no arrow of a state diagram", _ARROWS)),
    (re.compile(r"-[-.=]"), ("unknown_divider", "regions are divided by `--`, inside of braces only", None)),
    (re.compile(r"-\s"), ("unknown_arrow", "this is no arrow of a state diagram", _ARROWS)),
    (re.compile(r"-"), ("hyphen_in_id", "an id has no hyphen", 'write `state "my-state" as my_state`, and use the id')),
    (re.compile(r":"), ("empty_label", "there is no text behind this colon", "leave the colon out")),
    (re.compile(r"\n|\Z"), ("line_ends", "the line ends before the statement does", "write it on one line")),
]


class Statements:
    """All statements of a text, and the problems of what is none."""

    def __init__(self, source: Source) -> None:
        self.problems: list[Problem] = []
        self._source = source
        lexer = Lexer(source.text)
        # As many ends as a statement may look ahead, so that looking never asks where the tokens end.
        self._tokens = [*lexer.tokens, *[Token("EOF", "", len(source.text))] * _MOST_AHEAD]
        self._index = 0
        self._depth = 0
        self._refused_line = 0
        self._strays = lexer.strays
        self._header()
        self.found = self._document(closing=None)
        for stray in lexer.strays[:MAX_PROBLEMS]:
            self._report_stray(stray)
        self.problems.sort(key=_by_place)

    def _header(self) -> None:
        self._skip_line_ends()
        if self._kind() == "HEADER":
            self._index += 1
        else:
            hint = "write `stateDiagram-v2`, and the statements below it"
            self._report(self._token(), "unreadable_header", "the first line is no header of a state diagram", hint)
            self._refused_line = self._line(self._token())
            self._pass_over_line()

    def _document(self, closing: Token | None) -> tuple[Statement, ...]:
        found: list[Statement] = []
        while len(self.problems) < MAX_PROBLEMS:
            self._skip_line_ends()
            token = self._token()
            if token.kind == "EOF":
                if closing is not None and not self._strays:
                    self._report(
                        closing, "brace_not_closed", "this brace is never closed", "write `}` where the block ends"
                    )
                break
            if token.kind == "CLOSE" and closing is not None:
                self._index += 1
                break
            statement = self._statement(token)
            if statement is None:
                self._pass_over_line()
            elif not isinstance(statement, Word) or statement.text != _LINE_END:
                found.append(statement)
        return tuple(found)

    def _statement(self, token: Token) -> Statement | None:
        self._index += 1
        read = _READERS.get(token.kind)
        return self._refuse(token) if read is None else read(self, token)

    def _read_id(self, token: Token) -> Statement | None:
        name = self._name(token)
        if name is None:
            return None
        if self._kind() == "ARROW":
            self._index += 1
            return self._arrow(name)
        if self._kind() == "DESCR":
            return Name(name.id, name.place, name.classes, _after_colon(self._next().text))
        return name

    def _arrow(self, source: Name) -> Statement | None:
        token = self._token()
        if token.kind not in ("ID", "EDGE"):
            return self._refuse(token, "an arrow leads to the id of a state, in the same line")
        self._index += 1
        target = self._name(token)
        if target is None:
            return None
        label = _after_colon(self._next().text) if self._kind() == "DESCR" else None
        return Arrow(source, target, source.place, label)

    def _name(self, token: Token) -> Name | None:
        classes: tuple[str, ...] = ()
        if self._kind() == "SEPARATOR":
            self._index += 1
            if self._kind() != "ID":
                self._refuse(self._token(), "`:::` is followed by the name of a class")
                return None
            classes = (_trimmed(self._next().text),)
        return Name(_trimmed(token.text), self._source.place(token.at), classes)

    def _read_state(self, token: Token) -> Statement | None:
        place = self._source.place(token.at)
        if self._kind() != "OPEN":
            return Word(token.text, place)
        body = self._body()
        return None if body is None else Composite(token.text, body, place)

    def _read_title(self, token: Token) -> Statement | None:
        place = self._source.place(token.at)
        if self._kind() != "AS":
            return self._refuse(token)
        self._index += 1
        if self._kind() != "ID":
            return self._refuse(self._token(), "`as` is followed by an id")
        written = self._next().text
        if self._kind() == "OPEN":
            body = self._body()
            return None if body is None else Composite(_trimmed(written), body, place, token.text)
        id_, colon, more = written.partition(":")
        return Titled(_trimmed(id_), _trimmed(token.text), place, more if colon else None)

    def _body(self) -> tuple[Statement, ...] | None:
        brace = self._next()
        if self._depth == MAX_DEPTH:
            self._report(brace, "nested_too_deeply", f"more than {MAX_DEPTH} states stand in one another")
            self._index = len(self._tokens) - _MOST_AHEAD
            return None
        self._depth += 1
        body = self._document(brace)
        self._depth -= 1
        return body

    def _read_pseudo(self, token: Token) -> Statement:
        kind = {"CHOICE": "choice", "FORK": "fork", "JOIN": "join"}[token.kind]
        return Pseudo(token.text, kind, self._source.place(token.at))  # type: ignore[arg-type]

    def _read_divider(self, token: Token) -> Statement:
        return Divider(self._source.place(token.at))

    def _read_note(self, token: Token) -> Statement | None:
        place = self._source.place(token.at)
        if self._kind() == "FLOATING":
            text = self._next().text
            if self._kind() != "AS" or self._kind(1) != "ID":
                return self._refuse(self._token(), "a note in quotes is followed by `as` and an id")
            self._index += 1
            return Look("floating", place, _trimmed(self._next().text), text)
        if self._kind() != "SIDE" or self._kind(1) != "ID" or self._kind(2) not in ("NOTE_TEXT", "NOTE_BLOCK"):
            return self._unfinished(token, "a note is `note right of a : text`")
        side, name, said = self._next().text, _trimmed(self._next().text), self._next()
        return Note(name, side, _trimmed(said.text) if said.kind == "NOTE_BLOCK" else self._note_line(said), place)

    def _note_line(self, token: Token) -> str:
        """The text of a note in one line; Mermaid stops at a second colon, and then refuses the rest."""
        said, end = token.text.partition(":")[2], token.at + len(token.text)
        while self._kind() == "DESCR" and self._token().at == end:
            rest = self._next()
            message = "Mermaid rejects a second colon in the line of a note"
            hint = "write `#colon;`, or put the text on lines of its own up to `end note`"
            self._report(rest, "colon_in_note", message, hint, warning=True)
            said, end = said + rest.text, end + len(rest.text)
        if _trimmed(token.text[2:]) != _trimmed(token.text.partition(":")[2]):
            message = "Mermaid cuts off the first sign of this note"
            self._report(token, "note_is_cut", message, "write a blank on each side of the colon", warning=True)
        return _trimmed(said)

    def _read_direction(self, token: Token) -> Statement:
        return Look("direction", self._source.place(token.at), token.kind[-2:], token.text)

    def _read_acc(self, token: Token) -> Statement | None:
        place = self._source.place(token.at)
        if token.kind == "ACC_BLOCK":
            return Accessible("description", _trimmed(token.text), place)
        if self._kind() != "ACC_TEXT":
            return self._refuse(self._token())
        return Accessible("title" if token.kind == "ACC_TITLE" else "description", _trimmed(self._next().text), place)

    def _read_classdef(self, token: Token) -> Statement | None:
        return self._look("classDef", token, ("CLASS_NAME", "DEFAULT_CLASS"))

    def _read_class(self, token: Token) -> Statement | None:
        return self._look("class", token, ("STATE_NAMES",))

    def _read_style(self, token: Token) -> Statement | None:
        return self._look("style", token, ("STATE_NAMES",))

    def _look(self, kind: str, token: Token, wanted: tuple[str, ...]) -> Statement | None:
        if self._kind() not in wanted or self._kind(1) != "CSS":
            return self._unfinished(token)
        subject = self._next()
        if subject.kind == "DEFAULT_CLASS":
            self._index += 1
            return self._refuse(subject)
        value = _trimmed(self._next().text)
        return Look(kind, self._source.place(token.at), _trimmed(subject.text), value)  # type: ignore[arg-type]

    def _read_scale(self, token: Token) -> Statement | None:
        if self._kind() != "WIDTH":
            return self._unfinished(token)
        return Look("scale", self._source.place(token.at), self._next().text, token.text)

    def _read_hide(self, token: Token) -> Statement:
        return Look("hide", self._source.place(token.at), value=token.text)

    def _read_click(self, token: Token) -> Statement | None:
        subject = self._next()
        if subject.kind not in ("ID", "EDGE"):
            return self._refuse(token, "`click` is followed by the id of a state")
        kinds = (self._kind(), self._kind(1), self._kind(2))
        if kinds not in (("STRING", "STRING", "NL"), ("HREF", "STRING", "NL")):
            hint = 'write `click a "address" "text"` or `click a href "address"`'
            self._report(token, "unreadable_link", "Mermaid cannot read this link", hint)
            self._refused_line = self._line(token)
            return None
        first, second, _ = self._next(), self._next(), self._next()
        url, tooltip = (second.text, "") if first.kind == "HREF" else (first.text, second.text)
        return Look("click", self._source.place(token.at), _trimmed(subject.text), url, tooltip)

    def _token(self, ahead: int = 0) -> Token:
        return self._tokens[self._index + ahead]

    def _kind(self, ahead: int = 0) -> str:
        return self._tokens[self._index + ahead].kind

    def _next(self) -> Token:
        token = self._token()
        self._index += 1
        return token

    def _skip_line_ends(self) -> None:
        while self._kind() == "NL":
            self._index += 1

    def _pass_over_line(self) -> None:
        """Goes on behind the line of what was refused, or behind the block where that ends in it."""
        next_line = bisect_right(self._tokens, self._refused_line, lo=self._index, key=self._line)
        while self._index < next_line and self._kind() not in ("EOF", "NL", "CLOSE"):
            self._index += 1

    def _line(self, token: Token) -> int:
        return self._source.place(token.at).line

    def _refuse(self, token: Token, message: str | None = None) -> Statement | None:
        """Reports what is no statement; `None`, in place of one."""
        if token.kind in _WORDS:
            self._report(token, *_reserved(token.text.strip(BLANKS)))
        else:
            code, said, hint_ = _EXPECTED.get(token.kind) or self._unreadable(token.at)
            self._report(token, code, message if message and code == "unreadable" else said, hint_)
        self._refused_line = self._line(token)
        return None

    def _unfinished(self, token: Token, message: str | None = None) -> Statement | None:
        """Refuses what breaks off; where the lexer broke off, it says so itself."""
        if not self._strays:
            return self._refuse(self._token(), message)
        self._refused_line = self._line(token)
        return None

    def _unreadable(self, at: int) -> tuple[str, str, str | None]:
        """What to say of a place at which Mermaid stops, by what stands there."""
        text = self._source.text
        for pattern, said in _UNREADABLE:
            if pattern.match(text, at):
                return said
        return "unreadable", f"Mermaid cannot read {text[at : at + 12].split(chr(10))[0]!r} here", None

    def _report(self, token: Token, code: str, message: str, hint: str | None = None, *, warning: bool = False) -> None:
        place = str(self._source.place(token.at))
        self.problems.append(Problem(place, code, message, hint, "warning" if warning else "error"))

    def _report_stray(self, stray: Stray) -> None:
        text = self._source.text
        word = _WORD_BEFORE_AN_ARROW.fullmatch(text, text.rfind("\n", 0, stray.at) + 1, stray.at)
        if word is not None and text.startswith("-->", stray.at):
            self._report(Token("", "", word.start(1)), *_reserved(word[1]))
            return
        code, message, hint = _STRAYS.get(stray.mode) or self._unreadable(stray.at)
        self._report(Token("", "", stray.at), code, message, hint)


def _reserved(word: str) -> tuple[str, str, str]:
    """The problem of a word of Mermaid's in the place of an id: its code, what is wrong, and what to write."""
    hint = f'write `state "{word}" as s_{word.lower()}`, and use that id'
    return "reserved_word", f"`{word}` is a word of Mermaid and no id", hint


_READERS: dict[str, Callable[[Statements, Token], Statement | None]] = {
    "ID": Statements._read_id,
    "EDGE": Statements._read_id,
    "STATE": Statements._read_state,
    "TITLE": Statements._read_title,
    "CHOICE": Statements._read_pseudo,
    "FORK": Statements._read_pseudo,
    "JOIN": Statements._read_pseudo,
    "DIVIDER": Statements._read_divider,
    "NOTE": Statements._read_note,
    "DIRECTION_TB": Statements._read_direction,
    "DIRECTION_BT": Statements._read_direction,
    "DIRECTION_RL": Statements._read_direction,
    "DIRECTION_LR": Statements._read_direction,
    "ACC_TITLE": Statements._read_acc,
    "ACC_DESCR": Statements._read_acc,
    "ACC_BLOCK": Statements._read_acc,
    "CLASSDEF": Statements._read_classdef,
    "CLASS": Statements._read_class,
    "STYLE": Statements._read_style,
    "SCALE": Statements._read_scale,
    "HIDE": Statements._read_hide,
    "CLICK": Statements._read_click,
}


def _after_colon(text: str) -> str:
    return _trimmed(text[1:] if text.startswith(":") else text)


def _trimmed(text: str) -> str:
    return text.strip(BLANKS)


def _by_place(problem: Problem) -> tuple[int, ...]:
    return tuple(int(number) for number in problem.path.replace(",", "").split()[1::2])
