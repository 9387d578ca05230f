"""Mermaid state diagrams read as definitions."""

from detent.notation.mermaid_reader.diagram import StateDiagram, parse
from detent.notation.mermaid_reader.page_blocks import MermaidBlock, PageFormat, mermaid_blocks
from detent.notation.mermaid_reader.reader import Reading, from_mermaid, read_mermaid

__all__ = [
    "MermaidBlock",
    "PageFormat",
    "Reading",
    "StateDiagram",
    "from_mermaid",
    "mermaid_blocks",
    "parse",
    "read_mermaid",
]
