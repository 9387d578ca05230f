"""Blocks of Markdown that show a diagram and say which one.

    <!-- detent diagram: shop.orders:order --style flowchart -->
    ```mermaid
    ...
    ```

The comment holds the arguments of `detent diagram`. The block after it is what that draws; it may be absent, and is then
put there. A comment inside of another fence is text and no mark.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from detent.notation.fences import closing_line

_MARK = re.compile(r"(?P<indent>[ \t]*)<!--\s*detent diagram:(?P<words>.*?)-->\s*")
_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*?)[ \t]*")
_LANGUAGES = frozenset({"mermaid", "dot", "graphviz", "{mermaid}", "{graphviz}"})
"""What a block is called that a mark may stand for, in Markdown and, in braces, as a directive of MyST."""
_FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MarkedBlock:
    """A mark, and the block that it stands for."""

    words: str
    """What the mark says: the arguments of `detent diagram`."""
    mark: int
    """The number of the mark's line, counted from 1."""
    indent: str
    """What stands before the mark and each line of the block."""
    fence: str
    """What the block begins and ends with."""
    info: str | None
    """What stands behind the first fence; `None` where there is no block yet."""
    start: int
    """The number of the line of the first fence, or of the mark where there is no block."""
    end: int
    """The number of the line of the last fence, likewise."""
    text: str
    """What the block holds, without the indent; empty where there is none."""
    closed: bool = True
    """Whether the block ends before the page does."""

    def holding(self, diagram: str, language: str) -> "MarkedBlock":
        """The same block with `diagram` in it, in a fence that nothing in it ends."""
        info = language if self.info is None else self.info
        # A directive of MyST takes front matter for options of its own.
        text = _FRONT_MATTER.sub("", diagram, count=1) if info.strip().startswith("{") else diagram
        longest = max((len(run) for run in re.findall(f"{self.fence[0]}{{3,}}", text)), default=2)
        fence = self.fence[0] * max(len(self.fence), longest + 1)
        return MarkedBlock(self.words, self.mark, self.indent, fence, info, self.start, self.end, text)

    @property
    def lines(self) -> list[str]:
        """The lines of the block, its fences included."""
        said = [f"{self.fence}{self.info}", *self.text.removesuffix("\n").split("\n"), self.fence]
        return [f"{self.indent}{line}" if line else "" for line in said]


def marked_blocks(page: str) -> Iterator[MarkedBlock]:
    """The marked blocks of a page of Markdown, from the first to the last."""
    lines = page.split("\n")
    at = 0
    while at < len(lines):
        mark, fence = _MARK.fullmatch(lines[at]), _FENCE.fullmatch(lines[at])
        if mark:
            block = _block_after(mark["words"].strip(), mark["indent"], at, lines)
            yield block
            at = block.end
        elif fence:
            at = closing_line(lines, at + 1, fence["fence"]) + 1
        else:
            at += 1


def with_blocks(page: str, blocks: Sequence[MarkedBlock]) -> str:
    """The page with these blocks in the place of those that it has."""
    lines = page.split("\n")
    for block in sorted(blocks, key=lambda block: block.mark, reverse=True):
        lines[max(block.start - 1, block.mark) : block.end] = block.lines
    return "\n".join(lines)


def _block_after(words: str, indent: str, mark: int, lines: Sequence[str]) -> MarkedBlock:
    at = mark + 1
    while at < len(lines) and not lines[at].strip():
        at += 1
    fence = _FENCE.fullmatch(lines[at]) if at < len(lines) else None
    if fence is None or _LANGUAGES.isdisjoint(fence["info"].split()[:1]):
        return MarkedBlock(words, mark + 1, indent, "```", None, mark + 1, mark + 1, "")
    end = closing_line(lines, at + 1, fence["fence"])
    held = [line.removeprefix(fence["indent"]) for line in lines[at + 1 : end]]
    text = "".join(f"{line}\n" for line in held)
    return MarkedBlock(
        words, mark + 1, fence["indent"], fence["fence"], fence["info"], at + 1, end + 1, text, closed=end < len(lines)
    )
