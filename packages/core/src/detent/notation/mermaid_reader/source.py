"""The text of a diagram as Mermaid's own passes leave it, each place of it still known by its line and column.

Before its grammar Mermaid goes over a text several times: line ends become one kind, quotes in HTML attributes change,
front matter and directives are cut out, comments on lines of their own too, and entities are hidden. Here an entity keeps
its length: its `#` and `;` become two characters that no text has.
"""

import re
from bisect import bisect_right
from typing import NamedTuple

BLANK = "\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What Mermaid takes for blank, as the inside of a character class."""
BLANKS = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))
"""The same, to strip."""
ENTITY_START, ENTITY_END = "\ufdd0", "\ufdd1"
"""What stands for the `#` and the `;` of an entity until texts are decoded."""

_TAG = re.compile(r"<\w+[^>]*>", re.ASCII)
_ATTRIBUTE = re.compile(r'="([^"]*)"')
_DIRECTIVE = re.compile(rf"%%\{{[{BLANK}]*(?:\w+[{BLANK}]*:|\w+)[{BLANK}]*(?P<word>\w+[{BLANK}]*)?", re.ASCII)
_COMMENT = re.compile(rf"[{BLANK}]*?%%(?!\{{).")
_ENTITY = re.compile(r"#(\w+);", re.ASCII)


class Place(NamedTuple):
    """Where something stands, both counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class Source:
    """A text that pieces were cut out of; what is left still knows where it stood."""

    def __init__(self, text: str, *, first_line: int = 1) -> None:
        text = re.sub(r"\r\n?", "\n", text)
        self.first_line = first_line
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._pieces: list[tuple[int, int]] = [(0, 0)]
        self._starts = [0]
        self.text = text

    def place(self, offset: int) -> Place:
        """The line and column of what now stands at `offset`."""
        offset += self._pieces[bisect_right(self._starts, offset) - 1][1]
        line = bisect_right(self._line_starts, offset)
        return Place(self.first_line + line - 1, offset - self._line_starts[line - 1] + 1)

    def cut(self, spans: list[tuple[int, int]]) -> None:
        """Takes out the pieces from start to end, which are in order and do not touch."""
        if not spans:
            return
        kept: list[str] = []
        pieces: list[tuple[int, int]] = []
        done = length = 0
        for start, end in [*spans, (len(self.text), len(self.text))]:
            if start > done or not pieces:
                pieces += self._shifted(done, start, length)
                kept.append(self.text[done:start])
                length += start - done
            done = end
        self.text = "".join(kept)
        self._pieces = pieces
        self._starts = [start for start, _ in pieces]

    def _shifted(self, start: int, end: int, new: int) -> list[tuple[int, int]]:
        """The pieces of the text from start to end, once that stands at `new`."""
        first = bisect_right(self._starts, start) - 1
        found = [(new, start + self._pieces[first][1] - new)]
        for piece_start, shift in self._pieces[first + 1 : bisect_right(self._starts, end - 1)]:
            found.append((new + piece_start - start, start + shift - new))
        return found


def clean(source: Source) -> None:
    """Leaves what Mermaid's grammar is given, once the front matter is gone."""
    source.cut(_directives(source.text))
    source.cut(_comments(source.text))
    source.cut([(0, len(source.text) - len(source.text.lstrip(BLANKS)))])
    source.cut(_colour_ends(source.text))
    source.text = _ENTITY.sub(rf"{ENTITY_START}\1{ENTITY_END}", source.text) + "\n"


def single_quotes(text: str) -> str:
    """The text with `'` around the values of HTML attributes."""
    end = text.rfind(">") + 1
    return _TAG.sub(lambda tag: _ATTRIBUTE.sub(r"='\1'", tag[0]), text[:end]) + text[end:]


def _colour_ends(text: str) -> list[tuple[int, int]]:
    """The last semicolon of each line of a style or class, which would make an entity of a colour such as `:#f00`."""
    spans: list[tuple[int, int]] = []
    start = 0
    for line in text.split("\n") if "#" in text and ";" in text else []:
        end = len(line)
        for word in ("style", "classDef"):
            at, semicolon = line.find(word), line.rfind(";", 0, end)
            if 0 <= at < semicolon and any(
                0 <= part.find(":") < part.rfind("#") for part in line[at:semicolon].split()
            ):
                spans.append((start + semicolon, start + semicolon + 1))
                end = semicolon
        start += len(line) + 1
    return sorted(spans)


def _directives(text: str) -> list[tuple[int, int]]:
    spans, at = [], text.find("%%{")
    while at >= 0:
        found = _DIRECTIVE.match(text, at)
        if found is None:
            at = text.find("%%{", at + 3)
            continue
        spans.append((at, _directive_end(text, found)))
        at = text.find("%%{", spans[-1][1])
    return _joined(spans)


def _directive_end(text: str, found: re.Match[str]) -> int:
    """A word alone may be followed by the end; anything else goes on until the end, or to the end of the text."""
    if found["word"] is not None:
        return found.end() + (3 if text.startswith("}%%", found.end()) else 0)
    end = text.find("}%%", found.end())
    return len(text) if end < 0 else end + 3


def _comments(text: str) -> list[tuple[int, int]]:
    """Lines that hold a comment only, each with the blank lines before it."""
    if "%%" not in text:
        return []
    spans, start, blank_from = [], 0, 0
    for line in text.split("\n"):
        end = min(start + len(line) + 1, len(text))
        if line.strip(BLANKS):
            if _COMMENT.match(line):
                spans.append((blank_from, end))
            blank_from = end
        start = end
    return _joined(spans)


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
