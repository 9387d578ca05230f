"""The words on an arrow or in a box, read by the grammar of `detent.notation.labels`, or as people draw them by hand.

By hand the name of an event is any text: `Payment received [amount ok] / capture`. A text that the grammar reads is read so.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from detent.definition.duration import parse_duration
from detent.notation.labels import KEYWORDS, WORD

Written: TypeAlias = Any
"""A part of a definition as it is written: a name, or an object."""

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\[\](),]|[^\s\[\](),"]+)')
_SLASH = re.compile(r"(?:(?<![^\s\]])|^)/(?=\s)")
_ELSE = frozenset({"else", "otherwise"})
_JOINTS = {"and": "all_of", "or": "any_of"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a label says."""

    event: str | None = None
    """The event; `None` for what happens by itself after the entry."""
    fails: bool = False
    """Whether this is the way of a failure."""
    branch: bool = False
    """Whether a branch begins there."""
    timeout: Written = None
    guard: Written = None
    way: Literal["if", "else", ""] = ""
    """Whether it is one of several ways of its event, and whether a guard decides on it."""
    way_guard: Written = None
    commands: tuple[str, ...] = ()
    by_hand: bool = False
    """Whether the grammar could not read it."""


class _NotSaid(Exception):
    """The text is none of the grammar."""


def read_arrow(text: str) -> Said | None:
    """What an arrow says by the grammar; `None` where it is no text of it."""
    return _read(text, _Words.arrow)


def read_said(text: str) -> Said | None:
    """What an arrow says, by the grammar or as it is drawn by hand; `None` where nothing is said, or it cannot be read."""
    return read_arrow(text) or read_by_hand(text) if text else None


def read_line(text: str) -> Said | None:
    """What a line in a box says by the grammar; `None` where it is no text of it."""
    return _read(text, _Words.line)


def read_guard(text: str) -> Written:
    """The guard that a text says; a text that is none of the grammar is the name of one."""
    try:
        words = _Words(text)
        guard = words.guard()
        words.end()
    except _NotSaid:
        return text
    return guard


def read_by_hand(text: str) -> Said | None:
    """What a label drawn by hand says: `event [guard] / commands`, each of them optional; `None` where it is no such text."""
    said, commands = _without_commands(text)
    event, bracket, rest = said.partition("[")
    guard, closing, after = rest.partition("]")
    if commands is None or bool(bracket) != bool(closing) or after.strip() or set("[]") & set(event + guard):
        return None
    if not (event.strip() or guard.strip()):
        return None
    asked = None if is_else(guard.strip()) or not guard.strip() else read_guard(guard.strip())
    return Said(event=event.strip() or None, guard=asked, commands=commands, by_hand=True)


def is_else(text: str) -> bool:
    """Whether a text, in brackets or without, says that this is the way that is left over."""
    return text.casefold().removeprefix("[").removesuffix("]").strip() in _ELSE


def _without_commands(text: str) -> tuple[str, tuple[str, ...] | None]:
    """What stands before the slash, and the commands behind it; `None` where those are no names."""
    slash = _SLASH.search(text)
    return (text, ()) if slash is None else (text[: slash.start()], commands_by_hand(text[slash.end() :]))


def read_title(text: str) -> str:
    """The name that stands alone: as it is, or as a JSON string."""
    if not text.startswith('"'):
        return text
    try:
        name = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return name if isinstance(name, str) else text


def commands_by_hand(text: str) -> tuple[str, ...] | None:
    """The names in `first, second()`; `None` where they are none."""
    names = [name.strip().removesuffix("()") for name in text.split(",")]
    return tuple(names) if all(WORD.fullmatch(name) for name in names) else None


def _read(text: str, part: Any) -> Said | None:
    try:
        words = _Words(text)
        said: Said = part(words)
        words.end()
    except _NotSaid:
        return None
    return said


_MAX_DEPTH = 100


class _Words:
    """The words of one text, taken from the left."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        self._next = 0
        self._depth = 0
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None:
                raise _NotSaid
            self._words.append(found[1])
            at = found.end()

    def arrow(self) -> Said:
        if self._took("when", "joined"):
            return Said()
        if self._took("on", "enter"):
            return Said(branch=True) if self._took("branch") else Said(fails=self._took("fails"))
        event = self.name()
        if self._took("fails"):
            return Said(event=event, fails=True)
        timeout, guard = self._timeout(), self._bracketed()
        way, way_guard = self._way()
        return Said(event=event, timeout=timeout, guard=guard, way=way, way_guard=way_guard, commands=self._commands())

    def line(self) -> Said:
        if self._took("on", "enter"):
            commands = self._commands()
            if not commands:
                raise _NotSaid
            return Said(commands=commands)
        return Said(event=self.name(), timeout=self._timeout(), guard=self._bracketed(), commands=self._commands())

    def guard(self) -> Written:
        parts = [self._part()]
        joint = self._peek()
        while joint in _JOINTS and self._took(joint):
            parts.append(self._part())
            if self._peek() in _JOINTS and self._peek() != joint:
                raise _NotSaid
        return parts[0] if len(parts) == 1 else {_JOINTS[joint]: parts}

    def name(self) -> str:
        word = self._take()
        if word.startswith('"'):
            return _quoted(word)
        if word in KEYWORDS or not WORD.fullmatch(word):
            raise _NotSaid
        return word

    def end(self) -> None:
        if self._next < len(self._words):
            raise _NotSaid

    def _part(self) -> Written:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _NotSaid
        part = self._inner_part()
        self._depth -= 1
        return part

    def _inner_part(self) -> Written:
        if self._took("not"):
            return {"not_": self._part()}
        for word in ("all", "any"):
            if self._took(word, "("):
                return {f"{word}_of": [self._closed(self.guard())]}
        return self._closed(self.guard()) if self._took("(") else self.name()

    def _closed(self, guard: Written) -> Written:
        if not self._took(")"):
            raise _NotSaid
        return guard

    def _timeout(self) -> Written:
        if self._took("at"):
            return {"at": self.name()}
        if not self._took("after"):
            return None
        said = self._take()
        try:
            parse_duration(said)
        except ValueError:
            raise _NotSaid from None
        return said

    def _bracketed(self) -> Written:
        if not self._took("["):
            return None
        guard = self.guard()
        if not self._took("]"):
            raise _NotSaid
        return guard

    def _way(self) -> tuple[Literal["if", "else", ""], Written]:
        if self._took("if") or self._took("else", "if"):
            return "if", self.guard()
        return ("else", None) if self._took("else") else ("", None)

    def _commands(self) -> tuple[str, ...]:
        if not self._took("/"):
            return ()
        names = [self.name()]
        while self._took(","):
            names.append(self.name())
        return tuple(names)

    def _peek(self) -> str:
        return self._words[self._next] if self._next < len(self._words) else ""

    def _take(self) -> str:
        word = self._peek()
        if not word:
            raise _NotSaid
        self._next += 1
        return word

    def _took(self, *words: str) -> bool:
        if tuple(self._words[self._next : self._next + len(words)]) != words:
            return False
        self._next += len(words)
        return True


def _quoted(word: str) -> str:
    try:
        name = json.loads(word)
    except ValueError:
        raise _NotSaid from None
    return str(name)
