"""A text that pieces are cut out of, each place of it still known by its line and column."""

import re
from bisect import bisect_right
from typing import NamedTuple

BLANK = "\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What Mermaid takes for blank, as the inside of a character class."""
BLANKS = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))
"""The same, to strip."""
ENTITY_START, ENTITY_END = "\ufdd0", "\ufdd1"
"""What stands for the `#` and the `;` of an entity until texts are decoded."""


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
