"""Diagrams in pages, each below a mark: a comment that holds the arguments of `detent diagram`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedBlock(ABC):
    """A mark, and the block that it stands for."""

    words: str
    """What the mark says: the arguments of `detent diagram`."""
    mark: int
    """The number of the mark's line, counted from 1."""
    start: int
    """The index of the first line of the block, or of the line above which one is to be put."""
    end: int
    """The index of the line behind it, likewise."""
    text: str = ""
    """The diagram that it holds, without its indentation; empty where there is none."""
    exists: bool = True
    """Whether there is a block; else it is still to be put there."""
    fault: str = ""
    """Why the block cannot be written; empty where it can."""

    @abstractmethod
    def holding(self, diagram: str, language: str) -> "MarkedBlock":
        """The same block with `diagram` in it, which is `mermaid` or `dot`."""

    @property
    @abstractmethod
    def lines(self) -> list[str]:
        """The lines of the block, or those to put below the mark."""


def with_blocks(page: str, blocks: Sequence[MarkedBlock]) -> str:
    """The page with these blocks in the place of those that it has."""
    lines = page.split("\n")
    for block in sorted(blocks, key=lambda block: block.mark, reverse=True):
        lines[block.start : block.end] = block.lines
    return "\n".join(lines)
