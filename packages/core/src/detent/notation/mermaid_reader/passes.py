"""What Mermaid does to a text before its grammar reads it.

It goes over the text several times: line ends become one kind, quotes in HTML attributes change, front matter and
directives are cut out, comments on lines of their own too, and entities are hidden. Here an entity keeps its length: its
`#` and `;` become two characters that no text has.
"""

import re
from itertools import islice

from detent.notation.mermaid_reader.directives import faults, find_directives
from detent.notation.mermaid_reader.source import BLANK, BLANKS, ENTITY_END, ENTITY_START, Source
from detent.problems import Problem

_TAG = re.compile(r"<\w+[^>]*>", re.ASCII)
_ATTRIBUTE = re.compile(r'="([^"]*)"')
_COMMENT = re.compile(rf"[{BLANK}]*?%%(?!\{{).")
_ENTITY = re.compile(r"#(\w+);", re.ASCII)


def clean(source: Source) -> list[Problem]:
    """Leaves what Mermaid's grammar is given, once the front matter is gone; answers the first fault of a directive."""
    directives = list(find_directives(source.text))
    problems = list(islice((problem for each in directives for problem in faults(each, source)), 1))
    source.cut(_joined([each.span for each in directives]))
    source.cut(_comments(source.text))
    source.cut([(0, len(source.text) - len(source.text.lstrip(BLANKS)))])
    source.cut(_colour_ends(source.text))
    source.text = _ENTITY.sub(rf"{ENTITY_START}\1{ENTITY_END}", source.text) + "\n"
    return problems


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
