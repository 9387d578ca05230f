"""The diagrams of a Markdown text: its fenced blocks of Mermaid, each with the line it begins in."""

import re
from dataclasses import dataclass

from detent.notation.fences import closing_line

_FENCE = re.compile(
    r"(?P<indent> {0,3}|(?:[ \t]*(?:[-*+]|\d+[.)])?[ \t]+))(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)"
)


@dataclass(frozen=True, slots=True)
class MermaidBlock:
    """One fenced block."""

    text: str
    """What stands between the fences, without their indentation."""
    first_line: int
    """The line of the file that the text begins in, counted from 1."""


def mermaid_blocks(text: str) -> list[MermaidBlock]:
    """The blocks of Mermaid in a Markdown text, in order; one that is not closed goes on to the end.

    Give the text of each to `from_mermaid` with its `first_line`, and problems name the lines of the file.
    """
    found: list[MermaidBlock] = []
    lines = re.sub(r"\r\n?", "\n", text).split("\n")
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
            found.append(MermaidBlock("\n".join(inside) + "\n", first + 1))
        at += 1
    return found


def _outdented(line: str, width: int) -> str:
    """The line without as much of its indentation as the fence has."""
    indentation = len(line) - len(line.lstrip(" \t"))
    return line[min(width, indentation) :]
