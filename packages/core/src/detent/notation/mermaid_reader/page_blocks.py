"""The diagrams in pages of Markdown and reStructuredText, each with the line it begins in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from detent.notation.fences import closing_line
from detent.notation.rst import markup_in, rst_lines

PageFormat: TypeAlias = Literal["markdown", "rst"]
"""What a page is written in."""

_FENCE = re.compile(
    r"(?P<indent> {0,3}|(?:[ \t]*(?:[-*+]|\d+[.)])?[ \t]+))(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)"
)
_CODE = frozenset({"code", "code-block", "sourcecode"})
"""The directives that show a text in the language they name."""


@dataclass(frozen=True, slots=True)
class MermaidBlock:
    """One fenced block, or the body of one directive."""

    text: str
    """What stands between the fences or below the options, without its indentation."""
    first_line: int
    """The line of the file that the text begins in, counted from 1."""


def mermaid_blocks(text: str, *, page_format: PageFormat = "markdown") -> list[MermaidBlock]:
    """The blocks of Mermaid in a page, in order; a fence that is not closed goes on to the end.

    In reStructuredText these are `.. mermaid::` and `.. code-block:: mermaid`; one that shows a file is none. Give the text
    of each to `from_mermaid` with its `first_line`, and problems name the lines of the page.
    """
    text = re.sub(r"\r\n?", "\n", text)
    return list(_directives(text) if page_format == "rst" else _fences(text))


def _fences(text: str) -> Iterator[MermaidBlock]:
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        opening = _FENCE.fullmatch(lines[at])
        at += 1
        if opening is None:
            continue
        first, at = at, closing_line(lines, at, opening["fence"])
        if re.split(r"[\s{]", opening["info"].strip().lstrip("{."), maxsplit=1)[0].rstrip("}").casefold() == "mermaid":
            width = len(opening["indent"])
            inside = [_outdented(line, width) for line in lines[first:at]]
            yield MermaidBlock("\n".join(inside) + "\n", first + 1)
        at += 1


def _directives(text: str) -> Iterator[MermaidBlock]:
    for markup in markup_in(rst_lines(text)):
        shown = (markup.name, markup.said.casefold())
        if shown == ("mermaid", "") or (shown[0] in _CODE and shown[1] == "mermaid"):
            yield MermaidBlock("\n".join(markup.body) + "\n", markup.body_at + 1)


def _outdented(line: str, width: int) -> str:
    """The line without as much of its indentation as the fence has."""
    indentation = len(line) - len(line.lstrip(" \t"))
    return line[min(width, indentation) :]
