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
from dataclasses import dataclass, replace

from detent.cli.marked_blocks import MarkedBlock
from detent.notation.fences import closing_line

_MARK = re.compile(r"(?P<indent>[ \t]*)<!--\s*detent diagram:(?P<words>.*?)-->\s*")
_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*?)[ \t]*")
_LANGUAGES = frozenset({"mermaid", "dot", "graphviz", "{mermaid}", "{graphviz}"})
"""What a block is called that a mark may stand for, in Markdown and, in braces, as a directive of MyST."""
_FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedFence(MarkedBlock):
    """A mark in Markdown, and the fenced block that it stands for."""

    indent: str
    """What stands before the mark and each line of the block."""
    fence: str = "```"
    """What the block begins and ends with."""
    info: str = ""
    """What stands behind the first fence."""

    def holding(self, diagram: str, language: str) -> "MarkedFence":
        """The same block with `diagram` in it, in a fence that nothing in it ends."""
        info = self.info if self.exists else language
        # A directive of MyST takes front matter for options of its own.
        text = _FRONT_MATTER.sub("", diagram, count=1) if info.strip().startswith("{") else diagram
        longest = max((len(run) for run in re.findall(f"{self.fence[0]}{{3,}}", text)), default=2)
        fence = self.fence[0] * max(len(self.fence), longest + 1)
        return replace(self, fence=fence, info=info, text=text)

    @property
    def lines(self) -> list[str]:
        """The lines of the block, its fences included."""
        said = [f"{self.fence}{self.info}", *self.text.removesuffix("\n").split("\n"), self.fence]
        return [f"{self.indent}{line}" if line else "" for line in said]


def marked_fences(page: str) -> Iterator[MarkedFence]:
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


def _block_after(words: str, indent: str, mark: int, lines: Sequence[str]) -> MarkedFence:
    at = mark + 1
    while at < len(lines) and not lines[at].strip():
        at += 1
    fence = _FENCE.fullmatch(lines[at]) if at < len(lines) else None
    if fence is None or _LANGUAGES.isdisjoint(fence["info"].split()[:1]):
        return MarkedFence(words=words, mark=mark + 1, start=mark + 1, end=mark + 1, exists=False, indent=indent)
    end = closing_line(lines, at + 1, fence["fence"])
    held = [line.removeprefix(fence["indent"]) for line in lines[at + 1 : end]]
    return MarkedFence(
        words=words,
        mark=mark + 1,
        start=at,
        end=end + 1,
        text="".join(f"{line}\n" for line in held),
        fault="" if end < len(lines) else "the block after this mark is not closed",
        indent=fence["indent"],
        fence=fence["fence"],
        info=fence["info"],
    )
