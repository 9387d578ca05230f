"""Other ways to write a definition down: so far as a Mermaid diagram."""

from detent.notation.chart import Marks
from detent.notation.mermaid import Diagram, Direction, Style, to_mermaid

__all__ = ["to_mermaid", "Diagram", "Marks", "Style", "Direction"]
