"""Fenced blocks of Markdown: where one ends."""

import re
from collections.abc import Sequence


def closing_line(lines: Sequence[str], at: int, fence: str) -> int:
    """The index, from `at` on, of the line that closes `fence`; where none does, the block goes on to the end: their number."""
    closing = re.compile(rf"[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*")
    while at < len(lines) and not closing.fullmatch(lines[at]):
        at += 1
    return at
