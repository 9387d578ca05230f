"""Text to tokens, in modes as Mermaid's own lexer has them: a sign means one thing between statements, another in a note.

What counts where follows the grammar of Mermaid 11.17 (MIT licence). The first rule of a mode that fits is taken.
"""

import re
from bisect import bisect_left
from typing import NamedTuple

from detent.notation.mermaid_reader.source import BLANK, BLANKS


class Token(NamedTuple):
    """A piece of the text that the statements are made of."""

    kind: str
    text: str
    at: int
    """Where it begins."""


class Stray(NamedTuple):
    """A place at which no rule fits."""

    at: int
    mode: str


class _Rule(NamedTuple):
    pattern: str
    kind: str = ""
    """What token it makes; nothing for what is passed over."""
    then: str = ""
    """`pop`, or the mode that begins: `+mode` on top of this one, `=mode` in its place."""


_LINE = r"[^\n]*"
_END = r"(?!\w)"
_GAP = f"[{BLANK}]"
_INDENT = _Rule(rf"(?:(?!\n){_GAP})+")
_COMMENTS = [_Rule(f"#{_LINE}"), _Rule(rf"%%(?!\{{){_LINE}")]
_STYLES = [
    _Rule(f"classDef{_GAP}+", "CLASSDEF", "+classdef"),
    _Rule(f"class{_GAP}+", "CLASS", "+class"),
    _Rule(f"style{_GAP}+", "STYLE", "+style"),
]
_STATE = _Rule(f"state{_GAP}+", then="+state")
_NOTE = _Rule(f"note{_GAP}+", "NOTE", "+note")
_NAMES = [
    _Rule(r"\[\*\]", "EDGE"),
    _Rule(rf"[^:\n\-{{{BLANK}]+", "ID"),
    _Rule(r":(?:[^:\n;]|:[^:\n;])+", "DESCR"),
    _Rule("-->", "ARROW"),
]
_SEPARATOR = _Rule(":::", "SEPARATOR")
_OPEN = _Rule(r"\{", "OPEN", "=struct")

_RULES: dict[str, list[_Rule]] = {
    "initial": [
        _Rule(f"click{_END}", "CLICK"),
        _Rule(f"href{_END}", "HREF"),
        _Rule('"[^"]*"', "STRING"),
        _Rule(f"default{_END}", "DEFAULT"),
        _Rule(r"\n+", "NL"),
        _Rule(f"{_GAP}+"),
        *_COMMENTS,
        _Rule(f"scale{_GAP}+", "SCALE", "+scale"),
        _Rule(f"accTitle{_GAP}*:{_GAP}*", "ACC_TITLE", "+acc_title"),
        _Rule(f"accDescr{_GAP}*:{_GAP}*", "ACC_DESCR", "+acc_title"),
        _Rule(rf"accDescr{_GAP}*\{{{_GAP}*", then="+acc_block"),
        *_STYLES,
        _STATE,
        _Rule(r"\{", "OPEN", "+struct"),
        _NOTE,
        _Rule(f"stateDiagram(?:-v2)?{_GAP}+", "HEADER"),
        _Rule(f"hide empty description{_END}", "HIDE"),
        *_NAMES,
        _SEPARATOR,
        _Rule(r"\Z", "NL"),
        _Rule(".", "INVALID"),
    ],
    "struct": [
        _INDENT,
        *_COMMENTS,
        *_STYLES,
        _STATE,
        _Rule(r"\}", "CLOSE", "pop"),
        _Rule(r"\n"),
        _NOTE,
        *_NAMES,
        _Rule("--", "DIVIDER"),
        _SEPARATOR,
    ],
    "state": [
        _INDENT,
        *_COMMENTS,
        _Rule('"', then="+state_title"),
        _Rule(f"{_GAP}*as{_GAP}+", "AS", "+state_id"),
        _Rule(f"[^{BLANK}{{]+", "STATE"),
        _Rule(r"\n", then="pop"),
        _OPEN,
    ],
    "state_title": [_Rule('"', then="pop"), _Rule('[^"]*', "TITLE")],
    "state_id": [_Rule(r"[^\n{]*", "ID", "pop")],
    "scale": [_Rule(r"\d+", "WIDTH"), _Rule(f"{_GAP}+width{_END}", then="pop")],
    "acc_title": [_Rule(_LINE, "ACC_TEXT", "pop")],
    "acc_block": [_Rule(r"\}", then="pop"), _Rule(r"[^}]*", "ACC_BLOCK")],
    "classdef": [
        _Rule(f"default{_GAP}+", "DEFAULT_CLASS", "=css"),
        _Rule(rf"\w+{_GAP}+", "CLASS_NAME", "=css"),
    ],
    "class": [_Rule(rf"\w+(?:,{_GAP}*\w+)*", "STATE_NAMES", "=css")],
    "style": [_Rule(rf"[\w,]+{_GAP}+", "STATE_NAMES", "=css")],
    "css": [_Rule(_LINE, "CSS", "pop")],
    "note": [_Rule(f"(?:left|right) of{_END}", "SIDE", "=note_id"), _Rule('"', then="=floating")],
    "note_id": [_Rule(rf"{_GAP}*[^:\-{BLANK}]+", "ID", "=note_text")],
    "note_text": [_Rule(rf"{_GAP}*:[^:\n;]+", "NOTE_TEXT", "pop")],
    "floating": [
        _Rule(f"{_GAP}*as{_GAP}*", "AS", "=floating_id"),
        _Rule('"'),
        _Rule('[^"]*', "FLOATING"),
    ],
    "floating_id": [_Rule(_LINE, "ID", "pop")],
}
_FLAGS = re.ASCII | re.IGNORECASE
_MODES = {mode: re.compile("|".join(f"({rule.pattern})" for rule in rules), _FLAGS) for mode, rules in _RULES.items()}
_RULES_BEFORE_LOOKING = {"initial": 4, "struct": 7, "state": 3}
"""After so many rules of a mode the rest of the line is asked for a direction, or for the kind of a state."""
_DIRECTION = {way: rf"direction{_GAP}+{way}" for way in ("TB", "BT", "RL", "LR")}
_KIND = {sign: re.escape(sign) for sign in ("<<fork>>", "<<join>>", "<<choice>>", "[[fork]]", "[[join]]", "[[choice]]")}
_BRACE = {"{": r"\{"}
_TWO_WORDS = re.compile(rf"\w+{_GAP}+\w+", _FLAGS)
_END_NOTE = re.compile(rf"\n(?:(?!\n){_GAP})*end note{_END}", _FLAGS)


