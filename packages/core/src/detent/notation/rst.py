"""Pages of reStructuredText: their directives and comments, each with the lines of its body."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MARKUP = re.compile(r"(?P<before> *(?:(?:[-*+•]|\w+[.)]|#\.) +)*)\.\.(?: +(?P<said>.*))?")
_DIRECTIVE = re.compile(r"(?P<name>\w+(?:[-._+:]\w+)*) ?::(?: +(?P<argument>.*))?")
_OTHER = re.compile(r"_|\[|\|")
"""How targets, footnotes and substitutions begin, whose bodies are read as text."""
_BEFORE_TEXT = re.compile(r" *(?:(?:[-*+•]|\w+[.)]|#\.) +)*")
_OPTION = re.compile(r":(?![: ])(?:[^:\\]|\\.)+:(?: .*)?")
_LITERAL = frozenset(
    "code code-block sourcecode parsed-literal raw math prompt doctest testcode testoutput testsetup csv-table "  # noqa: SIM905
    "mermaid graphviz digraph graph uml plantuml".split()
)
"""Directives whose body is no reStructuredText, so that nothing in it is a directive."""


@dataclass(frozen=True, slots=True)
class Markup:
    """A directive, or a comment."""

    name: str
    """What the directive is called, in small letters; empty for a comment."""
    said: str
    """What follows the name on its line; of a comment the line."""
    at: int
    """The index of its line."""
    column: int
    """How far its two dots stand from the margin."""
    options: tuple[str, ...]
    """The lines of its options, without their indentation."""
    body_at: int
    """The index of the first line of the body behind the options; `end` where there is none."""
    end: int
    """The index behind its last line that is not blank."""
    body: tuple[str, ...] = ()
    """The lines of the body, without their indentation."""


def rst_lines(text: str) -> list[str]:
    r"""The lines of a page whose lines end in `\n`, with blanks in place of tabs, as docutils reads them."""
    return [line.expandtabs(8) for line in text.split("\n")]


def markup_in(lines: Sequence[str]) -> Iterator[Markup]:
    """The directives and comments of a page, from the first to the last; those in literal blocks are text."""
    at = 0
    while at < len(lines):
        found = _MARKUP.fullmatch(lines[at])
        if found is not None:
            markup = _markup(lines, at, found)
            if markup is not None:
                yield markup
            at = at + 1 if markup is None or (markup.name and markup.name not in _LITERAL) else markup.end
        elif lines[at].rstrip().endswith("::"):
            at = _end(lines, at, len(_before_text(lines[at])))
        else:
            at += 1


def _markup(lines: Sequence[str], at: int, found: re.Match[str]) -> Markup | None:
    said, column = (found["said"] or "").rstrip(), len(found["before"])
    if _OTHER.match(said):
        return None
    directive = _DIRECTIVE.fullmatch(said)
    if not said and (at + 1 == len(lines) or not lines[at + 1].strip()):
        return Markup("", "", at, column, (), at + 1, at + 1)  # a comment without a text ends where it begins
    end = _end(lines, at, column)
    inside = _outdented(lines[at + 1 : end])
    if directive is None:
        return Markup("", said, at, column, (), at + 1, end, tuple(inside))
    options = _options(inside)
    content = len(options)
    while content < len(inside) and not inside[content].strip():
        content += 1
    argument = (directive["argument"] or "").strip()
    body = tuple(inside[content:])
    return Markup(directive["name"].lower(), argument, at, column, options, at + 1 + content, end, body)


def _options(inside: Sequence[str]) -> tuple[str, ...]:
    """The lines with which the options are said, those that go on included."""
    number = 0
    while number < len(inside) and (_OPTION.fullmatch(inside[number]) or (number and inside[number][:1] == " ")):
        number += 1
    return tuple(inside[:number])


def _end(lines: Sequence[str], at: int, column: int) -> int:
    """The index behind the last line that belongs to what begins at `at`, because it stands further right than `column`."""
    end = at = at + 1
    while at < len(lines) and (not lines[at].strip() or _indentation(lines[at]) > column):
        at += 1
        if lines[at - 1].strip():
            end = at
    return end


def _outdented(lines: Sequence[str]) -> list[str]:
    width = min((_indentation(line) for line in lines if line.strip()), default=0)
    return [line[width:].rstrip() if line.strip() else "" for line in lines]


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _before_text(line: str) -> str:
    found = _BEFORE_TEXT.match(line)
    return found[0] if found else ""
