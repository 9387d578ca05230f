"""Other ways to write a definition or a flow down, and to read one: as a Mermaid diagram, or as a graph in DOT."""

from detent.notation.chart import Marks, Passage
from detent.notation.dot import to_dot
from detent.notation.mermaid import Diagram, Direction, Style, to_mermaid
from detent.notation.mermaid_reader import MermaidBlock, PageFormat, Reading, from_mermaid, mermaid_blocks, read_mermaid
from detent.notation.symbols import SymbolsName

__all__ = [
    "to_mermaid",
    "to_dot",
    "Diagram",
    "Marks",
    "Passage",
    "Style",
    "Direction",
    "SymbolsName",
    "from_mermaid",
    "read_mermaid",
    "Reading",
    "mermaid_blocks",
    "MermaidBlock",
    "PageFormat",
]