class Lexer:
    """The tokens of a text that ends in a line end, and the places where it could not be read."""

    def __init__(self, text: str) -> None:
        self.tokens: list[Token] = []
        self.strays: list[Stray] = []
        self._text = text
        self._at = 0
        self._modes = ["initial"]
        line_ends = [*(found.start() for found in re.finditer("\n", text)), len(text)]
        self._direction = _Ahead(text, _DIRECTION, line_ends)
        self._kind = _Ahead(text, _KIND, line_ends)
        self._brace = _Ahead(text, _BRACE, line_ends)
        self._note_ends = [found.span() for found in _END_NOTE.finditer(text)]
        self._looks_ahead = dict.fromkeys(_RULES, False)
        self._looks_ahead |= {"initial": self._direction.any, "struct": self._direction.any, "state": self._kind.any}
        while self._at < len(text):
            if not self._step():
                self._give_line_up()
        self._step()

    def _step(self) -> bool:
        mode = self._modes[-1]
        found = _MODES[mode].match(self._text, self._at)
        number = found.lastindex or 0 if found else 0
        if self._looks_ahead[mode] and not 0 < number <= _RULES_BEFORE_LOOKING[mode] and self._take_ahead(mode):
            return True
        if found is None or not number:
            return mode == "note_text" and self._take_note_block()
        rule = _RULES[mode][number - 1]
        if not rule.kind and not rule.then:
            self._at = found.end()
            return True
        if rule.kind == "STATE" and self._is_two_words():
            return False
        return self._take_name(rule, found) if rule.kind == "ID" else self._take(rule, found[0])

    def _take(self, rule: _Rule, text: str) -> bool:
        if rule.kind:
            self.tokens.append(Token(rule.kind, text, self._at))
        self._at += len(text)
        self._enter(rule.then)
        return True

    def _take_name(self, rule: _Rule, found: re.Match[str]) -> bool:
        """A name ends before a comment; a comment alone is none."""
        name, comment, _ = found[0].partition("%%")
        if comment and not name:
            self._at = found.end()
            return True
        return self._take(rule, name)

    def _take_ahead(self, mode: str) -> bool:
        return self._take_kind() if mode == "state" else self._take_direction()

    def _take_direction(self) -> bool:
        ahead = self._direction.look(self._at)
        if ahead is None:
            return False
        way, end = ahead
        line_end = self._text.find("\n", end)
        self.tokens.append(Token(f"DIRECTION_{way}", self._text[self._at : line_end], self._at))
        self._at = line_end
        return True

    def _take_kind(self) -> bool:
        ahead = self._kind.look(self._at)
        if ahead is None:
            return False
        sign, end = ahead
        name = self._text[self._at : end - len(sign)].strip(BLANKS)
        self.tokens.append(Token(sign[2:-2].upper(), name, self._at))
        self._at = end
        self._enter("pop")
        return True

    def _take_note_block(self) -> bool:
        following = bisect_left(self._note_ends, (self._at, 0))
        if following == len(self._note_ends):
            return False
        start, end = self._note_ends[following]
        self.tokens.append(Token("NOTE_BLOCK", self._text[self._at : start], self._at))
        self._at = end
        self._enter("pop")
        return True

    def _is_two_words(self) -> bool:
        """Whether a brace follows more than one word, which Mermaid takes for a name with a blank in it."""
        found = _TWO_WORDS.match(self._text, self._at)
        return found is not None and self._brace.look(found.end()) is not None

    def _enter(self, then: str) -> None:
        if then and not then.startswith("+"):
            del self._modes[1 if len(self._modes) == 1 else -1 :]
        if then and then != "pop":
            self._modes.append(then[1:])

    def _give_line_up(self) -> None:
        """Goes on with the next line, in the block that this one is in."""
        self.strays.append(Stray(self._at, self._modes[-1]))
        while self._modes[-1] not in ("initial", "struct"):
            self._modes.pop()
        self._at = self._text.find("\n", self._at)
        self._at = len(self._text) if self._at < 0 else self._at + 1


class _Ahead:
    """What stands further on in a line, asked from many places of it."""

    def __init__(self, text: str, patterns: dict[str, str], line_ends: list[int]) -> None:
        found = {kind: [one.span() for one in re.finditer(pattern, text, _FLAGS)] for kind, pattern in patterns.items()}
        self._spans = {kind: spans for kind, spans in found.items() if spans}
        self.any = bool(self._spans)
        self._line_ends = line_ends

    def look(self, at: int) -> tuple[str, int] | None:
        """The first kind that stands between `at` and the end of the line, and where the last one of that kind ends."""
        if not self.any:
            return None
        line_end = self._line_ends[bisect_left(self._line_ends, at)]
        for kind, spans in self._spans.items():
            last = bisect_left(spans, (line_end, 0)) - 1
            if last >= 0 and spans[last][0] >= at:
                return kind, spans[last][1]
        return None
